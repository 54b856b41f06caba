# SPDX-License-Identifier: Apache-2.0
"""Ramps: the thresholds that bend a conversion into an activation, and the conversion itself."""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..common.checks import integer, real, told
from ..common.errors import InvalidValue
from ..spec.activations import Activation
from ..spec.specification import Specification

# How near to an integer a threshold counts as that integer, relative to itself: floating-point inverses differ by some
# units in the last place between machines, and codes must not.
_SNAP = 1e-9


@dataclass(frozen=True, eq=False)
class Ramp:
    """The staircase that converts MACs into codes of one activation.

    Threshold T_k = floor(g⁻¹(y_k) / scale) + 1/2, where y_k, k = 1 .. 2**bits - 1, splits g's output range into 2**bits
    equal parts; a MAC is an integer, so no tie exists.

    Parameters
    ----------
    activation : Activation
    bits : int
        Resolution, 2 to 8.
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
        if not 2 <= self.bits <= 8:
            raise InvalidValue(f"bits is {self.bits!r}; a ramp has 2 to 8")
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
        return cls(spec.activation(gate), spec.adc_bits, spec.scale(gate))

    @cached_property
    def borders(self) -> np.ndarray:
        """y_1 .. y_(2**bits - 1): outputs between which the codes change; float64."""
        parts = 1 << self.bits
        span = self.activation.high - self.activation.low
        return self.activation.low + span * np.arange(1, parts) / parts

    @cached_property
    def arguments(self) -> np.ndarray:
        """g⁻¹(y_k): the real pre-activations at which an ideal ramp ticks; float64."""
        with np.errstate(all="ignore"):  # what is not finite is refused, with its own words
            return np.asarray(self.activation.inverse(self.borders), float)

    @cached_property
    def floors(self) -> np.ndarray:
        """floor(T_k) for k = 1 .. 2**bits - 1, int64, non-decreasing: z exceeds T_k exactly if z > floors[k - 1]."""
        ideal = self.arguments / self.scale
        near = np.rint(ideal)
        ideal = np.where(np.abs(ideal - near) <= _SNAP * np.maximum(1, np.abs(near)), near, ideal)
        return np.floor(ideal).astype(np.int64)

    @property
    def thresholds(self) -> np.ndarray:
        """T_k in MAC units; float64, each an integer plus one half."""
        return self.floors + 0.5

    def clipped_floors(self, mac_max: int) -> np.ndarray:
        """:attr:`floors` held within -(mac_max + 1) .. mac_max, which no MAC within ±``mac_max`` tells apart."""
        return np.clip(self.floors, -(mac_max + 1), mac_max)

    def convert(self, macs: np.ndarray) -> np.ndarray:
        """Codes of ``macs`` (integers, any shape): how many thresholds each exceeds; int64, 0 to 2**bits - 1."""
        return np.searchsorted(self.floors, np.asarray(macs), side="left")

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Real values of ``codes``: the middle of each part of the output range (mid-rise); float64."""
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

    Raises
    ------
    InvalidValue
        For a latch that is neither.
    """

    floors: np.ndarray
    latch: str

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
        """Codes of ``macs`` (integers, any shape): int64, 0 to the number of ticks."""
        return np.searchsorted(self._envelope, np.asarray(macs), side="left")


def ramps(spec: Specification) -> list[Ramp]:
    """The ramps of ``spec``, in the order of ``spec.ramps``."""
    return [Ramp.of_gate(spec, spec.gate_names[spec.ramp_of_gate.index(k)]) for k in range(len(spec.ramps))]


def decode_integer(codes: np.ndarray, bipolar: bool, bits: int) -> np.ndarray:
    """The decoded value as the odd integer that the gateware computes with: "append a one".

    Unipolar: 2·code + 1, in units of 2**-(bits + 1). Bipolar: 2·code + 1 - 2**bits, in units of 2**-bits.
    """
    return 2 * np.asarray(codes, np.int64) + 1 - ((1 << bits) if bipolar else 0)


def latch(comparators: np.ndarray, mode: str) -> np.ndarray:
    """Codes that a capture bank holds after any comparator trace, well-behaved or not.

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
