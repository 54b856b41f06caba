# SPDX-License-Identifier: Apache-2.0
"""How linear real ramps are: INL, DNL, missing codes and the activation's mean squared error, over many instances.

Thresholds are taken as the columns see them, in MACs of ideal weights: a ramp whose step is 10 % low is right where the
columns' charges are 10 % low too, which is what an in-memory ramp has over any other (read voltage, temperature and
common drift act on both). Comparators' offsets are left out: they belong to columns, not to ramps.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..activations import activation
from ..ramp import Ramp, WrittenRamp, ramps
from ..specification import Gate, Specification
from .calibration import CalibrationPlan, calibrate
from .constants import SWITCHES
from .rampcells import SCHEMES
from .redundancy import activation_error
from .sampling import sample
from .seen import seen_thresholds
from .technology import Technology
from .translate import to_device

#: Effects of the comparators, which are off while ramps are judged.
COMPARATORS = frozenset({"offset", "comparator_noise", "delay"})

#: What each scheme is called before and after one-point calibration.
VARIANTS = tuple((name, calibrated) for name in SCHEMES for calibrated in (False, True))

_UNITS = 8
_INPUTS = 56  # 64 rows: the largest MAC is beyond every threshold, those of softsign with 8 bits included


@dataclass(frozen=True, eq=False)
class Linearity:
    """Figures of some instances of one ramp of n bits.

    Parameters
    ----------
    ramp : Ramp
        The ideal one.
    thresholds : float64 array, shape (instances, 2**n - 1)
        In MACs, as programmed; codes follow from them by ``latch``.
    latch : str
        See :func:`~..ramp.latch`.

    Raises
    ------
    ValueError
        For a wrong shape or a threshold that is not finite.
    """

    ramp: Ramp
    thresholds: np.ndarray
    latch: str = "last_high"

    def __post_init__(self):
        values = np.asarray(self.thresholds, float)
        if values.ndim != 2 or values.shape[1] != len(self.ramp.floors) or len(values) == 0:
            raise ValueError(f"thresholds have the shape {values.shape}; expected (instances, {len(self.ramp.floors)})")
        if not np.isfinite(values).all():
            raise ValueError("thresholds hold a value that is not finite; a ramp level is a number of MACs")
        object.__setattr__(self, "thresholds", values)

    @property
    def lsb(self) -> float:
        """One of the 2**n equal parts of the output range."""
        return (self.ramp.activation.high - self.ramp.activation.low) / (1 << self.ramp.bits)

    @cached_property
    def inl(self) -> np.ndarray:
        """(g(T_k·scale) - y_k) / LSB, as :class:`~..rampreport.RampReport` has it; shape of ``thresholds``."""
        return (self.ramp.activation(self.thresholds * self.ramp.scale) - self.ramp.borders) / self.lsb

    @cached_property
    def dnl(self) -> np.ndarray:
        """Width of each code between two thresholds over an LSB, less 1; shape (instances, 2**n - 2)."""
        return np.diff(self.ramp.activation(self.thresholds * self.ramp.scale), axis=1) / self.lsb - 1

    @cached_property
    def missing(self) -> np.ndarray:
        """Codes that no integer MAC converts to; int64, shape (instances,)."""
        floors = np.floor(self.thresholds).astype(np.int64)
        # The first and the last code begin and end at no threshold: some integer has them.
        return np.array([(np.diff(WrittenRamp(row, self.latch)._envelope) == 0).sum() for row in floors], np.int64)

    @cached_property
    def mse(self) -> np.ndarray:
        """Mean squared error of the activation, :func:`.redundancy.activation_error`; float64, shape (instances,)."""
        return activation_error(self.thresholds, self.ramp, self.latch)

    def summary(self) -> dict[str, float]:
        """Means over the instances, and values that 95 % of them keep below."""
        inl, dnl = np.abs(self.inl).max(axis=1), np.abs(self.dnl).max(axis=1)
        rms = np.sqrt(np.mean(self.inl**2, axis=1))
        return {
            "inl_max_lsb": float(inl.mean()),
            "inl_max_lsb_95": float(np.percentile(inl, 95)),
            "inl_rms_lsb": float(rms.mean()),
            "inl_rms_lsb_95": float(np.percentile(rms, 95)),
            "dnl_max_lsb": float(dnl.mean()),
            "dnl_max_lsb_95": float(np.percentile(dnl, 95)),
            "missing_codes": float(self.missing.mean()),
            "missing_codes_95": float(np.percentile(self.missing, 95)),
            "mse": float(self.mse.mean()),
            "mse_95": float(np.percentile(self.mse, 95)),
        }


def probe(activation_text: str, bits: int) -> Specification:
    """A small macro whose four banks share one ramp: the least that a ramp can be sampled and calibrated with.

    Parameters
    ----------
    activation_text : str
        As :func:`~..activations.activation` reads it. Where its range is not one that a gate decodes, [0, 1] or
        [-1, 1] is taken, as the function allows.
    bits : int
        2 to 8.
    """
    found = activation(activation_text)
    if (found.low, found.high) not in ((0, 1), (-1, 1)):
        low = 0 if found.limit_low >= 0 else -1
        found = activation(f"{found.name}[{low},1]")
    gates = (Gate(found.text, 2.0),) * 4
    return Specification(inputs=_INPUTS, units=_UNITS, classes=2, bias_rows=0, adc_bits=bits, gates=gates)


def of_instances(
    technology: Technology,
    spec: Specification,
    weights: np.ndarray,
    seeds,
    *,
    switches: frozenset = frozenset(SWITCHES),
    calibrated: bool = False,
    progress=None,
) -> list[Linearity]:
    """Linearity of each ramp of ``spec`` over device instances.

    Parameters
    ----------
    technology : Technology
    spec : Specification
    weights : integer array, shape (rows, columns)
    seeds : iterable of int
        One an instance.
    switches : set of str
        Effects that are on; those of comparators never are.
    calibrated : bool
        After one-point calibration as the gateware does it, else with the nominal calibration cells.
    progress : callable or None
        Called with the number of instances done.

    Returns
    -------
    list of Linearity, one a ramp
    """
    switches = frozenset(switches) - COMPARATORS
    plan = calibration_plan(technology, spec, weights) if calibrated else None
    found = []
    for number, seed in enumerate(seeds, 1):
        device = to_device(sample(technology, spec, weights, seed, switches=switches))
        cells = calibrate(device, plan).cells if calibrated else None
        found.append(seen_thresholds(device, weights, cells))
        if progress is not None:
            progress(number)
    values = np.stack(found, axis=1)
    return [Linearity(ramp, values[r], spec.latch) for r, ramp in enumerate(ramps(spec))]


def calibration_plan(technology: Technology, spec: Specification, weights: np.ndarray) -> CalibrationPlan:
    """The calibration of ``spec``'s ramps, told what the smallest cells of ``technology`` are worth."""
    array = sample(technology, spec, weights, 0, switches=frozenset())
    lsb = (array.calibration - array.calibration_negative)[:, 0] / array.ramp_unit
    return CalibrationPlan(spec, lsb=tuple(lsb))


def with_scheme(technology: Technology, scheme: str) -> Technology:
    """``technology`` with the ramp programmed by ``scheme``, a name of :data:`.rampcells.SCHEMES`."""
    if scheme not in SCHEMES:
        raise ValueError(f"ramp scheme is {scheme!r}; allowed: {', '.join(SCHEMES)}")
    return technology.replace({"ramp.scheme": float(SCHEMES.index(scheme))})


def at_supply(technology: Technology, supply: float, kind: str) -> Technology:
    """``technology`` at ``supply`` times its read voltage, its ramp in memory or external."""
    return technology.replace({"operation.supply": supply, "ramp": kind})


def without_spread(technology: Technology) -> Technology:
    """``technology`` whose chips all have the nominal read voltage at a supply of 1."""
    return replace(technology, values={**technology.values, "read.voltage_spread": 0.0})
