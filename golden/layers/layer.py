# SPDX-License-Identifier: Apache-2.0
"""One layer of a network: a macro, or one for each of two directions."""

from dataclasses import dataclass

from ..spec.specification import Specification


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer: a macro, or one for each direction.

    Parameters
    ----------
    macro : Specification
        Without a head (``classes`` 0), its readout and ``max_steps`` at their defaults. Both directions have macros of
        this one specification, with weights of their own.
    bidirectional : bool
        Whether a second macro goes through the utterance from its end.
    """

    macro: Specification
    bidirectional: bool = False

    @property
    def outputs(self) -> int:
        """Codes that the layer gives in each step: h of the forward macro, then h of the backward one."""
        return self.macro.hidden * (2 if self.bidirectional else 1)

    @property
    def last(self) -> Specification:
        """The macro whose h stream leaves the layer: that of the projection, where it is in an array."""
        return self.macro.projection_macro or self.macro

    @property
    def directions(self) -> tuple[str, ...]:
        """What follows the layer's name in the names of its macros."""
        return ("_forward", "_backward") if self.bidirectional else ("",)
