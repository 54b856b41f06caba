# SPDX-License-Identifier: Apache-2.0
"""Gradients of every cell are those of plain operations under autograd, with straight-through rounding."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from crossramp.golden.array.ramps import Ramp
from crossramp.golden.cell.cell_checks import check
from crossramp.golden.cell.description import Conversion, Gate
from crossramp.golden.cell.library import CELLS, DENSE, GRU, LSTM, LSTM_PEEPHOLE, RNN_TANH
from crossramp.golden.spec.specification import Specification
from crossramp.golden.spec.update_formats import store_rule
from crossramp.train.quantized import sequence_backward
from crossramp.train.quantized.array_projection import ArrayProjection
from crossramp.train.quantized.conversion_tables import ConversionTables
from crossramp.train.quantized.imperfections import Array
from crossramp.train.quantized.sequence import Conversions, run_sequence
from crossramp.train.quantized.step_plan import step_plan

STEPS, BATCH = 7, 5

_SMOOTH = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "identity": lambda value: value,
    "silu": lambda value: value * torch.sigmoid(value),
    "gelu": lambda value: value * torch.erfc(-value / 2**0.5) / 2,
    "gaussian": lambda value: torch.exp(-value * value),
    "clipped_relu": lambda value: (value + value.abs()) / 2,  # with a slope of a half at 0, as the tables have
}


def swap(exact, smooth):
    """The value of one, the gradient of the other."""
    return smooth + (exact - smooth).detach()


def rounded(value):
    return swap(torch.trunc(value + torch.full_like(value, 0.5).copysign(value)), value)


def saturated(code, limit):
    """An integer within ±limit; no gradient passes from beyond."""
    return torch.where(code.detach().round().abs() <= limit, code, code.detach().clamp(-limit, limit))


class Plain:
    """A pass in plain operations on real numbers; expressions are evaluated by Python from their texts."""

    def __init__(self, spec, drive, rows, lines, bias, projection, register=None, first=None):
        self.start = register, first
        self.spec, self.drive, self.rows = spec, drive, rows
        self.lines, self.bias, self.projection = lines, bias, projection

    def decoded(self, macs, gate):
        ramp = Ramp.of_gate(self.spec, gate)
        exact = torch.from_numpy(ramp.decode(ramp.convert(macs.detach().round().numpy().astype(np.int64))))
        act = ramp.activation
        return swap(exact, _SMOOTH[act.name](macs * ramp.scale).clamp(act.low, act.high))

    def charge(self, gate, window, step, codes):
        """Of a bank, from what one window drives."""
        spec, cell = self.spec, self.spec.layout
        driven = cell.steps[window][0].driven
        bank = spec.bank(gate)
        charge = self.drive[step][:, bank] if window == 0 else torch.zeros(BATCH, spec.units, dtype=torch.float64)
        if window and "1" in driven:
            charge = charge + self.bias[bank]
        for group in set(driven) & set(self.rows):
            charge = charge + codes[driven[group]] @ self.rows[group][:, bank]
        trained = [part for part in spec.line_cells if part.trained]
        for part in spec.line_cells:
            if part.bank == gate and part.line in driven:
                level = self.lines[trained.index(part)] if part.trained else spec.state_cell
                charge = charge + level * codes[driven[part.line]]
        return charge

    def line(self, value, store):
        """A pulse code of the lines; where it saturates the gradient passes."""
        spec = self.spec
        rule, unit = store_rule(spec, store), self.unit(store)
        code = rounded(value / unit * rule.multiplier / 2**rule.shift)
        return swap(code.clamp(-rule.limit, rule.limit), code)

    def unit(self, store):
        """The real value of one in the exact expression, which is a product of codes, or the register."""
        spec, cell = self.spec, self.spec.layout
        unit = 1.0
        for name in store.text.split("*"):
            if name == cell.register:
                unit *= 2.0**-spec.state_frac_bits
            else:
                gate = cell.gate_of(name)
                unit *= spec.activation(gate).high * 2.0 ** -spec.value_shift(gate)
        return unit

    def hidden(self):
        spec, cell = self.spec, self.spec.layout
        register, first = self.start
        real = {cell.register: torch.zeros(BATCH, spec.units, dtype=torch.float64)}
        if register is not None:
            real[cell.register] = register / 2.0**spec.state_frac_bits
        codes, out = {cell.output: torch.zeros(BATCH, spec.hidden, dtype=torch.float64) if first is None else first}, []
        stores = {store.name: store for part in cell.stores for store in part}
        for step in range(STEPS):
            if cell.line_value_is_state:
                codes[cell.line_value] = self.line(real[cell.register], stores[cell.line_value])
            charges = {}
            for k, latched in enumerate(cell.conversions):
                charges |= {
                    (gate, k): self.charge(gate, k, step, codes) for gate in cell.banks if cell.is_driven(gate, k)
                }
                for gate, name in latched.items():
                    held = sum(charges[gate, window] for window in cell.windows(gate, k))
                    real[name] = self.decoded(held, gate)
                for store in cell.stores[k]:
                    value = eval(store.text, {}, real)
                    if cell.values[store.name] == "fixed":
                        scale = 2.0**spec.state_frac_bits
                        real[store.name] = rounded(value * scale).clamp(-spec.state_max, spec.state_max) / scale
                    elif cell.values[store.name] == "line":
                        codes[store.name] = self.line(value, store)
                    else:
                        codes[store.name] = saturated(rounded(value * spec.input_max), spec.input_max)
            if spec.array_projects:
                dense = Plain(spec.projection_macro, None, {}, None, None, None)
                value = dense.decoded(codes[cell.output] @ self.projection.t(), "a")
                codes[cell.output] = saturated(rounded(value * spec.input_max), spec.input_max)
            elif self.projection is not None:
                sums = rounded(codes[cell.output] @ self.projection.t() / 2**spec.projection_shift)
                codes[cell.output] = saturated(sums, spec.input_max)
            out.append(codes[cell.output])
        return torch.stack(out)


def pass_of(spec, rng):
    """The inputs of a pass, each drawn and with a gradient; None for those that the cell lacks."""

    def drawn(limit, *shape):
        return torch.from_numpy(rng.integers(-limit, limit + 1, shape).astype(float)).requires_grad_()

    cell, sizes = spec.layout, spec.row_sizes
    # MACs stay within the tables: beyond them the slope is that of their end.
    groups = {group: drawn(5, size, spec.columns) for group, size in sizes.items() if group not in ("x", "1")}
    rows = {group: levels * torch.tensor(spec.placed[spec.rows_of(group)]) for group, levels in groups.items()}
    later = any("1" in conversion.driven for conversion, _ in cell.steps[1:])
    return {
        "drive": drawn(150, STEPS, BATCH, spec.columns),
        "rows": {group: levels.detach().requires_grad_() for group, levels in rows.items()},
        "lines": drawn(15, spec.trained_lines, spec.units) if spec.trained_lines else None,
        "bias": drawn(200, spec.columns) if later else None,
        "projection": drawn(9 if spec.array_projects else 127, spec.projection, spec.units)
        if spec.projection
        else None,
        "register": drawn(spec.state_max // 8, BATCH, spec.units) if cell.register else None,
        "first": drawn(spec.input_max, BATCH, spec.hidden) if spec.output_is_state else None,
    }


def compare(spec, rng):
    """Both passes, and both gradients, of the same numbers."""
    given = pass_of(spec, rng)
    goal = torch.from_numpy(rng.normal(size=(STEPS, BATCH, spec.hidden)))
    levels = torch.zeros(spec.rows, spec.columns, dtype=torch.float64)
    array = Array(spec, levels, given["lines"])
    tables = ConversionTables(spec, torch.float64, array)
    projecting = None
    if spec.array_projects:
        dense = spec.projection_macro
        of_projection = Array(dense, torch.zeros(dense.rows, dense.columns, dtype=torch.float64))
        projecting = ArrayProjection(spec, of_projection, ConversionTables(dense, torch.float64, of_projection))
    levels = given["rows"], given["lines"], given["bias"]
    conversions = Conversions(spec, array, tables, given["drive"], *levels, projecting=projecting)
    register, first = given["register"], given["first"]
    start = None
    if first is not None:
        start = (torch.zeros(BATCH, spec.units, dtype=torch.float64) if register is None else register), first
    found, _, _ = run_sequence(conversions, given["projection"], start)
    expected = Plain(spec, **given).hidden()
    assert torch.equal(found.detach(), expected.detach().round())
    names = [name for name, value in given.items() if value is not None and name != "rows"] + list(given["rows"])
    inputs = [given["rows"].get(name, given.get(name)) for name in names]
    gradients = [torch.autograd.grad((hidden * goal).sum(), inputs, allow_unused=True) for hidden in (found, expected)]
    for name, one, other in zip(names, *gradients, strict=True):
        if name == "register":  # which counts in fine units
            one, other = (gradient * 2.0**spec.state_frac_bits for gradient in (one, other))
        assert other.abs().max() > 1e-3, name
        if name in given["rows"]:  # what has no memristor has no gradient that anybody uses
            placed = torch.tensor(spec.placed[spec.rows_of(name)])
            one, other = one * placed, other * placed
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}")


def specification(cell, projection=0):
    """Fine registers: with float64, the comparison is not blurred by rounding errors."""
    register = {}
    if CELLS[cell].register:
        register = {"state_bits": 21 if CELLS[cell].bounded else 24, "state_frac_bits": 20}
    return Specification(inputs=1, units=3, classes=2, cell=cell, projection=projection, **register)


@pytest.mark.parametrize("projection", [0, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_the_straight_through_ones(cell, projection, rng):
    compare(specification(cell, projection), rng)


@pytest.mark.parametrize("cell", ["lstm", "lstm_peephole", "gru", "gru_reset_after", "rnn_tanh", "dense"])
def test_gradients_of_projections_in_arrays(cell, rng):
    changes = {"classes": 0, "projection_in": "array", "projection_bits": 6, "projection_range": 2.0}
    compare(specification(cell).replace(projection=2, **changes), rng)


def test_a_wrong_slope_of_a_projection_is_seen(rng, monkeypatch):
    right = sequence_backward.charge_gradient

    def steeper(spec, values, slopes, gradient, out):
        right(spec, values, slopes * 1.001, gradient, out)

    monkeypatch.setattr(sequence_backward, "charge_gradient", steeper)
    with pytest.raises(AssertionError, match="not close"):
        compare(specification("gru").replace(classes=0, projection=2, projection_in="array"), rng)


@pytest.mark.parametrize(
    ("cell", "gates"),
    [
        ("dense", (Gate("silu", 2.0),)),
        ("dense", (Gate("gaussian", 2.0, 4),)),
        ("gru", (Gate("gaussian", 2.0, 6), Gate("sigmoid", 2.0, 4), Gate("gelu", 2.0))),
        ("lstm", (Gate("sigmoid", 2.0, 6), Gate("gaussian", 2.0), Gate("silu", 225 / 112, 6), Gate("sigmoid", 2.0, 6))),
    ],
)
def test_gradients_of_curves_that_turn(cell, gates, rng):
    compare(specification(cell).replace(gates=gates), rng)


def variant(cell, **changes):
    """Another cell with a name of its own, known while a test runs."""
    return check(replace(cell, name=f"{cell.name}_{next(_NUMBERS)}", **changes))


_NUMBERS = itertools.count()


def program(cell, **changes):
    """A program with another first or second conversion."""
    found = list(cell.program)
    for k, part in enumerate([part for part in found if isinstance(part, Conversion)]):
        found[found.index(part)] = changes.get(("first", "second")[k], part)
    return tuple(found)


def cells_of(cell, **changes):
    """The banks of a cell, some with other memristors."""
    return cell.banks | {name: replace(cell.banks[name], cells=text) for name, text in changes.items()}


def stored(cell, text):
    """A cell of one conversion whose h is another expression of its code."""
    return variant(cell, program=(cell.program[0], replace(cell.program[1], text=text)))


VARIANTS = {
    "bias rows in the second window": variant(
        GRU, banks=cells_of(GRU, r="x h", z="x h"), program=program(GRU, second=Conversion("k 1", "n"))
    ),
    "bias rows in the second window alone": variant(
        GRU,
        banks=cells_of(GRU, r="x h", z="x h"),
        program=program(GRU, first=Conversion("x h", "r z"), second=Conversion("k 1", "n")),
    ),
    "h in both windows": variant(
        LSTM_PEEPHOLE,
        banks=cells_of(LSTM_PEEPHOLE, i="x 1 a*", f="x 1 a*"),
        program=program(LSTM_PEEPHOLE, second=Conversion("q h", "g>t o")),
    ),
    "one peephole": variant(
        LSTM,
        banks=cells_of(LSTM, o="x h 1 q*"),
        program=program(LSTM, first=Conversion("x h 1", "i f g"), second=Conversion("q", "g>t o")),
    ),
    "no bias rows": variant(
        RNN_TANH, banks=cells_of(RNN_TANH, a="x h"), program=(Conversion("x h", "a"), *RNN_TANH.program[1:])
    ),
    "a row that saturates": stored(RNN_TANH, "a + a"),
    "a difference from one": stored(RNN_TANH, "(1 - a)*a"),
    "twice the same code": stored(DENSE, "a*a"),
    "a number first": stored(RNN_TANH, "1 - a*a"),
    "a number last": stored(RNN_TANH, "a*2 - 1"),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_descriptions_beyond_the_library(name, rng, monkeypatch):
    cell = VARIANTS[name]
    monkeypatch.setitem(CELLS, cell.name, cell)
    compare(specification(cell.name), rng)


def test_a_planted_fault_in_the_way_back_is_seen(rng, monkeypatch):
    """A slope too large by a thousandth."""
    convert = ConversionTables.convert

    def steeper(self, number, macs, values, slopes):
        convert(self, number, macs, values, slopes)
        slopes.mul_(1.001)

    monkeypatch.setattr(ConversionTables, "convert", steeper)
    with pytest.raises(AssertionError, match="not close"):
        compare(specification("gru_reset_after"), rng)


def test_a_cell_that_drives_an_old_register_is_refused(monkeypatch):
    cell = variant(LSTM, program=(LSTM.program[0], LSTM.program[2], LSTM.program[1], *LSTM.program[3:]))
    monkeypatch.setitem(CELLS, cell.name, cell)
    with pytest.raises(ValueError, match=r"cell lstm_\d+ drives q before it stores c, so it cannot be trained"):
        step_plan(specification(cell.name))
