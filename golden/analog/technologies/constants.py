# SPDX-License-Identifier: Apache-2.0
"""The constants of a technology: names, units, ranges, and which effect reads them. Equations: docs/devices.md."""

from dataclasses import dataclass

SWITCHES = (
    "programming",
    "levels",
    "range",
    "stuck",
    "read_noise",
    "drift",
    "temperature",
    "wires",
    "read_voltage",
    "gain",
    "saturation",
    "leakage",
    "compression",
    "capacitors",
    "thermal",
    "offset",
    "comparator_noise",
    "delay",
    "ramp_cells",
)
"""The effects, each of which can be off. ``ramp_cells``: the ramp's cells err as the weights' cells do."""

READ_MODES = ("current", "charge")
PAIRS = ("differential", "single-ended")
RAMP_KINDS = ("in-memory", "external")


@dataclass(frozen=True)
class Constant:
    """One constant of a technology.

    Parameters
    ----------
    unit : str
        The SI unit its value is written in; ``"1"`` for a ratio.
    low, high : float
        What is allowed, both included.
    meaning : str
    modes : tuple of str
        The read modes that need it.
    length : int
        Numbers it consists of; 1 for a plain number.
    positive : bool
        0 is not allowed.
    default : float or None
        Of technologies that do not give it, whose hash does not know it; None: each has to.
    """

    unit: str
    low: float
    high: float
    meaning: str
    modes: tuple[str, ...] = READ_MODES
    length: int = 1
    positive: bool = False
    default: float | None = None


_CURRENT, _CHARGE = ("current",), ("charge",)

CONSTANTS = {
    # ---- cells -------------------------------------------------------------------------------------------------------
    "cell.g_min": Constant("S", 0, 1, "smallest conductance that can be programmed", _CURRENT),
    "cell.g_max": Constant("S", 0, 1, "largest conductance that can be programmed", _CURRENT, positive=True),
    "cell.levels": Constant("1", 0, 1e9, "conductances that can be asked for, from g_min to g_max; 0: any", _CURRENT),
    "cell.programming_error": Constant(
        "1", -10, 10, "standard deviation over g_max: a + b·g + c·g², g over g_max; not below 0", _CURRENT, 3
    ),
    "cell.stuck_on": Constant("1", 0, 1, "probability that a cell is stuck at g_max (or connected)"),
    "cell.stuck_off": Constant("1", 0, 1, "probability that a cell is stuck at g_min (or disconnected)"),
    "cell.fault_aware": Constant(
        "1",
        0,
        1,
        "1: programming knows stuck cells, and others make up for them",
        default=0,
    ),
    "cell.read_noise": Constant("1", 0, 1, "relative standard deviation of a full-scale cell's reads", _CURRENT),
    "cell.read_noise_exponent": Constant("1", -2, 0, "power of g over g_max by which it grows for less", _CURRENT),
    "cell.read_noise_limit": Constant("1", 0, 10, "that it grows to at most", _CURRENT),
    "cell.read_noise_time": Constant("s", 0, 1e3, "1/f noise: of a read; 0: noise does not grow with time", _CURRENT),
    "cell.drift_time": Constant(
        "s", 0, 1e12, "after programming, when conductances are as programmed", _CURRENT, 1, True
    ),
    "cell.drift_mean": Constant(
        "1", -10, 10, "mean drift exponent: a·ln(g over g_max) + b, within c and d", _CURRENT, 4
    ),
    "cell.drift_spread": Constant("1", -10, 10, "its standard deviation between cells, likewise", _CURRENT, 4),
    "cell.relaxation": Constant(
        "S", -1, 1, "lost at any conductance: a·ln(t/t₀), standard deviation b + c·ln(t/t₀)", _CURRENT, 3
    ),
    "cell.temperature_coefficient": Constant(
        "1/K", -0.1, 0.1, "relative change a kelvin: a + b·(g over g_max)", _CURRENT, 2
    ),
    "cell.capacitance": Constant("F", 0, 1e-9, "unit capacitor, that of one weight level", _CHARGE, 1, True),
    "cell.mismatch": Constant("1", 0, 1, "relative standard deviation of a unit capacitor", _CHARGE),
    # ---- lines -------------------------------------------------------------------------------------------------------
    "wires.row_resistance": Constant("ohm", 0, 1e6, "of a row's wire between two cells", _CURRENT),
    "wires.column_resistance": Constant("ohm", 0, 1e6, "of a column's wire between two cells", _CURRENT),
    "wires.parasitic": Constant("1", 0, 10, "capacitance of a column's line over that of its cells", _CHARGE),
    "read.voltage": Constant("V", 0, 100, "that rows and ramp cells are driven with", positive=True),
    "read.voltage_spread": Constant("1", 0, 1, "relative standard deviation between chips"),
    "read.clock": Constant("s", 0, 1, "one clock: a pulse of length 1, one tick", positive=True),
    # ---- columns -----------------------------------------------------------------------------------------------------
    "integrator.swing": Constant("V", 0, 100, "at the largest threshold; sizes the capacitors", positive=True),
    "integrator.saturation": Constant("V", 0, 1e3, "magnitude that no integrator exceeds", positive=True),
    "integrator.gain": Constant("1", 1, 1e12, "of the amplifier, open loop"),
    "integrator.leakage_time": Constant("s", 0, 1e12, "in which an integrator loses all but 1/e", positive=True),
    "integrator.early_voltage": Constant(
        "V", 0, 1e12, "of the current mirrors: magnitude at which their current would end", _CURRENT, 1, True
    ),
    "integrator.mismatch": Constant("1", 0, 1, "relative standard deviation of the integrators' capacitors"),
    "comparator.offset": Constant("V", 0, 10, "standard deviation between columns"),
    "comparator.noise": Constant("V", 0, 10, "standard deviation of a decision"),
    "comparator.delay": Constant("s", 0, 1, "from the tick to the comparator's output"),
    "comparator.delay_spread": Constant("s", 0, 1, "its standard deviation between columns"),
    # ---- ramps -------------------------------------------------------------------------------------------------------
    "ramp.pairs": Constant("1", 0, 1, "1: a ramp cell is a pair, as a weight is; 0: a single cell", _CURRENT),
    "ramp.full_scale": Constant("1", 0.01, 1, "of the largest step's cell, over what a cell can have"),
    "ramp.scheme": Constant(
        "1", 0, 2, "0: each cell to its own step; 1: to what is left; 2: to what the columns see left"
    ),
    "ramp.spares": Constant("1", 0, 64, "spare columns of each ramp, of which the best is used"),
    "ramp.calibration_range": Constant(
        "1", 0, 64, "range of the calibration cells, in codes at the middle of the ramp"
    ),
    "ramp.external_error": Constant("1", 0, 1, "external ramp: standard deviation of a step over the mean step"),
    # ---- operation ---------------------------------------------------------------------------------------------------
    "operation.temperature": Constant("K", 1, 1000, "of the chip"),
    "operation.reference_temperature": Constant("K", 1, 1000, "at which it was programmed"),
    "operation.time": Constant("s", 0, 1e12, "since it was programmed"),
    "operation.supply": Constant("1", 0.1, 10, "read voltage over its nominal value"),
}
"""By name, in the order of the files' tables."""

WHOLE = ("cell.levels", "cell.fault_aware", "ramp.pairs", "ramp.scheme", "ramp.spares")
"""Constants that are whole numbers."""
