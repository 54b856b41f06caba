# SPDX-License-Identifier: Apache-2.0
"""Rows in several arrays, one number at a time: each array but the last returns its sum by a count of thresholds."""

import itertools

from .exact_numbers import Columns

#: The groups of rows that banks cross, where it is not x, h and bias; and those that the second conversion drives.
CROSSED = {
    "gru": {"n": ("x", "k", "bias")},
    "gru_reset_after": {"m": ("h", "bias"), "n": ("x", "bias")},
    "dense": {"a": ("x", "bias")},
}
SECOND = ("k",)


class SplitColumns(Columns):
    """The rectangle of weights in tiles of rows.

    ``taken`` has, by the name of each array, the codes and pulses of its last step, bank by bank.

    Parameters
    ----------
    spec : dict
        Of ``to_dict``, with ``partial_rows``.
    arrays : dict of str to list of rows
        The weights of the macro's own array, as ``""``, and of the others by their names.
    banks : str
    groups : dict of int
    """

    def __init__(self, spec: dict, arrays: dict, banks: str, groups: dict[str, int]):
        self._bits, self._level, self._units = spec["partial_bits"], spec["partial_cell"], spec["units"]
        self._crossed = {bank: CROSSED.get(spec["cell"], {}).get(bank, ("x", "h", "bias")) for bank in banks}
        rows = [(group, k) for group, size in groups.items() for k in range(size)]
        count = -(-len(rows) // spec["partial_rows"])
        ends = [len(rows) * k // count for k in range(count + 1)]
        self._tiles = [rows[start:stop] for start, stop in itertools.pairwise(ends)]
        whole = {}  # (group, row of it) to a level for each column
        for row, levels in zip(self._tiles[-1], arrays[""], strict=True):
            whole[row] = levels
        self._names = {}  # (tile, bank, second conversion) to the array
        number = 0
        for tile, rows in enumerate(self._tiles[:-1]):
            whole |= {row: [0] * (len(banks) * self._units) for row in rows}
            for second in (False, True):
                for crossing in dict.fromkeys(self._crossing(rows, bank, second) for bank in banks):
                    mine = [bank for bank in banks if self._crossing(rows, bank, second) == crossing]
                    if not crossing:
                        continue
                    name = f"partial{number}"
                    number += 1
                    self._names |= {(tile, bank, second): name for bank in mine}
                    held = [row for row in rows if row[0] in crossing]
                    for row, levels in zip(held, arrays[name], strict=True):
                        for k, bank in enumerate(mine):
                            start = banks.index(bank) * self._units
                            own = levels[k * self._units : (k + 1) * self._units]
                            whole[row][start : start + self._units] = own
        super().__init__([whole[row] for tile in self._tiles for row in tile], banks, groups)
        self._row = whole
        self.taken: dict[str, dict[str, list[int]]] = {}

    def _crossing(self, rows, bank: str, second: bool) -> tuple[str, ...]:
        there = dict.fromkeys(group for group, _ in rows)
        return tuple(group for group in there if group in self._crossed[bank] and (group in SECOND) == second)

    def macs(self, bank: str, **pulses: list[int]) -> list[int]:
        """What the rows of the groups named bring to each column of a bank, by way of the other arrays."""
        start, second = self._banks.index(bank) * self._units, any(group in SECOND for group in pulses)
        found = [0] * self._units
        for tile, rows in enumerate(self._tiles):
            driven = [row for row in rows if row[0] in pulses]
            sums = [
                sum(pulses[group][k] * self._row[group, k][start + unit] for group, k in driven)
                for unit in range(self._units)
            ]
            if tile < len(self._tiles) - 1:
                if not driven:
                    continue
                codes = [self._code(z) for z in sums]
                turned = [2 * code + 1 - 2**self._bits for code in codes]
                record = self.taken.setdefault(self._names[tile, bank, second], {"macs": [], "codes": [], "h": []})
                for name, values in (("macs", sums), ("codes", codes), ("h", turned)):
                    record[name] += values
                sums = [self._level * pulse for pulse in turned]
            found = [one + other for one, other in zip(found, sums, strict=True)]
        return found

    def _code(self, z: int) -> int:
        return sum(z > self._level * (2 * k - 2**self._bits) for k in range(1, 2**self._bits))
