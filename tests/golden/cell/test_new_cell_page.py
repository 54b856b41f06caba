# SPDX-License-Identifier: Apache-2.0
"""The cell that docs/new-cell.md adds: its code is run, and golden and gateware equal the page's own reference."""

import re
from pathlib import Path

import numpy as np
import pytest
from crossramp.golden.cell import description, library
from crossramp.golden.cell.cell_checks import check
from crossramp.golden.macro import step_groups
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.macro import Macro

from tests.support.amaranth_benches import MacroRun
from tests.support.strategies import inputs_of, network_of

PAGE = Path(__file__).parents[3] / "docs" / "new-cell.md"


@pytest.fixture
def page(monkeypatch) -> dict:
    """The names that the page's code defines; its cell is in the library."""
    names = vars(description) | vars(library)
    for text in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(text, names)
    cell = check(names["LIGHT_GRU"])
    monkeypatch.setitem(library.CELLS, cell.name, cell)
    yield names
    step_groups.groups_of.cache_clear()


def spec_of(page, **changes) -> Specification:
    sizes = {"inputs": 3, "units": 5, "classes": 2, "lanes": 2, "adc_bits": 4}
    return Specification(cell=page["LIGHT_GRU"].name, **sizes | changes)


def test_the_cell_has_one_conversion_and_no_lines(page):
    spec = spec_of(page)
    assert (spec.columns, spec.rows, spec.windows) == (10, 9, (15,))
    assert (spec.state_bits, spec.state_frac_bits, spec.state_lines, spec.reset_groups) == (8, 7, 0, 1)
    assert Specification.from_dict(spec.to_dict()) == spec


@pytest.mark.parametrize("adc_bits", [2, 5])
def test_golden_equals_the_pages_reference(page, adc_bits, seed):
    spec = spec_of(page, adc_bits=adc_bits)
    trace = network_of(spec, seed).run(inputs_of(spec, seed, batch=4, steps=6))
    codes = {gate: spec.of_bank(trace.codes, gate) for gate in "zn"}
    s = np.zeros_like(trace.c[:, 0])
    for t in range(6):
        expected = [
            page["light_gru"](spec, int(codes["z"][b, t, u]), int(codes["n"][b, t, u]), int(s[b, u]))
            for b in range(4)
            for u in range(spec.units)
        ]
        s = trace.c[:, t]
        assert list(zip(s.ravel().tolist(), trace.h[:, t].ravel().tolist(), strict=True)) == expected
    assert len(np.unique(trace.c)) > 20


def test_the_gateware_equals_golden(page, seed, rng):
    spec = spec_of(page)
    network, x = network_of(spec, seed), inputs_of(spec, seed, batch=2, steps=4)
    run = MacroRun(spec, network.weights, list(x), rng=rng, probability=0.1, dut=Macro(spec))
    run.assert_equals(network.run(x))
