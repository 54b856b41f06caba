# SPDX-License-Identifier: Apache-2.0
"""What is done to the back end's text, one thing at a time. Every simulation shows that the whole stays equal."""

import pytest
from crossramp.rtl.verilog import text_passes
from crossramp.rtl.verilog.text_passes import items_of


def passed(function, *lines: str) -> list[str]:
    """The lines of a module after ``function``."""
    return [line for item in function(items_of("\n".join(lines))) for line in item]


REGISTER = (
    "  reg [3:0] \\$1 ;",
    "  reg [3:0] count;",
    "  initial count = 4'h0;",
    "  always @(posedge clk)",
    "    count <= \\$1 ;",
)
NEXT = (
    "  always @* begin",
    "    if (wake_at_time_zero) begin end",
    "    \\$1  = count;",
    "    if (enable) begin",
    "      \\$1  = \\$2 ;",
    "    end",
    "  end",
)


def test_a_next_value_is_computed_in_the_clocked_block():
    assert passed(text_passes.registers_in_place, *REGISTER, *NEXT) == [
        "  reg [3:0] count;",
        "  initial count = 4'h0;",
        "  always @(posedge clk) begin",
        "    if (enable) begin",
        "      count <= \\$2 ;",
        "    end",
        "  end",
    ]


def test_so_it_is_behind_an_asynchronous_reset():
    clocked = ("  always @(posedge clk, posedge rst)", "    if (rst) count <= 4'h0;", "    else count <= \\$1 ;")
    assert passed(text_passes.registers_in_place, *REGISTER[:3], *clocked, *NEXT)[2:] == [
        "  always @(posedge clk, posedge rst)",
        "    if (rst) count <= 4'h0;",
        "    else begin",
        "      if (enable) begin",
        "        count <= \\$2 ;",
        "      end",
        "    end",
    ]


@pytest.mark.parametrize(
    "lines",
    [
        (*REGISTER, *NEXT, "  assign other = \\$1 ;"),  # read elsewhere
        (*REGISTER, *[line.replace("= \\$2 ", "= \\$1  + 1'h1") for line in NEXT]),  # reads itself
        (*REGISTER, *[line.replace("\\$1  = \\$2 ", "\\$1 [0] = \\$2 ") for line in NEXT]),  # a part
        (*REGISTER, *NEXT[:5], "      other = \\$2 ;", *NEXT[5:]),  # assigns another variable, too
        (*REGISTER, *[line for line in NEXT if line != "    \\$1  = count;"]),  # keeps its value otherwise: a latch
        (*REGISTER[:4], "    count[3:0] <= \\$1 ;", *NEXT),
    ],
    ids=["read", "reads", "part", "two", "latch", "slice"],
)
def test_other_blocks_stay(lines):
    assert passed(text_passes.registers_in_place, *lines) == list(lines)


VALUE = ("  wire [4:0] \\$3 ;", "  reg [4:0] sum;", "  assign \\$3  = $signed(a) * b;")


def test_a_value_that_only_one_register_takes_is_computed_there():
    clocked = ["  always @(posedge clk) begin", "    if (step) begin", "      sum <= \\$3 ;", "    end", "  end"]
    got = passed(text_passes.values_in_place, *VALUE, *clocked)
    assert got == [VALUE[1], *clocked[:2], "      sum <= $signed(a) * b;", *clocked[3:]]
    # Another width would be another context for the expression; a second reader would compute it again.
    wider = (VALUE[0].replace("4", "5"), *VALUE[1:], *clocked)
    twice = (*VALUE, *clocked, "  assign c = \\$3 ;")
    for lines in (wider, twice):
        assert passed(text_passes.values_in_place, *lines) == list(lines)


def test_equal_expressions_are_one():
    lines = ("  wire \\$1 ;", "  wire \\$2 ;", "  wire \\$3 ;", "  wire \\$4 ;", "  wire [1:0] \\$5 ;")
    assigned = (
        "  assign \\$1  = a & b;",
        "  assign \\$2  = a & b;",
        "  assign \\$3  = ~ \\$1 ;",
        "  assign \\$4  = ~ \\$2 ;",
    )
    more = ("  assign \\$5  = ~ \\$2 ;", "  assign named = a & b;", "  assign y = \\$3  | \\$4 ;")
    assert passed(text_passes.expressions_once, *lines, *assigned, *more) == [
        "  wire \\$1 ;",
        "  wire \\$3 ;",
        "  wire [1:0] \\$5 ;",
        "  assign \\$1  = a & b;",
        "  assign \\$3  = ~ \\$1 ;",
        "  assign \\$5  = ~ \\$1 ;",
        "  assign named = a & b;",
        "  assign y = \\$3  | \\$3 ;",
    ]


def test_an_expression_that_is_replaced_later_takes_its_equals_along():
    """First $3 becomes $2; that $2 equals $1 shows once $5 has become $4."""
    declared = [f"  wire \\${k} ;" for k in range(1, 6)]
    assigned = ["  assign \\$1  = ~ \\$4 ;", "  assign \\$2  = ~ \\$5 ;", "  assign \\$3  = ~ \\$5 ;"]
    assigned += ["  assign \\$4  = a & b;", "  assign \\$5  = a & b;"]
    assert passed(text_passes.expressions_once, *declared, *assigned, "  assign y = \\$3 [0];") == [
        "  wire \\$1 ;",
        "  wire \\$4 ;",
        "  assign \\$1  = ~ \\$4 ;",
        "  assign \\$4  = a & b;",
        "  assign y = \\$1 [0];",
    ]


def test_wires_that_nothing_reads_are_left_out():
    kept = (
        "  output y;",
        "  wire y;",
        "  wire a;",
        "  assign y = a;",
        "  (* keep = 1 *)",
        "  wire k;",
        "  assign k = a;",
    )
    instance = ("  block b (", "    .gone(a)", "  );")
    gone = (
        "  wire gone;",
        "  wire [1:0] \\x[0] ;",
        "  wire never;",
        "  assign gone = \\x[0] [0];",
        "  assign \\x[0]  = 2'h1;",
    )
    assert passed(text_passes.without_unread_wires, *kept, *gone, *instance) == [*kept, *instance]


def test_slices_become_one_assignment():
    wires = ("  wire [5:0] \\w.x ;", "  wire [1:0] a;", "  wire [8:0] b;")
    slices = ("  assign \\w.x [1:0] = a;", "  assign \\w.x [5:4] = 2'h2;", "  assign \\w.x [3:2] = { b[8], b[0] };")
    assert passed(text_passes.whole_assignments, *wires, *slices) == [
        *wires,
        "  assign \\w.x  = { 2'h2, b[8], b[0], a };",
    ]
    # An expression may be wider than the slice, or narrower; a wire with a gap has no value there.
    for changed in ("  assign \\w.x [1:0] = a + 1'h1;", "  assign \\w.x [1:0] = b;", "  assign \\w.x [0] = a[0];"):
        assert passed(text_passes.whole_assignments, *wires, changed, *slices[1:]) == [*wires, changed, *slices[1:]]


def test_registers_share_a_block_and_their_conditions():
    block, end = "  always @(posedge clk) begin", "  end"
    reset = ["    if (rst) begin", "      a <= 1'h0;", "    end"]
    lines = (
        *("  reg a;", "  always @(posedge clk)", "    p <= q;"),
        *(block, "    a <= b;", *reset, end),
        *(block, "    if (en) begin", "      c <= d;", "    end", end),
        *("  reg [1:0] m [7:0];", block, "    if (write)", "      m[0] <= e;", end),
        *(block, "    if (en) begin", "      f <= g;", "    end", end),
        *(block, "    if (h) begin", "      i <= j;", "    end else begin", "      i <= k;", "    end", end),
    )
    assert passed(text_passes.registers_together, *lines) == [
        *("  reg a;", "  reg [1:0] m [7:0];", block, "    if (write)", "      m[0] <= e;", end),
        *(
            block,
            "    p <= q;",
            "    a <= b;",
            "    if (h) begin",
            "      i <= j;",
            "    end else begin",
            "      i <= k;",
        ),
        *("    end", "    if (en) begin", "      c <= d;", "      f <= g;", "    end", *reset, end),
    ]


def test_what_is_gathered_is_gathered_outside():
    lines = ("  reg [4:0] r;", "  always @(posedge clk)", "    r <= { a, b, c, d, e };")
    assert passed(text_passes.gathered_outside, *lines) == [
        "  reg [4:0] r;",
        "  wire [4:0] r$next;",
        "  assign r$next = { a, b, c, d, e };",
        "  always @(posedge clk)",
        "    r <= r$next;",
    ]


def test_long_statements_are_broken_between_parts():
    names = [f"code_{number}" for number in range(4000)]
    line = f"  assign y = {{ {', '.join(names)} }};"
    found = text_passes.broken(line)
    assert max(map(len, found.split("\n"))) <= text_passes.LONGEST + len(names[-1])
    assert len(found.split("\n")) == -(-len(line) // text_passes.LONGEST)
    assert " ".join(found.split()) == " ".join(line.split())
    assert text_passes.broken(line[:100]) == line[:100]
    assert text_passes.broken(f'{line}  // "as it is"') == f'{line}  // "as it is"'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("{ a, a, a }", "{3{a}}"),
        ("{ 2'h0, \\x[1] , \\x[1] , \\x[1] , b[0] }", "{ 2'h0, {3{\\x[1] }}, b[0] }"),
        ("{ a, a }", "{ a, a }"),
    ],
)
def test_repetitions(before, after):
    assert text_passes.repetitions(f"  assign y = {before};") == f"  assign y = {after};"
