# SPDX-License-Identifier: Apache-2.0
"""Real inputs over full scales of their own."""

import numpy as np
import pytest
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.inputs.real_inputs import RealInputs


def test_codes_are_over_each_full_scale():
    inputs = RealInputs((0.5, 20.0))
    values = np.array([[0.5, 10.0], [-0.25, -99.0], [0.0, 1.0]])
    assert inputs.codes(values, 5).tolist() == [[15, 8], [-8, -15], [0, 1]]  # 7.5 away from zero, beyond: saturated
    assert inputs.scaled(values).tolist() == [[1, 0.5], [-0.5, -4.95], [0, 0.05]]


def test_the_stored_form_is_read_back():
    inputs = RealInputs((0.1, 1 / 3))
    assert RealInputs.from_dict(inputs.to_dict()) == inputs


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"kind": "real", "full_scale": [1, 0]}, "full_scale of input 1 is 0; allowed: a number above 0"),
        ({"kind": "real", "full_scale": ["a"]}, "full_scale of input 0 is 'a'"),
        ({"kind": "real", "full_scale": []}, "full_scale is"),
        ({"kind": "real", "full_scale": 3}, "full_scale is 3"),
        ({"kind": "real"}, "real inputs hold kind; expected kind and full_scale"),
        ({"kind": "text", "full_scale": [1]}, "expected kind and full_scale"),
        ({"kind": "real", "full_scale": [float("inf")]}, "full_scale of input 0 is inf"),
    ],
)
def test_other_content_is_refused(content, message):
    with pytest.raises(InvalidValue, match=message):
        RealInputs.from_dict(content)
