# SPDX-License-Identifier: Apache-2.0
"""The equation of one column's circuit, solved clock by clock: what the behavioral model simplifies.

In current mode, with v the integrator's value, A the amplifier's gain, G_c the conductance of the column's own positive
line, I the net current of its lines, V_A the copy's Early voltage and R the leakage resistor, during the window::

    C·(1 + 1/A)·dv/dt = I - G_c·v/A - |I|·v/V_A - (1 + 1/A)·v/R

and I is constant within a clock, so each clock is an exponential; a clamp holds ``(1 + 1/A)·|v|`` below the rail.
The behavioral model (golden/analog/chip/translate.py) has one G_c for all columns, and compresses the sum of the
charges as if the current never changed its sign.
Where SPICE differs from the behavioral model but not from this equation, these two are the reason.

In charge mode each clock brings its charge at once, in its middle, so it leaks, and a clamp holds it, from then on.
"""

from collections.abc import Sequence

import numpy as np
from crossramp.golden.analog.chip.physical import PhysicalArray

from ..amaranth.step_trace import StepWaves
from .pin_voltages import ConversionClocks
from .resistor_network import Lines, seen_cells, transfer


def window_volts(
    array: PhysicalArray, waves: StepWaves, columns: Sequence[int], conversion: ConversionClocks, decks=()
) -> np.ndarray:
    """Integrators at the end of a window, V; float64, shape (columns,).

    Parameters
    ----------
    array : PhysicalArray
    columns : sequence of int
        Of bank g in the second conversion.
    decks : sequence of sequence of int
        Columns of each deck, where the deck's lumped lines are to be solved; empty: the whole network.
    """
    spec, tech, on = array.spec, array.technology, array.switches
    drive = (waves.state_rows if conversion.second else waves.rows)[slice(*conversion.window)] * array.read_voltage
    chosen = np.array(columns)
    if tech.read_mode == "charge":
        return _charge_volts(array, drive, chosen, conversion.second)
    lines = Lines.of(array)
    positive = np.array([lines.names.index(lines.ends(spec, column)[0]) for column in columns])
    if conversion.second:
        unit = spec.unit_of_column(chosen)
        current = drive[:, unit] * (array.state_positive - array.state_negative)[unit]
    else:
        current = drive @ _net_cells(array, lines, columns, decks)
    own = seen_cells(lines.cells, tech["wires.column_resistance"] if "wires" in on else 0.0)[:, positive].sum(axis=0)
    own = own + np.where(spec.in_bank(chosen, spec.state_gate), array.state_positive[spec.unit_of_column(chosen)], 0)
    gain = tech["integrator.gain"] if "gain" in on else np.inf
    early = tech["integrator.early_voltage"] if "compression" in on else np.inf
    capacitance = array.column_capacitance[chosen]
    leak = 1 / tech["integrator.leakage_time"] if "leakage" in on else 0.0
    # The clamp is across the capacitor, on which v/A more stands.
    rail = tech["integrator.saturation"] / (1 + 1 / gain) if "saturation" in on else np.inf
    clock, volts = tech["read.clock"], np.zeros(len(columns))
    for amperes in current:
        loss = (own / gain + np.abs(amperes) / early) / (capacitance * (1 + 1 / gain)) + leak
        rise = amperes / (capacitance * (1 + 1 / gain)) * clock
        part = loss * clock
        filled = np.where(part > 1e-12, -np.expm1(-part) / np.where(part > 1e-12, part, 1), 1 - part / 2)
        volts = np.clip(volts * np.exp(-part) + rise * filled, -rail, rail)
    return volts


def _charge_volts(array: PhysicalArray, drive: np.ndarray, columns: np.ndarray, second: bool) -> np.ndarray:
    spec, tech, on = array.spec, array.technology, array.switches
    feedback = array.column_capacitance[columns]
    if second:
        unit = array.spec.unit_of_column(columns)
        charge = drive[:, unit] * (array.state_positive - array.state_negative)[unit]
    else:
        charge = drive @ (array.positive - array.negative)[:, columns]
    line = (spec.rows * spec.weight_max + spec.state_cell) * tech["cell.capacitance"] * (1 + tech["wires.parasitic"])
    gain = tech["integrator.gain"] if "gain" in on else np.inf
    rises = charge / max(spec.input_max, spec.state_pulse_max) / feedback / (1 + (1 + line / feedback) / gain)
    left = np.exp(-tech["read.clock"] / tech["integrator.leakage_time"] / 2) if "leakage" in on else 1.0
    rail = tech["integrator.saturation"] if "saturation" in on else np.inf
    volts = np.zeros(len(columns))
    for rise in rises:
        volts = np.clip(volts * left + rise, -rail, rail) * left
    return volts


def _net_cells(array: PhysicalArray, lines: Lines, columns: Sequence[int], decks) -> np.ndarray:
    """Net current of each column for a volt on each row; S, shape (rows, columns)."""
    spec, tech = array.spec, array.technology
    ends = [[lines.names.index(name) for name in lines.ends(spec, column)] for column in columns]
    if "wires" not in array.switches or not (tech["wires.row_resistance"] and tech["wires.column_resistance"]):
        return np.stack([lines.cells[:, p] - lines.cells[:, n] for p, n in ends], axis=1)
    ohms = tech["wires.row_resistance"], tech["wires.column_resistance"]
    result = np.full((spec.rows, len(columns)), np.nan)
    for chosen in decks or [columns]:
        kept = {lines.names.index(name) for column in chosen for name in lines.ends(spec, column)}
        solved = transfer(lines.cells, *ohms, left_out=set(range(len(lines.names))) - kept if decks else ())
        for place, (positive, negative) in enumerate(ends):
            if columns[place] in chosen:
                result[:, place] = solved[:, positive] - solved[:, negative]
    return result
