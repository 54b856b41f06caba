# SPDX-License-Identifier: Apache-2.0
"""docs/arithmetic.md once more, slowly: plain Python, fractions, one number at a time, nothing of golden's code.

It takes a specification as the plain dict of ``to_dict`` and lists of int.
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


def parse(text):
    """(name, low, high) of ``name`` or ``name[low,high]``."""
    name, _, rest = text.partition("[")
    if not rest:
        return name, *INVERSES[name][1:]
    low, high = rest.rstrip("]").split(",")
    return name, Fraction(low), Fraction(high)


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


def convert(mac, levels):
    return sum(1 for level in levels if mac > level)


def decode(code, text, bits):
    low = parse(text)[1]
    if low == 0:
        return Fraction(2 * code + 1, 2 ** (bits + 1))
    return Fraction(2 * code + 1 - 2**bits, 2**bits)


def rounded(value: Fraction) -> int:
    """To the nearest integer, halves away from zero."""
    magnitude = math.floor(abs(value) + Fraction(1, 2))
    return magnitude if value >= 0 else -magnitude


def saturated(value, limit):
    return max(-limit, min(limit, value))


def state_gain(frac_bits, state_cell, scale_g: Fraction) -> Fraction:
    """M / 2**R: the reciprocal of c's pulse, with eight significant bits, or all bits of its integer part."""
    gain = 1 / (2**frac_bits * state_cell * scale_g)
    right = 0
    while gain * 2**right < 128:
        right += 1
    return Fraction(rounded(gain * 2**right), 2**right)


def run(spec: dict, weights, head_weights, head_biases, utterance, projection=None):
    """One utterance: a list of steps of codes. Returns (answer, logits, steps), each step a dict of lists.

    With the readout "step", answer and logits are lists with an entry a step.
    """
    units, n = spec["units"], spec["adc_bits"]
    full = 2 ** (spec["input_bits"] - 1) - 1
    weight_full = 2 ** (spec["weight_bits"] - 1) - 1
    state_full = 2 ** (spec["state_bits"] - 1) - 1
    pulse_full = 2 ** (spec["state_pulse_bits"] - 1) - 1
    texts = [spec["gates"][gate]["activation"] for gate in "ifgo"]
    scales = [Fraction(spec["gates"][gate]["weight_range"]) / (weight_full * full) for gate in "ifgo"]
    ramps = [thresholds(text, n, scale) for text, scale in zip(texts, scales, strict=True)]
    gain = state_gain(spec["state_frac_bits"], spec["state_cell"], scales[2])

    c, h, steps = [0] * units, [0] * (spec.get("projection") or units), []
    for x in utterance:
        drive = list(x) + h + [full] * spec["bias_rows"]
        macs = [sum(d * row[column] for d, row in zip(drive, weights, strict=True)) for column in range(4 * units)]
        codes = [convert(mac, ramps[column // units]) for column, mac in enumerate(macs)]
        step = {"macs": macs, "codes": codes, "c": [], "state_pulses": [], "state_codes": [], "h": []}
        for u in range(units):
            i, f, g, o = (decode(codes[bank * units + u], texts[bank], n) for bank in range(4))
            new = saturated(rounded(f * c[u] + i * g * 2 ** spec["state_frac_bits"]), state_full)
            q = saturated(rounded(new * gain), pulse_full)
            code = convert(spec["state_cell"] * q, ramps[2])
            step["c"].append(new)
            step["state_pulses"].append(q)
            step["state_codes"].append(code)
            step["h"].append(rounded(o * decode(code, texts[2], n) * full))
        if spec.get("projection"):
            one = 2 ** (spec["head_weight_bits"] - 1)
            sums = [sum(w * code for w, code in zip(row, step["h"], strict=True)) for row in projection]
            step["h"] = [saturated(rounded(Fraction(total, one)), full) for total in sums]
        c, h = step["c"], step["h"]
        steps.append(step)

    if spec["readout"] == "step":
        logits = [head(step["h"], 1, head_weights, head_biases) for step in steps]
        return [row.index(max(row)) for row in logits], logits, steps
    mean = spec["readout"] == "mean"
    sums = [sum(codes) for codes in zip(*(step["h"] for step in steps), strict=True)] if mean else h
    logits = head(sums, len(steps) if mean else 1, head_weights, head_biases)
    return logits.index(max(logits)), logits, steps


def head(sums, count, weights, biases):
    """Logits of what the head sees, over ``count`` steps."""
    return [
        sum(w * s for w, s in zip(row, sums, strict=True)) + bias * count
        for row, bias in zip(weights, biases, strict=True)
    ]
