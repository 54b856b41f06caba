# SPDX-License-Identifier: Apache-2.0
"""How linear real ramps are: INL, DNL, missing codes and the activation's mean squared error, over many chips.

Thresholds are input-referred: they are taken as the columns see them, in MACs of ideal weights.
A ramp whose step is 10 % low is right if the columns' charges are 10 % low too,
which is the advantage of an in-memory ramp: read voltage, temperature and common drift act on both.
Offsets of comparators are left out, because they belong to columns and not to ramps.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from crossramp.golden.array.array_protocol import array_levels
from crossramp.golden.array.ramps import Ramp, WrittenRamp, ramps
from crossramp.golden.array.weights import Weights
from crossramp.golden.cell.description import Gate
from crossramp.golden.spec.activations import activation
from crossramp.golden.spec.specification import Specification
from crossramp.golden.spec.state_scale import SpecificationWarning

from ...common.errors import InvalidValue
from ..conversion.calibration_setting import NOMINAL, CalibrationSetting
from ..conversion.seen_ramps import seen_thresholds
from ..technologies.constants import RAMP_KINDS
from ..technologies.technology import Technology
from .chip_sample import ChipSample
from .ramp_cells import SCHEMES
from .redundancy import activation_error
from .sampling import sample
from .translate import to_device

#: Effects of the comparators, which are off while ramps are judged.
COMPARATORS = frozenset({"offset", "comparator_noise", "delay"})

_UNITS = 8
_INPUTS = 56  # 64 rows: the largest MAC is beyond every threshold, those of softsign with 8 bits included


@dataclass(frozen=True, eq=False)
class Linearity:
    """Figures of some chips' samples of one ramp of n bits.

    Parameters
    ----------
    ramp : Ramp
        The ideal one.
    thresholds : float64 array, shape (chips, ticks)
        In MACs, as programmed; codes follow from them by ``latch``.
    latch : str
        See :func:`~.ramps.latch`.

    Raises
    ------
    InvalidValue
        For a wrong shape or a threshold that is not finite.
    """

    ramp: Ramp
    thresholds: np.ndarray
    latch: str = "last_high"

    def __post_init__(self):
        values = np.asarray(self.thresholds, float)
        if values.ndim != 2 or values.shape[1] != len(self.ramp.floors) or len(values) == 0:
            raise ValueError(f"thresholds have the shape {values.shape}; expected (chips, {len(self.ramp.floors)})")
        if not np.isfinite(values).all():
            raise ValueError("thresholds hold a value that is not finite; a ramp level is a number of MACs")
        object.__setattr__(self, "thresholds", values)

    @property
    def lsb(self) -> float:
        """See :attr:`~.ramps.Ramp.lsb`."""
        return self.ramp.lsb

    @cached_property
    def inl(self) -> np.ndarray:
        """:meth:`~.ramps.Ramp.inl`, as :class:`~.ramp_report.RampReport` has it; shape of ``thresholds``."""
        return self.ramp.inl(self.thresholds)

    @cached_property
    def dnl(self) -> np.ndarray:
        """:meth:`~.ramps.Ramp.dnl`; shape (chips, ticks - 1)."""
        return self.ramp.dnl(self.thresholds)

    @cached_property
    def missing(self) -> np.ndarray:
        """Codes that no integer MAC converts to; int64, shape (chips,)."""
        floors = np.floor(self.thresholds).astype(np.int64)
        # The first and the last tick's codes begin and end at no threshold: some integer has them.
        occur = [np.diff(WrittenRamp(row, self.latch)._envelope) > 0 for row in floors]
        codes = self.ramp.codes
        found = [len(np.unique(codes[np.concatenate([[True], inner, [True]])])) for inner in occur]
        return len(np.unique(codes)) - np.array(found, np.int64)

    @cached_property
    def mse(self) -> np.ndarray:
        """Mean squared error of the activation, :func:`.redundancy.activation_error`; float64, shape (chips,)."""
        return activation_error(self.thresholds, self.ramp, self.latch)

    def summary(self) -> dict[str, float]:
        """Means over the chips, and values that 95 % of them keep below."""
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
        As :func:`.activations.activation` reads it. Where its range is not one that a gate decodes, [0, 1] or
        [-1, 1] is taken, as the function allows.
    bits : int
        2 to 8.
    """
    found = activation(activation_text)
    if (found.low, found.high) not in ((0, 1), (-1, 1)):
        low = 0 if found.limit_low >= 0 else -1
        found = activation(f"{found.name}[{low},1]")
    gates = (Gate(found.text, 2.0),) * 4
    with warnings.catch_warnings():
        # A probe never converts a cell state, so the reach of its pulse code does not matter.
        warnings.simplefilter("ignore", SpecificationWarning)
        return Specification(inputs=_INPUTS, units=_UNITS, classes=2, bias_rows=0, adc_bits=bits, gates=gates)


def linearity_of(
    chips: ChipSample,
    spec: Specification,
    weights: Weights | np.ndarray,
    progress: Callable[[int], None] = lambda done: None,
    seed_of: Callable[[int], int] = int,
) -> dict[CalibrationSetting, list[Linearity]]:
    """Linearity of each ramp of ``spec`` over sampled chips, under each of their calibrations.

    Parameters
    ----------
    chips : ChipSample
        Its switches may include effects of comparators, but these effects stay off.
    spec : Specification
    weights : Weights, or integer array of shape (rows, columns)
        The array is enough where no line has trained cells.
    progress : callable
        Called with the number of chips done.
    seed_of : callable
        The seed of this array in a chip, from that of the chip (:func:`.placed_chip.array_seed`).

    Returns
    -------
    dict of lists of Linearity
        For each of the calibrations, one per ramp.

    Raises
    ------
    InvalidValue
        If the ramps lack the cells that a calibration needs.
    """
    options = {"switches": chips.switches - COMPARATORS, "conductances": chips.conductances}
    found = {setting: [] for setting in chips.calibrations}
    levels, _ = array_levels(spec, weights)
    for number, seed in enumerate(chips.seeds, 1):
        device = to_device(sample(chips.technology, spec, weights, seed_of(seed), **options))
        for setting, rows in found.items():
            cells = setting.settle(device, chips.technology).cells
            rows.append(seen_thresholds(device, levels, cells))
        progress(number)
    ideal = ramps(spec)
    return {
        setting: [
            Linearity(ramp, values[:, : ramp.ticks], spec.latch)
            for ramp, values in zip(ideal, np.stack(rows, axis=1), strict=True)
        ]
        for setting, rows in found.items()
    }


def with_scheme(technology: Technology, scheme: str) -> Technology:
    """``technology`` with the ramp programmed by ``scheme``, a name of :data:`.ramp_cells.SCHEMES`."""
    if scheme not in SCHEMES:
        raise InvalidValue(f"ramp scheme is {scheme!r}; allowed: {', '.join(SCHEMES)}")
    return technology.replace({"ramp.scheme": float(SCHEMES.index(scheme))})


@dataclass(frozen=True, eq=False)
class SupplyErrors:
    """How wrong codes are where the read voltage is not the nominal one.

    Attributes
    ----------
    supplies : float64 array
        Read voltage over the nominal one.
    mean, worst : dict of float64 arrays, shape of ``supplies``
        By kind of ramp, ``"in-memory"`` or ``"external"``: the code's error, mean over MACs, and the largest; of both
        the mean over chips.
    """

    supplies: np.ndarray
    mean: dict[str, np.ndarray]
    worst: dict[str, np.ndarray]


def supply_errors(
    chips: ChipSample,
    spec: Specification,
    weights: Weights | np.ndarray,
    supplies,
    seed_of: Callable[[int], int] = int,
) -> SupplyErrors:
    """Codes of the first ramp against the ideal ones, for MACs evenly spread as far as :class:`Linearity` looks.

    The read voltage drives the ramp in memory as it drives the columns; it does not drive the external ramp.
    All chips have the nominal read voltage at a supply of 1, and their nominal bias cells.
    The external ramp takes all given cells but those of a ramp in memory. ``seed_of`` is as in :func:`linearity_of`.
    """
    ramp = ramps(spec)[0]
    span = np.ptp(ramp.thresholds)
    macs = np.arange(int(ramp.floors[0] - span / 4), int(ramp.floors[-1] + span / 4) + 1)
    ideal = ramp.levels(ramp.convert(macs))
    mean, worst = {}, {}
    for kind in RAMP_KINDS:
        mean[kind], worst[kind] = np.empty(len(supplies)), np.empty(len(supplies))
        given = chips.conductances
        if kind != "in-memory" and given is not None:
            given = given.without_ramps()
        for k, supply in enumerate(supplies):
            changes = {"read.voltage_spread": 0.0, "operation.supply": float(supply), "ramp": kind}
            technology = chips.technology.replace(changes)
            driven = replace(chips, technology=technology, calibrations=(NOMINAL,), conductances=given)
            found = linearity_of(driven, spec, weights, seed_of=seed_of)[NOMINAL]
            passed = [np.searchsorted(np.sort(row), macs) for row in found[0].thresholds]
            errors = np.abs(ramp.levels(ramp.codes[np.array(passed)]) - ideal)
            mean[kind][k], worst[kind][k] = errors.mean(), errors.max(axis=1).mean()
    return SupplyErrors(np.asarray(supplies, float), mean, worst)
