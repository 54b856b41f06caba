# SPDX-License-Identifier: Apache-2.0
"""The generated parts of the free-running bench, from the tables of the boundary and of what a step shows.

Ports, instances and logs inside ``bulk_tb.sv``; a wrapper that fits the hardware to them; the top with clock and sizes.
"""

from collections.abc import Sequence

import numpy as np
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.network.initial_state import initial_record
from crossramp.golden.network.step_groups import step_groups
from crossramp.golden.network.step_record import Record, step_records
from crossramp.golden.spec.boundary_wires import BOUNDARY, calibration_bits
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.verilog.verilog_writer import Port

from ..array.boundary_verilog import CONNECTIONS, array_instance, boundary_wires, declaration, instance
from ..checking.protocol_verilog import checker_instance
from ..tools.sources import completed

TOP = "crossramp_bench"
"""Name of the bench's top module."""

BULK = "bulk_tb.sv"
"""The source of the bench itself."""

#: Ports of the hardware that the bench drives, and so declares itself.
_DRIVEN = ("clk", "rst", "x_valid", "x_code", "x_last", "x_keep", "calibration")


def bench_source(spec: Specification) -> str:
    """The text of :data:`BULK` for hardware of ``spec``."""
    return completed(BULK, {"hardware.svh": _hardware(spec), "step_logs.svh": _logs(spec)})


def _hardware(spec: Specification) -> str:
    """Wires, hardware, array and checker of the bench; ``ready`` of each stream is a register."""
    ports = _expected_ports(spec)
    states = _states(spec)
    wires = [
        declaration("wire" if direction == "output" or name.startswith("initial_") else "reg", name, width)
        for name, (direction, width) in ports.items()
        if name not in _DRIVEN and name not in CONNECTIONS.values()
    ]
    wires += [boundary_wires(spec), declaration("wire", "broken", 32), declaration("wire", "conversions", 32)]
    dut = instance("crossramp_dut", "dut", {}, {name: name for name in ports})
    return "\n".join(["".join(wires), dut, *states, array_instance(spec), checker_instance(spec)])


def _states(spec: Specification) -> list[str]:
    """What sends initial states, where they come through a stream."""
    if spec.initial != "stream":
        return []
    record = initial_record(spec)
    ports = {name: name for name in ("clk", "rst")} | {name: f"initial_{name}" for name in ("valid", "ready")}
    ports["data"] = f"{{{', '.join(f'initial_{slot.name}' for slot in reversed(record.slots))}}}"
    return [instance("crossramp_states", "states", {"WIDTH": record.bits}, ports)]


def _logs(spec: Specification) -> str:
    """A log for each group of a step, its number in ``records``, ``mismatches``, ``unstable`` and ``more``.

    ``log_flush`` writes the files of all of them out; ``log_missing`` names those that expect more records.
    """
    counts = ("records", "mismatches", "unstable")
    groups = step_groups(spec)
    lines = [f"  localparam LOGS = {len(groups)};\n"]
    lines += [f"  wire [31:0] {', '.join(f'{name}[0:LOGS-1]' for name in counts)};\n  wire [LOGS-1:0] more;\n"]
    for number, (group, record) in enumerate(zip(groups, step_records(spec).values(), strict=True)):
        parameters = {"NAME": f'"{group.name}"', "WIDTH": record.bits, "STREAM": int(not group.monitored)}
        if group.monitored and spec.units % spec.lanes:
            last = _last_beat(spec, record)
            parameters |= {"BEATS": record.beats, "LAST_BEAT": f"{record.bits}'h{last:x}"}
        ports = {
            **{"clk": "clk", "rst": "rst", "valid": group.strobe},
            "ready": "1'b1" if group.monitored else f"{group.port}_ready",
            "data": f"{{{', '.join(group.port_of(field) for field in reversed(group.fields))}}}",
            **{name: f"{name}[{number}]" for name in (*counts, "more")},
        }
        lines.append(instance("crossramp_log", f"log_{group.name}", parameters, ports))
    for task, call in (("flush", "$fflush(log_{}.file)"), ("missing", "log_{}.name_missing")):
        calls = "".join(f"      {call.format(group.name)};\n" for group in groups)
        lines.append(f"  task log_{task};\n    begin\n{calls}    end\n  endtask\n")
    return "\n".join(lines)


def _last_beat(spec: Specification, record: Record) -> int:
    """The significant bits of a step's last beat; the monitors show arbitrary values beyond the last unit."""
    units = spec.units % spec.lanes
    ones = {slot.name: np.where(np.arange(slot.count) < units, -1, 0)[None, :] for slot in record.slots}
    return record.pack(ones)[0]


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
            raise InvalidValue(
                f"port {name} of {module} has {port.width} bits; the specification {spec.hardware_hash} makes it "
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
    answering = tuple(f"{group.port}_" for group in step_groups(spec) if group.answer)
    # What the specification leaves empty has no port.
    widths = {"calibration": calibration_bits(spec), "x_keep": spec.keeps_state} | {
        wire.port: wire.width(spec) for wire in BOUNDARY
    }
    for name, (direction, width) in _expected_ports(spec).items():
        width = widths.get(name, width)
        if head or not name.startswith(answering):
            ports.append(Port(name, direction, width, ""))
    return [*ports, *(Port(name, "output", 1, "") for name in ("busy", "monitor_stalled"))]  # which no bench reads


def _expected_ports(spec: Specification) -> dict[str, tuple[str, int]]:
    """Direction and width of every port that a bench knows, by name; what ``spec`` leaves empty has a bit there."""
    ports = {
        "clk": ("input", 1),
        "rst": ("input", 1),
        "x_valid": ("input", 1),
        "x_ready": ("output", 1),
        "x_code": ("input", spec.input_bits),
        "x_last": ("input", 1),
        "x_keep": ("input", 1),
        "calibration": ("input", max(calibration_bits(spec), 1)),
    }
    if spec.initial == "stream":
        ports |= {"initial_valid": ("input", 1), "initial_ready": ("output", 1)}
        ports |= {f"initial_{slot.name}": ("input", slot.bits * slot.count) for slot in initial_record(spec).slots}
    for wire in BOUNDARY:
        ports[wire.port] = ("output" if wire.to_array else "input", max(wire.width(spec), 1))
    for group in step_groups(spec):
        ports[group.strobe] = ("output", 1)
        if not group.monitored:
            ports[f"{group.port}_ready"] = ("input", 1)
        for field in group.fields:
            ports[group.port_of(field)] = ("output", field.bits(spec) * field.count(spec))
    return ports


def top(spec: Specification, *, head: bool, clock_input: bool, utterances: int = 1) -> str:
    """Verilog of ``crossramp_bench``: ``crossramp_bulk`` in the sizes of ``spec``, and its clock.

    Parameters
    ----------
    clock_input : bool
        The clock is a port, for a C++ main; otherwise the module makes it. ``+waves=FILE`` dumps everything there.
    """
    parameters = {
        "INPUT_BITS": spec.input_bits,
        "CALIBRATION": max(calibration_bits(spec), 1),
        "BEATS": spec.beats,
        "HEAD": int(head),
        "EVERY_STEP": int(spec.readout == "step"),
        "UTTERANCES": utterances,
    }
    values = ", ".join(f".{name}({value})" for name, value in parameters.items())
    if clock_input:
        clock = f"module {TOP} (\n    input clk\n);\n"
    else:
        clock = f"module {TOP};\n  reg clk;\n  initial clk = 0;\n  always #5 clk = !clk;\n"
    waves = (
        "  string waves;\n  initial\n    if ($value$plusargs(\"waves=%s\", waves)) begin\n"
        f"      $dumpfile(waves);\n      $dumpvars(0, {TOP});\n    end\n"
    )  # fmt: skip
    body = f"{clock}{waves}  crossramp_bulk #(\n      {values}\n  ) bulk (clk);\nendmodule\n"
    return f"`timescale 1ns / 1ps\n\n{_named_otherwise(body)}"
