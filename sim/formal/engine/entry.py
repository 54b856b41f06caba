# SPDX-License-Identifier: Apache-2.0
"""One line of the table of proofs: what is claimed of a specification, and how it is attempted."""

from collections.abc import Callable
from dataclasses import dataclass

from .proof import Proof
from .solver import Mode


@dataclass(frozen=True)
class Entry:
    """A proof of one block, at the sizes of one specification.

    Attributes
    ----------
    block : str
        What it is about, such as ``"capture"``: one word, which ``crossramp prove --only`` takes.
    claim : str
        What is claimed, in one line for the table.
    proof : callable
        Makes the :class:`Proof`, without arguments; nothing is elaborated before.
    mode : Mode
        ``PROVE``: for traces of any length. ``BOUNDED``: for all traces of ``depth`` clocks after reset; with
        ``complete`` these are all that matter.
    depth : int
    complete : bool
        A bounded check that covers everything: a circuit without state of its own behind one register.
    """

    block: str
    claim: str
    proof: Callable[[], Proof]
    mode: Mode = Mode.PROVE
    depth: int = 2
    complete: bool = False

    @property
    def reach(self) -> str:
        """How far the result reaches, for the table."""
        if self.mode is Mode.PROVE:
            return "any trace"
        return "every input" if self.complete else f"{self.depth} clocks"
