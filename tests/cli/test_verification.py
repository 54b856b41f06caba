# SPDX-License-Identifier: Apache-2.0
"""``verify``: what is observed is compared value by value, utterance by utterance, whatever the blocks."""

import numpy as np
import pytest
from crossramp.cli import verification
from crossramp.golden.analog.chip.sampling import device
from crossramp.golden.analog.technologies.technology import load
from crossramp.sim.array.programming import calibration_port
from crossramp.sim.checking.scoreboard import expected_traces

from tests.cli.conftest import small_model

NAMES = ("codes", "c", "state_pulses", "state_codes", "h")


@pytest.fixture
def case(monkeypatch, seed):
    """A network, a noisy chip, 5 utterances, and what hardware shows that equals the golden model."""
    network = small_model().network
    chip = device(load("rram").replace({"cell.read_noise": 0.3}), network.spec, network.weights, 7)
    x = np.random.default_rng(seed).integers(-7, 8, (5, 3, 5))
    port = calibration_port(network.spec, None, chip)
    (trace,) = expected_traces(network, x, chip, port)
    observed = {name: getattr(trace.steps, name).copy() for name in NAMES}
    observed |= {"logits": trace.logits.copy(), "answers": trace.answers.copy()}
    monkeypatch.setattr(verification, "_observe", lambda *_: (observed, np.array([38, 38, 39]), ()))
    monkeypatch.setattr(verification, "_BLOCK", 2)
    return observed, lambda: verification.verify(network, x, "icarus", device=chip, calibration=port)


def test_blocks_count_what_one_comparison_counts(case):
    observed, run = case
    outcome = run()
    each = sum(values[0].size for values in observed.values())
    assert outcome.compared.tolist() == [each] * 5
    assert (outcome.mismatches.tolist(), outcome.first) == ([0] * 5, [None] * 5)
    assert outcome.clocks_per_step == 38
    observed["h"][3] ^= 1
    observed["codes"][4, 1, 5] += 1
    observed["codes"][4, 2, 6] += 1
    observed["answers"][0] += 1
    outcome = run()
    assert outcome.compared.tolist() == [each] * 5
    assert outcome.mismatches.tolist() == [1, 0, 0, observed["h"][3].size, 2]
    code, answer = observed["codes"][4, 1, 5], observed["answers"][0]
    assert outcome.first[0] == f"answers is {answer}, golden {answer - 1}"
    assert outcome.first[1:3] == [None, None]
    assert outcome.first[3].startswith("h[0, 0] is ")
    assert outcome.first[4] == f"codes[1, 5] is {code}, golden {code - 1}"
    assert outcome.answers.tolist() == observed["answers"].tolist() != outcome.golden_answers.tolist()


@pytest.mark.parametrize("name", [*NAMES, "logits", "answers"])
def test_arrays_of_another_shape_are_no_comparison(case, name):
    """Of one value for all, with an axis of one more: none of them is spread over the golden values."""
    observed, run = case
    whole = observed[name]
    changes = [*[whole.take([0], axis) for axis in range(1, whole.ndim)], whole[..., None]]
    for changed in changes:
        observed[name] = changed
        # Whatever else such a comparison ends in, it is no accident that is meant to happen.
        with pytest.raises((RuntimeError, IndexError, ValueError)) as caught:
            run()
        assert str(caught.value).startswith(f"the simulation gave {name} of shape ")


def test_utterances_that_are_missing_are_an_error(case):
    observed, run = case
    observed |= {name: values[:4] for name, values in observed.items()}
    with pytest.raises(RuntimeError, match="the simulation gave 4 of 5 utterances"):
        run()
