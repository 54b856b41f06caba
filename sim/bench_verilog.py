# SPDX-License-Identifier: Apache-2.0
"""The generated part of the benches: a wrapper that fits the hardware to them; the top with sizes and clock."""

from collections.abc import Sequence

from crossramp.golden.specification import Specification
from crossramp.rtl.verilog import Port

TOP = "crossramp_bench"
"""Name of the bench's top module."""


def calibration_width(spec: Specification) -> int:
    """Bits of the calibration wires in a bench: at least one, which nothing reads where there are no cells."""
    return max(len(spec.ramps) * spec.calibration_cells, 1)


def ramp_of_bank(spec: Specification) -> str:
    """Verilog literal: the index of each bank's ramp, 8 bits each, bank i lowest."""
    return f"32'h{sum(ramp << 8 * bank for bank, ramp in enumerate(spec.ramp_of_gate)):08x}"


def parameters(spec: Specification, *, head: bool, utterances: int) -> dict[str, object]:
    """Parameters of ``crossramp_bulk`` for ``spec``."""
    return {
        "ROWS": spec.rows,
        "UNITS": spec.units,
        "LANES": spec.lanes,
        "BEATS": spec.beats,
        "ADC_BITS": spec.adc_bits,
        "INPUT_BITS": spec.input_bits,
        "STATE_BITS": spec.state_bits,
        "STATE_PULSE_BITS": spec.state_pulse_bits,
        "SETTLE_CLOCKS": spec.settle_clocks,
        "RAMPS": len(spec.ramps),
        "CALIBRATION_CELLS": spec.calibration_cells,
        "RAMP_OF_BANK": ramp_of_bank(spec),
        "LOGIT_BITS": spec.logit_bits,
        "ANSWER_BITS": answer_bits(spec),
        "HEAD": int(head),
        "EVERY_STEP": int(spec.readout == "step"),
        "UTTERANCES": utterances,
    }


def answer_bits(spec: Specification) -> int:
    """Width of the answer's class index."""
    return max((spec.classes - 1).bit_length(), 1)


def wrapper(spec: Specification, module: str, ports: Sequence[Port]) -> str:
    """Verilog of ``crossramp_dut``: the module ``module`` with every port that a bench expects.

    Parameters
    ----------
    ports : sequence of Port
        Of ``module``; those of width 0 stay open, and of those a bench does not know, outputs do and inputs are 0.
    """
    have = {port.name: port for port in ports if port.width > 0}
    expected = dict(_expected_ports(spec))
    declarations, constants = [], []
    for name, (direction, width) in expected.items():
        declarations.append(f"    {direction} [{width - 1}:0] {name}")
        if direction == "output" and name not in have:
            constants.append(f"  assign {name} = 0;\n")
    for name, port in have.items():
        if name in expected and port.width != expected[name][1]:
            raise ValueError(
                f"port {name} of {module} has {port.width} bits; the specification {spec.content_hash} makes it "
                f"{expected[name][1]}: generate the Verilog anew"
            )
    connections = [f"      .{name}({name})" for name in have if name in expected]
    # What only the wrapped module has: commands, such as a calibrator's, stay at rest, and nothing reads the outputs.
    for port in (port for name, port in have.items() if name not in expected):
        if port.direction == "input":
            connections.append(f"      .{port.name}({port.width}'h0)")
        else:
            constants.append(f"  wire [{port.width - 1}:0] unused_{port.name};\n")
            connections.append(f"      .{port.name}(unused_{port.name})")
    ignored = [name for name, (direction, _) in expected.items() if direction == "input" and name not in have]
    if ignored:
        constants.append(f"  wire unused_inputs = &{{{', '.join(ignored)}}};\n")
    body = (
        "module crossramp_dut (\n" + ",\n".join(declarations) + "\n);\n" + "".join(constants) + f"  {module} device (\n"
        + ",\n".join(connections) + "\n  );\nendmodule\n"
    )  # fmt: skip
    title = f"// {module} with the ports that every bench expects."
    return f"{title}\n`timescale 1ns / 1ps\n\n{_named_otherwise(body)}"


def _named_otherwise(text: str) -> str:
    """``text`` with comments by which Verilator accepts that its module is not named as the file."""
    off = "/* verilator lint_save */\n/* verilator lint_off DECLFILENAME */\n\n"
    return f"{off}{text}\n/* verilator lint_restore */\n"


def generated_ports(spec: Specification, *, head: bool) -> list[Port]:
    """The ports of the generated network, or macro without head, as docs/boundary.md states them."""
    ports = []
    for name, (direction, width) in _expected_ports(spec):
        if name.endswith("calibration"):
            width = len(spec.ramps) * spec.calibration_cells
        if head or not name.startswith(("logit_", "answer_")):
            ports.append(Port(name, direction, width, ""))
    return [*ports, Port("monitor_stalled", "output", 1, "")]  # which no bench reads


def _expected_ports(spec: Specification):
    cells = calibration_width(spec)
    codes = spec.lanes * spec.adc_bits
    for direction, name, width in (
        ("input", "clk", 1),
        ("input", "rst", 1),
        ("input", "x_valid", 1),
        ("output", "x_ready", 1),
        ("input", "x_code", spec.input_bits),
        ("input", "x_last", 1),
        ("output", "h_valid", 1),
        ("input", "h_ready", 1),
        ("output", "h_codes", spec.lanes * spec.input_bits),
        ("output", "h_end", 1),
        ("output", "h_last", 1),
        ("output", "logit_valid", 1),
        ("input", "logit_ready", 1),
        ("output", "logit_value", spec.logit_bits),
        ("output", "logit_last", 1),
        ("output", "answer_valid", 1),
        ("input", "answer_ready", 1),
        ("output", "answer_index", answer_bits(spec)),
        ("output", "answer_too_long", 1),
        ("input", "calibration", cells),
        ("output", "busy", 1),
        ("output", "array_row_pos", spec.rows),
        ("output", "array_row_neg", spec.rows),
        ("output", "array_state_pos", spec.units),
        ("output", "array_state_neg", spec.units),
        ("output", "array_state", 1),
        ("output", "array_integrate", 1),
        ("output", "array_reset", 1),
        ("output", "array_hold", 1),
        ("output", "array_ramp_reset", 1),
        ("output", "array_tick", 1),
        ("output", "array_tap", spec.ticks),
        ("output", "array_calibration", cells),
        ("input", "array_comparators", spec.columns),
        ("input", "array_ready", 1),
        ("output", "monitor_gates", 1),
        ("output", "monitor_i", codes),
        ("output", "monitor_f", codes),
        ("output", "monitor_g", codes),
        ("output", "monitor_state", 1),
        ("output", "monitor_c", spec.lanes * spec.state_bits),
        ("output", "monitor_q", spec.lanes * spec.state_pulse_bits),
        ("output", "monitor_output", 1),
        ("output", "monitor_o", codes),
        ("output", "monitor_t", codes),
    ):
        yield name, (direction, width)


def top(spec: Specification, *, head: bool, clock_input: bool, utterances: int = 1) -> str:
    """Verilog of ``crossramp_bench``: ``crossramp_bulk`` in the sizes of ``spec``, and its clock.

    Parameters
    ----------
    clock_input : bool
        The clock is a port, for a C++ main; otherwise the module makes it. ``+waves=FILE`` dumps everything there.
    """
    sizes = ", ".join(f".{name}({value})" for name, value in parameters(spec, head=head, utterances=utterances).items())
    if clock_input:
        clock = f"module {TOP} (\n    input clk\n);\n"
    else:
        clock = f"module {TOP};\n  reg clk;\n  initial clk = 0;\n  always #5 clk = !clk;\n"
    waves = (
        "  string waves;\n  initial\n    if ($value$plusargs(\"waves=%s\", waves)) begin\n"
        f"      $dumpfile(waves);\n      $dumpvars(0, {TOP});\n    end\n"
    )  # fmt: skip
    body = f"{clock}{waves}  crossramp_bulk #(\n      {sizes}\n  ) bulk (clk);\nendmodule\n"
    return f"`timescale 1ns / 1ps\n\n{_named_otherwise(body)}"
