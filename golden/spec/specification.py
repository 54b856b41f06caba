# SPDX-License-Identifier: Apache-2.0
"""The one object every other number is derived from."""

import dataclasses
import hashlib
import json
import math
import warnings
from dataclasses import dataclass
from functools import cached_property

from ..common.checks import integer, told
from . import state_scale
from .activations import Activation, activation
from .bank_columns import BankColumns
from .gates import SIGMOID_GATE, TANH_GATE, Gate, SpecificationError, checked_gates, gates_from
from .lstm_cell import GATES, STATE_GATE

# name -> (lowest, highest): the range checks that need no other field.
_RANGES = {
    "inputs": (1, 1 << 16),
    "units": (1, 1 << 16),
    "bias_rows": (0, 64),
    "adc_bits": (2, 8),
    "input_bits": (2, 8),
    "weight_bits": (2, 8),
    "state_bits": (3, 24),
    "settle_clocks": (1, 255),
    "classes": (1, 1 << 12),
    "head_weight_bits": (2, 16),
    "max_steps": (1, 1 << 16),
    "calibration_cells": (0, 16),
}
_LATCHES = ("last_high", "first_trip")
_READOUTS = ("mean", "last", "step")


@dataclass(frozen=True, kw_only=True)
class Specification(BankColumns):
    """Every parameter of one network and its hardware; immutable, checked, and the source of all derived sizes.

    Parameters
    ----------
    inputs, units : int
        X, the codes of one input vector, and H, the LSTM's units; 1 to 65536 each.
    classes : int
        Outputs of the dense head, 1 to 4096.
    bias_rows : int
        Rows driven at full scale in every step, 0 to 64.
    adc_bits, input_bits, weight_bits : int
        Resolution of the ramp (n), of the pulse codes of x and h, and of the weights, 2 to 8; the latter two include
        the sign.
    gates : tuple of 4 Gate
        For banks i, f, g, o. Gates of one activation share one ramp, so they must share one ``weight_range``.
    state_bits, state_frac_bits : int
        The cell state c is a signed fixed-point number of ``state_bits`` (3 to 24) with ``state_frac_bits`` behind the
        point, saturating at ±(2**(state_bits - 1) - 1).
    state_pulse_bits : int or None
        Pulse code that drives c into the state cells, sign included, 2 to 10. None: ``input_bits`` + 1, and as many
        more as c needs to reach the topmost tanh code (:func:`.state_scale.default_pulse_bits`).
    state_cell : int or None
        Weight levels of a state cell, 1 to the full-scale weight. None: the one that brings the full scale of c's pulse
        code nearest to max(2, atanh(1 - 2**(1 - adc_bits))).
    lanes : int
        Units that the cell update and the h stream treat in one clock, 1 to ``units``.
    latch : str
        ``"last_high"``: a column's code is the last tick its comparator was high on. ``"first_trip"``: it is the tick
        before the comparator was first low, whatever it does afterwards.
    settle_clocks : int
        Least clocks of hold between an integration and its ramp, 1 to 255.
    calibration_cells : int
        Bias calibration cells of each ramp, 0 to 16.
    readout : str
        What the head sees of the hidden states: their ``"mean"`` over the steps, or the ``"last"``, once an utterance;
        ``"step"``: each, so that every step has its logits and its answer.
    head_weight_bits : int
        Resolution of the head's integer weights, 2 to 16.
    max_steps : int
        Longest utterance, 1 to 65536 steps; sizes the head's sums. Bounds nothing with the readout ``"step"``.
    cell : str
        ``"lstm"``.
    projection : int
        P, the codes that h is projected to by a digital unit (Sak, Senior and Beaufays, Interspeech 2014) before it is
        fed back, streamed out and seen by the head, 1 to ``units``; 0: none.

    Raises
    ------
    SpecificationError
        For any parameter out of range, and for a full scale of c's pulse code (:attr:`state_full_scale`) below 1.

    Warns
    -----
    SpecificationWarning
        If the full scale of c's pulse code does not reach the topmost code of bank g's ramp.
    """

    inputs: int
    units: int
    classes: int
    bias_rows: int = 1
    adc_bits: int = 5
    input_bits: int = 5
    weight_bits: int = 5
    gates: tuple[Gate, Gate, Gate, Gate] = (SIGMOID_GATE, SIGMOID_GATE, TANH_GATE, SIGMOID_GATE)
    state_bits: int = 12
    state_frac_bits: int = 8
    state_pulse_bits: int | None = None
    state_cell: int | None = None
    lanes: int = 1
    latch: str = "last_high"
    settle_clocks: int = 1
    calibration_cells: int = 5
    readout: str = "mean"
    head_weight_bits: int = 8
    max_steps: int = 1024
    cell: str = "lstm"
    projection: int = 0

    def __post_init__(self):
        for name, (low, high) in _RANGES.items():
            self._check_int(name, low, high)
        self._check_int("lanes", 1, self.units)
        self._check_int("state_frac_bits", 0, self.state_bits - 1)
        self._check_int("projection", 0, self.units)
        _check_choice("cell", self.cell, ("lstm",))
        _check_choice("latch", self.latch, _LATCHES)
        _check_choice("readout", self.readout, _READOUTS)
        object.__setattr__(self, "gates", checked_gates(self.gates))
        self._settle_state_scale()

    def _settle_state_scale(self):
        """Choose what drives c into the second conversion where it was left out, and check how far it reaches."""
        if self.state_pulse_bits is None:
            weight_range = self.gates[GATES.index(STATE_GATE)].weight_range
            bits = state_scale.default_pulse_bits(self.adc_bits, self.input_bits, weight_range, self.input_max)
            object.__setattr__(self, "state_pulse_bits", bits)
        self._check_int("state_pulse_bits", *state_scale.PULSE_BITS)
        if self.state_cell is None:
            pulse_scale = self.scale(STATE_GATE) * self.state_pulse_max
            object.__setattr__(
                self, "state_cell", state_scale.default_cell(self.adc_bits, pulse_scale, self.weight_max)
            )
        self._check_int("state_cell", 1, self.weight_max)
        if reason := state_scale.fault(self):
            raise SpecificationError(reason)
        if reason := state_scale.caution(self):
            warnings.warn(reason, state_scale.SpecificationWarning, stacklevel=4)

    def _check_int(self, name: str, low: int, high: int):
        """Any integral number will do; one of Python's is kept, so that equal content has one text and hash."""
        object.__setattr__(self, name, integer(name, getattr(self, name), low, high, SpecificationError))

    # ---- limits of the codes ------------------------------------------------------------------------------------

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
        return self.state_cell * self.scale(STATE_GATE) * self.state_pulse_max

    @property
    def state_limit(self) -> float:
        """Real value at which c itself saturates."""
        return self.state_max / (1 << self.state_frac_bits)

    @property
    def ticks(self) -> int:
        """Ticks of a ramp, 2**adc_bits - 1."""
        return (1 << self.adc_bits) - 1

    @property
    def head_weight_max(self) -> int:
        """Full-scale weight of the head."""
        return (1 << (self.head_weight_bits - 1)) - 1

    @property
    def head_bias_bits(self) -> int:
        """Width of the head's biases: one full-scale weight on a full-scale h fits."""
        return self.head_weight_bits + self.input_bits - 1

    @property
    def head_bias_max(self) -> int:
        """Largest bias of the head, in (head weight step) x (h step)."""
        return (1 << (self.head_bias_bits - 1)) - 1

    @property
    def sum_max(self) -> int:
        """Largest magnitude of what the head sees of one unit: a sum of h over the steps, or one h."""
        return self.input_max * (self.max_steps if self.readout == "mean" else 1)

    @property
    def logit_max(self) -> int:
        """Bound on the magnitude of a logit."""
        count = self.max_steps if self.readout == "mean" else 1
        return self.hidden * self.head_weight_max * self.sum_max + self.head_bias_max * count

    @property
    def logit_bits(self) -> int:
        """Width of a signed logit."""
        return self.logit_max.bit_length() + 1

    @property
    def hidden(self) -> int:
        """Width of h: codes that a step feeds back on rows of their own, streams out, and shows to the head."""
        return self.projection or self.units

    @property
    def projection_shift(self) -> int:
        """A weight of the projection is an integer within ±head_weight_max over 2**projection_shift: within ±1."""
        return self.head_weight_bits - 1

    # ---- the array ----------------------------------------------------------------------------------------------

    @property
    def rows(self) -> int:
        """Input lines: x rows, then h rows, then bias rows."""
        return self.inputs + self.hidden + self.bias_rows

    @cached_property
    def ramps(self) -> tuple[Activation, ...]:
        """The distinct activations, in the order of the gates that first use them: one ramp each."""
        found = {act.text: act for act in map(self.activation, GATES)}
        return tuple(found.values())

    @cached_property
    def ramp_of_gate(self) -> tuple[int, ...]:
        """For each gate, in the order of the banks: the index of its ramp in :attr:`ramps`."""
        texts = [act.text for act in self.ramps]
        return tuple(texts.index(self.activation(gate).text) for gate in GATES)

    def activation(self, gate: str) -> Activation:
        """The activation of gate ``"i"``, ``"f"``, ``"g"`` or ``"o"``."""
        return activation(self.gates[GATES.index(gate)].activation)

    def bipolar(self, gate: str) -> bool:
        """Whether the gate's codes decode to [-1, 1] (else to [0, 1])."""
        return self.activation(gate).low < 0

    def scale(self, gate: str) -> float:
        """Real pre-activation of one MAC unit: (weight step) x (input step)."""
        return self.gates[GATES.index(gate)].weight_range / (self.weight_max * self.input_max)

    @property
    def mac_max(self) -> int:
        """Largest magnitude of a MAC, of the first conversion or the second."""
        return max(self.rows * self.weight_max * self.input_max, self.state_cell * self.state_pulse_max)

    @property
    def mac_bits(self) -> int:
        """Width of a signed MAC, and of a threshold clipped to ±(mac_max + 1)."""
        return (self.mac_max + 1).bit_length() + 1

    @property
    def devices(self) -> dict[str, int]:
        """Memristors by use: differential weight pairs, state pairs, ramp taps and calibration cells."""
        return {
            "weights": 2 * self.rows * self.columns,
            "state": 2 * self.units,
            "ramp": len(self.ramps) * self.ticks,
            "calibration": len(self.ramps) * self.calibration_cells,
        }

    # ---- the cell update ----------------------------------------------------------------------------------------

    def value_shift(self, gate: str) -> int:
        """A decoded value of the gate is an odd integer over 2**value_shift."""
        return self.adc_bits + (0 if self.bipolar(gate) else 1)

    @cached_property
    def state_gain(self) -> tuple[int, int]:
        """(M, R): c's pulse code is round(c * M / 2**R), c in units of 2**-state_frac_bits.

        M / 2**R stands for 1 / (2**state_frac_bits * state_cell * scale("g")) with 8 significant bits, trailing zeros
        dropped: a weight range that makes it a power of two gives M = 1 and needs no multiplier.
        """
        gain = 1 / (2**self.state_frac_bits * self.state_cell * self.scale(STATE_GATE))
        shift = max(7 - math.floor(math.log2(gain)), 0)
        multiplier = math.floor(gain * 2**shift + 0.5)  # halves away from zero, as everywhere
        while multiplier % 2 == 0 and shift > 0:
            multiplier, shift = multiplier // 2, shift - 1
        return multiplier, shift

    @property
    def beats(self) -> int:
        """Groups of ``lanes`` units in a bank, the last perhaps partly filled."""
        return -(-self.units // self.lanes)

    @property
    def h_beats(self) -> int:
        """Groups of ``lanes`` codes of h, the last perhaps partly filled."""
        return -(-self.hidden // self.lanes)

    # ---- clocks -------------------------------------------------------------------------------------------------

    @property
    def analog_clocks_per_step(self) -> int:
        """Clocks no periphery can avoid: both integrate windows and both ramps."""
        return self.input_max + self.state_pulse_max + 2 * self.ticks

    @property
    def update_clocks(self) -> int:
        """Clocks of one cell update (c or h): one a beat, and one in the product register."""
        return self.beats + 1

    @property
    def projection_clocks(self) -> int:
        """Clocks of one projection: ``lanes`` products a clock, and four from the last ones to the code; 0 without."""
        return self.projection * self.beats + 4 if self.projection else 0

    @property
    def macro_clocks(self) -> int:
        """Clocks of one step of the macro, nothing waiting for anything.

        Twice: one clock for the pulse registers, the hold, the ramp, the update; both windows; and the projection.
        """
        return self.analog_clocks_per_step + 2 * (1 + self.settle_clocks + self.update_clocks) + self.projection_clocks

    @property
    def head_lanes(self) -> int:
        """Products that the head makes in one clock: 1; ``lanes`` where every step needs its logits."""
        return self.lanes if self.readout == "step" else 1

    @property
    def head_clocks(self) -> int:
        """Clocks from the last h that the head gets until it can take the next last one, all logits taken at once.

        A class takes one clock for each ``head_lanes`` codes of h and one for the bias; from the last of these to the
        answer it is three, and the answer and the start take one each.
        """
        return self.classes * (-(-self.hidden // self.head_lanes) + 1) + 5

    @property
    def clocks_per_step(self) -> int:
        """Clocks of one step in a running utterance, x arriving in time, all outputs taken at once, the array ready.

        The macro's, but never less than ``inputs``, since x loads one code a clock. With the readout ``"step"`` never
        less than :attr:`head_clocks`: the head goes through its classes while the next step runs, whose last h waits.
        """
        return max(self.macro_clocks, self.inputs, self.head_clocks if self.readout == "step" else 0)

    # ---- content ------------------------------------------------------------------------------------------------

    def replace(self, **changes) -> "Specification":
        """A copy with some parameters changed, checked anew."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict:
        """Parameters as plain ints, strings and nested dicts; gates keyed i, f, g, o.

        Without a projection there is no such key: networks that were made before there were any keep their hash.
        """
        content = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        if not self.projection:
            del content["projection"]
        content["gates"] = {
            name: {"activation": self.activation(name).text, "weight_range": float(gate.weight_range)}
            for name, gate in zip(GATES, self.gates, strict=True)
        }
        return content

    @classmethod
    def from_dict(cls, content: dict) -> "Specification":
        """The specification that :meth:`to_dict` described; SpecificationError for unknown or missing names."""
        if not isinstance(content, dict):
            raise SpecificationError(f"a specification is a table of parameters, not {type(content).__name__}")
        content = dict(content)
        known = {f.name: f for f in dataclasses.fields(cls)}
        for name in content:
            if name not in known:
                raise SpecificationError(f"unknown parameter {name!r}; known: {', '.join(known)}")
        for name, parameter in known.items():
            if name not in content and parameter.default is dataclasses.MISSING:
                raise SpecificationError(f"parameter {name!r} is missing")
        if "gates" in content:
            content["gates"] = gates_from(content["gates"])
        return cls(**content)

    @cached_property
    def content_hash(self) -> str:
        """16 hex digits that change with any parameter, and with nothing else; the same on every machine."""
        content = self.to_dict()
        for gate in content["gates"].values():
            gate["weight_range"] = float(gate["weight_range"]).hex()
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _check_choice(name: str, value, choices: tuple[str, ...]):
    if not isinstance(value, str) or value not in choices:
        raise SpecificationError(f"{name} is {told(value)}; allowed: {', '.join(choices)}")
