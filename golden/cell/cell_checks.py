# SPDX-License-Identifier: Apache-2.0
"""Which descriptions are cells: each check names the offender."""

from ..common.errors import InvalidValue
from .description import FIXED, INPUT, LINE, ROW, Cell, Conversion
from .expression import names

FORMATS = (FIXED, LINE, ROW)
MOST_CONVERSIONS = 2


def check(cell: Cell) -> Cell:
    """``cell`` itself.

    Raises
    ------
    InvalidValue
        For the first fault; the message names the cell and the offender.
    """
    for part in (_program, _values, _banks, _drives, _windows, _codes, _stores, _output):
        part(cell)
    return cell


def _refuse(cell: Cell, reason: str):
    raise InvalidValue(f"cell {cell.name}: {reason}")


def _program(cell: Cell):
    if not cell.program or not isinstance(cell.program[0], Conversion):
        _refuse(cell, "the program begins with no Conversion; codes come from one")
    count = len(cell.steps)
    if count > MOST_CONVERSIONS:
        _refuse(cell, f"there are {count} conversions; a step has 1 or {MOST_CONVERSIONS}")
    for number, (_, stores) in enumerate(cell.steps, start=1):
        if not stores:
            _refuse(cell, f"conversion {number} has no Store behind it")


def _values(cell: Cell):
    for name, form in cell.values.items():
        if form not in FORMATS:
            _refuse(cell, f"value {name} has the format {form!r}; allowed: {', '.join(FORMATS)}")
        if name in cell.banks or name in cell.code_names:
            _refuse(cell, f"{name} is the name of a value and of a bank or its code; give one of them another name")
    for form in (FIXED, LINE):
        found = [name for name, other in cell.values.items() if other == form]
        if len(found) > 1:
            _refuse(cell, f"values {' and '.join(found)} are both {form!r}; a specification has bits for one")


def _banks(cell: Cell):
    rows = {INPUT, "1", *(name for name, form in cell.values.items() if form == ROW)}
    for name, bank in cell.banks.items():
        if len(name) != 1 or not name.isalpha():
            _refuse(cell, f"bank {name!r} has not a name of one letter, as columns (g3) need")
        for group in bank.rows:
            if group not in rows:
                _refuse(cell, f"bank {name} has cells on {group!r}, which is no group of rows; a line is {group}. or *")
        if not any(name in codes for codes in cell.conversions):
            _refuse(cell, f"bank {name} is latched by no conversion")
        for line in bank.lines:
            if line not in cell.lines:
                _refuse(cell, f"bank {name} has cells on the line {line}, which no conversion drives")
    for number, codes in enumerate(cell.conversions, start=1):
        for bank in codes:
            if bank not in cell.banks:
                _refuse(cell, f"conversion {number} latches {bank}, which is no bank")
        places = [cell.gates.index(bank) for bank in codes]
        if not places or places != list(range(places[0], places[0] + len(places))):
            _refuse(cell, f"conversion {number} latches {', '.join(codes) or 'nothing'}: banks that are not adjacent")
    constant = [c.bank for c in cell.line_cells if not c.trained]
    if cell.line_value and len(constant) != 1:
        found = " and ".join(constant) or "no bank"
        _refuse(cell, f"{found} has constant cells for the value {cell.line_value}; one bank must, to give it a unit")


def _drives(cell: Cell):
    for number, (conversion, _) in enumerate(cell.steps, start=1):
        for group, value in conversion.driven.items():
            at = f"conversion {number} drives {group}"
            if group in cell.row_groups:
                if value != group:
                    _refuse(cell, f"{at} with {value}; a group of rows is driven by its own value")
                if group == INPUT and number != 1:
                    _refuse(cell, f"{at}; inputs are taken in the first conversion")
            elif not any(group in bank.lines for bank in cell.banks.values()):
                _refuse(cell, f"{at}, on which no bank has cells")
            elif cell.values.get(value) != LINE:
                _refuse(cell, f"{at} with {value}, which is no line value")
    if INPUT not in cell.steps[0][0].driven:
        _refuse(cell, "the first conversion does not drive x")


def _windows(cell: Cell):
    for number, codes in enumerate(cell.conversions):
        for bank in codes:
            if not cell.windows(bank, number):
                _refuse(cell, f"bank {bank} is latched by conversion {number + 1}, but nothing that it has is driven")
    for bank in cell.banks:
        last = max(k for k, codes in enumerate(cell.conversions) if bank in codes)
        for number in range(last + 1, len(cell.conversions)):
            if cell.is_driven(bank, number):
                _refuse(cell, f"bank {bank} is driven in conversion {number + 1}, after its last one")


def _codes(cell: Cell):
    for number, read in enumerate(cell.updates):
        for code in read:
            made = next(k for k, codes in enumerate(cell.conversions) if code in codes.values())
            bank = cell.gate_of(code)
            again = [k for k, codes in enumerate(cell.conversions) if bank in codes and k > made]
            if made > number:
                _refuse(cell, f"code {code} is read by update {number + 1}, before its conversion {made + 1}")
            if again and number >= again[0]:
                _refuse(cell, f"code {code} is read by update {number + 1}, when bank {bank} has converted again")
    for code in cell.code_names:
        if cell.code_names.count(code) > 1:
            _refuse(cell, f"two conversions call their code {code}; write bank>name in one of them")
        readers = [k + 1 for k, read in enumerate(cell.updates) if code in read]
        if len(readers) != 1:
            found = f"updates {' and '.join(map(str, readers))}" if readers else "no update"
            _refuse(cell, f"code {code} is read by {found}; a capture bank is emptied as one update reads it")


def _stores(cell: Cell):
    stored: list[str] = []
    for stores in cell.stores:
        for store in stores:
            if store.name not in cell.values:
                _refuse(cell, f"{store.name} is stored, but is not among the values")
            if store.name in stored:
                _refuse(cell, f"{store.name} is stored twice in a step")
            for name in names(store.expression):
                if name in cell.code_names or cell.values.get(name) == FIXED:
                    continue
                what = f"a {cell.values[name]} code" if name in cell.values else "neither a code nor a value"
                _refuse(cell, f"{store.name} is computed from {name}, {what}; codes and fixed values can be read")
            stored.append(store.name)
    for name in cell.values:
        if name not in stored:
            _refuse(cell, f"value {name} is never stored")


def _output(cell: Cell):
    if cell.values.get(cell.output) != ROW:
        _refuse(cell, f"the output {cell.output} is no row value")
    if cell.update_of(cell.output) != len(cell.stores) - 1:
        _refuse(cell, f"the output {cell.output} is stored by update 1; the last update stores it")
