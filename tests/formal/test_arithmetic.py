# SPDX-License-Identifier: Apache-2.0
"""Proofs of rounding, saturation, decoding, Gray codes and sums: at many widths; planted faults."""

import pytest
from crossramp.golden.spec.specification import Specification
from crossramp.sim.formal.engine.solver import Mode
from crossramp.sim.formal.update.arithmetic_proof import ArithmeticProof, proofs

from tests.support.planted import planted
from tests.support.proving import all_hold, holds, is_violated

ARITH = "rtl/common/arith.py"


def small(**options) -> ArithmeticProof:
    return ArithmeticProof(3, [(5, 2), (4, 0)], [(5, 7), (5, 3)], 3, **options)


def test_shipped_models(shipped_spec):
    all_hold(proofs(shipped_spec))


def test_with_a_projection():
    spec = Specification(inputs=3, units=20, classes=2, projection=7, lanes=5, head_weight_bits=16, input_bits=8)
    all_hold(proofs(spec))


@pytest.mark.slow
@pytest.mark.parametrize("bits", [2, 4, 8, 14, 22, 34, 46, 60])
def test_many_widths(bits, rng):
    """Values of up to 60 bits, every shift of them, and every limit of so many bits less one, or some of them."""
    codes = bits % 7 + 2
    for width in (bits, bits + 1):
        most = (1 << (width - 1)) - 1
        limits = {1, most, *(int(limit) for limit in rng.integers(1, most + 1, 8))}
        rounded = [(width, shift) for shift in range(min(width + 3, 44))]
        holds(ArithmeticProof(codes, rounded, [(width, limit) for limit in limits], bits), Mode.BOUNDED, 1)


def test_covers_are_reached():
    holds(small(), Mode.COVER, 2)


FAULTS = [
    ("- value[-1]", "", "halves away"),
    ("- value[-1]", "- ~value[-1]", "5 bits >> 2"),
    ("1 << (shift - 1)", "1 << shift", "nearest"),
    ("value > limit, high", "value >= limit, low", "unchanged"),
    ("value < -limit, low", "value < -limit, high", "below -"),
    ("gray[bit:].xor()", "gray[bit : bit + 2].xor()", "Gray"),
    ("~code[-1] if bipolar", "code[-1] if bipolar", "bipolar code"),
    ("range(0, len(values), 2)", "range(0, len(values) - 1, 2)", "sum"),
]


@pytest.mark.parametrize(
    ("old", "new", "message"), [FAULTS[0], *(pytest.param(*fault, marks=pytest.mark.slow) for fault in FAULTS[1:])]
)
def test_planted_faults(old, new, message):
    with planted(ARITH, old, new):
        is_violated(small(invariants=False), 1, message)
