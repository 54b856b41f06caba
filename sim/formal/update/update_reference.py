# SPDX-License-Identifier: Apache-2.0
"""The cell update in Verilog, from the equations of :mod:`.cell_equations`: what the gateware is compared with.

It shares nothing with the gateware. A code is decoded by arithmetic, sums have one common denominator, a quotient is
rounded by division of its magnitude, and a result that is too large is replaced.
"""

import re

from crossramp.golden.cell.description import CODE, FIXED, LINE, ROW
from crossramp.golden.spec.specification import Specification

from .cell_equations import Numbers, equations

#: The stages of an update.
VALUES, DIFFERENCES, PRODUCTS, RESULTS = "values", "differences", "products", "results"


class UpdateReference:
    """One update of one unit, as combinational modules: :attr:`module`, and its stages, which a proof may use alone.

    - ``values``: from a code ``i_code`` of each bank that it reads to the odd integer ``i`` that it stands for.
    - ``differences``: from these and the register to the differences.
    - ``products``: from all of them to the products.
    - ``results``: from products, odd integers and the register to ``new_c`` and so on; and ``bounded``, which is high
      while the bounds of the equations hold.

    Parameters
    ----------
    spec : Specification
    update : int
        Its number in the step.

    Attributes
    ----------
    equations : Equations
    gates : tuple of str
        The banks whose codes it reads.
    reads_register : bool
    codes, values, differences, products, results : dict of int
        Names and bits: of the codes, of their odd integers and the register if it is read, and of what follows.
    """

    def __init__(self, spec: Specification, update: int):
        self.spec, self.update = spec, update
        self.equations = found = equations(spec)[update]
        numbers, register = Numbers(spec), spec.layout.register
        expressions = [*found.results.values(), *(text for text, _ in found.differences.values())]
        read = set(re.findall(r"[a-z]\w*", " ".join(expressions)))
        read.update(factor for pair in found.products.values() for factor in pair)
        self.gates = tuple(gate for gate in spec.gate_names if gate in read)
        self.reads_register = register in read
        self.codes = {f"{gate}_code": spec.gate_bits(gate) for gate in self.gates}
        self.values = {gate: spec.gate_bits(gate) + 2 for gate in self.gates}
        if self.reads_register:
            self.values[register] = spec.state_bits
        self.differences = {name: most.bit_length() + 1 for name, (_, most) in found.differences.items()}
        bits = self.values | self.differences
        self.products = {name: bits[left] + bits[right] for name, (left, right) in found.products.items()}
        most = {FIXED: numbers.most, ROW: numbers.row, LINE: numbers.line, CODE: (1 << spec.code_pulse_bits - 1) - 1}
        form = spec.layout.values
        self.results = {f"new_{name}": most[form[name]].bit_length() + 1 for name in found.results}
        # Bits of every sum and dividend, twice that, and a sign.
        line = spec.weight_bits + spec.input_bits if spec.layout.line_value else 0
        largest = max({**bits, **self.products}.values())
        most_bits = max(map(spec.gate_bits, spec.gate_names))
        self._wide = largest + 2 * (most_bits + 2) + (spec.state_frac_bits or 0) + spec.input_bits + line + 12

    @property
    def module(self) -> str:
        """The name of the module of the whole update: from codes and the register to the results."""
        return f"update_reference_{self.update}"

    def stage(self, name: str) -> str:
        """The name of the module of a stage."""
        return f"{self.module}_{name}"

    def source(self) -> str:
        """The text of all modules."""
        spec, found = self.spec, self.equations
        odd = {gate: _decoded(spec, gate) for gate in self.gates}
        apart = {name: self._sized(text) for name, (text, _) in found.differences.items()}
        made = {name: " * ".join(pair) for name, pair in found.products.items()}
        results = {f"new_{name}": self._sized(text) for name, text in found.results.items()}
        limits = [self._sized(f"({text}) <= {most} && ({text}) >= -{most}") for text, most in found.bounds.items()]
        results["bounded"] = " && ".join(limits) or "1'b1"
        values, states = {gate: self.values[gate] for gate in self.gates}, self._register
        stages = (
            _module(self.stage(VALUES), self.codes, values, odd),
            _module(self.stage(DIFFERENCES), self.values, self.differences, apart),
            _module(self.stage(PRODUCTS), self.values | self.differences, self.products, made),
            _module(
                self.stage(RESULTS),
                self.values | self.products,
                self.results | {"bounded": 1},
                results,
                self._functions,
            ),
        )
        inner = values | self.differences | self.products | {"bounded": 1}
        body = [f"  wire signed [{bits - 1}:0] {name};" for name, bits in inner.items()]
        for name, ports in (
            (VALUES, [*self.codes, *values]),
            (DIFFERENCES, [*self.values, *self.differences] if self.differences else []),
            (PRODUCTS, [*self.values, *self.differences, *self.products] if self.products else []),
            (RESULTS, [*self.values, *self.products, *self.results, "bounded"]),
        ):
            if ports:
                body.append(f"  {self.stage(name)} {name} ({', '.join(f'.{port}({port})' for port in ports)});")
        whole = _module(self.module, self.codes | states, self.results, {}, "\n".join(body))
        return "\n".join([*stages, whole])

    @property
    def _register(self) -> dict[str, int]:
        return {name: bits for name, bits in self.values.items() if name not in self.gates}

    def _sized(self, expression: str) -> str:
        """An expression whose decimal numbers all have a width."""
        return re.sub(r"\b(\d+)\b", rf"{self._wide}'sd\1", expression)

    @property
    def _functions(self) -> str:
        wide = f"signed [{self._wide - 1}:0]"
        return f"""\
  // The quotient to nearest, halves away from zero.
  function {wide} nearest(input {wide} dividend, divisor);
    reg {wide} magnitude;
    begin
      magnitude = dividend < 0 ? -dividend : dividend;
      magnitude = $unsigned(2 * magnitude + divisor) / $unsigned(2 * divisor);
      nearest = dividend < 0 ? -magnitude : magnitude;
    end
  endfunction

  function {wide} within(input {wide} value, limit);
    within = value > limit ? limit : value < -limit ? -limit : value;
  endfunction
"""


def _decoded(spec: Specification, gate: str) -> str:
    """The integer of a gate's code: a bipolar one's range is [-1, 1], or a wider one around 0; otherwise [0, 1]."""
    code, bipolar, bits = f"$signed({{2'b0, {gate}_code}})", spec.activation(gate).low < 0, spec.gate_bits(gate)
    if spec.activation(gate).turns:
        return f"{code} - ({gate}_code[{bits - 1}] ? {1 << bits} : 0)" if bipolar else code
    return f"2 * {code} + 1{f' - {1 << bits}' if bipolar else ''}"


def _module(name: str, inputs: dict[str, int], outputs: dict[str, int], assigned: dict[str, str], body="") -> str:
    """A combinational module whose ports are signed, but for codes."""
    if not outputs:
        return ""
    ports = [
        f"  input{'' if one.endswith('_code') else ' signed'} [{bits - 1}:0] {one}" for one, bits in inputs.items()
    ]
    ports += [f"  output signed [{bits - 1}:0] {one}" for one, bits in outputs.items()]
    lines = [f"module {name} (", ",\n".join(ports), ");", *([body] if body else [])]
    return "\n".join([*lines, *(f"  assign {one} = {text};" for one, text in assigned.items()), "endmodule", ""])
