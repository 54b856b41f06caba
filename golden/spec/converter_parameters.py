# SPDX-License-Identifier: Apache-2.0
"""The converter: bits, ramps, and the scale of the cell state. A part of the specification on which answers depend."""

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..cell.description import CODE, LINE, Gate
from ..common.checks import integer
from ..common.declared import declared
from . import state_scale
from .activations import Activation, activation
from .gates import SpecificationError
from .ramp_walk import RampWalk, ramp_walk
from .update_formats import line_gain, line_interval

#: Bits of a fixed value that does not stay within ±1, where a specification leaves them out: sign and three before the
#: point, eight behind.
_STATE_BITS, _STATE_FRAC_BITS = 12, 8

_STATE_BITS_MOST = 24


@dataclass(frozen=True, kw_only=True)
class ConverterParameters:
    """How real values become codes, and codes values: the arithmetic of the array, its ramps and the cell state.

    Parameters
    ----------
    adc_bits, input_bits, weight_bits : int
        Resolution of the ramp (n), of the pulse codes of x and h, and of the weights, 2 to 8; the latter two include
        the sign.
    gates : tuple of Gate or None
        For each gate of the cell, in the order of the banks; None: those of its description. Gates of one activation
        and one number of bits share one ramp, so they must share one ``weight_range``. ``bits`` of a gate, 2 to 9, are
        those of its own ramp; None: ``adc_bits``.
    state_bits, state_frac_bits : int or None
        The cell state (c, or s of a GRU) is a signed fixed-point number of ``state_bits`` (3 to 24) with
        ``state_frac_bits`` behind the point, saturating at ±(2**(state_bits - 1) - 1). None: 12 and 8; in cells whose
        state stays within ±1, ``adc_bits`` + 3 behind the point and the sign. A cell without a state has neither.
    state_pulse_bits : int or None
        Pulse code that drives the line value (c, or r·m of a GRU) into the state cells, sign included, 2 to 10. None:
        ``input_bits`` + 1, and as many more as it needs to reach :func:`.state_scale.needed_full_scale`. A cell without
        lines has none.
    state_cell : int or None
        Weight levels of a state cell, 1 to the full-scale weight. None: the one that brings the full scale of the line
        nearest to :func:`.state_scale.wanted_full_scale`.
    latch : str
        What the code of a column is where its comparator rises again, which an ideal one never does: ``"last_high"``:
        the last tick that it was high on; ``"first_trip"``: the tick before it was first low.
    calibration_cells : int
        Bias calibration cells of each ramp, 0 to 16.
    projection_bits : int or None
        Of the linear ramp of a projection in an array, 2 to 8; None: ``adc_bits``.
    projection_range : float
        Its weights lie within ± this, 2**-10 to 2**10, in units of a full-scale h.
    partial_rows : int
        Most rows of one array where columns are not joined: each array but the last converts what its rows add up to,
        and its codes return as pulses (:mod:`.row_sums`), in a layer of a network; 0: all rows add on one integrator.
    partial_bits : int or None
        Of the linear ramps of these sums, 2 to 9; None: ``adc_bits``.
    partial_cell : int or None
        Weight levels of a cell through which a sum returns, 1 to the full-scale weight: half of a code in MAC units.
        None: those that bring the ramp's reach nearest to a pre-activation of 4.
    """

    adc_bits: int = declared("bits of a conversion", 2, 8, default=5)
    input_bits: int = declared("bits of a pulse code of x and h, sign included", 2, 8, default=5)
    weight_bits: int = declared("bits of a weight, sign included", 2, 8, default=5)
    gates: tuple[Gate, ...] | None = declared("what each bank converts with", default=None)
    state_bits: int | None = declared("bits of the cell state, sign included", 3, _STATE_BITS_MOST, default=None)
    state_frac_bits: int | None = declared(
        "bits of those behind the point", 0, lambda spec: spec._state_bits_there - 1, default=None
    )
    state_pulse_bits: int | None = declared(
        "bits of the cell state's pulse code, sign included", *state_scale.PULSE_BITS, default=None
    )
    state_cell: int | None = declared("weight levels of a state cell", 1, lambda spec: spec.weight_max, default=None)
    latch: str = declared("last_high or first_trip", default="last_high", choices=("last_high", "first_trip"))
    calibration_cells: int = declared("bias cells of each ramp", 0, 16, default=5)
    projection_bits: int | None = declared("bits of the ramp of a projection in an array", 2, 8, default=None)
    projection_range: float = declared(
        "largest weight of a projection in an array", 2**-10, 2**10, default=1.0, neutral=1.0
    )

    partial_rows: int = declared(
        "most rows of one array whose sums return by a ramp; 0: none do", 0, 1 << 20, default=0, neutral=0
    )
    partial_bits: int | None = declared("bits of the ramps of partial sums", 2, 9, default=None)
    partial_cell: int | None = declared(
        "weight levels of the cells of partial sums", 1, lambda spec: spec.weight_max, default=None
    )

    @property
    def _state_bits_there(self) -> int:
        """Bits of the state, or the most that they may become."""
        return self.state_bits or (_STATE_BITS if not self.base_cell.bounded else _STATE_BITS_MOST)

    def _settle_state(self) -> None:
        """Choose the format of the cell state where it was left out."""
        names = ("state_bits", "state_frac_bits")
        if self.layout.register is None:
            self._refuse(names, "keeps no state")
            return
        bits, fraction = self.state_bits, self.state_frac_bits
        if self.layout.bounded:
            fraction = (bits - 1 if bits else self.adc_bits + 3) if fraction is None else fraction
            bits = max(fraction + 1, 3) if bits is None else bits
        else:
            bits = _STATE_BITS if bits is None else bits
            fraction = _STATE_FRAC_BITS if fraction is None else fraction
        integer("state_frac_bits", fraction, 0, bits - 1, SpecificationError)
        object.__setattr__(self, "state_bits", bits)
        object.__setattr__(self, "state_frac_bits", fraction)

    def _settle_state_scale(self) -> None:
        """Choose what drives the lines where it was left out, and check how far it reaches."""
        names = ("state_pulse_bits", "state_cell")
        if self.layout.line_value is None:
            self._refuse(names, "drives no lines")
            return
        if self.state_pulse_bits is None:
            object.__setattr__(self, "state_pulse_bits", state_scale.default_pulse_bits(self))
        if self.state_cell is None:
            object.__setattr__(self, "state_cell", state_scale.default_cell(self))
        if reason := state_scale.fault(self):
            raise SpecificationError(reason)
        if reason := state_scale.caution(self):
            warnings.warn(reason, state_scale.SpecificationWarning, stacklevel=4)

    def _refuse(self, names: tuple[str, ...], why: str) -> None:
        """SpecificationError for the first of ``names`` that is given although the cell has no use for it."""
        for name in names:
            if getattr(self, name) is not None:
                raise SpecificationError(
                    f"{name} is {getattr(self, name)}, but the cell {self.layout.name} {why}; leave it out"
                )

    # ---- limits of the codes  ---------------------------------------------------------------------------------------

    @property
    def input_max(self) -> int:
        """Largest pulse code of a row."""
        return (1 << (self.input_bits - 1)) - 1

    @property
    def weight_max(self) -> int:
        """Full-scale weight, in levels."""
        return (1 << (self.weight_bits - 1)) - 1

    @property
    def state_max(self) -> int:
        """Where c saturates, in units of 2**-state_frac_bits."""
        return (1 << (self.state_bits - 1)) - 1

    @property
    def state_pulse_max(self) -> int:
        """Largest pulse code of the lines; 0 in cells without lines."""
        return (1 << (self.state_pulse_bits - 1)) - 1 if self.state_pulse_bits else 0

    @property
    def code_pulse_bits(self) -> int:
        """Bits of the codes of partial sums as pulse codes, sign included."""
        return (self.partial_bits or 0) + 1

    def pulse_bits(self, form: str) -> int:
        """Bits of a pulse code of a format, sign included."""
        return {LINE: self.state_pulse_bits, CODE: self.code_pulse_bits}.get(form, self.input_bits)

    def pulse_max(self, value: str) -> int:
        """Clocks of the longest pulse of what drives rows or lines."""
        return (1 << (self.pulse_bits(self.layout.form_of(value)) - 1)) - 1

    def line_pulse_max(self, line: str) -> int:
        """Clocks of the longest pulse of a line."""
        return self.pulse_max(self.layout.line_driver(line))

    @property
    def output_bits(self) -> int:
        """Bits of a code of the h stream: a pulse code."""
        return self.pulse_bits(self.layout.values[self.layout.output])

    def line_level(self, line: str, trained: bool) -> int:
        """Weight levels of the cells of a line; the most that they may be, if they are trained."""
        if trained:
            return self.weight_max
        return self.partial_cell if self.layout.form_of(self.layout.line_driver(line)) == CODE else self.state_cell

    @property
    def state_full_scale(self) -> float:
        """Real value that the largest pulse code of a line stands for: beyond it the pulse code saturates."""
        return self.state_cell * self.scale(self.state_gate) * self.state_pulse_max if self.state_cell else 0.0

    @property
    def state_limit(self) -> float:
        """Real value at which c itself saturates."""
        return self.state_max / (1 << self.state_frac_bits)

    @cached_property
    def windows(self) -> tuple[int, ...]:
        """Clocks of each conversion's integrate window: as many as the longest pulse that may be in it."""
        return tuple(max(map(self.pulse_max, conversion.driven.values())) for conversion, _ in self.layout.steps)

    @property
    def ticks(self) -> int:
        """Ticks of the longest ramp; 2**adc_bits - 1 where no curve turns and no gate has bits of its own."""
        return max(walk.ticks for walk in self.ramp_walks)

    @property
    def tick_bits(self) -> int:
        """Bits of a tick's number, from 0 to :attr:`ticks`."""
        return self.ticks.bit_length()

    @cached_property
    def conversion_ticks(self) -> tuple[int, ...]:
        """Ticks of each conversion: those of the longest ramp among the banks that it latches."""
        return tuple(max(map(self.gate_ticks, codes)) for codes in self.layout.conversions)

    # ---- ramps  -----------------------------------------------------------------------------------------------------

    def gate(self, name: str) -> Gate:
        """What the bank of a gate converts with."""
        return self.gates[self.gate_names.index(name)]

    @cached_property
    def _distinct_ramps(self) -> tuple[tuple[str, int], ...]:
        """Activation and bits of each ramp, in the order of the gates that first use them."""
        return tuple(dict.fromkeys((self.activation(gate).text, self.gate_bits(gate)) for gate in self.gate_names))

    @cached_property
    def ramps(self) -> tuple[Activation, ...]:
        """The activation of each ramp: one ramp for each pair of an activation and its bits."""
        return tuple(activation(text) for text, _ in self._distinct_ramps)

    @cached_property
    def ramp_walks(self) -> tuple[RampWalk, ...]:
        """What each ramp counts."""
        return tuple(ramp_walk(activation(text), bits) for text, bits in self._distinct_ramps)

    @cached_property
    def ramp_of_gate(self) -> tuple[int, ...]:
        """For each gate, in the order of the banks: the index of its ramp in :attr:`ramps`."""
        found = [(self.activation(gate).text, self.gate_bits(gate)) for gate in self.gate_names]
        return tuple(map(self._distinct_ramps.index, found))

    def gate_bits(self, gate: str) -> int:
        """Bits of a gate's ramp and of its columns' codes."""
        return self.gate(gate).bits or self.adc_bits

    def gate_ticks(self, gate: str) -> int:
        """Ticks of a gate's ramp."""
        return self.ramp_walks[self.ramp_of(gate)].ticks

    @cached_property
    def code_bits(self) -> int:
        """Flip-flops of all columns' codes."""
        return self.units * sum(map(self.gate_bits, self.gate_names))

    def turns(self, gate: str) -> bool:
        """Whether the curve of a gate's activation turns, so that its codes are levels around 0."""
        return bool(self.activation(gate).turns)

    @cached_property
    def has_tap(self) -> np.ndarray:
        """Which ramps have a cell on which tap: bool, shape (ramps, ticks), read-only."""
        there = np.arange(self.ticks) < np.array([walk.ticks for walk in self.ramp_walks])[:, None]
        there.setflags(write=False)
        return there

    @property
    def has_plain_ramps(self) -> bool:
        """Whether every ramp counts from 1 to 2**adc_bits - 1."""
        return all(walk.codes == tuple(range(1 << self.adc_bits)) for walk in self.ramp_walks)

    def activation(self, gate: str) -> Activation:
        """The activation of a gate."""
        return activation(self.gate(gate).activation)

    def bipolar(self, gate: str) -> bool:
        """Whether the gate's codes decode to [-1, 1] (else to [0, 1])."""
        return self.activation(gate).low < 0

    def scale(self, gate: str) -> float:
        """Real pre-activation of one MAC unit: (weight step) x (input step)."""
        return self.gate(gate).weight_range / (self.weight_max * self.input_max)

    # ---- codes and values -------------------------------------------------------------------------------------------

    def value_shift(self, gate: str) -> int:
        """A decoded value of the gate is an integer over 2**value_shift, times the end of its range.

        An odd integer, but for curves that turn.
        """
        return self.gate_bits(gate) + (0 if self.bipolar(gate) else 1) - self.turns(gate)

    @cached_property
    def state_gain(self) -> tuple[int, int]:
        """(M, R): the pulse code of the lines is round(v * M / 2**R), see :func:`.update_formats.line_gain`."""
        return line_gain(self, line_interval(self))
