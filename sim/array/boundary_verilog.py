# SPDX-License-Identifier: Apache-2.0
"""The analog boundary in SystemVerilog, from :mod:`crossramp.golden.spec.boundary_wires`: sizes, ports, instances."""

from collections.abc import Mapping

from crossramp.golden.spec.boundary_wires import BOUNDARY, SIZES, BoundaryWire
from crossramp.golden.spec.specification import Specification

from ..tools.sources import completed

#: The array models, each a module ``crossramp_crossbar``: a bench has one or the other.
IDEAL_ARRAY, DEVICE_ARRAY = "crossbar.sv", "device_crossbar.sv"

#: Whose sizes are the defaults of parameters: a macro as small as any, so that a model compiles by itself.
_SMALLEST = Specification(inputs=1, units=1, classes=2, lanes=1, adc_bits=2, calibration_cells=0)


def sizes(spec: Specification) -> dict[str, int]:
    """The parameters that ports are as wide as; a bus that ``spec`` leaves empty has one bit, which nothing reads."""
    return {name.upper(): max(bits(spec), 1) for name, bits in SIZES.items()}


def _range(wire: BoundaryWire) -> str:
    return f"[{wire.size.upper()}-1:0] " if wire.size else ""


def _ports(to_array: str, from_array: str) -> str:
    lines = []
    for wire in BOUNDARY:
        comma = "," if wire is not BOUNDARY[-1] else ""
        direction = to_array if wire.to_array else from_array
        lines.append(f"    {direction} {_range(wire)}{wire.name}{comma}  // {wire.meaning}\n")
    return "".join(lines)


#: The lists that array models and checkers include: their parameters, and their ports, the last ones of the module.
LISTS = {
    "boundary_sizes.svh": "".join(f"    parameter {name} = {size},\n" for name, size in sizes(_SMALLEST).items()),
    "array_ports.svh": _ports("input", "output reg"),
    "checker_ports.svh": _ports("input", "input"),
}


def array_source(name: str) -> str:
    """The text of :data:`IDEAL_ARRAY` or :data:`DEVICE_ARRAY`."""
    return completed(name, LISTS)


def declaration(kind: str, name: str, width: int) -> str:
    """Verilog of a net or variable: ``kind`` is ``"wire"`` or ``"reg"``, one that nothing is in has one bit."""
    return f"  {kind} {f'[{width - 1}:0] ' if width > 1 else ''}{name};\n"


def boundary_wires(spec: Specification) -> str:
    """Declarations of all wires of the boundary, by the names of a generated module's ports."""
    return "".join(declaration("wire", wire.port, wire.width(spec)) for wire in BOUNDARY)


#: Ports of an array model or a checker to the wires of :func:`boundary_wires`.
CONNECTIONS = {wire.name: wire.port for wire in BOUNDARY}


def instance(module: str, name: str, parameters: Mapping[str, object], connections: Mapping[str, str]) -> str:
    """Verilog of an instance, a parameter or port a line."""
    given, ports = (
        ",\n".join(f"      .{key}({value})" for key, value in pairs.items()) for pairs in (parameters, connections)
    )
    return f"  {module} " + (f"#(\n{given}\n  ) " if given else "") + f"{name} (\n{ports}\n  );\n"


def array_instance(spec: Specification) -> str:
    """Verilog of ``crossbar``, an array model in the sizes of ``spec``, on ``clk`` and :func:`boundary_wires`."""
    bank_ramps = sum(ramp << 8 * bank for bank, ramp in enumerate(spec.ramp_of_gate))
    parameters = sizes(spec) | {
        "RAMPS": len(spec.ramps),
        "CALIBRATION_CELLS": spec.calibration_cells,
        "BANKS": len(spec.gate_names),
        "RAMP_OF_BANK": f"{8 * len(spec.gate_names)}'h{bank_ramps:0{2 * len(spec.gate_names)}x}",
        "STATE_COLUMN": spec.bank(spec.state_gate).start,
        "INPUT_MAX": spec.input_max,
        "STATE_PULSE_MAX": spec.state_pulse_max,
    }
    return instance("crossramp_crossbar", "crossbar", parameters, {"clk": "clk"} | CONNECTIONS)
