# SPDX-License-Identifier: Apache-2.0
"""The cell update in Verilog, written from the words of docs/arithmetic.md: what the gateware is compared with.

It shares nothing with the gateware. A code is decoded by arithmetic, sums have one common denominator, a quotient is
rounded by division of its magnitude, and a result that is too large is replaced.
"""

from fractions import Fraction

from crossramp.golden.spec.specification import Specification

#: The Verilog module of :func:`update_reference` that goes from the codes to the results; and its three stages.
MODULE, VALUES, PRODUCTS, RESULTS = "update_reference", "update_values", "update_products", "update_results"


def update_reference(spec: Specification) -> str:
    """Four modules, each for one unit and combinational; a proof may use the stages one by one.

    :data:`VALUES`: from the codes ``i``, ``f``, ``g`` and ``o`` to the odd integers that they stand for.
    :data:`PRODUCTS`: from these and the cell state ``c``, any number of ``state_bits``, to the exact products ``fc``,
    ``ig`` and ``ot``; t is decoded from ``g``.
    :data:`RESULTS`: from these to ``next_c`` and its pulse code ``pulse``, and to ``h``.
    :data:`MODULE`: all three, from ``i``, ``f``, ``g``, ``o`` and ``c`` to ``next_c``, ``pulse`` and ``h``.
    """
    bits, codes = spec.state_bits, spec.adc_bits
    numerator, denominator = _state_gain(spec)
    scale = {gate: value_scale(spec, gate) for gate in "ifgo"}
    unit = 1 << spec.state_frac_bits
    fc_bits, ig_bits = product_bits(spec)
    # Wide enough for every dividend below, twice it and its divisor, and a sign.
    largest = (
        (scale["i"] * scale["g"] << fc_bits) + (scale["f"] * unit << ig_bits),
        numerator << bits,
        spec.input_max << ig_bits,
        denominator,
        scale["f"] * scale["i"] * scale["g"],
    )
    wide = f"signed [{max(largest).bit_length() + 2}:0]"
    constant = f"{max(largest).bit_length() + 3}'sd"
    code, value, state = f"[{codes - 1}:0]", f"signed [{codes + 1}:0]", f"signed [{bits - 1}:0]"
    fc, ig = f"signed [{fc_bits - 1}:0]", f"signed [{ig_bits - 1}:0]"
    results = (
        f"output {state} next_c, output signed [{spec.state_pulse_bits - 1}:0] pulse, "
        f"output signed [{spec.input_bits - 1}:0] h"
    )
    decoded = "\n".join(
        f"  assign {gate}_value = 2 * $signed({{2'b0, {gate}}}) + 1{f' - {1 << codes}' if spec.bipolar(gate) else ''};"
        for gate in "ifgo"
    )
    return f"""\
module {VALUES} (input {code} i, f, g, o, output {value} i_value, f_value, g_value, o_value);
{decoded}
endmodule

module {PRODUCTS} (
  input {value} i_value, f_value, g_value, o_value, input {state} c, output {fc} fc, output {ig} ig, ot
);
  assign fc = f_value * c;
  assign ig = i_value * g_value;
  assign ot = o_value * g_value;
endmodule

module {RESULTS} (input {fc} fc, input {ig} ig, ot, {results});
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

  // f * c = fc / {scale["f"]}, and i * g = ig / {scale["i"] * scale["g"]}; c counts steps of 1 / {unit}.
  wire {wide} sum = {constant}{scale["i"] * scale["g"]} * fc + {constant}{scale["f"] * unit} * ig;
  wire {wide} c = within(nearest(sum, {constant}{scale["f"] * scale["i"] * scale["g"]}), {constant}{spec.state_max});
  wire {wide} c_pulse = nearest({constant}{numerator} * c, {constant}{denominator});
  assign next_c = c;
  assign pulse = within(c_pulse, {constant}{spec.state_pulse_max});
  assign h = nearest({constant}{spec.input_max} * ot, {constant}{scale["o"] * scale["g"]});
endmodule

module {MODULE} (input {code} i, f, g, o, input {state} c, {results});
  wire {value} i_value, f_value, g_value, o_value;
  wire {fc} fc;
  wire {ig} ig, ot;
  {VALUES} values (
    .i(i), .f(f), .g(g), .o(o), .i_value(i_value), .f_value(f_value), .g_value(g_value), .o_value(o_value)
  );
  {PRODUCTS} products (
    .i_value(i_value), .f_value(f_value), .g_value(g_value), .o_value(o_value), .c(c), .fc(fc), .ig(ig), .ot(ot)
  );
  {RESULTS} results (.fc(fc), .ig(ig), .ot(ot), .next_c(next_c), .pulse(pulse), .h(h));
endmodule
"""


def value_scale(spec: Specification, gate: str) -> int:
    """What a code's odd integer is divided by: 2**(n + 1) if the gate's range is [0, 1], 2**n if it is [-1, 1]."""
    return 1 << (spec.adc_bits + (0 if spec.bipolar(gate) else 1))


def value_bits(spec: Specification) -> int:
    """Bits of a code's odd integer, signed."""
    return spec.adc_bits + 2


def product_bits(spec: Specification) -> tuple[int, int]:
    """Bits of f·c, and of i·g and o·t, signed."""
    return value_bits(spec) + spec.state_bits, 2 * value_bits(spec)


def _state_gain(spec: Specification) -> tuple[int, int]:
    """c's pulse code is c times this fraction: 1 / (2**state_frac_bits · state_cell · scale_g), to eight bits."""
    step = Fraction(spec.gate("g").weight_range) / (spec.weight_max * spec.input_max)
    gain = 1 / (spec.state_cell * step * 2**spec.state_frac_bits)
    denominator = 1
    while gain * denominator < 128:
        denominator *= 2
    doubled = 2 * gain * denominator
    return (doubled.numerator + doubled.denominator) // (2 * doubled.denominator), denominator
