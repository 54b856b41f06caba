# SPDX-License-Identifier: Apache-2.0
"""The analog boundary in SystemVerilog, from :mod:`crossramp.golden.spec.boundary_wires`: sizes, ports, instances."""

from collections.abc import Iterable, Mapping

from crossramp.golden.analog.conversion.device import grid_bits
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


def boundary_wires(spec: Specification, array: str = "array") -> str:
    """Declarations of all wires of an array's boundary, by the names of a generated module's ports."""
    return "".join(declaration("wire", wire.port_of(array), wire.width(spec)) for wire in BOUNDARY)


def connections(array: str = "array") -> dict[str, str]:
    """Ports of an array model or a checker to the wires of :func:`boundary_wires`."""
    return {wire.name: wire.port_of(array) for wire in BOUNDARY}


def instance(module: str, name: str, parameters: Mapping[str, object], connections: Mapping[str, str]) -> str:
    """Verilog of an instance, a parameter or port a line."""
    given, ports = (
        ",\n".join(f"      .{key}({value})" for key, value in pairs.items()) for pairs in (parameters, connections)
    )
    return f"  {module} " + (f"#(\n{given}\n  ) " if given else "") + f"{name} (\n{ports}\n  );\n"


def _bytes(numbers: Iterable[int]) -> str:
    """A Verilog constant with 8 bits for each number, the first one lowest."""
    data = bytes(numbers) or bytes(1)
    return f"{8 * len(data)}'h{int.from_bytes(data, 'little'):0{2 * len(data)}x}"


def array_instance(spec: Specification, array: str = "array") -> str:
    """Verilog of ``crossbar``, an array model in the sizes of ``spec``, on ``clk`` and :func:`boundary_wires`.

    One of several arrays, by its name, is ``NAME_crossbar``, and reads the folder of that name.
    """
    banks, lines = spec.gate_names, spec.layout.lines
    held = sum(1 << bank for bank, gate in enumerate(banks) if gate in spec.layout.held)
    parameters = sizes(spec) | {
        "RAMPS": len(spec.ramps),
        "CALIBRATION_CELLS": spec.calibration_cells,
        "BANKS": len(banks),
        "RAMP_OF_BANK": _bytes(spec.ramp_of_gate),
        "HELD_BANKS": f"{len(banks)}'b{held:0{len(banks)}b}",
        "LINE_CELLS": len(spec.line_cells),
        "LINE_OF_CELL": _bytes(lines.index(cell.line) for cell in spec.line_cells),
        "BANK_OF_CELL": _bytes(banks.index(cell.bank) for cell in spec.line_cells),
        "CROSSINGS": len(spec.crossings),
        "CROSSING_OF_BANK": _bytes(spec.crossing_of_gate),
        "FIRST_WINDOW": spec.windows[0],
        "SECOND_WINDOW": (*spec.windows, 0)[1],
        "CHARGE_BITS": sum(grid_bits(spec)),
    }
    if array != "array":
        parameters["FOLDER"] = f'"{array}"'
    return instance("crossramp_crossbar", of_array(array, "crossbar"), parameters, {"clk": "clk"} | connections(array))


def of_array(array: str, name: str) -> str:
    """The name of something that a bench has for each array; of the one that is called ``array``, the name itself."""
    return name if array == "array" else f"{array}_{name}"
