# SPDX-License-Identifier: Apache-2.0
"""The generated parts of the free-running bench, from the tables of the boundary and of what a step shows.

Ports, instances and logs inside ``bulk_tb.sv``; a wrapper that fits the hardware to them; the top with clock and sizes.
"""

from collections.abc import Sequence

import numpy as np
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.layers.network_specification import AnySpecification
from crossramp.golden.layers.tile import arrays_by_macro, arrays_of, prefixed
from crossramp.golden.macro.initial_state import initial_record, streaming_macros
from crossramp.golden.macro.step_groups import step_groups
from crossramp.golden.macro.step_record import Record, step_records
from crossramp.golden.spec.boundary_wires import BOUNDARY, calibration_bits
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.verilog.verilog_writer import Port

from ..array.boundary_verilog import array_instance, boundary_wires, connections, declaration, instance, of_array
from ..checking.protocol_verilog import checker_instance
from ..tools.sources import completed

TOP = "crossramp_bench"
"""Name of the bench's top module."""

BULK = "bulk_tb.sv"
"""The source of the bench itself."""

#: Ports of the hardware that the bench drives, and so declares itself.
_DRIVEN = ("clk", "rst", "x_valid", "x_code", "x_last", "x_keep", "calibration")


def bench_source(spec: AnySpecification) -> str:
    """The text of :data:`BULK` for hardware of ``spec``."""
    return completed(BULK, {"hardware.svh": _hardware(spec), "step_logs.svh": _logs(spec)})


def _hardware(spec: AnySpecification) -> str:
    """Wires, hardware, arrays and checkers of the bench; ``ready`` of each stream is a register."""
    arrays, ports = arrays_of(spec), _expected_ports(spec)
    states, of_states = _states(spec), _initial_ports(spec)
    own = {wire for array in arrays for wire in connections(array).values()} | set(_calibrations(spec))
    wires = [
        declaration("wire" if direction == "output" or name in of_states else "reg", name, width)
        for name, (direction, width) in ports.items()
        if name not in _DRIVEN and name not in own
    ]
    for array, part in arrays.items():
        wires.append(boundary_wires(part, array))
        wires += [declaration("wire", of_array(array, name), 32) for name in ("broken", "conversions")]
    dut = instance("crossramp_dut", "dut", {}, {name: name for name in ports})
    behind = []
    for macro, tiles in arrays_by_macro(spec).items():
        ready = None
        if len(tiles) > 1:
            ready = prefixed(macro, "all_ready")
            wires.append(f"  wire {ready} = {' & '.join(f'{array}_ready' for array in tiles)};\n")
        for array, part in tiles.items():
            behind += [array_instance(part, array), checker_instance(part, array, ready)]
    return "\n".join(["".join(wires) + _shared(spec), dut, *states, *behind])


def _states(spec: AnySpecification) -> list[str]:
    """What sends initial states, for each macro where they come through a stream."""
    found = []
    for name, macro in streaming_macros(spec).items():
        record, stream = initial_record(macro), prefixed(name, "initial")
        ports = {port: port for port in ("clk", "rst")} | {port: f"{stream}_{port}" for port in ("valid", "ready")}
        ports["data"] = f"{{{', '.join(f'{stream}_{slot.name}' for slot in reversed(record.slots))}}}"
        parameters = {"NAME": f'"{stream}"', "WIDTH": record.bits}
        found.append(instance("crossramp_states", prefixed(name, "states"), parameters, ports))
    return found


def _initial_ports(spec: AnySpecification) -> dict[str, tuple[str, int]]:
    """Direction and width of the ports of the streams of initial states."""
    ports = {}
    for name, macro in streaming_macros(spec).items():
        stream = prefixed(name, "initial")
        ports |= {f"{stream}_valid": ("input", 1), f"{stream}_ready": ("output", 1)}
        slots = initial_record(macro).slots
        ports |= {f"{stream}_{slot.name}": ("input", slot.bits * slot.count) for slot in slots}
    return ports


def _calibrations(spec: AnySpecification) -> dict[str, int]:
    """The calibration port of each macro, and its bits."""
    return {prefixed(name, "calibration"): calibration_bits(macro) for name, macro in spec.macros.items()}


def _shared(spec: AnySpecification) -> str:
    """What several arrays share of the bench: parts of ``calibration``, and what their checkers found together."""
    lines, offset, arrays = [], 0, arrays_of(spec)
    if tuple(spec.macros) != ("",):
        for name, bits in _calibrations(spec).items():
            lines.append(f"  wire [{max(bits, 1) - 1}:0] {name} = {f'calibration[{offset}+:{bits}]' if bits else 0};\n")
            offset += bits
    if tuple(arrays) != ("array",):
        for name, sign, bits in (("broken", "|", 32), ("conversions", "+", 32), ("array_ready", "&", 1)):
            parts = (f"{array}_{name.removeprefix('array_')}" for array in arrays)
            lines += [declaration("wire", name, bits), f"  assign {name} = {f' {sign} '.join(parts)};\n"]
    return "".join(lines)


def _logs(spec: AnySpecification) -> str:
    """A log for each group of a step, its number in ``records``, ``mismatches``, ``unstable`` and ``more``.

    ``log_flush`` writes the files of all of them out; ``log_missing`` names those that expect more records.
    """
    counts = ("records", "mismatches", "unstable")
    groups = step_groups(spec)
    lines = [f"  localparam LOGS = {len(groups)};\n"]
    lines += [f"  wire [31:0] {', '.join(f'{name}[0:LOGS-1]' for name in counts)};\n  wire [LOGS-1:0] more;\n"]
    for number, (group, record) in enumerate(zip(groups, step_records(spec).values(), strict=True)):
        parameters = {"NAME": f'"{group.name}"', "WIDTH": record.bits, "STREAM": int(not group.monitored)}
        part = group.of(spec)
        if group.monitored and group.member != "h" and part.units % part.lanes:
            last = _last_beat(part, record)
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


def wrapper(spec: AnySpecification, module: str, ports: Sequence[Port]) -> str:
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


def generated_ports(spec: AnySpecification, *, head: bool) -> list[Port]:
    """The ports of the generated network, or macro without head, as docs/boundary.md states them."""
    ports = []
    answering = tuple(f"{group.port}_" for group in step_groups(spec) if group.answer)
    # What the specification leaves empty has no port.
    widths = _calibrations(spec) | {"x_keep": spec.keeps_state}
    for array, part in arrays_of(spec).items():
        widths |= {wire.port_of(array): wire.width(part) for wire in BOUNDARY}
    for name, (direction, width) in _expected_ports(spec).items():
        width = widths.get(name, width)
        if head or not name.startswith(answering):
            ports.append(Port(name, direction, width, ""))
    stalled = [prefixed(macro, "monitor_stalled") for macro in spec.macros]  # which no bench reads, as busy
    return [*ports, *(Port(name, "output", 1, "") for name in ("busy", *stalled))]


def _expected_ports(spec: AnySpecification) -> dict[str, tuple[str, int]]:
    """Direction and width of every port that a bench knows, by name; what ``spec`` leaves empty has a bit there."""
    ports = {
        "clk": ("input", 1),
        "rst": ("input", 1),
        "x_valid": ("input", 1),
        "x_ready": ("output", 1),
        "x_code": ("input", spec.input_bits),
        "x_last": ("input", 1),
        "x_keep": ("input", 1),
    }
    ports |= {name: ("input", max(bits, 1)) for name, bits in _calibrations(spec).items()}
    ports |= _initial_ports(spec)
    for array, part in arrays_of(spec).items():
        for wire in BOUNDARY:
            direction = "output" if wire.to_array else "input"
            ports[wire.port_of(array)] = (direction, max(wire.width(part), 1))
    for group in step_groups(spec):
        part = group.of(spec)
        ports[group.strobe] = ("output", 1)
        if not group.monitored:
            ports[f"{group.port}_ready"] = ("input", 1)
        for field in group.fields:
            ports[group.port_of(field)] = ("output", field.bits(part) * field.count(part))
    return ports


def top(spec: AnySpecification, *, head: bool, clock_input: bool, utterances: int = 1) -> str:
    """Verilog of ``crossramp_bench``: ``crossramp_bulk`` in the sizes of ``spec``, and its clock.

    Parameters
    ----------
    clock_input : bool
        The clock is a port, for a C++ main; otherwise the module makes it. ``+waves=FILE`` dumps everything there.
    """
    parameters = {
        "INPUT_BITS": spec.input_bits,
        "CALIBRATION": max(sum(_calibrations(spec).values()), 1),
        "BEATS": max(macro.beats for macro in spec.macros.values()),
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
