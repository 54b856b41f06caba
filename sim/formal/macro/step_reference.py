# SPDX-License-Identifier: Apache-2.0
"""One step of a cell's golden arithmetic in Verilog, written from docs/arithmetic.md: sums, thresholds, projection."""

from crossramp.golden.array.ramps import Ramp
from crossramp.golden.spec.specification import Specification

from ..update.update_reference import UpdateReference
from .cell_steps import STEPS


class StepReference:
    """The step of a specification's cell as a combinational module, from :data:`.cell_steps.STEPS`.

    Its arrays are flattened, the first number lowest. A code counts the thresholds that its sum exceeds; nothing is
    taken from the gateware.

    Inputs, as far as the cell has them: ``w`` (row by row, ``columns`` weights each), ``levels`` (of trained cells on
    lines), ``x``, and of the step before ``h``, the register and ``before``, its pulse code on the lines.
    Outputs: every code, ``new_`` and the name of every stored value, of all units; and ``next_h``.

    Parameters
    ----------
    spec : Specification
        Of a cell in STEPS, with ramps whose counts do not turn.
    projection : integer array, shape (hidden, units), or None

    Attributes
    ----------
    module : str
        The module's name.
    inputs, outputs : dict of int
        Names and bits.
    sources : dict of str
        File names and texts.
    """

    module = "crossramp_step_reference"

    def __init__(self, spec: Specification, projection=None):
        self.spec, self.projection, self.step = spec, projection, STEPS[spec.cell]
        self._updates = [UpdateReference(spec, number) for number in range(len(self.step.conversions))]
        units, h_bits = spec.units, spec.hidden * spec.input_bits
        self._sizes = {"x": spec.inputs, "h": spec.hidden, "k": units, "1": spec.bias_rows}
        rows = sum(self._sizes[group] for group in self.step.rows.split())
        words = {term for codes in self.step.conversions for _, terms in codes.values() for term in terms.split()}
        register = {name: bits for one in self._updates for name, bits in one.values.items() if name not in one.gates}
        self.inputs = {"w": rows * len(self.step.banks) * units * spec.weight_bits}
        self.inputs |= {"levels": len(self.step.trained) * units * spec.weight_bits} if self.step.trained else {}
        self.inputs |= {"x": spec.inputs * spec.input_bits} | ({"h": h_bits} if "h" in words else {})
        self.inputs |= {name: units * bits for name, bits in register.items()}
        self.inputs |= {"before": units * spec.state_pulse_bits} if "*before" in words else {}
        self.outputs = {
            name: units * spec.gate_bits(bank) for codes in self.step.conversions for name, (bank, _) in codes.items()
        }
        self.outputs |= {name: units * bits for one in self._updates for name, bits in one.results.items()}
        self.outputs["next_h"] = h_bits
        most = rows * spec.weight_max * spec.input_max
        if line := max(spec.state_pulse_bits or 0, 0):
            most += (spec.weight_max + (spec.state_cell or 0)) << line
        self._wide = most.bit_length() + 2
        files = {f"{one.module}.v": one.source() for one in self._updates}
        self.sources = files | {f"{self.module}.v": self._source()}

    def _source(self) -> str:
        spec = self.spec
        ports = [f"  input [{bits - 1}:0] {name}" for name, bits in self.inputs.items()]
        ports += [f"  output [{bits - 1}:0] {name}" for name, bits in self.outputs.items()]
        lines = [f"module {self.module} (", ",\n".join(ports), ");", *self._rows("x", "x"), *self._rows("h", "h")]
        held = {}  # the code that each bank holds
        register = {name for one in self._updates for name in one.values if name not in one.gates}
        stored = dict.fromkeys(register, "")
        for number, codes in enumerate(self.step.conversions):
            for name, (bank, terms) in codes.items():
                lines += [line for unit in range(spec.units) for line in self._code(name, bank, terms.split(), unit)]
                held[bank] = name
            update = self._updates[number]
            for unit in range(spec.units):
                wires = {f"{gate}_code": self._part(held[gate], spec.gate_bits(gate), unit) for gate in update.gates}
                read = [name for name in update.values if name not in update.gates]
                wires |= {name: self._part(stored[name] + name, spec.state_bits, unit) for name in read}
                wires |= {name: self._part(name, bits, unit) for name, bits in update.results.items()}
                lines.append(f"  {update.module} update_{number}_{unit} ({_ports(wires)});")
            stored |= {name: "new_" for name in register if f"new_{name}" in update.results}
            lines += self._rows("k", "new_k") if "new_k" in update.results else []
        return "\n".join([*lines, *self._output(), "endmodule", ""])

    def _part(self, array: str, bits: int, place: int) -> str:
        return f"{array}[{place * bits} +: {bits}]"

    def _number(self, array: str, bits: int, place: int) -> str:
        return f"$signed({self._part(array, bits, place)})"

    def _rows(self, group: str, array: str) -> list[str]:
        """What the rows of a group are driven with: the codes of an array, the lowest one as the lowest but one."""
        spec, wide = self.spec, f"wire signed [{self._wide - 1}:0]"
        if array not in (*self.inputs, *self.outputs):
            return []
        lowest, found = -(1 << (spec.input_bits - 1)), []
        for k in range(self._sizes[group]):
            name = f"{group}_{k}"
            found.append(f"  {wide} sent_{name} = {self._number(array, spec.input_bits, k)};")
            found.append(f"  {wide} row_{name} = sent_{name} == ({lowest}) ? {-spec.input_max} : sent_{name};")
        return found

    def _code(self, name: str, bank: str, terms: list[str], unit: int) -> list[str]:
        """The sum of one column, and its code."""
        spec, columns = self.spec, len(self.step.banks) * self.spec.units
        column, place, first = self.step.banks.index(bank) * spec.units + unit, 0, {}
        for group in self.step.rows.split():
            first[group] = place
            place += self._sizes[group]
        parts = []
        for term in terms:
            if term in first:
                for k in range(self._sizes[term]):
                    weight = self._number("w", spec.weight_bits, (first[term] + k) * columns + column)
                    parts.append(f"{weight} * {spec.input_max if term == '1' else f'row_{term}_{k}'}")
                continue
            pulse = self._number("before" if term == "*before" else "new_q", spec.state_pulse_bits, unit)
            level = f"{spec.state_cell}"
            if term.startswith("*"):
                level = self._number("levels", spec.weight_bits, self.step.trained.index(name) * spec.units + unit)
            parts.append(f"{level} * {pulse}")
        mac = f"mac_{name}_{unit}"
        floors = Ramp.of_gate(spec, bank).clipped_floors(spec.mac_max).tolist()
        count = " + ".join(f"({mac} > ({floor}))" for floor in floors)
        return [
            f"  wire signed [{self._wide - 1}:0] {mac} = {' + '.join(parts)};",
            f"  assign {self._part(name, spec.gate_bits(bank), unit)} = {count};",
        ]

    def _output(self) -> list[str]:
        """h as it leaves: that of the cell, or what the projection makes of it."""
        spec, bits = self.spec, self.spec.input_bits
        if self.projection is None:
            return ["  assign next_h = new_h;"]
        half, found = 1 << (spec.projection_shift - 1), []
        for p, weights in enumerate(self.projection.tolist()):
            terms = " + ".join(f"({weight}) * {self._number('new_h', bits, u)}" for u, weight in enumerate(weights))
            found += [
                f"  wire signed [39:0] sum_{p} = {terms};",
                f"  wire [39:0] size_{p} = ((sum_{p} < 0 ? -sum_{p} : sum_{p}) + {half}) >> {spec.projection_shift};",
                f"  wire [39:0] held_{p} = size_{p} > {spec.input_max} ? {spec.input_max} : size_{p};",
                f"  assign next_h[{p * bits} +: {bits}] = sum_{p} < 0 ? -held_{p} : held_{p};",
            ]
        return found


def _ports(wires: dict[str, str]) -> str:
    return ", ".join(f".{port}({wire})" for port, wire in wires.items())
