# SPDX-License-Identifier: Apache-2.0
"""Rounding, saturation, decoding, Gray codes and sums: each is what its definition says, for every number."""

from amaranth import Cat, Const, Module, Mux, Signal, signed
from crossramp.golden.cell.exact import interval
from crossramp.golden.spec.specification import Specification
from crossramp.golden.spec.update_formats import leaf_interval, store_rule
from crossramp.rtl.common.arith import balanced_sum, decode, gray_to_binary, round_shift, saturate

from ..engine.entry import Entry
from ..engine.proof import Proof, implies
from ..engine.solver import Mode


class ArithmeticProof(Proof):
    """The functions of :mod:`crossramp.rtl.common.arith`, each by the property that defines its result.

    Environment: any numbers.

    Claims:

    - ``round_shift``: the result times 2**shift is within half of 2**shift of the value; at exactly one half its
      magnitude is the larger one. No other integer has this property.
    - ``saturate``: a value within ±limit stays, any other becomes the limit that is nearer.
    - ``decode``: 2·code + 1, less 2**bits if bipolar.
    - ``gray_to_binary``: a number whose Gray code, number ^ (number >> 1), is the argument.
    - ``balanced_sum``: of up to four terms their sum; of more, where all but one are zero, that one.

    Parameters
    ----------
    codes : int
        Bits of codes, for ``decode`` and ``gray_to_binary``.
    rounded : list of (int, int)
        Widths of signed values and by how much they are shifted, for ``round_shift``.
    limits : list of (int, int)
        Widths of signed values and their limits, for ``saturate``.
    terms : int
        Numbers that ``balanced_sum`` adds, of ``codes`` bits.
    """

    def __init__(self, codes: int, rounded, limits, terms: int, **options):
        super().__init__(**options)
        self.codes, self.rounded, self.limits, self.terms = codes, rounded, limits, terms

    def describe(self, m: Module) -> None:
        for bits, shift in self.rounded:
            value = self.free(m, signed(bits), f"rounded_{bits}_{shift}")
            result, half = Signal(signed(bits + 1), name=f"round_{bits}_{shift}"), Const((1 << shift) // 2)
            error = Signal(signed(bits + shift + 3), name=f"error_{bits}_{shift}")
            m.d.comb += [result.eq(round_shift(value, shift)), error.eq((result << shift) - value)]
            self.claim(m, (error <= half) & (error >= -half), f"{bits} bits >> {shift}: rounded to nearest")
            if shift:
                away = Mux(value < 0, error == -half, error == half)
                self.claim(
                    m, implies((error == half) | (error == -half), away), f"{bits} bits >> {shift}: halves away from 0"
                )
            else:
                self.claim(m, result == value, f"{bits} bits >> 0: unchanged")
        for bits, limit in self.limits:
            value = self.free(m, signed(bits), f"saturated_{bits}_{limit}")
            result = Signal(signed(bits + 1), name=f"saturate_{bits}_{limit}")
            m.d.comb += result.eq(saturate(value, limit))
            within = (value <= limit) & (value >= -limit)
            self.claim(m, ~within | (result == value), f"{bits} bits within {limit}: unchanged")
            self.claim(m, implies(value > limit, result == limit), f"{bits} bits above {limit}: the limit")
            self.claim(m, implies(value < -limit, result == -limit), f"{bits} bits below -{limit}: the limit")
        code = self.free(m, self.codes, "code")
        for bipolar in (False, True):
            value = decode(code, bipolar)
            expected = (code << 1) + 1 - (1 << self.codes if bipolar else 0)
            self.claim(m, value == expected, f"{'bipolar' if bipolar else 'unipolar'} code decoded")
        binary = Signal(self.codes)
        m.d.comb += binary.eq(Cat(*gray_to_binary(code)))
        self.claim(m, (binary ^ (binary >> 1)) == code, "the binary number has this Gray code")
        # Solvers do not see that a long sum may be taken in any order; a sum is linear, so one term at a time will do.
        term, place = self.free(m, signed(self.codes), "term"), self.choice(m, self.terms, "place")
        alone = [Mux(place == k, term, 0) for k in range(self.terms)]
        self.claim(m, balanced_sum(alone) == term, "a sum with one term that is not zero")
        few = [self.free(m, signed(self.codes), f"term_{k}") for k in range(min(self.terms, 4))]
        total = Signal(signed(self.codes + 4))
        m.d.comb += total.eq(sum(few))
        self.claim(m, balanced_sum(few) == total, "a sum of up to four terms")
        self.cover(m, (code == 1) & (term == -1), "any numbers")


def used_widths(spec: Specification) -> dict:
    """The parameters of :class:`ArithmeticProof` for all numbers of the hardware of ``spec``."""
    rounded, limits = [], []
    for stores in spec.layout.stores:
        for store in stores:
            exact, rule = interval(store.expression, lambda name: leaf_interval(spec, name)), store_rule(spec, store)
            bits = (exact.magnitude * rule.multiplier).bit_length() + 2
            rounded.append((bits, rule.shift))
            limits.append((bits, rule.limit))
    if spec.digital_projection:
        total = (spec.units * spec.head_weight_max * spec.input_max).bit_length() + 1
        rounded.append((total, spec.projection_shift))
        limits.append((total, spec.input_max))
    codes = max(map(spec.gate_bits, spec.gate_names))
    return {"codes": codes, "rounded": rounded, "limits": limits, "terms": spec.lanes}


def proofs(spec: Specification) -> list[Entry]:
    """The proof of the arithmetic at the widths of ``spec``."""
    return [
        Entry(
            "arithmetic",
            "rounding, saturation, decoding, Gray codes and sums are what their definitions say, for every number",
            lambda: ArithmeticProof(**used_widths(spec)),
            Mode.BOUNDED,
            1,
            complete=True,
        )
    ]
