# SPDX-License-Identifier: Apache-2.0
"""Codes, thresholds and formats of docs/arithmetic.md, one number at a time; and the array as lists of int.

A specification is the plain dict of ``to_dict``.
"""

import math
from fractions import Fraction

SELU_SCALE, SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848


def _elu(y, alpha=1.0):
    return y if y > 0 else math.log(1 + y / alpha)


# name -> inverse, and the default output range
INVERSES = {
    "sigmoid": (lambda y: -math.log(1 / y - 1), 0, 1),
    "tanh": (lambda y: math.log((1 + y) / (1 - y)) / 2, -1, 1),
    "softsign": (lambda y: y / (1 - abs(y)), -1, 1),
    "identity": (lambda y: y, -1, 1),
    "clipped_relu": (lambda y: y, 0, 1),
    "hard_sigmoid": (lambda y: 6 * y - 3, 0, 1),
    "hard_tanh": (lambda y: y, -1, 1),
    "softplus": (lambda y: math.log(math.exp(y) - 1), 0, 4),
    "elu": (_elu, -1, 1),
    "selu": (lambda y: _elu(y / SELU_SCALE, SELU_ALPHA), -SELU_SCALE * SELU_ALPHA, SELU_SCALE * SELU_ALPHA),
}


# name -> function, and the default output range: those whose curve turns
TURNING = {
    "silu": (lambda x: x / (1 + math.exp(-x)) if x > -700 else 0.0, -1, 1),
    "gelu": (lambda x: x * math.erfc(-x / math.sqrt(2)) / 2, -1, 1),
    "gaussian": (lambda x: math.exp(-x * x), 0, 1),
}


def parse(text):
    """(name, low, high) of ``name`` or ``name[low,high]``."""
    name, _, rest = text.partition("[")
    if not rest:
        return name, *(INVERSES | TURNING)[name][1:]
    low, high = rest.rstrip("]").split(",")
    return name, Fraction(float(low)), Fraction(float(high))


def thresholds(text, bits, scale: Fraction):
    """T_1 .. T_(2**bits - 1), as fractions."""
    name, low, high = parse(text)
    result = []
    for k in range(1, 2**bits):
        y = low + (high - low) * k / Fraction(2**bits)
        quotient = Fraction(INVERSES[name][0](float(y))) / scale
        nearest = math.floor(quotient + Fraction(1, 2))
        if abs(quotient - nearest) <= max(1, abs(nearest)) / Fraction(10**9):
            quotient = nearest
        result.append(math.floor(quotient) + Fraction(1, 2))
    return result


def turns(text):
    return parse(text)[0] in TURNING


def convert(mac, levels):
    return sum(1 for level in levels if mac > level)


def convert_turning(mac, text, bits, scale: Fraction):
    """The level that is nearest to what the curve makes of a MAC, modulo 2**bits: no threshold and no inverse."""
    name, low, high = parse(text)
    real = float(mac * scale)
    unit = float(Fraction(high) / 2 ** (bits if low == 0 else bits - 1))
    level = math.floor(TURNING[name][0](real) / unit + 0.5)
    least, most = (0, 2**bits - 1) if low == 0 else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return max(least, min(most, level)) % 2**bits


def decode(code, text, bits):
    """The middle of a code's part of the range [0, R] or [-R, R]; of a curve that turns, its level."""
    name, low, high = parse(text)
    if name in TURNING:
        if low == 0:
            return Fraction(high) * Fraction(code, 2**bits)
        return Fraction(high) * Fraction(code - 2**bits if code >= 2 ** (bits - 1) else code, 2 ** (bits - 1))
    if low == 0:
        return Fraction(high) * Fraction(2 * code + 1, 2 ** (bits + 1))
    return Fraction(high) * Fraction(2 * code + 1 - 2**bits, 2**bits)


def rounded(value: Fraction) -> int:
    """To the nearest integer, halves away from zero."""
    magnitude = math.floor(abs(value) + Fraction(1, 2))
    return magnitude if value >= 0 else -magnitude


def saturated(value, limit):
    return max(-limit, min(limit, value))


def pulse_gain(unit: Fraction, clock: Fraction) -> Fraction:
    """Pulse clocks of a value that is one ``unit``: a quotient of eight significant bits, or all of its integer part.

    ``clock`` is the real value that one clock of the line adds to a column.
    """
    gain = unit / clock
    right = 0
    while gain * 2**right < 128:
        right += 1
    return Fraction(rounded(gain * 2**right), 2**right)


def state_gain(frac_bits, state_cell, scale: Fraction) -> Fraction:
    """:func:`pulse_gain` of a register with ``frac_bits`` behind the point, on cells of ``state_cell`` levels."""
    return pulse_gain(Fraction(1, 2**frac_bits), state_cell * scale)


class Numbers:
    """The numbers of a specification, and its formats.

    Parameters
    ----------
    spec : dict
        Of ``to_dict``.
    """

    def __init__(self, spec: dict):
        self.units = spec["units"]
        self.bits = {bank: gate.get("bits", spec["adc_bits"]) for bank, gate in spec["gates"].items()}
        self.row_full = 2 ** (spec["input_bits"] - 1) - 1
        self.weight_full = 2 ** (spec["weight_bits"] - 1) - 1
        self.state_bits, self.frac_bits = spec.get("state_bits"), spec.get("state_frac_bits")
        self.pulse_bits, self.cell = spec.get("state_pulse_bits"), spec.get("state_cell")
        self.bias = [self.row_full] * spec["bias_rows"]
        self.texts = {bank: gate["activation"] for bank, gate in spec["gates"].items()}
        self.scales = {
            bank: Fraction(gate["weight_range"]) / (self.weight_full * self.row_full)
            for bank, gate in spec["gates"].items()
        }
        self.ramps = {
            bank: thresholds(text, self.bits[bank], self.scales[bank])
            for bank, text in self.texts.items()
            if not turns(text)
        }

    def codes(self, bank: str, macs: list[int]) -> list[int]:
        """The codes of the columns of a bank."""
        if turns(self.texts[bank]):
            return [convert_turning(mac, self.texts[bank], self.bits[bank], self.scales[bank]) for mac in macs]
        return [convert(mac, self.ramps[bank]) for mac in macs]

    def value(self, bank: str, code: int) -> Fraction:
        """What a code stands for."""
        return decode(code, self.texts[bank], self.bits[bank])

    def unit(self, bank: str) -> Fraction:
        """The largest number that each value of a bank is a multiple of: half the distance of two, or a level."""
        step = self.value(bank, 1) - self.value(bank, 0)
        return step if turns(self.texts[bank]) else step / 2

    def register(self, value: Fraction) -> int:
        """The stored integer of a fixed value."""
        return saturated(rounded(value * 2**self.frac_bits), 2 ** (self.state_bits - 1) - 1)

    def registered(self, stored: int) -> Fraction:
        """The real value of a stored integer."""
        return Fraction(stored, 2**self.frac_bits)

    def row(self, value: Fraction) -> int:
        """The pulse code of a row."""
        return saturated(rounded(value * self.row_full), self.row_full)

    def line(self, value: Fraction, unit: Fraction, bank: str) -> int:
        """The pulse code of a line whose constant cells stand on ``bank``; ``value`` is a multiple of ``unit``."""
        gain = pulse_gain(unit, self.cell * self.scales[bank])
        return saturated(rounded(value / unit * gain), 2 ** (self.pulse_bits - 1) - 1)

    def state_line(self, stored: int, bank: str) -> int:
        """The pulse code of the register."""
        return self.line(self.registered(stored), Fraction(1, 2**self.frac_bits), bank)


class Columns:
    """The rectangle of weights, by banks and groups of rows in the order in which they lie.

    Parameters
    ----------
    weights : list of rows, each a list of int
    banks : str
        Names of one letter.
    groups : dict of int
        Group to its number of rows.
    """

    def __init__(self, weights, banks: str, groups: dict[str, int]):
        assert len(weights) == sum(groups.values())
        self._weights, self._banks, self._groups = weights, banks, groups

    def macs(self, bank: str, **pulses: list[int]) -> list[int]:
        """What the rows of the groups named bring to each column of a bank."""
        units = len(self._weights[0]) // len(self._banks)
        start = self._banks.index(bank) * units
        found = [0] * units
        row = 0
        for group, size in self._groups.items():
            if group in pulses:
                assert len(pulses[group]) == size
                for offset, pulse in enumerate(pulses[group]):
                    for unit in range(units):
                        found[unit] += pulse * self._weights[row + offset][start + unit]
            row += size
        return found
