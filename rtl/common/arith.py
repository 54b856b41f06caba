# SPDX-License-Identifier: Apache-2.0
"""The golden model's integer operations as Amaranth expressions, one for one."""

from amaranth import Cat, Const, Mux, Value, signed


def round_shift(value: Value, shift: int) -> Value:
    """Signed ``value`` / 2**``shift``, to nearest, halves away from zero (:func:`~.integers.round_shift`).

    Adding one half and flooring rounds halves up; one unit less does so for negative values, where up is towards zero.
    """
    if shift == 0:
        return value
    return (value + Const(1 << (shift - 1)) - value[-1]) >> shift


def saturate(value: Value, limit: int) -> Value:
    """Signed ``value`` held within ±``limit`` (:func:`~.integers.saturate`), as wide as the limit needs."""
    bits = limit.bit_length() + 1
    low, high = Const(-limit, signed(bits)), Const(limit, signed(bits))
    return Mux(value > limit, high, Mux(value < -limit, low, value[:bits].as_signed()))


def balanced_sum(values: list) -> Value:
    """The sum of ``values`` as a balanced tree."""
    while len(values) > 1:
        values = [sum(values[k : k + 2]) for k in range(0, len(values), 2)]
    return values[0]


def gray_to_binary(gray: Value) -> list[Value]:
    """Bits of the binary number, lowest first, that ``gray`` codes."""
    return [gray[bit:].xor() for bit in range(len(gray))]


def decode(code: Value, bipolar: bool, turns: bool = False) -> Value:
    """The integer that ``code`` stands for (:func:`~.ramps.decode_integer`): append a one; wiring.

    Unipolar: 2·code + 1, with a zero as its sign. Bipolar: 2·code + 1 - 2**bits, whose top bit is the code's turned.
    Of a curve that turns: the code itself, with a zero as its sign, or in two's complement if it is bipolar.
    """
    if turns:
        return code.as_signed() if bipolar else Cat(code, Const(0, 1)).as_signed()
    top = ~code[-1] if bipolar else code[-1]
    bits = [Const(1, 1), *code[:-1], top] + ([] if bipolar else [Const(0, 1)])
    return Cat(*bits).as_signed()
