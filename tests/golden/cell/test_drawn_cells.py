# SPDX-License-Identifier: Apache-2.0
"""Cells that nobody has thought of: their macros in Amaranth's simulator equal golden, and golden exact fractions."""

from fractions import Fraction

import numpy as np
import pytest
from crossramp.golden.cell.description import FIXED, LINE, Cell, Store
from crossramp.golden.cell.exact import Exact, evaluate
from crossramp.golden.cell.library import CELLS
from crossramp.golden.network.network import Network
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.macro import Macro

from tests.support.amaranth_benches import MacroRun
from tests.support.drawn_cells import drawn_cell
from tests.support.planted import planted
from tests.support.references.exact_numbers import Numbers
from tests.support.strategies import inputs_of, network_of

#: Of 150 of them the same was found once.
DRAWN = 16
SIZES = {"batch": 2, "steps": 3}


@pytest.fixture(params=range(DRAWN))
def drawn(request, seed, monkeypatch) -> tuple[Network, np.ndarray, np.random.Generator]:
    """A network of a drawn cell, its inputs, and a generator for the rest."""
    rng = np.random.default_rng([seed, request.param])
    cell = drawn_cell(f"drawn_{seed}_{request.param}", rng)
    monkeypatch.setitem(CELLS, cell.name, cell)
    units = int(rng.integers(1, 5))
    spec = Specification(
        inputs=int(rng.integers(1, 4)),
        units=units,
        classes=2,
        cell=cell.name,
        bias_rows=int(rng.integers(0, 3)),
        adc_bits=int(rng.integers(2, 5)),
        input_bits=int(rng.integers(2, 5)),
        weight_bits=int(rng.integers(3, 5)),
        lanes=int(rng.integers(1, units, endpoint=True)),
        latch=str(rng.choice(["last_high", "first_trip"])),
        comparator_registers=int(rng.integers(0, 2)),
        projection=int(rng.integers(0, units + 1)) if rng.random() < 0.3 else 0,
        **({"state_bits": 7, "state_frac_bits": int(rng.integers(2, 7))} if cell.register else {}),
    )
    return network_of(spec, request.param), inputs_of(spec, request.param, **SIZES), rng


def test_the_macro_equals_golden(drawn):
    network, x, rng = drawn
    dut = Macro(network.spec, compact=bool(rng.integers(0, 2)), projection_weights=network.weights.projection)
    run = MacroRun(network.spec, network.weights, list(x), rng=rng, probability=float(rng.choice([0, 0.2])), dut=dut)
    run.assert_equals(network.lstm.run(x))
    run.checker.check_finished()


def unit_of(cell: Cell, n: Numbers, store: Store) -> Fraction:
    """The unit of a line's exact value: the finest of its products, each a product of the units of its factors."""
    exact = evaluate(store.expression, lambda name: Exact(0, shift_of(cell, n, name)))
    return Fraction(1, 2**exact.shift)


def shift_of(cell: Cell, n: Numbers, name: str) -> int:
    if name == cell.register:
        return n.frac_bits
    return (1 / n.unit(cell.gate_of(name))).numerator.bit_length() - 1


def differences(network: Network, x: np.ndarray) -> list[str]:
    """Stored values that are not those of the program's texts, which Python evaluates in fractions."""
    cell, n = network.spec.layout, Numbers(network.spec.to_dict())
    trace, units = network.lstm.run(x), network.spec.units
    found = []
    for at in np.ndindex(x.shape[:2]):
        before = np.zeros(units, int) if at[1] == 0 or trace.c is None else trace.c[at[0], at[1] - 1]
        for u in range(units):
            known = {cell.register: n.registered(int(before[u]))} if cell.register else {}
            for codes, shown in zip(cell.conversions, (trace.codes, trace.state_codes), strict=False):
                for place, (bank, code) in enumerate(codes.items()):
                    known[code] = n.value(bank, int(shown[at][place * units + u]))
            for stores in cell.stores:
                for store in stores:
                    value = eval(store.text, {}, known)
                    form = cell.values[store.name]
                    if form == FIXED:
                        got, expected = trace.c[at][u], n.register(value)
                        known[store.name] = n.registered(expected)
                    elif store.name == cell.output:
                        got, expected = trace.h[at][u], n.row(value)
                    else:
                        got = trace.state_pulses[at][cell.inner_values.index(store.name) * units + u]
                        expected = (
                            n.row(value) if form != LINE else n.line(value, unit_of(cell, n, store), cell.state_gate)
                        )
                    if got != expected:
                        found.append(f"{store.name} of unit {u} in {at}: {got}, expected {expected}")
    return found


def test_stored_values_are_exact(drawn):
    network, x, _ = drawn
    assert differences(network_of(network.spec.replace(projection=0), 3), x) == []


def test_a_store_that_rounds_otherwise_is_noticed(seed):
    spec = Specification(inputs=3, units=3, classes=2, cell="gru")
    network, x = network_of(spec, seed), inputs_of(spec, seed, **SIZES)
    assert differences(network, x) == []
    old = "round_shift(exact * rule.multiplier, rule.shift)"
    with planted("golden/macro/cell_update.py", old, "(exact * rule.multiplier >> rule.shift)"):
        assert differences(network, x) != []
