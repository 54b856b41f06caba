# SPDX-License-Identifier: Apache-2.0
"""The Verilog writer: names, time 0, reset and initial values, in both simulators' own tools."""

import operator
import re
import subprocess
from functools import cache
from pathlib import Path

import crossramp.rtl.verilog.verilog_writer
import pytest
from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from crossramp.rtl.verilog.backend_text import UnexpectedText, cured
from crossramp.rtl.verilog.verilog_writer import port_table, to_verilog

from tests.support.bare_verilog import strip_initial

# Reading the ports of a component is all that some tests want of it.
pytestmark = pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")


class Decoder(wiring.Component):
    """A purely combinational block whose input rests at its initial value: it runs only if something wakes it."""

    a: In(4)
    y: Out(4)

    def elaborate(self, platform):
        m = Module()
        with m.Switch(self.a):
            with m.Case(0):
                m.d.comb += self.y.eq(9)
            with m.Default():
                m.d.comb += self.y.eq(5)
        return m


class Sample(wiring.Component):
    """Every kind of port and register that the macro has, and no more: it starts by itself."""

    def __init__(self):
        coded = data.StructLayout({"code": signed(5), "last": 1})
        array = wiring.Signature({"row_pos": Out(8, init=3), "comparators": In(4)})
        super().__init__(
            {
                "x": In(stream.Signature(coded)),
                "h": Out(stream.Signature(data.StructLayout({"codes": 10, "end": 1}))),
                "plain": Out(stream.Signature(8)),
                "array": Out(array),
                "count": Out(4),
                "decoded": Out(4),
                "nothing": In(0),
                "less": Out(0),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.table = table = memory.Memory(shape=8, depth=4, init=[17, 18, 19, 20])
        m.submodules.decoder = decoder = Decoder()
        port = table.read_port()
        go = Signal(init=1)
        with m.If(go):
            m.d.sync += self.count.eq(self.count + 1 + self.nothing)
        m.d.comb += [
            port.addr.eq(self.count),
            decoder.a.eq(self.count),
            self.decoded.eq(decoder.y),
            self.x.ready.eq(1),
            self.h.valid.eq(self.x.valid),
            self.plain.payload.eq(port.data),
        ]
        with m.If(self.x.valid):  # and h.p.end is never driven: a block without an input
            m.d.comb += self.h.p.codes.eq(self.x.p.code)
        m.d.sync += self.array.row_pos.eq(self.array.row_pos + self.array.comparators)
        return m


BENCH = """
module bench;
  reg clk = 0, rst = 0;
  wire [3:0] count, decoded;
  wire [7:0] row_pos;
  wire h_end;
  sample dut(.clk(clk), .rst(rst), .x_valid(1'b0), .x_code(5'd0), .x_last(1'b0),
             .h_ready(1'b0), .h_end(h_end), .plain_ready(1'b0), .array_comparators(4'd0),
             .array_row_pos(row_pos), .count(count), .decoded(decoded));
  initial begin
    #3 $display("start %b %b %b %b", count, decoded, row_pos, h_end);
    #1 clk = 1; #1 clk = 0; #1 clk = 1; #1 clk = 0;
    $display("two clocks %b", count);
    rst = 1; #1 $display("reset, no clock %b", count);
    clk = 1; #1 $display("reset, one clock %b", count);
    $finish;
  end
endmodule
"""


@pytest.fixture(scope="module")
def sample() -> str:
    return to_verilog(Sample(), "sample")


PORTS = list(map(operator.attrgetter("name"), port_table(Sample())))


@cache
def raw() -> str:
    """What the back end alone writes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crossramp.rtl.verilog.verilog_writer, "cured", lambda text, *_: text)
        return to_verilog(Sample(), "sample").partition("\n\n")[2]


def run_icarus(tmp_path: Path, text: str, *options: str) -> list[str]:
    (tmp_path / "design.v").write_text(text + BENCH)
    subprocess.run(["iverilog", *options, "-o", "design.vvp", "design.v"], cwd=tmp_path, check=True)
    done = subprocess.run(["vvp", "-n", "design.vvp"], cwd=tmp_path, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def test_ports_are_flat_and_in_order(sample):
    ports = {port.name: (port.direction, port.width) for port in port_table(Sample())}
    assert list(ports.items())[:4] == [
        ("clk", ("input", 1)),
        ("rst", ("input", 1)),
        ("x_code", ("input", 5)),
        ("x_last", ("input", 1)),
    ]
    assert ports["h_codes"] == ("output", 10)
    assert ports["plain_payload"] == ("output", 8)
    assert ports["array_comparators"] == ("input", 4)
    assert not {"nothing", "less"} & set(ports)
    assert "[-1:0]" not in sample
    header = re.search(r"^module sample\(([^)]*)\);", sample, flags=re.MULTILINE)[1]
    assert [name.strip() for name in header.split(",")] == list(ports)
    assert port_table(Sample())[0].meaning == "clock"


def test_text_is_the_same_each_time_and_names_no_machine(sample):
    assert sample == to_verilog(Sample(), "sample")
    assert "src" not in sample
    assert "/" not in re.sub(r"//|/\*[^/]*\*/", "", sample)
    assert "$auto$" not in sample
    assert not re.search(r"^module \\", sample, flags=re.MULTILINE)


def test_header_is_a_comment():
    text = to_verilog(Sample(), "sample", header="first\nsecond `endmodule")
    assert "// first\n// second `endmodule\n" in text


@pytest.mark.parametrize("options", [(), ("-g2005",), ("-g2012",)], ids=["default", "2005", "2012"])
def test_starts_by_itself_in_icarus(tmp_path, sample, options):
    lines = run_icarus(tmp_path, sample, *options)
    assert lines == [
        "start 0000 1001 00000011 0",
        "two clocks 0010",
        "reset, no clock 0010",
        "reset, one clock 0000",
    ]


def test_without_the_cure_icarus_stays_x(tmp_path):
    """The test above can fail: this is what the back end alone gives."""
    assert "xxxx" in run_icarus(tmp_path, raw(), "-g2012")[0]


def test_asynchronous_reset_needs_no_clock(tmp_path):
    lines = run_icarus(tmp_path, to_verilog(Sample(), "sample", async_reset=True))
    assert lines[2] == "reset, no clock 0000"


def test_strip_initial_keeps_memories_only(tmp_path, sample):
    bare = strip_initial(sample)
    assert "  reg [3:0] count;\n  initial count = 4'h0;\n" in sample
    assert re.findall(r"^ *initial ([a-z]\w*)", bare, flags=re.MULTILINE) == [
        "wake_at_time_zero",
        "begin",
        "wake_at_time_zero",
    ]
    assert "[2] = 8'h13;" in bare
    # An escaped name ends with a space.
    assert strip_initial("  reg \\a.b ;\n  initial \\a.b  = 1'h0;\n") == "  reg \\a.b ;\n"
    lines = run_icarus(tmp_path, bare)
    assert lines[0].startswith("start xxxx")
    assert lines[3] == "reset, one clock 0000"


# What another version of yosys might write, and what the text would then still have.
@pytest.mark.parametrize(
    ("before", "after", "named"),
    [
        ("/* Generated", "// Generated", "no comment begins"),
        ("*/", "* /", "no comment begins"),
        ("always @*\n", "always @(*)\n", "block without an event"),
        ("always @* begin\n", "always_comb begin\n", "block without an event"),
        ("always @* begin\n", "always\n    @* begin\n", "block without an event"),
        ("module sample(", "module sample (", "the ports of module sample"),
        ("module sample(rst", "module sample(rst, more", "the ports of module sample"),
        ("module \\", "module  \\", "module name"),
        ("  wire ", "  wire [-1:0] nothing, other;\n  wire ", "wire of no bits"),
        ("  wire ", "  (* init = 1, keep = 1 *) (* init = 1'h0 *)\n  wire ", "attribute or wire"),
        ("  wire ", '  (* ram_style = "huge" *) reg [7:0] kept [3:0];\n  wire ', "memory of the ram_style huge"),
        ("  wire ", '  (* ram_style = "huge" *)\n  reg [7:0] a [3:0];\n  initial a[0] = 1;\n  wire ', "ram_style huge"),
        ("  reg [", "  reg [0:0] first = 0, second = 0;\n  reg [", "initial value in a declaration"),
        ("reg \\$auto$verilog", "reg [0:0] \\$auto$verilog", "register of the back end"),
    ],
)
def test_an_unexpected_text_is_refused(before, after, named):
    written = raw()
    assert cured(written, "sample", PORTS) in to_verilog(Sample(), "sample")
    changed = written.replace(before, after)
    assert changed != written
    with pytest.raises(UnexpectedText, match=named):
        cured(changed, "sample", PORTS)


def test_bad_names_are_refused():
    with pytest.raises(ValueError, match=r"'2fast'.*letter first"):
        to_verilog(Sample(), "2fast")
    with pytest.raises(ValueError, match="'table' is a word of the Verilog language"):
        to_verilog(Sample(), "table")
    clash = wiring.Signature({"a": Out(wiring.Signature({"b": Out(1)})), "a_b": Out(1)})
    with pytest.raises(ValueError, match="two ports would be called 'a_b'"):
        port_table(wiring.Component(clash))
    with pytest.raises(ValueError, match="port 'small' is a word of the Verilog language"):
        port_table(wiring.Component({"small": Out(1)}))


class Large(wiring.Component):
    """Two memories with the same contents, one of them of the kind that cannot have any."""

    address: In(2)
    little: Out(8)
    huge: Out(8)

    def elaborate(self, platform):
        m = Module()
        for name, attributes in (("little", {}), ("huge", {"no_rw_check": 1, "ram_style": "huge"})):
            m.submodules[name] = kept = memory.Memory(shape=8, depth=4, init=[17, 18, 19, 20], attrs=attributes)
            read, write = kept.read_port(), kept.write_port()
            m.d.comb += [read.addr.eq(self.address), getattr(self, name).eq(read.data), write.addr.eq(self.address)]
        return m


def test_a_memory_that_cannot_be_initialized_is_not():
    text = to_verilog(Large(), "two_memories")
    assert text.count("= 8'h13;") == 1  # the third word, of the little one alone
    assert re.search(r'ram_style = "huge" \*\)\n *reg [^;]*;\n *(?!initial)', text)
