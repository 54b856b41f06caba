# SPDX-License-Identifier: Apache-2.0
"""What describes a recurrent cell: banks of columns, conversions, and a straight-line program of updates.

A step is one or two conversions, each followed by an update. A conversion drives rows and lines for a window, and its
ramp gives codes of some banks; an update computes values from codes and from registers. This is an LSTM::

    Cell(
        "lstm",
        banks={
            "i": Bank(SIGMOID, "x h 1"),
            "f": Bank(SIGMOID, "x h 1"),
            "g": Bank(TANH, "x h 1 q."),
            "o": Bank(SIGMOID, "x h 1"),
        },
        values={"c": FIXED, "q": LINE, "h": ROW},
        program=(
            Conversion("x h 1", "i f g o"),
            Store("c", "f*c + i*g"),
            Store("q", "c"),
            Conversion("q", "g>t"),
            Store("h", "o*t"),
        ),
    )
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from .expression import Expression, Name, names, parse

FIXED, LINE, ROW, CODE = "fixed", "line", "row", "code"
"""Formats of values: a signed fixed-point register; a pulse code that drives a cell of each unit's own column through
a line; a pulse code on a row of the array; the decoded code of a bank itself, as a pulse code that nothing rounds."""

INPUT, BIAS = "x", "1"
"""Groups of rows that no value drives: the inputs, and the bias rows at full scale."""


@dataclass(frozen=True)
class Gate:
    """What one bank's columns convert with.

    Parameters
    ----------
    activation : str
        A name of :mod:`crossramp.golden.spec.activations`.
    weight_range : float
        Real value of a full-scale weight in this bank, 2**-10 to 2**10.
    bits : int or None
        Of its ramp, 2 to 9; None: ``adc_bits``.
    """

    activation: str
    weight_range: float
    bits: int | None = None


@dataclass(frozen=True)
class Bank:
    """The columns of one gate.

    Parameters
    ----------
    gate : Gate
        What a specification takes if it names none.
    cells : str
        What has memristors on these columns: groups of rows (``"x"``, ``"1"``, or the name of a row value); lines, as
        ``"q."`` with the same number of weight levels in every unit, or as ``"q*"`` with trained weights.
    """

    gate: Gate
    cells: str

    @cached_property
    def rows(self) -> tuple[str, ...]:
        """The groups of rows."""
        return tuple(name for name in self.cells.split() if not name.endswith((".", "*")))

    @cached_property
    def lines(self) -> dict[str, bool]:
        """The lines, each with whether its weights are trained."""
        return {name[:-1]: name.endswith("*") for name in self.cells.split() if name.endswith((".", "*"))}


@dataclass(frozen=True)
class Conversion:
    """One window and its ramp.

    Parameters
    ----------
    drives : str
        Groups of rows and lines: the name of one, or ``"line=value"`` for a line that another value drives.
    latches : str
        The banks that convert, adjacent and in their order: a bank, or ``"bank>name"`` for another name of its code.
    """

    drives: str
    latches: str

    @cached_property
    def driven(self) -> dict[str, str]:
        """Group of rows or line, to what drives it."""
        return {name: value or name for name, _, value in (part.partition("=") for part in self.drives.split())}

    @cached_property
    def codes(self) -> dict[str, str]:
        """Bank to the name of its code."""
        return {bank: name or bank for bank, _, name in (part.partition(">") for part in self.latches.split())}


@dataclass(frozen=True)
class Store:
    """name ← format(expression): the exact value, rounded and saturated once."""

    name: str
    text: str

    @cached_property
    def expression(self) -> Expression:
        """The parsed text; raises InvalidValue if it is no expression."""
        return parse(self.text)


class Given(NamedTuple):
    """Values that another macro makes, in one stream.

    Parameters
    ----------
    values : tuple of str
        In the order of the codes: ``units`` of each, or as many as h has.
    form : str
        :data:`ROW` or :data:`CODE`.
    before : bool
        Whether they are those of the step before, so that the first step of an utterance has none.
    """

    values: tuple[str, ...]
    form: str
    before: bool = False


class LineCell(NamedTuple):
    """A memristor pair that a line has on every column of a bank."""

    line: str
    bank: str
    trained: bool


@dataclass(frozen=True, eq=False)
class Cell:
    """A cell; everything that counts or orders banks, rows, lines, ramps and clocks is derived from it.

    Parameters
    ----------
    name : str
        The value of the parameter ``cell``.
    banks : dict of Bank
        By their names, one letter each, in the order of the columns.
    values : dict of str
        Every value that an update stores, and its format. One may be ``"fixed"``, and one a ``"line"``.
    program : tuple of Conversion and Store
        A conversion, the stores of its update, and perhaps a second conversion with its update.
    output : str
        The row value that leaves: the last update stores it.
    bounded : bool
        Whether the fixed value stays within ±1, as a blend of values within ±1 does: its default format then has no
        bits before the point but the sign.
    given : dict of Given
        What other macros make, by the names of the streams that bring it: sums of rows in other arrays
        (:mod:`crossramp.golden.spec.row_sums`). Cells of the library have none.

    Raises
    ------
    InvalidValue
        From :func:`.cell_checks.check`, which :mod:`.library` calls, for a description that is no cell.
    """

    name: str
    banks: dict[str, Bank]
    values: dict[str, str]
    program: tuple[Conversion | Store, ...]
    output: str = "h"
    bounded: bool = False
    given: dict[str, Given] = field(default_factory=dict)

    # ---- conversions and updates ------------------------------------------------------------------------------------

    @cached_property
    def steps(self) -> tuple[tuple[Conversion, tuple[Store, ...]], ...]:
        """Each conversion with the stores of its update."""
        found: list[tuple[Conversion, list[Store]]] = []
        for part in self.program:
            if isinstance(part, Conversion):
                found.append((part, []))
            else:
                found[-1][1].append(part)
        return tuple((conversion, tuple(stores)) for conversion, stores in found)

    @property
    def gates(self) -> tuple[str, ...]:
        """The names of the banks."""
        return tuple(self.banks)

    @property
    def default_gates(self) -> tuple[Gate, ...]:
        """What a specification takes if it names no gates."""
        return tuple(bank.gate for bank in self.banks.values())

    @cached_property
    def conversions(self) -> tuple[dict[str, str], ...]:
        """For each conversion: the banks that it latches, and what the code of each is called."""
        return tuple(conversion.codes for conversion, _ in self.steps)

    @cached_property
    def stores(self) -> tuple[tuple[Store, ...], ...]:
        """For each update: what it stores, in order."""
        return tuple(stores for _, stores in self.steps)

    @cached_property
    def code_names(self) -> tuple[str, ...]:
        """Every code, by conversion and bank."""
        return tuple(name for codes in self.conversions for name in codes.values())

    @cached_property
    def updates(self) -> tuple[tuple[str, ...], ...]:
        """For each update: the codes that it reads, in the order of :attr:`code_names`."""
        read = [{name for store in stores for name in names(store.expression)} for stores in self.stores]
        return tuple(tuple(name for name in self.code_names if name in found) for found in read)

    @cached_property
    def register_reads(self) -> tuple[bool, ...]:
        """For each update: whether it reads the fixed value as the step before, or an update before, left it."""
        found = []
        for stores in self.stores:
            fresh, reads = False, False
            for store in stores:
                reads |= self.register in names(store.expression) and not fresh
                fresh |= store.name == self.register
            found.append(reads)
        return tuple(found)

    def gate_of(self, code: str) -> str:
        """The bank whose columns give a code."""
        return next(gate for codes in self.conversions for gate, name in codes.items() if name == code)

    def reads(self, gate: str) -> tuple[bool, ...]:
        """For each update: whether it reads a code of this bank's columns."""
        return tuple(gate in map(self.gate_of, codes) for codes in self.updates)

    def update_of(self, value: str) -> int:
        """The update that stores a value."""
        return next(k for k, stores in enumerate(self.stores) if any(store.name == value for store in stores))

    def is_before(self, value: str, conversion: int) -> bool:
        """Whether a conversion that is driven with a value sees that of the step before."""
        if (source := self.source_of(value)) is not None:
            return self.given[source].before
        return value in self.values and self.update_of(value) >= conversion

    @cached_property
    def driven_before(self) -> tuple[str, ...]:
        """The values that drive something before the step stores them anew: those of the step before."""
        driven = [
            value
            for number, (conversion, _) in enumerate(self.steps)
            for value in conversion.driven.values()
            if self.is_before(value, number)
        ]
        return tuple(dict.fromkeys(driven))

    @property
    def has_state(self) -> bool:
        """Whether a step hands anything on to the next one."""
        return self.register is not None or bool(self.driven_before)

    # ---- values -----------------------------------------------------------------------------------------------------

    def _with_format(self, form: str) -> str | None:
        return next((name for name, found in self.values.items() if found == form), None)

    @cached_property
    def register(self) -> str | None:
        """The fixed value, which a register of each unit keeps; None for a cell without one."""
        return self._with_format(FIXED)

    @cached_property
    def line_value(self) -> str | None:
        """The value that drives lines; None for a cell without lines."""
        return self._with_format(LINE)

    @cached_property
    def line_value_is_state(self) -> bool:
        """Whether the lines are driven by the fixed value itself, as by c of an LSTM."""
        stores = [store for stores in self.stores for store in stores if store.name == self.line_value]
        return any(store.expression == Name(self.register) for store in stores)

    @cached_property
    def inner_values(self) -> tuple[str, ...]:
        """The pulse codes that do not leave, of lines and of rows, in the order in which a step stores them."""
        pulses = [s.name for stores in self.stores for s in stores if self.values[s.name] != FIXED]
        return tuple(name for name in pulses if name != self.output)

    @cached_property
    def inner_rows(self) -> tuple[str, ...]:
        """The row values that do not leave: they drive rows of their own within the step."""
        return tuple(name for name, form in self.values.items() if form == ROW and name != self.output)

    def form_of(self, value: str) -> str:
        """The format of what drives rows or lines: x and bias rows have pulse codes as row values have."""
        if (source := self.source_of(value)) is not None:
            return self.given[source].form
        return self.values.get(value, ROW)

    def source_of(self, value: str) -> str | None:
        """The stream of ``given`` that brings a value; None for one that the cell stores, and for x."""
        return next((source for source, given in self.given.items() if value in given.values), None)

    def sources(self, conversion: int) -> tuple[str, ...]:
        """The streams of ``given`` whose values a conversion drives."""
        found = map(self.source_of, self.steps[conversion][0].driven.values())
        return tuple(dict.fromkeys(source for source in found if source is not None))

    # ---- rows and lines ---------------------------------------------------------------------------------------------

    @cached_property
    def row_groups(self) -> tuple[str, ...]:
        """Groups of rows that some bank has cells on, in the order of the rows: x, h, other values, bias rows."""
        used = {name for bank in self.banks.values() for name in bank.rows}
        given = [name for source in self.given.values() if source.form == ROW for name in source.values]
        return tuple(name for name in (INPUT, self.output, *given, *self.inner_rows, BIAS) if name in used)

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """Lines in the order of their wires: as the conversions drive them."""
        found = [name for conversion, _ in self.steps for name in conversion.driven if name not in self.row_groups]
        return tuple(dict.fromkeys(found))

    @cached_property
    def line_cells(self) -> tuple[LineCell, ...]:
        """The cells of the lines, by line and bank."""
        return tuple(
            LineCell(line, name, bank.lines[line])
            for line in self.lines
            for name, bank in self.banks.items()
            if line in bank.lines
        )

    def line_driver(self, line: str) -> str:
        """The value that drives a line."""
        return next(conversion.driven[line] for conversion, _ in self.steps if line in conversion.driven)

    @cached_property
    def trained_line_cells(self) -> tuple[LineCell, ...]:
        """Those of :attr:`line_cells` whose weights are trained."""
        return tuple(cell for cell in self.line_cells if cell.trained)

    @cached_property
    def state_gate(self) -> str | None:
        """The bank on which the line value has its constant cells, which give it its unit; None without lines."""
        own = (cell for cell in self.line_cells if self.line_driver(cell.line) == self.line_value)
        return next((cell.bank for cell in own if not cell.trained), None)

    def driven_value(self, group: str, conversion: int) -> str | None:
        """What drives a group of rows or a line in a conversion; None where nothing does."""
        return self.steps[conversion][0].driven.get(group)

    def drives_rows(self, conversion: int) -> bool:
        """Whether a conversion drives any row."""
        return any(group in self.row_groups for group in self.steps[conversion][0].driven)

    def drives_lines(self, conversion: int) -> bool:
        """Whether a conversion drives any line."""
        return any(group in self.lines for group in self.steps[conversion][0].driven)

    def is_driven(self, gate: str, conversion: int) -> bool:
        """Whether a bank has cells on anything that a conversion drives."""
        bank, driven = self.banks[gate], self.steps[conversion][0].driven
        return any(name in driven for name in (*bank.rows, *bank.lines))

    def windows(self, gate: str, conversion: int) -> tuple[int, ...]:
        """The windows of a step whose charge a bank holds when ``conversion`` latches it: one, or more if it holds."""
        first = max((k + 1 for k in range(conversion) if gate in self.conversions[k]), default=0)
        return tuple(k for k in range(first, conversion + 1) if self.is_driven(gate, k))

    @cached_property
    def held(self) -> tuple[str, ...]:
        """The banks that keep the charge of the first window for the second: they have a reset wire of their own."""
        if len(self.conversions) == 1:
            return ()
        return tuple(g for g in self.conversions[1] if g not in self.conversions[0] and self.is_driven(g, 0))
