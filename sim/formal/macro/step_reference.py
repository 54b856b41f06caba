# SPDX-License-Identifier: Apache-2.0
"""One step of an LSTM's golden arithmetic in Verilog, written from docs/arithmetic.md: sums, thresholds, projection."""

from crossramp.golden.array.ramps import Ramp
from crossramp.golden.spec.specification import Specification

from ..update.update_reference import UpdateReference

#: The module's name, and that of its file.
NAME = "crossramp_step_reference"


def step_reference(spec: Specification, projection=None) -> dict[str, str]:
    """File names and texts of the module :data:`NAME`, which has no clock.

    Its arrays are flattened, the first number lowest. Inputs: ``w`` (row by row, ``columns`` weights each), ``x``, and
    ``h`` and ``c`` of the step before. Outputs: ``codes`` (of all columns), ``next_c``, ``q`` and ``t`` of all units,
    and ``next_h``. A code counts the thresholds that a MAC exceeds; nothing is taken from the gateware.

    Parameters
    ----------
    spec : Specification
    projection : integer array, shape (hidden, units), or None
    """
    n, wb, ib, sb, pb = spec.adc_bits, spec.weight_bits, spec.input_bits, spec.state_bits, spec.state_pulse_bits
    updates = [UpdateReference(spec, number) for number in range(2)]
    units, columns, wide = spec.units, spec.columns, max(spec.mac_bits + 2, ib + 1, pb + 1)

    def code_of(value: str, gate: str) -> str:
        floors = Ramp.of_gate(spec, gate).clipped_floors(spec.mac_max).tolist()
        return " + ".join(f"({value} > ({floor}))" for floor in floors)

    def number(array: str, bits: int, place: int) -> str:
        return f"$signed({array}[{place * bits} +: {bits}])"

    lines = [
        f"module {NAME} (",
        f"  input [{spec.rows * columns * wb - 1}:0] w, input [{spec.inputs * ib - 1}:0] x,",
        f"  input [{spec.hidden * ib - 1}:0] h, input [{units * sb - 1}:0] c,",
        f"  output [{columns * n - 1}:0] codes, output [{units * sb - 1}:0] next_c, output [{units * pb - 1}:0] q,",
        f"  output [{units * n - 1}:0] t, output [{spec.hidden * ib - 1}:0] next_h);",
    ]
    rows = [number("x", ib, k) for k in range(spec.inputs)] + [number("h", ib, k) for k in range(spec.hidden)]
    lowest = -(1 << (ib - 1))
    for k, row in enumerate(rows):
        lines += [
            f"  wire signed [{wide - 1}:0] sent_{k} = {row};",
            f"  wire signed [{wide - 1}:0] row_{k} = sent_{k} == ({lowest}) ? {-spec.input_max} : sent_{k};",
        ]
    for column in range(columns):
        terms = [f"{number('w', wb, k * columns + column)} * row_{k}" for k in range(len(rows))]
        bias = [f"{number('w', wb, k * columns + column)} * {spec.input_max}" for k in range(len(rows), spec.rows)]
        gate = spec.gate_names[column // units]
        lines += [
            f"  wire signed [{wide - 1}:0] mac_{column} = {' + '.join(terms + bias)};",
            f"  assign codes[{column * n} +: {n}] = {code_of(f'mac_{column}', gate)};",
        ]
    lines += [f"  wire [{units * ib - 1}:0] made;"]
    for u in range(units):
        code = {gate: f"codes[{(k * units + u) * n} +: {n}]" for k, gate in enumerate(spec.gate_names)}
        operands = {"i_code": code["i"], "f_code": code["f"], "g_code": code["g"], "c": f"c[{u * sb} +: {sb}]"}
        stored = {"new_c": f"next_c[{u * sb} +: {sb}]", "new_q": f"q[{u * pb} +: {pb}]"}
        output = {"g_code": f"t[{u * n} +: {n}]", "o_code": code["o"], "new_h": f"made[{u * ib} +: {ib}]"}
        lines += [
            f"  {updates[0].module} c_{u} ({_ports(operands | stored)});",
            f"  wire signed [{wide - 1}:0] state_{u} = {number('q', pb, u)} * {spec.state_cell};",
            f"  assign t[{u * n} +: {n}] = {code_of(f'state_{u}', 'g')};",
            f"  {updates[1].module} h_{u} ({_ports(output)});",
        ]
    if projection is None:
        lines += ["  assign next_h = made;"]
    else:
        half = 1 << (spec.projection_shift - 1)
        for p, weights in enumerate(projection.tolist()):
            terms = " + ".join(f"({weight}) * {number('made', ib, u)}" for u, weight in enumerate(weights))
            lines += [
                f"  wire signed [39:0] sum_{p} = {terms};",
                f"  wire [39:0] size_{p} = ((sum_{p} < 0 ? -sum_{p} : sum_{p}) + {half}) >> {spec.projection_shift};",
                f"  wire [39:0] held_{p} = size_{p} > {spec.input_max} ? {spec.input_max} : size_{p};",
                f"  assign next_h[{p * ib} +: {ib}] = sum_{p} < 0 ? -held_{p} : held_{p};",
            ]
    lines += ["endmodule", ""]
    return {f"{update.module}.v": update.source() for update in updates} | {f"{NAME}.v": "\n".join(lines)}


def _ports(wires: dict[str, str]) -> str:
    return ", ".join(f".{port}({wire})" for port, wire in wires.items())
