# SPDX-License-Identifier: Apache-2.0
"""Ramps: the thresholds that bend a conversion into an activation, and the conversion itself."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..common.checks import integer, real, told
from ..common.errors import InvalidValue
from ..spec.activations import Activation
from ..spec.ramp_walk import RampWalk, level_unit, ramp_walk, walk_arguments
from ..spec.specification import Specification

# How near to an integer a threshold counts as that integer, relative to itself: floating-point inverses differ by some
# units in the last place between machines, and codes must not.
_SNAP = 1e-9


@dataclass(frozen=True, eq=False)
class Ramp:
    """The staircase that converts MACs into codes of one activation.

    Threshold T_k = floor(g⁻¹(y_k) / scale) + 1/2, where y_k, k = 1 .. 2**bits - 1, splits g's output range into 2**bits
    equal parts; a MAC is an integer, so no tie exists. Of a curve that turns, the y_k are the outputs half-way between
    two levels, in the order in which the curve meets them (:mod:`.ramp_walk`), and each is inverted on its own branch.

    Parameters
    ----------
    activation : Activation
    bits : int
        Resolution, 2 to 9.
    scale : float
        Real pre-activation of one MAC unit, above 0.

    Raises
    ------
    InvalidValue
        For bits or scale out of range, or an inverse that is not finite and non-decreasing.
    """

    activation: Activation
    bits: int
    scale: float

    def __post_init__(self):
        object.__setattr__(self, "bits", integer("bits", self.bits))
        if not 2 <= self.bits <= 9:
            raise InvalidValue(f"bits is {self.bits!r}; a ramp has 2 to 9")
        scale = real(self.scale)
        if scale is None or not 0 < scale < math.inf:
            raise InvalidValue(f"scale is {told(self.scale)}; one MAC unit must be a real number above 0")
        object.__setattr__(self, "scale", scale)
        if not np.isfinite(self.arguments).all() or (np.diff(self.arguments) < 0).any():
            raise InvalidValue(f"activation {self.activation.text}: its inverse is not finite and non-decreasing")
        largest = np.abs(self.arguments / self.scale).max()
        if not largest < 2**53:
            raise InvalidValue(
                f"activation {self.activation.text}: a threshold lies at {largest:.3g} MAC units of {self.scale:.3g}; "
                "beyond 2**53 they are not exact: give a larger scale, or a smaller output range"
            )

    @classmethod
    def of_gate(cls, spec: Specification, gate: str) -> "Ramp":
        """The ramp of bank ``gate`` (i, f, g or o)."""
        return cls(spec.activation(gate), spec.gate_bits(gate), spec.scale(gate))

    @property
    def walk(self) -> RampWalk:
        """What it counts."""
        return ramp_walk(self.activation, self.bits)

    @property
    def ticks(self) -> int:
        """How many it has: 2**bits - 1, or as many as the curve takes levels from end to end."""
        return self.walk.ticks

    @cached_property
    def codes(self) -> np.ndarray:
        """The code of a column whose MAC exceeds the first k thresholds, k = 0 .. ticks: int64, shape (ticks + 1,)."""
        return np.array(self.walk.codes, np.int64)

    def levels(self, codes: np.ndarray) -> np.ndarray:
        """Codes in the order of their values: as they are, or of a curve that turns the levels that they stand for."""
        if self.activation.turns:
            return decode_integer(codes, self.activation.low < 0, self.bits, True)
        return np.asarray(codes)

    @cached_property
    def borders(self) -> np.ndarray:
        """y_1 .. y_ticks: outputs between which the codes change; float64."""
        return np.array(self.walk.borders)

    @cached_property
    def arguments(self) -> np.ndarray:
        """g⁻¹(y_k): the real pre-activations at which an ideal ramp ticks; float64."""
        return walk_arguments(self.activation, self.bits)

    @cached_property
    def floors(self) -> np.ndarray:
        """floor(T_k) for k = 1 .. ticks, int64, non-decreasing: z exceeds T_k exactly if z > floors[k - 1]."""
        ideal = self.arguments / self.scale
        near = np.rint(ideal)
        ideal = np.where(np.abs(ideal - near) <= _SNAP * np.maximum(1, np.abs(near)), near, ideal)
        return np.floor(ideal).astype(np.int64)

    @property
    def thresholds(self) -> np.ndarray:
        """T_k in MAC units; float64, each an integer plus one half."""
        return self.floors + 0.5

    @property
    def lsb(self) -> float:
        """One of the 2**bits equal parts of the output range; of a curve that turns, the distance of two levels."""
        if self.activation.turns:
            return level_unit(self.activation, self.bits)
        return (self.activation.high - self.activation.low) / (1 << self.bits)

    def inl(self, thresholds: np.ndarray) -> np.ndarray:
        """(g(T_k·scale) - y_k) / LSB of real thresholds, in MAC units: float64, shape (..., ticks) as theirs.

        Of a curve that turns, how far it goes from the ideal threshold to the real one (:meth:`.Activation.along`).
        """
        act, seen = self.activation, np.asarray(thresholds) * self.scale
        wrong = act.along(seen) - act.along(self.arguments) if act.turns else act(seen) - self.borders
        return wrong / self.lsb

    def dnl(self, thresholds: np.ndarray) -> np.ndarray:
        """How much wider than ideal the code between two ticks is, over an LSB: float64, shape (..., ticks - 1).

        The ideal width is an LSB. Of the code at a turn it is what the curve goes beyond the ticks, there and back.
        """
        act, seen = self.activation, np.asarray(thresholds) * self.scale
        if act.turns:
            return np.diff(act.along(seen) - act.along(self.arguments)) / self.lsb
        return np.diff(act(seen)) / self.lsb - 1

    def clipped_floors(self, mac_max: int) -> np.ndarray:
        """:attr:`floors` held within -(mac_max + 1) .. mac_max, which no MAC within ±``mac_max`` tells apart."""
        return np.clip(self.floors, -(mac_max + 1), mac_max)

    def convert(self, macs: np.ndarray) -> np.ndarray:
        """Codes of ``macs`` (integers, any shape): that of the last tick whose threshold each exceeds; int64."""
        passed = np.searchsorted(self.floors, np.asarray(macs), side="left")
        return self.codes[passed] if self.activation.turns else passed

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Real values of ``codes``, float64: the middle of each part of the output range, or the level."""
        if self.activation.turns:
            return self.levels(codes) * level_unit(self.activation, self.bits)
        span = self.activation.high - self.activation.low
        return self.activation.low + span * (2 * np.asarray(codes) + 1) / (1 << (self.bits + 1))


@dataclass(frozen=True, eq=False)
class WrittenRamp:
    """A ramp of given thresholds, in any order: measured ones, or those that were written to a board.

    Parameters
    ----------
    floors : integer array, shape (ticks,)
        On tick k a comparator is high while its MAC exceeds ``floors[k - 1]``.
    latch : str
        ``"last_high"`` or ``"first_trip"``: what becomes of a comparator that rises again, see :func:`latch`.
    codes : integer array, shape (ticks + 1,), or None
        The code of each tick, from none (0) on; None: its number.

    Raises
    ------
    InvalidValue
        For a latch that is neither.
    """

    floors: np.ndarray
    latch: str
    codes: np.ndarray | None = None

    def __post_init__(self):
        if self.latch not in ("last_high", "first_trip"):
            raise InvalidValue(f"latch is {self.latch!r}; allowed: last_high, first_trip")

    @cached_property
    def _envelope(self) -> np.ndarray:
        """Non-decreasing thresholds with the same codes.

        Some tick from k on is high while z exceeds the least floor from there on; all ticks up to k are while it
        exceeds the greatest up to there.
        """
        floors = np.asarray(self.floors, np.int64)
        if self.latch == "last_high":
            return np.minimum.accumulate(floors[::-1])[::-1]
        return np.maximum.accumulate(floors)

    def convert(self, macs: np.ndarray) -> np.ndarray:
        """Codes of ``macs`` (integers, any shape): int64."""
        passed = np.searchsorted(self._envelope, np.asarray(macs), side="left")
        return passed if self.codes is None else np.asarray(self.codes)[passed]


def ramps(spec: Specification) -> list[Ramp]:
    """The ramps of ``spec``, in the order of ``spec.ramps``."""
    return [Ramp.of_gate(spec, spec.gate_names[spec.ramp_of_gate.index(k)]) for k in range(len(spec.ramps))]


def padded_floors(spec: Specification) -> np.ndarray:
    """The floors of every ramp within ±mac_max (:meth:`Ramp.clipped_floors`): int64, shape (ramps, ticks).

    A ramp stays behind its last tick, where another one goes on.
    """
    floors = [ramp.clipped_floors(spec.mac_max) for ramp in ramps(spec)]
    return np.stack([np.pad(row, (0, spec.ticks - len(row)), mode="edge") for row in floors])


def decode_integer(codes: np.ndarray, bipolar: bool, bits: int, turns: bool = False) -> np.ndarray:
    """The decoded value as the integer that the gateware computes with; wiring.

    Unipolar: 2·code + 1, in units of 2**-(bits + 1). Bipolar: 2·code + 1 - 2**bits, in units of 2**-bits. "Append a
    one". Of a curve that turns the level itself: unipolar the code, in units of 2**-bits; bipolar the code in two's
    complement, in units of 2**-(bits - 1).
    """
    codes = np.asarray(codes, np.int64)
    if turns:
        return codes - ((codes >> (bits - 1) & 1) << bits) * bipolar
    return 2 * codes + 1 - ((1 << bits) if bipolar else 0)


def decoded_codes(spec: Specification, gate: str, codes: np.ndarray) -> np.ndarray:
    """The decoded values of a gate's codes, int64, in units of 2**-``spec.value_shift(gate)`` times its range."""
    return decode_integer(codes, spec.bipolar(gate), spec.gate_bits(gate), spec.turns(gate))


def latched_codes(spec: Specification, comparators: np.ndarray, columns: slice | np.ndarray) -> np.ndarray:
    """Codes that capture banks hold after a conversion, from what the comparators of some columns showed.

    A bank latches while its own ramp ticks: where another ramp of the conversion has more ticks, what its comparators
    show on them is nothing to it.

    Parameters
    ----------
    comparators : bool array, shape (ticks, ..., columns)
        Of ``columns`` alone, on ticks 1, 2, ...
    columns : slice or int array

    Returns
    -------
    int64 array, shape (..., columns)
    """
    comparators = np.asarray(comparators, bool)
    codes = np.empty(comparators.shape[1:], np.int64)
    ramp_of_column = spec.ramp_of_column[columns]
    for ramp in np.unique(ramp_of_column).tolist():
        place, walk = ramp_of_column == ramp, spec.ramp_walks[ramp]
        codes[..., place] = np.array(walk.codes)[latch(comparators[: walk.ticks][..., place], spec.latch)]
    return codes


def latch(comparators: np.ndarray, mode: str) -> np.ndarray:
    """The tick whose count a capture bank holds after any comparator trace, well-behaved or not; 0 for none.

    Parameters
    ----------
    comparators : bool array, shape (ticks, ...)
        What each comparator showed on ticks 1, 2, ...
    mode : str
        ``"last_high"``: the last tick that was high; ``"first_trip"``: the ticks before the first low one.

    Returns
    -------
    int64 array, shape (...)
    """
    comparators = np.asarray(comparators, bool)
    ticks = comparators.shape[0]
    if mode == "last_high":
        number = np.arange(1, ticks + 1).reshape((-1,) + (1,) * (comparators.ndim - 1))
        return (comparators * number).max(axis=0, initial=0)
    if mode == "first_trip":
        return np.logical_and.accumulate(comparators, axis=0).sum(axis=0)
    raise InvalidValue(f"latch is {mode!r}; allowed: last_high, first_trip")
