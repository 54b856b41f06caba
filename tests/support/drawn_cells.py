# SPDX-License-Identifier: Apache-2.0
"""Descriptions of cells that nobody has thought of: small random programs, each a valid one."""

import numpy as np
from crossramp.golden.cell.cell_checks import check
from crossramp.golden.cell.description import FIXED, LINE, ROW, Bank, Cell, Conversion, Gate, Store
from crossramp.golden.common.errors import InvalidValue

GATES = (Gate("sigmoid", 2.0), Gate("tanh", 225 / 112), Gate("hard_tanh", 1.5), Gate("clipped_relu", 1.0))


def drawn_cell(name: str, rng: np.random.Generator) -> Cell:
    """A cell of one or two conversions and one to five banks, perhaps with a register, lines and inner rows."""
    while True:
        try:
            return check(_Draw(name, rng).cell())
        except (_NothingToRead, InvalidValue):
            continue


class _NothingToRead(Exception):
    """An update has codes and nothing to store of them, or a value and nothing to compute it from."""


class _Draw:
    def __init__(self, name: str, rng: np.random.Generator):
        self.name, self.rng = name, rng

    def chance(self, probability: float = 0.5) -> bool:
        return bool(self.rng.random() < probability)

    def some(self, items: list[str], least: int = 0) -> list[str]:
        """Some of ``items``, in their order, ``least`` of them or more."""
        count = int(self.rng.integers(least, len(items), endpoint=True)) if items else 0
        return sorted(self.rng.permutation(items)[:count].tolist(), key=items.index)

    def cell(self) -> Cell:
        rng = self.rng
        twice = self.chance(0.75)
        self.register = self.chance(0.65)
        # Banks that convert first, in both conversions, and second; adjacent in either.
        letters = rng.permutation(list("abdefgijmnoprstuvwz"))
        counts = (rng.integers(0, 3), rng.integers(0, 2), rng.integers(0, 3)) if twice else (rng.integers(1, 5), 0, 0)
        first, both, second = (int(count) for count in counts)
        first += first + both == 0
        second += twice and both + second == 0
        names = letters[: first + both + second].tolist()
        self.first, self.both, self.second = names[:first], names[first : first + both], names[first + both :]

        self.line = None
        if twice and self.chance(0.6):
            self.line = "state" if self.register and self.chance() else "computed"
        self.inner = [f"k{n}" for n in range(int(rng.integers(0, 3)))] if twice else []
        later = [*self.inner] + (["q"] if self.line else [])
        if twice and (not later or self.chance(0.2)):
            later.append(str(rng.choice(["h", "1"])))
        early = ["x", *self.some(["h", "1"])]
        # Where the register is stored: a pulse code that the next step drives must come after it.
        self.peeps = self.line == "state" and self.chance()
        self.stored_in = int(rng.integers(0, 2)) if twice and not self.peeps and self.line != "state" else 0

        banks = self.banks(early, later)
        drives = [" ".join([*early, *(["a=q"] if any("a*" in cells for cells in banks.values()) else [])])]
        latches = [" ".join(self.first + self.both)]
        if twice:
            drives.append(" ".join(later))
            latches.append(" ".join([*(f"{bank}>{bank}2" for bank in self.both), *self.second]))
        program = []
        for number in range(1 + twice):
            program += [Conversion(drives[number], latches[number]), *self.stores(number, twice)]
        values = ({"c": FIXED} if self.register else {}) | ({"q": LINE} if self.line else {})
        values |= dict.fromkeys((*self.inner, "h"), ROW)
        gates = {name: GATES[int(rng.integers(len(GATES)))] for name in banks}
        return Cell(
            self.name,
            {name: Bank(gates[name], " ".join(banks[name])) for name in banks},
            values,
            tuple(program),
            bounded=bool(rng.integers(2)),
        )

    def banks(self, early: list[str], later: list[str]) -> dict[str, list[str]]:
        """The cells of each bank, so that everything that is driven has some, and each is driven in time."""
        banks: dict[str, list[str]] = {}
        rows_later = [name for name in later if name != "q"]
        for bank in (*self.first, *self.both, *self.second):
            banks[bank] = []
            if bank not in self.second:
                own = [group for group in early if group not in later] or ["x"]
                banks[bank] += self.some(own if bank in self.first else early, 1)
            elif self.chance():
                banks[bank] += self.some(early)  # it holds
            if bank not in self.first:
                fresh = [group for group in rows_later if group not in banks[bank]]
                banks[bank] += self.some(fresh, 0 if self.line or not fresh else 1)
        last = [*self.both, *self.second]
        for group in dict.fromkeys([*early, *rows_later]):
            if not any(group in cells for cells in banks.values()):
                choice = last if group in later else [*self.first, *self.both, *self.second]
                banks[str(self.rng.choice(choice))].append(group)
        for bank in self.first + self.both:
            if not any(group in early for group in banks[bank]):
                banks[bank].append("x")
        if self.line:
            constant = str(self.rng.choice(last))
            banks[constant].append("q.")
            for bank in last:
                if bank != constant and (self.chance(0.3) or not any(g in later for g in banks[bank])):
                    banks[bank].append("q*")
        for bank in last:
            if not any(name.rstrip(".*") in later for name in banks[bank]) and (bank in self.both or not banks[bank]):
                banks[bank].append(str(self.rng.choice(rows_later)))
        if self.peeps:
            for bank in self.some(self.first + self.both, 1):
                banks[bank].append("a*")
        return banks

    def stores(self, number: int, twice: bool) -> list[Store]:
        """The stores of an update, which read each of its codes."""
        codes = self.codes(number, twice)
        final = number == int(twice)
        wanted = []
        if self.register and number == self.stored_in:
            wanted.append("c")
        if number == 0 and twice:
            wanted += self.inner
            if self.line:
                wanted.append("q")
        if final:
            wanted.append("h")
        if self.line != "state" and self.chance():
            wanted = self.rng.permutation(wanted).tolist()
        free = [name for name in wanted if not (name == "q" and self.line == "state")]
        share: dict[str, list[str]] = {name: [] for name in free}
        if codes and not free:
            raise _NothingToRead
        for code in codes:
            share[str(self.rng.choice(free))].append(code)
        found = []
        for name in wanted:
            if name == "q" and self.line == "state":
                found.append(Store("q", "c"))
                continue
            used = list(dict.fromkeys([*share[name], *self.some(codes)]))
            fresh = any(store.name == "c" for store in found)
            with_register = self.register and (name == "c" or self.chance(0.4) or not used)
            found.append(Store(name, self.expression(used, with_register, fresh)))
        return found

    def codes(self, number: int, twice: bool) -> list[str]:
        """The codes that an update reads: those of banks that convert again, now; others now or later."""
        if not twice:
            return [*self.first]
        if number == 0:
            self.waiting = self.some(self.first)
            return [code for code in self.first if code not in self.waiting] + self.both
        return [*self.waiting, *(f"{bank}2" for bank in self.both), *self.second]

    def expression(self, codes: list[str], with_register: bool, fresh: bool) -> str:
        """Sums of products of one to three factors, with every code and perhaps the register."""
        left = self.rng.permutation(codes).tolist()
        terms = []
        while left:
            count = int(self.rng.integers(1, min(3, len(left)), endpoint=True))
            factors, left = left[:count], left[count:]
            if self.chance(0.2):
                factors[0] = f"(1 - {factors[0]})"
            terms.append("*".join(factors))
        if with_register:
            if terms and not fresh and self.chance():
                at = int(self.rng.integers(len(terms)))
                terms[at] = f"{terms[at]}*(c - {codes[0]})" if self.chance(0.3) else f"{terms[at]}*c"
            else:
                terms.append("c")
        if self.chance(0.1):
            terms.append("1")
        if not terms:
            raise _NothingToRead
        text = terms[0]
        for term in terms[1:]:
            text += (" + " if self.chance(0.7) else " - ") + term
        return text
