# SPDX-License-Identifier: Apache-2.0
"""The table of what a step shows: records of drawn specifications there and back, and the bits of one written out."""

import numpy as np
import pytest
from crossramp.golden.macro.step_record import expected_records, step_records, step_values
from crossramp.golden.spec.specification import Specification
from hypothesis import given, settings

from tests.support.strategies import inputs_of, network_of, seeds, specifications


@settings(max_examples=30)
@given(specifications(), seeds)
def test_a_trace_survives_its_records(spec, seed):
    trace = network_of(spec, seed).run(inputs_of(spec, seed, batch=2, steps=3))
    records = step_records(spec)
    groups = {
        name: records[name].unpack_integers(records[name].pack(values))
        for name, values in expected_records(spec, trace).items()
    }
    for name, values in step_values(spec, groups).items():
        want = getattr(trace, name)
        np.testing.assert_array_equal(values, want.reshape(values.shape), err_msg=name)


def test_the_bits_of_a_record():
    """Two lanes of 3-bit codes: bank i in the lowest bits, its lower unit lowest; c and q signed."""
    spec = Specification(
        inputs=1, units=2, classes=3, lanes=2, adc_bits=3, input_bits=4, state_bits=5, state_frac_bits=2
    )
    records = step_records(spec)
    gates = {"i": [[1, 2]], "f": [[3, 4]], "g": [[5, 7]]}
    assert records["gates"].pack(gates) == [0b111_101_100_011_010_001]
    state = {"c": [[-1, 15]], "q": [[-15, 3]]}
    assert records["state"].pack(state) == [0b00011_10001_01111_11111]
    h = records["h"].unpack_integers([0b1_0_0111_1001])
    assert {name: values.tolist() for name, values in h.items()} == {"codes": [[-7, 7]], "end": [[0]], "last": [[1]]}
    assert [records[name].beats for name in ("gates", "h", "logits", "answers")] == [1, 1, 3, 1]


def test_an_incomplete_step_is_left_out():
    spec = Specification(inputs=1, units=3, classes=2, lanes=2)
    beats = {"i": np.zeros((3, 2), int), "f": np.zeros((3, 2), int), "g": np.zeros((4, 2), int)}
    groups = {
        "gates": beats,
        "output": {"o": np.ones((5, 2), int), "t": np.ones((4, 2), int)},
        "state": {"c": np.zeros((4, 2), int), "q": np.zeros((4, 2), int)},
        "h": {"codes": np.zeros((3, 2), int)},
    }
    values = step_values(spec, groups)
    assert {name: array.shape for name, array in values.items()} == {
        "codes": (1, 12), "c": (2, 3), "state_pulses": (2, 3), "state_codes": (2, 3), "h": (1, 3),
    }  # fmt: skip


def test_a_number_too_wide_for_its_record_is_an_error():
    record = step_records(Specification(inputs=1, units=2, classes=2))["gates"]
    with pytest.raises(OverflowError):
        record.unpack_integers([1 << 64])
