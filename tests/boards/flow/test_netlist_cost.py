# SPDX-License-Identifier: Apache-2.0
"""Cells of each module, counted in real netlists."""

import json
import shutil
from collections import Counter

import pytest
from crossramp.boards.definitions.board import boards
from crossramp.boards.flow.netlist_cost import ROWS, kind_of, module_costs
from crossramp.boards.flow.synthesis import make_bitstream
from crossramp.golden.network.model_file import load_model

NAMES = ["icebreaker", pytest.param("ulx3s-85f", marks=pytest.mark.every_board)]


@pytest.fixture(scope="module", params=NAMES)
def made(request, pytestconfig):
    board = boards()[request.param]
    cache = pytestconfig.rootpath / "build" / "simulation"
    return make_bitstream(board, board.build(load_model("kws").spec), folder=cache)


def totals(costs: dict) -> Counter:
    return sum((Counter(cells) for cells in costs.values()), Counter())


def test_nothing_is_counted_twice_or_not_at_all(made):
    family = made.board.family
    cells = json.loads((made.folder / "cells.json").read_text())["design"]["num_cells_by_type"]
    whole = Counter()
    for kind, count in cells.items():
        whole[kind_of(kind, family)] += count
    del whole[None]
    costs = module_costs(made.folder / "top.json", family)
    assert totals(costs) == whole
    assert set(costs) <= set(ROWS)


def test_flip_flops_are_where_the_gateware_puts_them(made):
    spec = made.build.spec
    costs = module_costs(made.folder / "top.json", made.board.family)
    assert costs["capture"]["flip-flops"] == spec.columns * spec.adc_bits
    assert "flip-flops" not in costs["readout"]
    assert costs["readout"]["LUTs"] >= 4 * spec.lanes
    # A driver's flip-flops for each wire, and a pulse code's for each row that h and c drive.
    codes = spec.units * (spec.input_bits + spec.state_pulse_bits)
    wires = 2 * (spec.inputs + 2 * spec.units)
    assert costs["row drivers"]["flip-flops"] == codes + wires
    assert costs["crossbar emulator"].get("multipliers", 0) + costs["crossbar emulator"]["LUTs"] > 0


def test_another_cell_is_another_count(made, tmp_path):
    design = json.loads((made.folder / "top.json").read_text())
    cells = design["modules"]["top"]["cells"]
    name = next(name for name, cell in cells.items() if kind_of(cell["type"], made.board.family) == "LUTs")
    del cells[name]
    (tmp_path / "top.json").write_text(json.dumps(design))
    shutil.copyfile(made.core, tmp_path / "crossramp_board.v")
    before = totals(module_costs(made.folder / "top.json", made.board.family))
    after = totals(module_costs(tmp_path / "top.json", made.board.family))
    assert before - after == Counter({"LUTs": 1})
