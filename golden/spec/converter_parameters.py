# SPDX-License-Identifier: Apache-2.0
"""The converter: bits, ramps, and the scale of the cell state. A part of the specification on which answers depend."""

import math
import warnings
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from ..common.declared import declared
from . import state_scale
from .activations import Activation, activation
from .cells import Gate, SpecificationError
from .lstm_cell import LSTM


@dataclass(frozen=True, kw_only=True)
class ConverterParameters:
    """How real values become codes, and codes values: the arithmetic of the array, its ramps and the cell state.

    Parameters
    ----------
    adc_bits, input_bits, weight_bits : int
        Resolution of the ramp (n), of the pulse codes of x and h, and of the weights, 2 to 8; the latter two include
        the sign.
    gates : tuple of Gate
        For each gate of the cell, in the order of the banks. Gates of one activation share one ramp, so they must
        share one ``weight_range``.
    state_bits, state_frac_bits : int
        The cell state c is a signed fixed-point number of ``state_bits`` (3 to 24) with ``state_frac_bits`` behind the
        point, saturating at ±(2**(state_bits - 1) - 1).
    state_pulse_bits : int or None
        Pulse code that drives c into the state cells, sign included, 2 to 10. None: ``input_bits`` + 1, and as many
        more as c needs to reach the topmost tanh code (:func:`.state_scale.default_pulse_bits`).
    state_cell : int or None
        Weight levels of a state cell, 1 to the full-scale weight. None: the one that brings the full scale of c's pulse
        code nearest to max(2, atanh(1 - 2**(1 - adc_bits))).
    latch : str
        What the code of a column is where its comparator rises again, which an ideal one never does: ``"last_high"``:
        the last tick that it was high on; ``"first_trip"``: the tick before it was first low.
    calibration_cells : int
        Bias calibration cells of each ramp, 0 to 16.
    """

    adc_bits: int = declared("bits of a conversion", 2, 8, default=5)
    input_bits: int = declared("bits of a pulse code of x and h, sign included", 2, 8, default=5)
    weight_bits: int = declared("bits of a weight, sign included", 2, 8, default=5)
    gates: tuple[Gate, ...] = declared("what each bank converts with", default=LSTM.default_gates)
    state_bits: int = declared("bits of the cell state, sign included", 3, 24, default=12)
    state_frac_bits: int = declared("bits of those behind the point", 0, lambda spec: spec.state_bits - 1, default=8)
    state_pulse_bits: int | None = declared(
        "bits of the cell state's pulse code, sign included", *state_scale.PULSE_BITS, default=None
    )
    state_cell: int | None = declared("weight levels of a state cell", 1, lambda spec: spec.weight_max, default=None)
    latch: str = declared("last_high or first_trip", default="last_high", choices=("last_high", "first_trip"))
    calibration_cells: int = declared("bias cells of each ramp", 0, 16, default=5)

    def _settle_state_scale(self) -> None:
        """Choose what drives c into the second conversion where it was left out, and check how far it reaches."""
        if self.state_pulse_bits is None:
            weight_range = self.gate(self.state_gate).weight_range
            bits = state_scale.default_pulse_bits(self.adc_bits, self.input_bits, weight_range, self.input_max)
            object.__setattr__(self, "state_pulse_bits", bits)
        if self.state_cell is None:
            pulse_scale = self.scale(self.state_gate) * self.state_pulse_max
            object.__setattr__(
                self, "state_cell", state_scale.default_cell(self.adc_bits, pulse_scale, self.weight_max)
            )
        if reason := state_scale.fault(self):
            raise SpecificationError(reason)
        if reason := state_scale.caution(self):
            warnings.warn(reason, state_scale.SpecificationWarning, stacklevel=4)

    # ---- limits of the codes  ---------------------------------------------------------------------------------------

    @property
    def input_max(self) -> int:
        """Largest pulse code of x and h, and the clocks of the integrate window."""
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
        """Largest pulse code of c, and the clocks of the second integrate window."""
        return (1 << (self.state_pulse_bits - 1)) - 1

    @property
    def state_full_scale(self) -> float:
        """Real value of c that its largest pulse code stands for: beyond it c's pulse code saturates."""
        return self.state_cell * self.scale(self.state_gate) * self.state_pulse_max

    @property
    def state_limit(self) -> float:
        """Real value at which c itself saturates."""
        return self.state_max / (1 << self.state_frac_bits)

    @property
    def ticks(self) -> int:
        """Ticks of a ramp, 2**adc_bits - 1."""
        return (1 << self.adc_bits) - 1

    # ---- ramps  -----------------------------------------------------------------------------------------------------

    def gate(self, name: str) -> Gate:
        """What the bank of a gate converts with."""
        return self.gates[self.gate_names.index(name)]

    @cached_property
    def ramps(self) -> tuple[Activation, ...]:
        """The distinct activations, in the order of the gates that first use them: one ramp each."""
        found = {act.text: act for act in map(self.activation, self.gate_names)}
        return tuple(found.values())

    @cached_property
    def ramp_of_gate(self) -> tuple[int, ...]:
        """For each gate, in the order of the banks: the index of its ramp in :attr:`ramps`."""
        texts = [act.text for act in self.ramps]
        return tuple(texts.index(self.activation(gate).text) for gate in self.gate_names)

    def activation(self, gate: str) -> Activation:
        """The activation of a gate."""
        return activation(self.gate(gate).activation)

    def bipolar(self, gate: str) -> bool:
        """Whether the gate's codes decode to [-1, 1] (else to [0, 1])."""
        return self.activation(gate).low < 0

    def scale(self, gate: str) -> float:
        """Real pre-activation of one MAC unit: (weight step) x (input step)."""
        return self.gate(gate).weight_range / (self.weight_max * self.input_max)

    # ---- the cell state  --------------------------------------------------------------------------------------------

    def value_shift(self, gate: str) -> int:
        """A decoded value of the gate is an odd integer over 2**value_shift."""
        return self.adc_bits + (0 if self.bipolar(gate) else 1)

    @cached_property
    def state_gain(self) -> tuple[int, int]:
        """(M, R): c's pulse code is round(c * M / 2**R), c in units of 2**-state_frac_bits.

        M / 2**R stands for 1 / (2**state_frac_bits * state_cell * scale("g")) with 8 significant bits, trailing zeros
        dropped: a weight range that makes it a power of two gives M = 1 and needs no multiplier.
        """
        # In fractions: a weight range of 1 / 182.5 is a float just beside it, and its gain must not fall on the half.
        levels = self.weight_max * self.input_max
        pulse = 2**self.state_frac_bits * self.state_cell * Fraction(self.gate(self.state_gate).weight_range) / levels
        gain, shift = 1 / pulse, 0
        while gain * 2**shift < 128:
            shift += 1
        multiplier = math.floor(gain * 2**shift + Fraction(1, 2))  # halves away from zero, as everywhere
        while multiplier % 2 == 0 and shift > 0:
            multiplier, shift = multiplier // 2, shift - 1
        return multiplier, shift
