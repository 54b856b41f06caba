# SPDX-License-Identifier: Apache-2.0
"""The equation of one current-mode column's circuit, solved clock by clock: what the behavioral model simplifies.

With v the integrator's value, A the amplifier's gain, G_c the conductance of the column's own positive line, I the net
current of its lines, V_A the copy's Early voltage and R the leakage resistor, during the window

    C·(1 + 1/A)·dv/dt = I - G_c·v/A - |I|·v/V_A - (1 + 1/A)·v/R

and I is constant within a clock, so each clock is an exponential; a clamp holds (1 + 1/A)·|v| below the rail. The
behavioral model (golden/analog/translate.py) has one G_c for all columns, and compresses the sum of the charges, as if
the current never changed its sign. What SPICE differs from it by, and not from this equation, is due to these two.
"""

from collections.abc import Sequence

import numpy as np
from crossramp.golden.analog.physical import PhysicalArray

from ..steptrace import StepWaves
from .network import Lines, transfer
from .waves import ConversionClocks


def window_volts(
    array: PhysicalArray, waves: StepWaves, columns: Sequence[int], conversion: ConversionClocks, decks=()
) -> np.ndarray:
    """Integrators at the end of a window, V; float64, shape (columns,).

    Parameters
    ----------
    array : PhysicalArray
        In current mode.
    columns : sequence of int
        Of bank g in the second conversion.
    decks : sequence of sequence of int
        Columns of each deck, where the deck's lumped lines are to be solved; empty: the whole network.
    """
    spec, tech, on = array.spec, array.technology, array.switches
    lines = Lines.of(array)
    index = [[lines.names.index(name) for name in lines.ends(spec, column)] for column in columns]
    positive, negative = (np.array([pair[k] for pair in index]) for k in (0, 1))
    drive = (waves.state_rows if conversion.second else waves.rows)[slice(*conversion.window)] * array.read_voltage
    if conversion.second:
        unit = np.array(columns) - 2 * spec.units
        current = drive[:, unit] * (array.state_positive - array.state_negative)[unit]
    else:
        matrix = _matrix(array, lines, columns, decks)
        current = drive @ (matrix[:, positive] - matrix[:, negative])
    own = lines.cells[:, positive].sum(axis=0)
    bank_g = np.array(columns) // spec.units == 2
    own = own + np.where(bank_g, array.state_positive[np.array(columns) % spec.units], 0)
    gain = tech["integrator.gain"] if "gain" in on else np.inf
    early = tech["integrator.early_voltage"] if "compression" in on else np.inf
    capacitance = array.column_capacitance[np.array(columns)]
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


def _matrix(array: PhysicalArray, lines: Lines, columns: Sequence[int], decks) -> np.ndarray:
    """Currents of all lines for a volt on each row."""
    tech = array.technology
    if "wires" not in array.switches or not (tech["wires.row_resistance"] and tech["wires.column_resistance"]):
        return lines.cells
    ohms = tech["wires.row_resistance"], tech["wires.column_resistance"]
    if not decks:
        return transfer(lines.cells, *ohms)
    result = np.full(lines.cells.shape, np.nan)
    for chosen in decks:
        kept = {lines.names.index(name) for column in chosen for name in lines.ends(array.spec, column)}
        left_out = set(range(len(lines.names))) - kept
        solved = transfer(lines.cells, *ohms, left_out=left_out)
        for line in kept:
            result[:, line] = solved[:, line]
    return result
