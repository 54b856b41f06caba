# SPDX-License-Identifier: Apache-2.0
"""Models of vendor cells: what yosys and nextpnr make of memories and multipliers, against the Verilog they read."""

import copy
import json
import random
import re
import subprocess

import pytest
from amaranth import Cat, Module, Mux, Signal, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from crossramp.boards.flow.toolchain import find_tools, run_tool
from crossramp.rtl.verilog.verilog_writer import port_table, to_verilog
from crossramp.sim.netlist.netlist_models import cell_models, complete_netlist
from crossramp.sim.tools.simulators import SimulationError, find_simulator

CLOCKS = 600


def block_memory(m: Module, name: str, depth: int, width: int) -> Memory:
    draw = random.Random(name)
    init = [draw.getrandbits(width) for _ in range(depth)]
    m.submodules[name] = memory = Memory(shape=unsigned(width), depth=depth, init=init, attrs={"ram_style": "block"})
    return memory


class Blocks(wiring.Component):
    """ECP5: block RAMs of every width, written and read at addresses that often meet; through one port; multipliers."""

    SHAPES = ((128, 1), (64, 2), (64, 4), (64, 9), (64, 18), (64, 36), (700, 13))
    MODES = ("old", "new", "kept")

    def __init__(self):
        bits = sum(width for _, width in self.SHAPES) + 9 * len(self.MODES) + 72
        super().__init__({"write": In(10), "read": In(10), "data": In(36), "enable": In(4), "out": Out(bits)})

    def elaborate(self, platform):
        m = Module()
        shown = []
        for depth, width in self.SHAPES:
            memory = block_memory(m, f"shape_{width}", depth, width)
            write, read = memory.write_port(granularity=9 if width in (18, 36) else None), memory.read_port()
            for port, address in ((write, self.write), (read, Mux(self.read[8:] == 0, self.write, self.read))):
                low = address[: (depth - 1).bit_length()]
                m.d.comb += port.addr.eq(Mux(low < depth, low, 0))
            m.d.comb += [write.data.eq(self.data), write.en.eq(self.enable), read.en.eq(self.read[7])]
            shown.append(read.data)
        for mode in self.MODES:
            memory = block_memory(m, f"mode_{mode}", 64, 9)
            write = memory.write_port()
            read = memory.read_port(transparent_for=[write] if mode == "new" else [])
            m.d.comb += [write.addr.eq(self.write[:6]), write.data.eq(self.data), write.en.eq(self.enable[0])]
            m.d.comb += [read.addr.eq(self.write[:6]), read.en.eq(~self.enable[0] if mode == "kept" else 1)]
            shown.append(read.data)
        low, high = self.data[:18], self.data[18:]
        m.d.comb += self.out.eq(Cat(*shown, low * high, low.as_signed() * high.as_signed()))
        return m


class HardBlocks(wiring.Component):
    """UP5K: an SPRAM, a block RAM and a multiplier, behind few pins."""

    def __init__(self):
        super().__init__({"address": In(6), "write": In(1), "data": In(4), "out": Out(8)})

    def elaborate(self, platform):
        m = Module()
        word = Signal(16)
        count = Signal(8)
        was_read = Signal()
        m.d.sync += [was_read.eq(~self.write), word.eq(Cat(self.data, word[:12])), count.eq(count + 1)]
        m.submodules.large = large = Memory(
            shape=unsigned(16), depth=1 << 14, init=[], attrs={"ram_style": "huge", "no_rw_check": 1}
        )
        shown = []
        for memory in (large, block_memory(m, "small", 256, 16)):
            write, read = memory.write_port(), memory.read_port()
            m.d.comb += [write.addr.eq(Cat(self.address, count[6:])), write.data.eq(word), write.en.eq(self.write)]
            m.d.comb += [read.addr.eq(write.addr), read.en.eq(~self.write)]
            shown.append(Mux(was_read, read.data, 0))  # yosys's model of SPRAM shows nothing while it is written
        product = Signal(signed(32))
        m.d.sync += product.eq(word.as_signed() * Cat(self.data, count, self.data).as_signed())
        with m.Switch(count[:3]):
            for k, byte in enumerate([value.word_select(half, 8) for value in shown for half in range(2)]):
                with m.Case(k):
                    m.d.comb += self.out.eq(byte)
            for k in range(4):
                with m.Case(4 + k):
                    m.d.comb += self.out.eq(product.word_select(k, 8))
        return m


def netlist(component, folder, synthesis: str) -> dict:
    """What yosys makes of ``source.v`` in ``folder``, the component's Verilog."""
    (folder / "source.v").write_text(to_verilog(component, "source"))
    script = f"read_verilog source.v\n{synthesis} -top source\nwrite_json netlist.json\n"
    (folder / "netlist.ys").write_text(script)
    assert run_tool(find_tools(["yosys"])["yosys"], ["-q", "netlist.ys"], folder, log="yosys.log") == 0
    return json.loads((folder / "netlist.json").read_text())


def routed(folder) -> dict:
    """What nextpnr makes of ``netlist.json``."""
    tool = find_tools(["nextpnr-ice40"])["nextpnr-ice40"]
    options = ["-q", "--up5k", "--package", "sg48", "--json", "netlist.json", "--pcf-allow-unconstrained"]
    assert run_tool(tool, [*options, "--write", "routed.json"], folder, log="nextpnr.log") == 0
    return json.loads((folder / "routed.json").read_text())


def differences(component, folder, family: str, design: dict) -> tuple[int, int]:
    """(Bits compared, bits that differ) with random inputs, in Icarus; where the source is unknown, all is right."""
    (top,) = [module for module in design["modules"].values() if int(module["attributes"].get("top", "0"), 2)]
    design = {"modules": {"netlist": top}}
    complete_netlist(design)
    (folder / "design.json").write_text(json.dumps(design))
    (folder / "design.ys").write_text("read_json design.json\nwrite_verilog -noexpr design.v\n")
    assert run_tool(find_tools(["yosys"])["yosys"], ["-q", "design.ys"], folder, log="yosys.log") == 0
    (folder / "bench.v").write_text(bench(component))
    models = cell_models(family)
    for name, text in models.items():
        # Icarus 11 has no errors of elaboration.
        (folder / name).write_text(re.sub(r"\$error\(.*\);", "", text))
    programs = find_simulator("icarus")
    # As the netlist is complete, no port needs a default value, which Icarus does not know.
    options = ["-g2012", "-DNO_ICE40_DEFAULT_ASSIGNMENTS", "-s", "bench", "-o", "bench.vvp"]
    files = ["source.v", "design.v", "bench.v", *(name for name in models if name.endswith(".v"))]
    subprocess.run([programs["iverilog"], *options, *files], cwd=folder, check=True)
    done = subprocess.run([programs["vvp"], "-n", "bench.vvp"], cwd=folder, check=True, capture_output=True, text=True)
    compared, differing = re.search(r"^compared (\d+) differing (\d+)$", done.stdout, flags=re.MULTILINE).groups()
    return int(compared), int(differing)


def bench(component) -> str:
    ports = [port for port in port_table(component) if port.name not in ("clk", "rst")]
    inputs = [port for port in ports if port.direction == "input"]
    (out,) = [port for port in ports if port.direction == "output"]
    # The netlist's pads may be inout, which want wires.
    declared = "".join(
        f"  reg [{port.width - 1}:0] {port.name} = 0;\n  wire [{port.width - 1}:0] pin_{port.name} = {port.name};\n"
        for port in inputs
    )
    drawn = "".join(f"      {port.name} = {{$random(seed), $random(seed)}};\n" for port in inputs)
    shared = "".join(f", .{port.name}(pin_{port.name})" for port in inputs)
    return f"""
module bench;
  reg clk = 0, rst = 1;
  wire pin_clk = clk, pin_rst = rst;
  integer seed = 1, clock, place, compared = 0, differing = 0;
{declared}  wire [{out.width - 1}:0] wanted, found;
  source of_source (.clk(pin_clk), .rst(pin_rst){shared}, .out(wanted));
  netlist of_netlist (.clk(pin_clk), .rst(pin_rst){shared}, .out(found));
  initial begin
    for (clock = 0; clock < {CLOCKS}; clock = clock + 1) begin
      rst = clock < 4;
{drawn}      #5;
      for (place = 0; place < {out.width}; place = place + 1)
        if (wanted[place] !== 1'bx && clock > 4) begin
          compared = compared + 1;
          differing = differing + (wanted[place] !== found[place]);
        end
      clk = 1;
      #5 clk = 0;
    end
    $display("compared %0d differing %0d", compared, differing);
  end
endmodule
"""


@pytest.fixture(scope="module")
def ecp5(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ecp5")
    return folder, netlist(Blocks(), folder, "synth_ecp5")


@pytest.fixture(scope="module")
def ice40(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ice40")
    netlist(HardBlocks(), folder, "synth_ice40 -dsp")
    return folder, routed(folder)


def cells(design: dict, kind: str) -> list[dict]:
    return [cell for module in design["modules"].values() for cell in module["cells"].values() if cell["type"] == kind]


def test_ecp5_blocks(ecp5):
    folder, design = ecp5
    memories = cells(design, "DP16KD")
    widths = {int(cell["parameters"][f"DATA_WIDTH_{port}"], 2) for cell in memories for port in "AB"}
    modes = {cell["parameters"]["WRITEMODE_A"] for cell in memories if "WRITEMODE_A" in cell["parameters"]}
    assert widths == {1, 2, 4, 9, 18, 36}
    assert modes == {"NORMAL", "WRITETHROUGH", "READBEFOREWRITE"}
    assert len(cells(design, "MULT18X18D")) == 2
    compared, differing = differences(Blocks(), folder, "ecp5", design)
    assert compared > 0.9 * CLOCKS * len(Blocks().out)
    assert differing == 0


def test_ice40_blocks_after_layout(ice40):
    folder, design = ice40
    for kind in ("ICESTORM_DSP", "ICESTORM_SPRAM", "ICESTORM_RAM"):
        assert len(cells(design, kind)) == 1
    compared, differing = differences(HardBlocks(), folder, "ice40", design)
    assert compared > 0.5 * CLOCKS * 8
    assert differing == 0


def test_wrong_contents_are_found(ice40, ecp5):
    for (folder, design), kind, name in ((ecp5, "DP16KD", "INITVAL_00"), (ice40, "ICESTORM_RAM", "INIT_0")):
        faulty = copy.deepcopy(design)
        parameters = cells(faulty, kind)[-1]["parameters"]
        parameters[name] = parameters[name].translate(str.maketrans("01", "10"))
        component, family = (Blocks(), "ecp5") if kind == "DP16KD" else (HardBlocks(), "ice40")
        assert differences(component, folder, family, faulty)[1] > 0


def test_a_clock_without_a_pad_is_refused():
    buffer = {
        "type": "SB_GB",
        "port_directions": {"USER_SIGNAL_TO_GLOBAL_BUFFER": "input", "GLOBAL_BUFFER_OUTPUT": "output"},
        "connections": {"USER_SIGNAL_TO_GLOBAL_BUFFER": [], "GLOBAL_BUFFER_OUTPUT": [7]},
    }
    with pytest.raises(SimulationError, match=r"nothing drives the global buffer \$gbuf_clk_io"):
        complete_netlist({"modules": {"top": {"ports": {}, "cells": {"$gbuf_clk_io": buffer}}}})


def test_another_family_is_refused():
    with pytest.raises(ValueError, match="family is 'gowin'; there are cell models for: ice40, ecp5"):
        cell_models("gowin")
