# SPDX-License-Identifier: Apache-2.0
"""The network: sizes, cell, projection and head. A part of the specification on which answers depend."""

from dataclasses import dataclass

from ..cell.library import CELLS
from ..common.declared import declared


@dataclass(frozen=True, kw_only=True)
class NetworkParameters:
    """What the network computes, independent of the converter and of the implementation.

    Parameters
    ----------
    inputs, units : int
        X, the codes of one input vector, and H, the cell's units; 1 to 65536 each.
    classes : int
        Outputs of the dense head, 1 to 4096; 0: no head, for a macro that is a layer of a larger network.
    bias_rows : int
        Rows driven at full scale in every step, 0 to 64.
    cell : str
        A name of :data:`crossramp.golden.cell.library.CELLS`: ``"lstm"``, ``"gru"``, ``"rnn_tanh"``, ...
    projection : int
        P, the codes that h is projected to (Sak, Senior and Beaufays, Interspeech 2014) before it is fed back, streamed
        out and seen by the head, 1 to ``units``; 0: none.
    projection_in : str
        What projects: a ``"digital"`` unit, or an ``"array"`` of its own with a linear ramp
        (:attr:`.specification.Specification.projection_macro`), in a layer of a network.
    readout : str
        What the head sees of the hidden states: their ``"mean"`` over the steps, or the ``"last"``, once an utterance;
        ``"step"``: each, so that every step has its logits and its answer.
    head_weight_bits : int
        Resolution of the head's and the projection's integer weights, 2 to 16.
    initial : str
        Where an utterance starts from: a state of ``"zero"``, of ``"constant"`` values that the weights have, or of
        values that come through a ``"stream"`` before each utterance.
    keeps_state : int
        1: the end of an utterance may say that the next one goes on from its state; 0: none does.
    max_steps : int
        Longest utterance, 1 to 65536 steps; sizes the head's sums. Bounds nothing with the readout ``"step"``.
    """

    inputs: int = declared("codes of one input vector", 1, 1 << 16)
    units: int = declared("units of the cell", 1, 1 << 16)
    classes: int = declared("outputs of the head; 0: no head", 0, 1 << 12)
    bias_rows: int = declared("rows driven at full scale", 0, 64, default=1)
    cell: str = declared("kind of recurrent cell", default="lstm", choices=CELLS)
    projection: int = declared(
        "codes that h is projected to; 0 or nothing: none", 0, lambda spec: spec.units, default=0, neutral=0
    )
    projection_in: str = declared(
        "where h is projected: digital or array", default="digital", choices=("digital", "array"), neutral="digital"
    )
    readout: str = declared("mean, last or step", default="mean", choices=("mean", "last", "step"))
    initial: str = declared(
        "state that utterances start from: zero, constant or stream",
        default="zero",
        choices=("zero", "constant", "stream"),
        neutral="zero",
    )
    keeps_state: int = declared("whether an utterance may go on from the one before", 0, 1, default=0, neutral=0)
    head_weight_bits: int = declared("bits of a head weight, sign included", 2, 16, default=8)
    max_steps: int = declared("steps of the longest utterance", 1, 1 << 16, default=1024)

    @property
    def hidden(self) -> int:
        """Width of h: codes that a step feeds back on rows of their own, and hands on to what comes behind."""
        return self.projection or self.units

    @property
    def array_projects(self) -> bool:
        """Whether the projection is in an array of its own, behind the macro."""
        return bool(self.projection) and self.projection_in == "array"

    @property
    def digital_projection(self) -> int:
        """The ``projection`` where a digital unit makes it, otherwise 0."""
        return 0 if self.array_projects else self.projection

    @property
    def streamed(self) -> int:
        """Codes of the macro's own h stream: :attr:`hidden`; those of its cell where an array projects them."""
        return self.units if self.array_projects else self.hidden

    @property
    def projection_shift(self) -> int:
        """A weight of the projection is an integer within ±head_weight_max over 2**projection_shift: within ±1."""
        return self.head_weight_bits - 1

    @property
    def loads_state(self) -> bool:
        """Whether registers are loaded before an utterance: with constants, or from a stream."""
        return self.initial != "zero"

    @property
    def constant_h(self) -> bool:
        """Whether the weights have an h that utterances start from."""
        return self.initial == "constant" and self.output_is_state

    @property
    def constant_register(self) -> bool:
        """Whether the weights have a cell state that utterances start from."""
        return self.initial == "constant" and self.layout.register is not None

    @property
    def output_is_state(self) -> bool:
        """Whether a step hands its h on to the next one."""
        return self.layout.output in self.layout.driven_before
