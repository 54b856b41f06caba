# SPDX-License-Identifier: Apache-2.0
"""The generated part of the benches: a wrapper that fits the hardware to them; the top with sizes and clock."""

from collections.abc import Sequence

from crossramp.golden.network.step_record import GROUPS, answer_bits
from crossramp.golden.spec.boundary_wires import BOUNDARY, calibration_bits
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.verilog.verilog_writer import Port

TOP = "crossramp_bench"
"""Name of the bench's top module."""


def calibration_width(spec: Specification) -> int:
    """Bits of the calibration wires in a bench: at least one, which nothing reads where there are no cells."""
    return max(calibration_bits(spec), 1)


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


def wrapper(spec: Specification, module: str, ports: Sequence[Port]) -> str:
    """Verilog of ``crossramp_dut``: the module ``module`` with every port that a bench expects.

    Parameters
    ----------
    ports : sequence of Port
        Of ``module``; those of width 0 stay open, and of those a bench does not know, outputs do and inputs are 0.
    """
    have = {port.name: port for port in ports if port.width > 0}
    expected = _expected_ports(spec)
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
    for name, (direction, width) in _expected_ports(spec).items():
        if name.endswith("calibration"):
            width = calibration_bits(spec)
        if head or not name.startswith(("logit_", "answer_")):
            ports.append(Port(name, direction, width, ""))
    return [*ports, Port("monitor_stalled", "output", 1, "")]  # which no bench reads


def _expected_ports(spec: Specification) -> dict[str, tuple[str, int]]:
    """Direction and width of every port that a bench knows, by name; calibration wires have a bit at least."""
    cells = calibration_width(spec)
    ports = {
        "clk": ("input", 1),
        "rst": ("input", 1),
        "x_valid": ("input", 1),
        "x_ready": ("output", 1),
        "x_code": ("input", spec.input_bits),
        "x_last": ("input", 1),
        "calibration": ("input", cells),
        "busy": ("output", 1),
    }
    for wire in BOUNDARY:
        width = cells if wire.name == "calibration" else wire.width(spec)
        ports[wire.port] = ("output" if wire.to_array else "input", width)
    for group in GROUPS:
        ports[group.strobe] = ("output", 1)
        if not group.monitored:
            ports[f"{group.port}_ready"] = ("input", 1)
        for field in group.fields:
            ports[group.port_of(field)] = ("output", field.bits(spec) * (spec.lanes if field.per_lane else 1))
    return ports


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
