# SPDX-License-Identifier: Apache-2.0
"""Which descriptions are cells: each check names the offender."""

import re
from collections.abc import Iterator

from ..common.errors import InvalidValue
from .description import BIAS, FIXED, INPUT, LINE, ROW, Cell, Conversion, Store
from .expression import names, products

FORMATS = (FIXED, LINE, ROW)
MOST_CONVERSIONS = 2

#: What codes and values may not be called: the inputs, and what the monitor ports have beside them.
RESERVED = (INPUT, "gates", "state", "output", "memory", "stalled", "signature")


def check(cell: Cell) -> Cell:
    """``cell`` itself.

    Raises
    ------
    InvalidValue
        For the first fault; the message names the cell and the offender.
    """
    for part in (_program, _expressions, _names, _values, _banks, _drives, _windows, _codes, _stores, _output, _uses):
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


def _expressions(cell: Cell):
    for store in _all_stores(cell):
        try:
            read = names(store.expression)
        except InvalidValue as error:
            _refuse(cell, f"{store.name}: {error}")
        if not read:
            _refuse(cell, f"{store.name} is computed from {store.text!r}, which names no code and no value")


def _all_stores(cell: Cell) -> Iterator[Store]:
    return (store for stores in cell.stores for store in stores)


def _names(cell: Cell):
    lines = [line for line in cell.lines if line not in (INPUT, BIAS)]  # those are rows, of which no bank has cells
    for kind, found in (("code", cell.code_names), ("value", cell.values), ("line", lines)):
        for name in found:
            if not re.fullmatch("[a-z][a-z0-9_]*", name):
                _refuse(cell, f"the {kind} {name!r} has not a name of lower-case letters, digits and _")
            if name in RESERVED:
                _refuse(cell, f"a {kind} cannot be called {name}; reserved are {', '.join(RESERVED)}")


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
    rows = {INPUT, BIAS, *(name for name, form in cell.values.items() if form == ROW)}
    for name, bank in cell.banks.items():
        if not re.fullmatch("[a-z]", name):
            _refuse(cell, f"bank {name!r} has not a name of one lower-case letter, as columns (g3) need")
        for group in bank.rows:
            if group not in rows:
                _refuse(cell, f"bank {name} has cells on {group!r}, which is no group of rows; a line is {group}. or *")
            if not any(group in conversion.driven for conversion, _ in cell.steps):
                _refuse(cell, f"bank {name} has cells on {group!r}, which no conversion drives")
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
        found = f"{' and '.join(constant)} have" if constant else "no bank has"
        _refuse(
            cell,
            f"{found} constant cells for the value {cell.line_value}; one bank must have them, to give it a unit",
        )


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


def _uses(cell: Cell):
    """What is read, driven and multiplied must be there by then, and every value must be of use."""
    place = {store.name: (k, n) for k, stores in enumerate(cell.stores) for n, store in enumerate(stores)}
    for number, (conversion, _) in enumerate(cell.steps):
        for group, value in conversion.driven.items():
            if value in (INPUT, BIAS, cell.output) or place[value][0] < number:
                continue
            at = f"conversion {number + 1} drives {group} with {value}, which is stored later"
            if not (cell.values[value] == LINE and cell.line_value_is_state):
                _refuse(
                    cell, f"{at}; only {cell.output} and the pulse code of a fixed value are kept for the next step"
                )
            if place[value] < place[cell.register]:
                _refuse(cell, f"{at}, and before {cell.register}: in the next step it would be an old one")
    for name in cell.inner_rows:
        if name not in cell.row_groups:
            _refuse(cell, f"value {name} drives no row that a bank has cells on, and does not leave")
    register = cell.register
    if register and not any(register in names(store.expression) for store in _all_stores(cell)):
        _refuse(cell, f"value {register} is stored, but nothing is computed from it")
    for store in _all_stores(cell):
        fresh = register and place[register][0] == place[store.name][0] and place[register] < place[store.name]
        if fresh and any(register in names(product) for product in products(store.expression)):
            _refuse(
                cell, f"{store.name} multiplies {register}, which the same update stores before; let the next one do so"
            )
