# SPDX-License-Identifier: Apache-2.0
"""Rows in several arrays whose columns are not joined: what each array adds up, and what becomes of the cell.

All rows of a macro, in their order, are split into tiles of at most ``partial_rows``. The last tile is the macro's own
array. Of every other tile, each conversion that drives rows there has an array with a macro of its own for all banks
that cross the same groups of rows: it converts what the rows bring to the columns by a linear ramp, and its codes
return as pulses. (Rows that two conversions drive are in two arrays.) In the macro's array each bank has a line for
each of these sums, with constant cells of ``partial_cell`` levels, and is driven by the code itself::

    code = #{k : z > levels * (2k - 2**bits)},  k = 1 .. 2**bits - 1      (mid-rise)
    pulse = 2 * code + 1 - 2**bits                                        ("append a one": clocks, with its sign)
    z of the column = its own sum + levels * pulse of each other array

Only the ramp rounds: within ±levels * 2**bits a sum returns within ±levels MAC units, and beyond it saturates.
"""

import itertools
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from ..cell.description import BIAS, CODE, INPUT, ROW, Bank, Cell, Conversion, Gate, Given, Store

#: The cell of an array of sums, its bank, and the value that it stores.
SUM_CELL, SUM_BANK, SUM_VALUE = "row_sums", "a", "p"


def even_parts(count: int, most: int) -> tuple[slice, ...]:
    """``count`` things in as few parts of at most ``most`` as there can be; the sizes differ by one at most."""
    parts = -(-count // most)
    ends = [count * k // parts for k in range(parts + 1)]
    return tuple(slice(start, stop) for start, stop in itertools.pairwise(ends))


class RowSum(NamedTuple):
    """What one array adds up: rows of a tile that one conversion drives and that some banks cross.

    Parameters
    ----------
    name : str
        ``partial0``, ``partial1``, ...: of the stream that brings its codes, and of its macro.
    conversion : int
    parts : dict of range
        For each group of rows that it has: which of the group's codes drive rows there.
    banks : tuple of str
        Those that cross all of these groups and no other of the tile, in their order.
    needs : str
        What must be there: ``"inputs"`` alone, so that it may run a step ahead; h of the step ``"before"``; or a value
        of the ``"step"`` itself.
    """

    name: str
    conversion: int
    parts: dict[str, range]
    banks: tuple[str, ...]
    needs: str

    @property
    def values(self) -> tuple[str, ...]:
        """The values that it gives, a line of each bank: ``i_partial0``, ..."""
        return tuple(f"{bank}_{self.name}" for bank in self.banks)


def row_sums(cell: Cell, sizes: dict[str, int], most: int) -> tuple[tuple[RowSum, ...], dict[str, range]]:
    """The arrays of sums, and which codes of each group have rows in the macro's own array.

    Parameters
    ----------
    cell : Cell
        Of the library.
    sizes : dict of int
        Rows of each of its groups, in their order.
    most : int
        Rows of one array.
    """
    *others, last = [_parts(sizes, tile) for tile in even_parts(sum(sizes.values()), most)]
    found = []
    for parts in others:
        for number in range(len(cell.steps)):
            crossings: dict[tuple[str, ...], list[str]] = {}
            for name, bank in cell.banks.items():
                groups = tuple(group for group in parts if group in bank.rows and cell.driven_value(group, number))
                if groups:
                    crossings.setdefault(groups, []).append(name)
            for groups, banks in crossings.items():
                own = {group: parts[group] for group in groups}
                found.append(RowSum(f"partial{len(found)}", number, own, tuple(banks), _needs(cell, groups, number)))
    return tuple(found), last


def _needs(cell: Cell, groups: Iterable[str], conversion: int) -> str:
    computed = [group for group in groups if group not in (INPUT, BIAS)]
    if not computed:
        return "inputs"
    return "before" if all(cell.is_before(group, conversion) for group in computed) else "step"


def _parts(sizes: dict[str, int], rows: slice) -> dict[str, range]:
    """Which codes of each group drive the rows of a tile; groups without any are left out."""
    found, start = {}, 0
    for group, size in sizes.items():
        part = range(max(rows.start - start, 0), min(rows.stop - start, size))
        if part:
            found[group] = part
        start += size
    return found


def summing_cell(cell: Cell, sums: tuple[RowSum, ...], own: dict[str, range]) -> Cell:
    """The cell as the macro's own array has it: fewer rows, and a line on each bank for each sum."""
    banks = {}
    for name, bank in cell.banks.items():
        kept = [part for part in bank.cells.split() if part in own or part[-1] in ".*"]
        lines = [f"{name}_{one.name}." for one in sums if name in one.banks]
        banks[name] = Bank(bank.gate, " ".join([*kept, *lines]))
    program, number = [], -1
    for part in cell.program:
        if isinstance(part, Conversion):
            number += 1
            drives = [
                group if group == value else f"{group}={value}"
                for group, value in part.driven.items()
                if group in own or group in cell.lines
            ]
            drives += [value for one in sums if one.conversion == number for value in one.values]
            part = Conversion(" ".join(drives), part.latches)
        program.append(part)
    given = {one.name: Given(one.values, CODE) for one in sums}
    return replace(cell, banks=banks, program=tuple(program), given=given)


def sum_cell(cell: Cell, one: RowSum, gate: Gate) -> Cell:
    """The cell of an array of sums: a bank of the columns of all banks, which converts what its rows bring."""
    rows = [group for group in one.parts if group not in (INPUT, BIAS)]
    return Cell(
        SUM_CELL,
        banks={SUM_BANK: Bank(gate, " ".join(one.parts))},
        values={SUM_VALUE: CODE},
        program=(Conversion(" ".join(one.parts), SUM_BANK), Store(SUM_VALUE, SUM_BANK)),
        output=SUM_VALUE,
        given={group: Given((group,), ROW, cell.is_before(group, one.conversion)) for group in rows},
    )
