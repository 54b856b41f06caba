# SPDX-License-Identifier: Apache-2.0
"""The netlist of some columns of one chip and their ramps, driven by the pins of a simulated step."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from crossramp.golden.analog.chip.physical import PhysicalArray
from crossramp.golden.analog.chip.translate import unit_capacitors

from ..amaranth.step_trace import StepWaves
from . import subcircuits
from .accuracy import CHARGE_EDGE, Accuracy
from .pin_voltages import conversions, corners, first_halves, line_cells, start_levels, tap_levels
from .resistor_network import REFERENCE, Lines, lump

# Numbers that stand for "not there" in a subcircuit's parameters.
_IDEAL_GAIN, _NO_LEAK, _NO_EARLY, _NO_RAIL = 1e7, 1e18, 1e18, 1e6


@dataclass(frozen=True)
class Deck:
    """A netlist and what it contains.

    Attributes
    ----------
    text : str
    columns : tuple of int
        Columns of the array, in the order given; their integrator's output is node ``out_<name>`` (inverted), their
        comparator's ``cmp_<name>``.
    ramps : tuple of int
        Ramps that those columns are compared with; node ``ramp<r>`` (inverted).
    clock : float
        s.
    """

    text: str
    columns: tuple[int, ...]
    ramps: tuple[int, ...]
    clock: float


def build(
    array: PhysicalArray,
    waves: StepWaves,
    columns: Sequence[int],
    *,
    title: str = "columns and ramps",
    accuracy: Accuracy | None = None,
    levels: np.ndarray | None = None,
) -> Deck:
    """Write the netlist.

    Parameters
    ----------
    array : PhysicalArray
    waves : StepWaves
        Pins of the step, and the bias cells selected.
    columns : sequence of int
        Which columns, each once.
    title : str
        The deck's first line.
    accuracy : Accuracy or None
        None: the default one.
    levels : float64 array, shape (ramps, ticks + 1), or None
        Volts of an external ramp, before tick 1 and on each tick; needed for one alone.

    Raises
    ------
    InvalidValue
        If a column does not exist, or the waves belong to another specification.
    """
    return _Writer(array, waves, list(columns), accuracy or Accuracy(), levels).deck(title)


class _Writer:
    def __init__(self, array, waves, columns, accuracy, levels):
        self.array, self.waves, self.columns = array, waves, columns
        self.spec, self.tech, self.accuracy, self.levels = array.spec, array.technology, accuracy, levels
        spec = self.spec
        if not columns or len(set(columns)) != len(columns) or not set(columns) <= set(range(spec.columns)):
            raise ValueError(f"columns are {columns}; expected some of 0 to {spec.columns - 1}, each once")
        if waves.rows.shape[1] != spec.rows or waves.comparators.shape[1] != spec.columns:
            raise ValueError(
                f"the waves are of {waves.rows.shape[1]} rows and {waves.comparators.shape[1]} columns, the chip has "
                f"{spec.rows} and {spec.columns}"
            )
        self.charge = self.tech.read_mode == "charge"
        self.external = self.tech.ramp_kind == "external"
        if self.external and levels is None:
            raise ValueError("an external ramp needs its voltages")
        self.clock = self.tech["read.clock"]
        self.edge = (max(accuracy.edge, CHARGE_EDGE) if self.charge else accuracy.edge) * self.clock
        self.ramps = tuple(sorted({int(spec.ramp_of_column[column]) for column in columns}))
        #: Of each column: the wires of lines, and the cells that they have on it.
        self.line_cells = {column: list(line_cells(spec, column)) for column in columns}
        self.resets = ("reset", "reset_1")[: spec.reset_groups]
        self.lines: list[str] = []

    # ---- the whole ---------------------------------------------------------------------------------------------------

    def deck(self, title: str) -> Deck:
        names = [self.spec.column_name(column) for column in self.columns]
        self.note(f"crossramp: {title}".replace("\n", " "))
        self.note(f"columns {' '.join(names)}; technology {self.tech.name}, device seed {self.array.seed}")
        self.note(f"effects that are on: {', '.join(sorted(self.array.switches)) or 'none'}; noise never is")
        self.note(
            "SI units. A control line is at 0 or 1 V. Integrators invert: a value of 1 V is -1 V on out_*, ramp*."
        )
        self.head("control pins, recorded from the gateware")
        self.controls()
        self.head("row drivers: read voltage while the row's pulse lasts")
        self.row_drivers()
        self.head("subcircuits")
        self.lines.append(subcircuits.CHARGE if self.charge else subcircuits.CURRENT)
        self.lines.append(subcircuits.COMPARATOR)
        self.head("cells and lines")
        (self.charge_cells if self.charge else self.current_cells)()
        self.head("integrators and comparators of the columns")
        self.column_circuits()
        self.head("ramps")
        for ramp in self.ramps:
            self.external_ramp(ramp) if self.external else self.ramp(ramp)
        self.head("analysis")
        saved = [f"v(out_{name}) v(cmp_{name})" for name in names] + [f"v(ramp{ramp})" for ramp in self.ramps]
        self.analysis(saved)
        return Deck("\n".join(self.lines) + "\n", tuple(self.columns), self.ramps, self.clock)

    def note(self, text: str) -> None:
        self.lines.append(f"* {text}")

    def head(self, text: str) -> None:
        self.lines += ["", f"* ---- {text} ".ljust(100, "-")]

    def source(self, node: str, levels: np.ndarray, scale: float = 1.0, parts: int = 1) -> None:
        """A voltage source from ``node`` to ground that follows ``levels``: ``parts`` of them a clock."""
        points = corners(levels, self.clock / parts, self.edge)
        if len(points) == 1:
            self.lines.append(f"V{node} {node} 0 DC {points[0][1] * scale!r}")
            return
        texts = [f"{time!r} {level * scale!r}" for time, level in points]
        self.lines.append(f"V{node} {node} 0 PWL({texts[0]}")
        self.lines += [f"+ {'  '.join(texts[k : k + 4])}" for k in range(1, len(texts), 4)]
        self.lines[-1] += ")"

    # ---- pins --------------------------------------------------------------------------------------------------------

    def controls(self) -> None:
        controls = self.waves.controls
        for name in self.resets:
            self.source(name, controls[name])
        if not self.charge:
            self.source("integrate", controls["integrate"])
        if self.external:
            return
        self.note("hold: the ramps' integrators work; reset empties them with the columns'")
        self.source("hold", controls["hold"])
        self.note("start and bias cells: first half of the first clock of ramp_reset; tap k: first half of tick k")
        volts = float(self.array.ramp_voltage)
        if self.charge:
            self.note("as steps that last until the reset: what falls back takes its charge back")
            self.source("start", self.held(start_levels(self.waves)), volts)
            self.source("startn", -1.0 * self.held(start_levels(self.waves)), volts)
            for cell in range(self.spec.ticks):
                self.source(f"tap{cell + 1}", self.held(tap_levels(self.waves, cell)), volts)
            return
        self.source("start", first_halves(start_levels(self.waves)), parts=2)
        for cell in range(self.spec.ticks):
            self.source(f"tap{cell + 1}", first_halves(tap_levels(self.waves, cell)), parts=2)
        self.lines += [f"Vvramp vramp 0 DC {volts!r}", f"Vvrampn vrampn 0 DC {-volts!r}"]

    def held(self, levels: np.ndarray) -> np.ndarray:
        """``levels`` with each high clock prolonged to the next reset."""
        reset, result, on = self.waves.controls["reset"], np.zeros(len(levels)), False
        for clock in range(len(levels)):
            on = bool(not reset[clock] and (on or levels[clock]))
            result[clock] = on
        return result

    def row_drivers(self) -> None:
        for row in range(self.spec.rows):
            self.driver(f"row{row}", self.waves.rows[:, row])
        for wire in sorted({wire for cells in self.line_cells.values() for wire, _ in cells}):
            self.driver(self.wire_name(wire), self.waves.state_rows[:, wire])

    def wire_name(self, wire: int) -> str:
        """The node of a wire of the lines."""
        lines, units = self.spec.layout.lines, self.spec.units
        line = next(line for line in lines if self.spec.wires_of(line).start <= wire < self.spec.wires_of(line).stop)
        return f"{'state' if len(lines) == 1 else line}{wire - lines.index(line) * units}"

    def reset_of(self, column: int) -> str:
        """The reset wire of a column."""
        groups = self.spec.reset_columns
        return next(name for name, columns in zip(self.resets, groups, strict=True) if columns[column])

    def driver(self, node: str, pulses: np.ndarray) -> None:
        volts = float(self.array.read_voltage)
        if not self.charge:
            self.source(node, pulses, volts)
            return
        # A staircase: each clock of the pulse brings one step's charge, and the line stays there until the reset. It
        # steps in the middle of the clock: at the edge, the first step's charge would go through the reset's switch.
        # With banks that hold, it stays until these are reset too, or it would take their charge back.
        level, halves = 0, np.zeros(2 * len(pulses))
        for clock, pulse in enumerate(pulses.tolist()):
            level = 0 if self.waves.controls[self.resets[-1]][clock] else level
            halves[2 * clock] = level
            level += pulse
            halves[2 * clock + 1] = level
        self.source(node, halves, volts / max(self.spec.windows), parts=2)

    # ---- cells -------------------------------------------------------------------------------------------------------

    def current_cells(self) -> None:
        """Resistors, and the wires between them if they have resistance."""
        spec, wires = self.spec, Lines.of(self.array)
        names = [name for column in self.columns for name in wires.ends(spec, column)]
        kept = sorted({wires.names.index(name) for name in names})
        on = "wires" in self.array.switches
        row_ohm = self.tech["wires.row_resistance"] if on else 0.0
        column_ohm = self.tech["wires.column_resistance"] if on else 0.0
        if row_ohm:
            self.note(
                "Rrow: row wire up to the line, and what the lines left out do to it; Rload: their load, to ground"
            )
            lumped = lump(wires.cells, kept, row_ohm, column_ohm, spec.row_tiles)
        last_rows = {part.stop - 1 for part in spec.row_tiles}
        for place, line in enumerate(kept):
            name = wires.names[line]
            self.note(f"line {name}")
            for row in range(spec.rows):
                before, at = f"row{row}", f"row{row}"
                if row_ohm:
                    at = f"row{row}_{name}"
                    before = f"row{row}_{wires.names[kept[place - 1]]}" if place else before
                    self.lines.append(f"Rrow{row}_{name} {before} {at} {lumped.series[row, place].item()!r}")
                    if lumped.load[row, place]:
                        self.lines.append(f"Rload{row}_{name} {at} 0 {1 / lumped.load[row, place].item()!r}")
                foot = f"{name}_{row}" if column_ohm else f"line_{name}"
                if column_ohm:
                    below = f"line_{name}" if row in last_rows else f"{name}_{row + 1}"
                    self.lines.append(f"Rcolumn{row}_{name} {foot} {below} {column_ohm!r}")
                siemens = wires.cells[row, line].item()
                if siemens:
                    self.lines.append(f"Rcell{row}_{name} {at} {foot} {1 / siemens!r}")
        self.state_cells("R", lambda siemens: 1 / siemens)
        if REFERENCE in wires.names:
            self.note("the reference line's current, copied for every column")
            ends = {column: wires.ends(spec, column)[1] for column in self.columns}
            self.lines += [f"V{reference} line_{reference} 0 0" for reference in sorted(set(ends.values()))]
            for column, reference in ends.items():
                name = spec.column_name(column)
                self.lines.append(f"F{reference}_{name} 0 line_{name}n V{reference} 1")

    def charge_cells(self) -> None:
        """Capacitors from rows to lines, and what else hangs on a line."""
        array, spec, tech = self.array, self.spec, self.tech
        line = unit_capacitors(spec) * tech["cell.capacitance"]
        line *= 1 + tech["wires.parasitic"]
        self.state_cells("C", lambda farad: farad)
        for column in self.columns:
            name = spec.column_name(column)
            for sign, cells, state in (
                ("p", array.positive, array.state_positive),
                ("n", array.negative, array.state_negative),
            ):
                self.note(f"line {name}{sign}; Crest: its wire, and the unit capacitors that no weight uses")
                used = cells[:, column].sum()
                used += sum(state[cell] for _, cell in self.line_cells[column])
                for row in np.flatnonzero(cells[:, column]):
                    farad = cells[row, column].item()
                    self.lines.append(f"Ccell{row}_{name}{sign} row{row} line_{name}{sign} {farad!r}")
                self.lines.append(f"Crest_{name}{sign} line_{name}{sign} 0 {line - used.item()!r}")

    def state_cells(self, element: str, value) -> None:
        """The cells of lines; those of one line on a column are called by it, if the cell has several lines."""
        for column, cells in self.line_cells.items():
            name = self.spec.column_name(column)
            for wire, cell in cells:
                node = self.wire_name(wire)
                label = node.rstrip("0123456789")
                for sign, held in (("p", self.array.state_positive), ("n", self.array.state_negative)):
                    if held[cell]:
                        self.lines.append(
                            f"{element}{label}_{name}{sign} {node} line_{name}{sign} {value(held[cell].item())!r}"
                        )

    # ---- circuits ----------------------------------------------------------------------------------------------------

    def parameters(self, capacitance: float, column: bool) -> str:
        """Of an integrator: a column's, which has a clamp and a copied current, or a ramp's."""
        tech, on = self.tech, self.array.switches
        parts = {
            "c": capacitance,
            "gain": tech["integrator.gain"] if "gain" in on else _IDEAL_GAIN,
            "leak": tech["integrator.leakage_time"] / capacitance if "leakage" in on else _NO_LEAK,
            "rail": tech["integrator.saturation"] if "saturation" in on and column else _NO_RAIL,
        }
        if not self.charge:
            parts["early"] = tech["integrator.early_voltage"] if "compression" in on and column else _NO_EARLY
        return " ".join(f"{name}={float(value)!r}" for name, value in parts.items())

    def column_circuits(self) -> None:
        array, spec = self.array, self.spec
        enable = "" if self.charge else " integrate"
        for column in self.columns:
            name = spec.column_name(column)
            parameters = self.parameters(array.column_capacitance[column].item(), True)
            ramp, reset = spec.ramp_of_column[column], self.reset_of(column)
            offset = array.offset[column].item() if "offset" in array.switches else 0.0
            self.lines += [
                f"Xcolumn_{name} line_{name}p line_{name}n out_{name}{enable} {reset} integrator {parameters}",
                f"Xcmp_{name} out_{name} ramp{ramp} cmp_{name} comparator offset={offset!r}",
            ]

    def ramp(self, ramp: int) -> None:
        array, spec, r = self.array, self.spec, f"ramp{ramp}"
        self.note(f"{r}: {spec.ramps[ramp].text}")
        starts = zip(array.ramp_start[ramp].tolist(), array.ramp_start_negative[ramp].tolist(), strict=True)
        sign = "n" if array.start_sign[ramp] < 0 else ""
        cells = [(f"start{k}", sign, "start", pair) for k, pair in enumerate(starts)]
        biases = zip(array.calibration[ramp].tolist(), array.calibration_negative[ramp].tolist(), strict=True)
        cells += [(f"bias{k}", "", "start", p) for k, p in enumerate(biases) if self.waves.calibration[ramp, k]]
        taps = zip(array.ramp[ramp].tolist(), array.ramp_negative[ramp].tolist(), strict=True)
        cells += [(f"tap{k}", "", f"tap{k}", pair) for k, pair in enumerate(taps, start=1)]
        total = [0.0, 0.0]
        for name, sign, select, pair in cells:
            if not any(pair):
                continue
            if self.charge:
                for k, end in enumerate("pn"):
                    if pair[k]:
                        self.lines.append(f"C{r}_{name}{end} {select}{sign} line_{r}{end} {pair[k]!r}")
            else:
                self.lines.append(
                    f"X{r}_{name} vramp{sign} line_{r}p line_{r}n {select} tap gp={pair[0]!r} gn={pair[1]!r}"
                )
        capacitance = array.ramp_capacitance[ramp].item()
        if self.charge:
            every = [array.ramp[ramp], array.ramp_start[ramp], array.calibration[ramp]]
            line = sum(float(part.sum()) for part in every) * (1 + self.tech["wires.parasitic"])
            for end, k in (("p", 0), ("n", 1)):
                total[k] = sum(pair[k] for _, _, _, pair in cells)
                self.lines.append(f"Crest_{r}{end} line_{r}{end} 0 {line - total[k]!r}")
            self.lines.append(f"X{r} line_{r}p line_{r}n {r} reset integrator {self.parameters(capacitance, False)}")
            return
        self.lines.append(f"X{r} line_{r}p line_{r}n {r} hold reset integrator {self.parameters(capacitance, False)}")

    def external_ramp(self, ramp: int) -> None:
        levels = np.zeros(len(self.waves.tap))
        for conversion in conversions(self.waves):
            begin = conversion.window[1]
            levels[begin:] = self.levels[ramp, 0]
            for tick, at in enumerate(conversion.latched):
                levels[at:] = self.levels[ramp, tick + 1]
            levels[conversion.latched[-1] + 1 :] = 0.0
        self.note(f"ramp{ramp}: {self.spec.ramps[ramp].text}, with a generator")
        self.source(f"ramp{ramp}", -levels)

    # ---- analysis ----------------------------------------------------------------------------------------------------

    def analysis(self, saved: list[str]) -> None:
        accuracy = self.accuracy
        order = " maxord=2" if accuracy.method == "gear" else ""
        self.lines.append(f".options method={accuracy.method}{order} {accuracy.options}")
        self.lines += [f".save {' '.join(saved[k : k + 8])}" for k in range(0, len(saved), 8)]
        stop = len(self.waves.tap) * self.clock
        self.lines += [
            f".tran {accuracy.step * self.clock!r} {stop!r} 0 {accuracy.step * self.clock!r} uic",
            ".end",
        ]
