# SPDX-License-Identifier: Apache-2.0
"""The equation of one column's circuit, solved clock by clock: what the behavioral model simplifies.

In current mode, with v the integrator's value, A the amplifier's gain, G_c the conductance of the column's own positive
line, I the net current of its lines, V_A the copy's Early voltage and R the leakage resistor, during the window::

    C·(1 + 1/A)·dv/dt = I - G_c·v/A - |I - G_c·v/A|·v/V_A - (1 + 1/A)·v/R

and I is constant within a clock, so each clock is an exponential, with the v of its start between the bars: they count
G_c·v/A where no line is driven any more. A clamp holds ``(1 + 1/A)·|v|`` below the rail.
The behavioral model (golden/analog/chip/translate.py) has one G_c for all columns, and compresses the sum of the
charges as if the current never changed its sign.
Where SPICE differs from the behavioral model but not from this equation, these two are the reason.

In charge mode each clock brings its charge at once, in its middle, so it leaks, and a clamp holds it, from then on.
A bank that holds goes through both windows so, and leaks in between.
"""

from collections.abc import Sequence

import numpy as np
from crossramp.golden.analog.chip.physical import PhysicalArray
from crossramp.golden.analog.chip.translate import unit_capacitors
from crossramp.golden.array.array_protocol import held_windows

from ..amaranth.step_trace import StepWaves
from .pin_voltages import ConversionClocks, conversions, line_cells
from .resistor_network import Lines, seen_cells, transfer


def window_volts(
    array: PhysicalArray, waves: StepWaves, columns: Sequence[int], conversion: ConversionClocks, decks=()
) -> np.ndarray:
    """Integrators at the end of a window, V; float64, shape (columns,).

    Parameters
    ----------
    array : PhysicalArray
    columns : sequence of int
        Of those that the conversion latches.
    decks : sequence of sequence of int
        Columns of each deck, where the deck's lumped lines are to be solved; empty: the whole network.
    """
    spec, clocks, chosen = array.spec, conversions(waves), np.array(columns)
    volts = np.zeros(len(columns))
    for held, windows in held_windows(spec, int(conversion.second)):
        place = np.flatnonzero((held.start <= chosen) & (chosen < held.stop))
        if len(place):
            some = [columns[k] for k in place]
            volts[place] = _held_volts(array, waves, some, [clocks[index] for index in windows], decks)
    return volts


def _held_volts(array: PhysicalArray, waves: StepWaves, columns: list[int], windows: list[ConversionClocks], decks):
    """Of columns that hold the charge of these windows: it leaks in between, with the integrators' switches open."""
    tech, on = array.technology, array.switches
    solve = _charge_volts if tech.read_mode == "charge" else _current_volts
    leak = tech["read.clock"] / tech["integrator.leakage_time"] if "leakage" in on else 0.0
    volts, end = np.zeros(len(columns)), None
    for window in windows:
        begin, stop = window.window
        if end is not None:
            volts = volts * np.exp(-leak * (begin - end))
        volts, end = solve(array, waves, columns, slice(begin, stop), volts, decks), stop
    return volts


def _driven(array: PhysicalArray, waves: StepWaves, columns: list[int], clocks: slice, net: np.ndarray) -> np.ndarray:
    """What rows and lines bring to each column in each clock, in A or C; shape (clocks, columns).

    ``net``: net cells of the rows, shape (rows, columns).
    """
    spec, volts = array.spec, array.read_voltage
    brought = waves.rows[clocks] * volts @ net
    cells = array.state_positive - array.state_negative
    for k, column in enumerate(columns):
        for wire, cell in line_cells(spec, column):
            brought[:, k] += waves.state_rows[clocks, wire] * volts * cells[cell]
    return brought


def _current_volts(
    array: PhysicalArray, waves: StepWaves, columns: list[int], clocks: slice, volts: np.ndarray, decks
) -> np.ndarray:
    spec, tech, on = array.spec, array.technology, array.switches
    lines = Lines.of(array)
    positive = np.array([lines.names.index(lines.ends(spec, column)[0]) for column in columns])
    net = np.zeros((spec.rows, len(columns)))
    if waves.rows[clocks].any():  # solving the wires takes longer than all the rest
        net = _net_cells(array, lines, columns, decks)
    current = _driven(array, waves, columns, clocks, net)
    own = seen_cells(lines.cells, tech["wires.column_resistance"] if "wires" in on else 0.0)[:, positive].sum(axis=0)
    own = own + [sum(array.state_positive[cell] for _, cell in line_cells(spec, column)) for column in columns]
    gain = tech["integrator.gain"] if "gain" in on else np.inf
    early = tech["integrator.early_voltage"] if "compression" in on else np.inf
    capacitance = array.column_capacitance[columns]
    leak = 1 / tech["integrator.leakage_time"] if "leakage" in on else 0.0
    # The clamp is across the capacitor, on which v/A more stands.
    rail = tech["integrator.saturation"] / (1 + 1 / gain) if "saturation" in on else np.inf
    clock = tech["read.clock"]
    for amperes in current:
        copied = np.abs(amperes - own * volts / gain)
        loss = (own / gain + copied / early) / (capacitance * (1 + 1 / gain)) + leak
        rise = amperes / (capacitance * (1 + 1 / gain)) * clock
        part = loss * clock
        filled = np.where(part > 1e-12, -np.expm1(-part) / np.where(part > 1e-12, part, 1), 1 - part / 2)
        volts = np.clip(volts * np.exp(-part) + rise * filled, -rail, rail)
    return volts


def _charge_volts(
    array: PhysicalArray, waves: StepWaves, columns: list[int], clocks: slice, volts: np.ndarray, decks
) -> np.ndarray:
    spec, tech, on = array.spec, array.technology, array.switches
    feedback = array.column_capacitance[columns]
    charge = _driven(array, waves, columns, clocks, (array.positive - array.negative)[:, columns])
    line = unit_capacitors(spec) * tech["cell.capacitance"] * (1 + tech["wires.parasitic"])
    gain = tech["integrator.gain"] if "gain" in on else np.inf
    rises = charge / max(spec.windows) / feedback / (1 + (1 + line / feedback) / gain)
    left = np.exp(-tech["read.clock"] / tech["integrator.leakage_time"] / 2) if "leakage" in on else 1.0
    rail = tech["integrator.saturation"] if "saturation" in on else np.inf
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
        left_out = set(range(len(lines.names))) - kept if decks else ()
        solved = np.concatenate([transfer(lines.cells[rows], *ohms, left_out=left_out) for rows in spec.row_tiles])
        for place, (positive, negative) in enumerate(ends):
            if columns[place] in chosen:
                result[:, place] = solved[:, positive] - solved[:, negative]
    return result
