# SPDX-License-Identifier: Apache-2.0
"""Descriptions that are not cells, with the messages that name the offender; and texts that are not expressions."""

import re
from dataclasses import replace

import pytest
from crossramp.golden.cell.cell_checks import check
from crossramp.golden.cell.description import FIXED, LINE, ROW, Bank, Cell, Conversion, Gate, Store
from crossramp.golden.cell.expression import parse
from crossramp.golden.cell.library import CELLS, GRU, GRU_RESET_AFTER, LSTM, LSTM_PEEPHOLE, RNN_TANH
from crossramp.golden.spec.gates import SpecificationError
from crossramp.golden.spec.specification import Specification

GATE = Gate("sigmoid", 2.0)


def program(cell: Cell, place: int, part) -> Cell:
    """``cell`` with one part of its program exchanged."""
    return replace(cell, program=(*cell.program[:place], part, *cell.program[place + 1 :]))


def bank(cell: Cell, name: str, cells: str, new: str | None = None) -> Cell:
    """``cell`` with other cells on a bank, perhaps by another name."""
    banks = {new or key if key == name else key: value for key, value in cell.banks.items()}
    return replace(cell, banks=banks | {new or name: Bank(GATE, cells)})


def values(cell: Cell, **changes) -> Cell:
    return replace(cell, values=cell.values | changes)


X = "x h 1"
FAULTS = {
    "no conversion": (replace(RNN_TANH, program=(Store("h", "a"),)), "the program begins with no Conversion; codes"),
    "empty": (replace(RNN_TANH, program=()), "the program begins with no Conversion"),
    "three": (
        replace(LSTM, program=(*LSTM.program, Conversion("q", "g>w"), Store("h", "w"))),
        "there are 3 conversions; a step has 1 or 2",
    ),
    "no store": (replace(RNN_TANH, program=RNN_TANH.program[:1]), "conversion 1 has no Store behind it"),
    "expression": (
        program(RNN_TANH, 1, Store("h", "a/2")),
        "h: 'a/2' is not an expression of names, whole numbers, +, - and *",
    ),
    "constant": (program(RNN_TANH, 1, Store("h", "1")), "h is computed from '1', which names no code and no value"),
    "value's name": (values(RNN_TANH, H2=ROW), "the value 'H2' has not a name of lower-case letters, digits and _"),
    "code's name": (program(LSTM, 3, Conversion("q", "g>t-1")), "the code 't-1' has not a name of lower-case letters"),
    "reserved value": (values(RNN_TANH, state=FIXED), "a value cannot be called state; reserved are x, gates, state,"),
    "reserved code": (program(LSTM, 3, Conversion("q", "g>x")), "a code cannot be called x; reserved are x,"),
    "format": (values(RNN_TANH, h="float"), "value h has the format 'float'; allowed: fixed, line, row"),
    "two names": (
        values(LSTM, i=FIXED),
        "i is the name of a value and of a bank or its code; give one of them another",
    ),
    "two fixed": (values(LSTM, d=FIXED), "values c and d are both 'fixed'; a specification has bits for one"),
    "two lines": (values(LSTM, p=LINE), "values q and p are both 'line'; a specification has bits for one"),
    "bank's name": (bank(RNN_TANH, "a", X, "aa"), "bank 'aa' has not a name of one lower-case letter, as columns (g3)"),
    "bank's letter": (bank(RNN_TANH, "a", X, "A"), "bank 'A' has not a name of one lower-case letter"),
    "no group": (bank(RNN_TANH, "a", "x y"), "bank a has cells on 'y', which is no group of rows; a line is y. or *"),
    "group not driven": (
        program(RNN_TANH, 0, Conversion("x 1", "a")),
        "bank a has cells on 'h', which no conversion drives",
    ),
    "not latched": (bank(RNN_TANH, "b", X), "bank b is latched by no conversion"),
    "line not driven": (bank(LSTM, "i", f"{X} p*"), "bank i has cells on the line p, which no conversion drives"),
    "no bank": (program(RNN_TANH, 0, Conversion(X, "a b")), "conversion 1 latches b, which is no bank"),
    "not adjacent": (
        program(LSTM, 0, Conversion(X, "i f o")),
        "conversion 1 latches i, f, o: banks that are not adjacent",
    ),
    "nothing latched": (program(RNN_TANH, 0, Conversion(X, "")), "bank a is latched by no conversion"),
    "no constant": (
        bank(LSTM, "g", f"{X} q*"),
        "no bank has constant cells for the value q; one bank must have them, to give it",
    ),
    "two constants": (
        bank(LSTM_PEEPHOLE, "o", f"{X} q."),
        "g and o have constant cells for the value q; one bank must have them, to give it a unit",
    ),
    "group by another": (
        program(RNN_TANH, 0, Conversion("x h=x 1", "a")),
        "conversion 1 drives h with x; a group of rows is driven by its own value",
    ),
    "x again": (
        program(GRU, 2, Conversion("x k", "n")),
        "conversion 2 drives x; inputs are taken in the first conversion",
    ),
    "line without cells": (
        program(LSTM, 3, Conversion("q p=q", "g>t")),
        "conversion 2 drives p, on which no bank has cells",
    ),
    "line by a row": (
        program(LSTM, 3, Conversion("q=h", "g>t")),
        "conversion 2 drives q with h, which is no line value",
    ),
    "no x": (bank(program(RNN_TANH, 0, Conversion("h 1", "a")), "a", "h 1"), "the first conversion does not drive x"),
    "not charged": (
        bank(LSTM, "o", "x h 1 q*"),
        "bank o is driven in conversion 2, after its last one",
    ),
    "latched without charge": (
        program(LSTM, 3, Conversion("q", "g>t o>u")),
        "bank o is latched by conversion 2, but nothing that it has is driven",
    ),
    "read too early": (
        program(GRU, 1, Store("k", "r*n")),
        "code n is read by update 1, before its conversion 2",
    ),
    "read too late": (
        program(program(LSTM, 1, Store("c", "f*c + i")), 4, Store("h", "o*t*g")),
        "code g is read by update 2, when bank g has converted again",
    ),
    "one name": (program(LSTM, 3, Conversion("q", "g>i")), "two conversions call their code i; write bank>name in one"),
    "never read": (program(LSTM, 4, Store("h", "t")), "code o is read by no update; a capture bank is emptied as one"),
    "read twice": (
        program(LSTM, 4, Store("h", "o*t*f")),
        "code f is read by updates 1 and 2; a capture bank is emptied as one update reads it",
    ),
    "not a value": (program(LSTM, 2, Store("p", "c")), "p is stored, but is not among the values"),
    "stored twice": (program(LSTM, 2, Store("c", "c")), "c is stored twice in a step"),
    "reads a row": (
        program(LSTM, 4, Store("h", "o*t + h")),
        "h is computed from h, a row code; codes and fixed values can be read",
    ),
    "reads nothing known": (
        program(LSTM, 4, Store("h", "o*t + w")),
        "h is computed from w, neither a code nor a value; codes and fixed values can be read",
    ),
    "never stored": (values(RNN_TANH, c=FIXED), "value c is never stored"),
    "output": (replace(LSTM, output="q"), "the output q is no row value"),
    "output too early": (replace(GRU, output="k"), "the output k is stored by update 1; the last update stores it"),
    "inner row before": (
        program(GRU, 0, Conversion("x h k 1", "r z")),
        "conversion 1 drives k with k, which is stored later; only h and the pulse code of a fixed value are kept",
    ),
    "line of the step before": (
        program(bank(GRU_RESET_AFTER, "r", "x h 1 a*"), 0, Conversion("x h 1 a=q", "r z m")),
        "conversion 1 drives a with q, which is stored later; only h and the pulse code of a fixed value are kept",
    ),
    "line before its value": (
        program(program(LSTM_PEEPHOLE, 1, Store("q", "c")), 2, Store("c", "f*c + i*g")),
        "conversion 1 drives a with q, which is stored later, and before c: in the next step it would be an old one",
    ),
    "row of no use": (
        values(replace(LSTM, program=(*LSTM.program[:3], Store("k", "i"), *LSTM.program[3:])), k=ROW),
        "value k drives no row that a bank has cells on, and does not leave",
    ),
    "register of no use": (
        values(replace(RNN_TANH, program=(*RNN_TANH.program, Store("c", "a"))), c=FIXED),
        "value c is stored, but nothing is computed from it",
    ),
    "fresh product": (
        program(GRU, 4, Store("h", "z*s")),
        "h multiplies s, which the same update stores before; let the next one do so",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_message_names_the_offender(fault):
    cell, message = FAULTS[fault]
    with pytest.raises(ValueError, match="^" + re.escape(f"cell {cell.name}: {message}")):
        check(cell)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_every_cell_is_one(cell):
    assert check(cell) is cell


TEXTS = [
    "",
    "f*",
    "f/c",
    "-f",
    "f**2",
    "f(c)",
    "f.c",
    "1.5*f",
    "True",
    "f if c else g",
    "f; c",
    "f = c",
    "f @ c",
    "'f'",
]


@pytest.mark.parametrize("text", [*TEXTS, "f\0", "(" * 300 + "f" + ")" * 300])
def test_texts_that_are_not_expressions(text):
    with pytest.raises(ValueError, match=r"is not an expression of names, whole numbers, \+, - and \*$"):
        parse(text)


def test_a_sum_of_ranges_and_a_sum_of_too_many_bits(monkeypatch):
    """What depends on a specification is refused by it."""
    ranges = program(GRU_RESET_AFTER, 1, Store("q", "r*m + r"))
    wide = program(LSTM, 4, Store("h", "o*t*c*c*c"))
    monkeypatch.setitem(CELLS, "ranges", check(replace(ranges, name="ranges")))
    monkeypatch.setitem(CELLS, "wide", check(replace(wide, name="wide")))
    with pytest.raises(ValueError, match="values of the ranges ±4 and ±1 are added; only one range can be"):
        Specification(inputs=1, units=1, classes=1, cell="ranges")
    with pytest.raises(SpecificationError, match=r"cell wide: h = o\*t\*c\*c\*c takes 91 bits; allowed: 62; lower adc"):
        Specification(inputs=1, units=1, classes=1, cell="wide", adc_bits=8, state_bits=24)
