# SPDX-License-Identifier: Apache-2.0
"""ONNX's own tests of the operators LSTM, GRU and RNN, through its official runner."""

import importlib
import re
import unittest

import numpy as np
import pytest

pytest.importorskip("onnx")

from onnx.backend.test import BackendTest, runner
from onnx.backend.test.case import node

from tests.support.onnx_models import FloatBackend
from tests.support.planted import planted

#: The names of ONNX's tests of these operators; 18 in onnx 1.23.
NAMES = re.compile("^test_(lstm|gru|rnn|simple_rnn)_")


@pytest.fixture(scope="module")
def suite() -> dict[str, unittest.TestCase]:
    """Each test of ONNX for a recurrent operator, by its name."""
    with pytest.MonkeyPatch.context() as patch:
        # The runner would make the data of all 4,000 tests of all operators, which takes up to a minute.
        patch.setattr(runner, "load_model_tests", lambda kind: _recurrent() if kind == "node" else [])
        cases = BackendTest(FloatBackend, __name__).include(NAMES.pattern).test_cases
    case = cases["OnnxBackendNodeModelTest"]
    return {name: case(name) for name in dir(case) if NAMES.match(name) and name.endswith("_cpu")}


def _recurrent() -> list:
    """The tests that the modules of these operators add to ONNX's list when they are imported."""
    np.random.seed(1)  # noqa: NPY002
    for name in ("gru", "lstm", "rnn"):
        importlib.import_module(f"{node.__name__}.{name}")
    return [case for case in node._NodeTestCases if NAMES.match(case.name)]


def outcome(test: unittest.TestCase) -> unittest.TestResult:
    result = unittest.TestResult()
    test.run(result)
    return result


def test_every_test_of_onnx_passes(suite):
    assert len(suite) >= 18
    results = {name: outcome(test) for name, test in suite.items()}
    assert {
        name: result.failures + result.errors for name, result in results.items() if not result.wasSuccessful()
    } == {}
    assert [name for name, result in results.items() if result.skipped] == []


@pytest.mark.parametrize(
    ("file", "old", "new", "kinds"),
    [
        (
            "convert/formats/onnx/onnx_recurrent.py",
            "of_w[k] if after else of_w[k] + of_r[k]",
            "of_w[k]",
            {"seq_length"},
        ),
        (
            "convert/float_network/float_layer.py",
            "np.where(t < lengths[:, None], lengths[:, None] - 1 - t, t)",
            "t",
            {"reverse"},
        ),
    ],
)
def test_the_runner_sees_a_fault(suite, file, old, new, kinds):
    with planted(file, old, new):
        failed = {name for name, test in suite.items() if not outcome(test).wasSuccessful()}
    assert failed
    assert all(any(kind in name for name in failed) for kind in kinds)
