# SPDX-License-Identifier: Apache-2.0
"""The update of every cell, written by hand from the equations of docs/networks.md and docs/arithmetic.md.

Nothing here is taken from the descriptions in :mod:`crossramp.golden.cell.library` or from the gateware. A code is an
odd integer over the scale of its gate, the register an integer over ``unit``; sums have a common denominator.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from crossramp.golden.spec.row_sums import SUM_CELL
from crossramp.golden.spec.specification import Specification


@dataclass(frozen=True)
class Equations:
    """One update of a cell, in Verilog: decimal numbers have any width, and all wires are signed.

    Attributes
    ----------
    products : dict of (str, str)
        By the name of each: its two factors. They are names of banks, for the odd integer of the bank's present code;
        the register; or differences.
    results : dict of str
        By the name of each value that the update stores: its expression, of products, names of banks, the register,
        and results above it. ``nearest(a, b)`` is a / b, rounded to nearest, halves away from zero; ``within(a, b)``
        is a, held within ±b.
    differences : dict of (str, int)
        By the name of each: an expression of names of banks and the register, and the largest magnitude that it has.
    bounds : dict of int
        Expressions of products, names of banks and the register, whose magnitude is at most so much for all codes:
        weighted means. The results are those of the gateware within these bounds.
    """

    products: dict[str, tuple[str, str]]
    results: dict[str, str]
    differences: dict[str, tuple[str, int]] = field(default_factory=dict)
    bounds: dict[str, int] = field(default_factory=dict)


class Numbers:
    """The numbers of a specification, as the equations need them.

    Attributes
    ----------
    unit : int
        The register counts steps of 1 / unit.
    most : int
        It lies within ± this.
    row, line : int
        The largest pulse code of a row, and of a line.
    """

    def __init__(self, spec: Specification):
        self.spec = spec
        self.unit = 1 << (spec.state_frac_bits or 0)
        self.most = (1 << ((spec.state_bits or 1) - 1)) - 1
        self.row = (1 << (spec.input_bits - 1)) - 1
        self.line = (1 << ((spec.state_pulse_bits or 1) - 1)) - 1

    def scale(self, gate: str) -> int:
        """What a code's integer is divided by: 2**(n + 1) if the gate's codes are of [0, 1], 2**n if of ±1.

        Half of it where the curve turns, whose codes are whole levels.
        """
        act, bits = self.spec.activation(gate), self.spec.gate_bits(gate)
        return 1 << (bits + (0 if act.low < 0 else 1) - (1 if act.turns else 0))

    def top(self, gate: str) -> int:
        """The largest magnitude of a code's integer."""
        return self.scale(gate) - 1

    def pulses(self, value: str, one: int, full_scale: Fraction = Fraction(1)) -> str:
        """The pulse code of the lines for ``value / one · full_scale``.

        It is the value over that of one clock of a line, state_cell · weight_range / (W · P), with a quotient of eight
        significant bits.
        """
        spec = self.spec
        (gate,) = (cell.bank for cell in spec.line_cells if not cell.trained)
        clock = spec.state_cell * Fraction(spec.gate(gate).weight_range) / (spec.weight_max * spec.input_max)
        quotient, denominator = full_scale / (one * clock), 1
        while quotient * denominator < 128:
            denominator *= 2
        doubled = 2 * quotient * denominator
        numerator = (doubled.numerator + doubled.denominator) // (2 * doubled.denominator)
        return f"within(nearest({numerator} * ({value}), {denominator}), {self.line})"


def _lstm(n: Numbers) -> tuple[Equations, ...]:
    """c ← f·c + i·g, q = c in clocks of the line; then h = o·t, where t is bank g's code of q.

    Peepholes add to the columns of i, f and o, so they change nothing here.
    """
    i, f, g = map(n.scale, "ifg")
    update = Equations(
        products={"fc": ("f", "c"), "ig": ("i", "g")},
        results={
            "c": f"within(nearest({i * g} * fc + {f * n.unit} * ig, {f * i * g}), {n.most})",
            "q": n.pulses("new_c", n.unit),
        },
    )
    return update, _output_of_lstm(n)


def _lstm_coupled(n: Numbers) -> tuple[Equations, ...]:
    """c ← c + i·(g − c), q = c in clocks of the line; then h = o·t."""
    mean = _Mean(n, "c", "i", "g")
    results = {"c": f"within(nearest({n.unit} * ({mean.value}), {mean.one}), {n.most})", "q": n.pulses("new_c", n.unit)}
    return mean.equations(results), _output_of_lstm(n)


def _output_of_lstm(n: Numbers) -> Equations:
    one = n.scale("o") * n.scale("g")
    return Equations(
        products={"ot": ("o", "g")}, results={"h": f"nearest({n.row} * ot, {one})"}, bounds={"ot": one - 1}
    )


def _gru(n: Numbers) -> tuple[Equations, ...]:
    """k = r·s; then s ← n + z·(s − n), h = s."""
    scale = n.scale("r") * n.unit
    reset = Equations(products={"rs": ("r", "s")}, results={"k": f"within(nearest({n.row} * rs, {scale}), {n.row})"})
    return reset, _state_of_gru(n)


def _gru_reset_after(n: Numbers) -> tuple[Equations, ...]:
    """q = r·m in clocks of the line, where a full-scale m is the end of its ramp's range; then as in :func:`_gru`."""
    full_scale = Fraction(n.spec.activation("m").high)
    reset = Equations(
        products={"rm": ("r", "m")}, results={"q": n.pulses("rm", n.scale("r") * n.scale("m"), full_scale)}
    )
    return reset, _state_of_gru(n)


def _state_of_gru(n: Numbers) -> Equations:
    mean = _Mean(n, "n", "z", "s")
    return mean.equations(
        {
            "s": f"within(nearest({n.unit} * ({mean.value}), {mean.one}), {n.most})",
            "h": f"within(nearest({n.row} * new_s, {n.unit}), {n.row})",
        }
    )


def _one_bank(n: Numbers) -> tuple[Equations, ...]:
    """h = a."""
    return (Equations(products={}, results={"h": f"within(nearest({n.row} * a, {n.scale('a')}), {n.row})"}),)


def _row_sums(n: Numbers) -> tuple[Equations, ...]:
    """p = a, the odd integer that a code of a linear ramp stands for."""
    return (Equations(products={}, results={"p": "a"}),)


class _Mean:
    """start + weight·(end − start), of banks and the register.

    Attributes
    ----------
    value, one : str, int
        The exact value is ``value`` / ``one``.
    """

    def __init__(self, n: Numbers, start: str, weight: str, end: str):
        ones = [n.unit if name == n.spec.layout.register else n.scale(name) for name in (start, end)]
        tops = [n.most if name == n.spec.layout.register else n.top(name) for name in (start, end)]
        common = max(ones)  # they are powers of two
        from_, to = (common // one for one in ones)
        largest = [top * factor for top, factor in zip(tops, (from_, to), strict=True)]
        scale = n.scale(weight)
        self.value, self.one = f"{from_ * scale} * {start} + moved", common * scale
        self._differences = {"apart": (f"{to} * {end} - {from_} * {start}", sum(largest))}
        self._products = {"moved": (weight, "apart")}
        # A weight of either sign is no mean: the gateware then saturates wherever the reference does.
        self._bounds = {self.value: scale * max(largest)} if n.spec.activation(weight).low >= 0 else {}

    def equations(self, results: dict[str, str]) -> Equations:
        """The update that stores ``results``."""
        return Equations(self._products, results, self._differences, self._bounds)


#: The updates of each cell.
EQUATIONS: dict[str, Callable[[Numbers], tuple[Equations, ...]]] = {
    "lstm": _lstm,
    "lstm_peephole": _lstm,
    "lstm_coupled": _lstm_coupled,
    "gru": _gru,
    "gru_reset_after": _gru_reset_after,
    "rnn_tanh": _one_bank,
    "rnn_relu": _one_bank,
    "dense": _one_bank,
    SUM_CELL: _row_sums,
}


def equations(spec: Specification) -> tuple[Equations, ...]:
    """The updates of a specification's cell."""
    return EQUATIONS[spec.layout.name](Numbers(spec))
