# SPDX-License-Identifier: Apache-2.0
"""Figures of a ramp for its designer: steps, conductances, linearity, errors.

How a ramp is made of cells (our choice; Yang et al. have 32 ramp memristors and 5 for calibration at 5 bits): it is
reset to 0, the level of a MAC of 0; while ``ramp_reset`` is high, bias cells take it to its ``start``; then tick k
makes the step from T_(k-1) to T_k through tap k - 1, with T_0 the start. The start lies one largest step below T_1. So
all taps drive in one direction, tap 0 is a cell like the others, and the large step from 0 is the bias cells' affair.
"""

from dataclasses import dataclass

import numpy as np

from ...array.ramps import Ramp
from ...common.errors import InvalidValue
from ...spec.specification import Specification
from .conductance_window import G_MAX, check_window

_GRID = 20_001  # points of the dense grid on which errors are measured


@dataclass(frozen=True, eq=False)
class RampReport:
    """Figures of one ramp of n bits; arrays have an entry for each tick k = 1, 2, ..., unless said otherwise.

    Parameters
    ----------
    ramp : Ramp
    g_max : float
        Conductance of the largest step, in siemens.
    borders : float64 array
        y_k: the outputs between which the codes change, in units of the activation's output.
    floors : int64 array
        floor(T_k), in MAC units; T_k is one half more.
    start : float
        T_0, in MAC units: where the bias cells take the ramp from 0.
    steps : float64 array
        T_k - T_(k-1) in MAC units (times ``ramp.scale``: in real pre-activation); tick k's is tap k - 1's.
    conductances : float64 array
        Of the cells on those taps, in siemens: steps times ``siemens_per_mac``; 0 where the step is 0, a cell left off.
    bias_conductance : float
        Of all bias cells that make the start together, in siemens, with the sign of the direction they drive.
    inl : float64 array
        (g(T_k·scale) - y_k) / LSB: how far from its ideal output each code change lies (:meth:`~.ramps.Ramp.inl`).
    dnl : float64 array, an entry less
        Between two ticks: (g(T_(k+1)·scale) - g(T_k·scale)) / LSB - 1 (:meth:`~.ramps.Ramp.dnl`); -1 for a code that is
        missing.
    missing : int64 array, any length
        Codes that no MAC within the array's reach (any integer, if ``mac_max`` is None) converts to.
    mac_max : int or None
        The array's reach.
    grid_low, grid_high : float
        Real pre-activations between which the errors were measured: the thresholds' span and a quarter more each side.
    max_error, rms_error : float
        Of the decoded value against the activation (saturated at its range), in units of its output.
    """

    ramp: Ramp
    g_max: float
    borders: np.ndarray
    floors: np.ndarray
    start: float
    steps: np.ndarray
    conductances: np.ndarray
    bias_conductance: float
    inl: np.ndarray
    dnl: np.ndarray
    missing: np.ndarray
    mac_max: int | None
    grid_low: float
    grid_high: float
    max_error: float
    rms_error: float

    @property
    def lsb(self) -> float:
        """See :attr:`~.ramps.Ramp.lsb`."""
        return self.ramp.lsb

    @property
    def thresholds(self) -> np.ndarray:
        """T_k in MAC units."""
        return self.floors + 0.5

    @property
    def siemens_per_mac(self) -> float:
        """Conductance that makes a step of one MAC unit."""
        return self.g_max / self.steps.max()

    @property
    def zero_steps(self) -> int:
        """Ticks that do not move the ramp: each merges two codes."""
        return int(np.count_nonzero(self.steps == 0))

    @property
    def conductance_ratio(self) -> float:
        """G_max / G_min over the steps that are not zero."""
        return float(self.steps.max() / self.steps[self.steps > 0].min())

    def to_dict(self) -> dict:
        """Everything as JSON types; names end in their unit where it is not the activation's output."""
        ramp = self.ramp
        return {
            "activation": ramp.activation.text,
            "bits": ramp.bits,
            "scale": ramp.scale,
            "ticks": len(self.floors),
            "lsb": self.lsb,
            "border": self.borders.tolist(),
            "threshold_mac": self.thresholds.tolist(),
            "threshold_preactivation": (self.thresholds * ramp.scale).tolist(),
            "start_mac": self.start,
            "step_mac": self.steps.tolist(),
            "step_preactivation": (self.steps * ramp.scale).tolist(),
            "conductance_siemens": self.conductances.tolist(),
            "bias_conductance_siemens": self.bias_conductance,
            "g_max_siemens": self.g_max,
            "conductance_ratio": self.conductance_ratio,
            "zero_steps": self.zero_steps,
            "missing_codes": self.missing.tolist(),
            "mac_max": self.mac_max,
            "inl_lsb": self.inl.tolist(),
            "dnl_lsb": self.dnl.tolist(),
            "max_inl_lsb": float(np.abs(self.inl).max()),
            "max_dnl_lsb": float(np.abs(self.dnl).max()),
            "error_grid_preactivation": [self.grid_low, self.grid_high],
            "max_error": self.max_error,
            "rms_error": self.rms_error,
        }


def ramp_report(ramp: Ramp, g_max: float = G_MAX, mac_max: int | None = None) -> RampReport:
    """All figures of ``ramp``.

    Parameters
    ----------
    ramp : Ramp
    g_max : float
        Conductance of the cell that makes the largest step, in siemens, above 0.
    mac_max : int or None
        Largest magnitude of a MAC, which limits the codes that can occur; None: any integer can.

    Raises
    ------
    InvalidValue
        If ``g_max`` is not a conductance or ``mac_max`` is negative.
    """
    check_window(g_max, 0.0)
    if mac_max is not None and mac_max < 0:
        raise InvalidValue(f"mac_max is {mac_max!r}; the largest magnitude of a MAC is 0 or more")
    act, floors = ramp.activation, ramp.floors
    thresholds = ramp.thresholds
    between = np.diff(thresholds)
    first = max(between.max(), 1.0)  # where all thresholds coincide, tap 0 makes a step of one unit
    start = float(thresholds[0] - first)
    steps = np.concatenate([[first], between])
    siemens = g_max / steps.max()

    span = ramp.arguments[-1] - ramp.arguments[0]
    low, high = float(ramp.arguments[0] - span / 4), float(ramp.arguments[-1] + span / 4)
    grid = np.linspace(low, high, _GRID)
    # The comparator sees a real value here, not an integer MAC: the errors are the ramp's alone.
    errors = ramp.decode(ramp.codes[np.searchsorted(thresholds * ramp.scale, grid)]) - act(grid)
    return RampReport(
        ramp=ramp,
        g_max=float(g_max),
        borders=ramp.borders,
        floors=floors,
        start=start,
        steps=steps,
        conductances=steps * siemens,
        bias_conductance=start * siemens,
        inl=ramp.inl(thresholds),
        dnl=ramp.dnl(thresholds),
        missing=_missing(ramp, mac_max),
        mac_max=mac_max,
        grid_low=low,
        grid_high=high,
        max_error=float(np.abs(errors).max()),
        rms_error=float(np.sqrt(np.mean(errors**2))),
    )


def gate_report(spec: Specification, gate: str, g_max: float = G_MAX) -> RampReport:
    """:func:`ramp_report` of a gate's bank, with the reach of its rows and lines."""
    return ramp_report(Ramp.of_gate(spec, gate), g_max, spec.bank_reach(gate))


def _missing(ramp: Ramp, mac_max: int | None) -> np.ndarray:
    """Codes that no reachable MAC has: tick k's is that of the integers above floor k, up to and with floor k + 1."""
    floors = ramp.floors
    reach = max(mac_max, 0) if mac_max is not None else int(np.abs(floors).max()) + 1
    lowest = np.concatenate([[-reach], np.maximum(floors + 1, -reach)])
    highest = np.concatenate([np.minimum(floors, reach), [reach]])
    return np.setdiff1d(ramp.codes, ramp.codes[lowest <= highest])
