# SPDX-License-Identifier: Apache-2.0
"""The state that utterances start from: against the references, and what is refused."""

import numpy as np
import pytest
from crossramp.golden.cell.library import CELLS
from crossramp.golden.macro.initial_state import Starts, State
from crossramp.golden.network.network import Network
from crossramp.golden.spec.gates import SpecificationError
from crossramp.golden.spec.specification import Specification
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.planted import planted
from tests.support.reference_comparison import differences
from tests.support.strategies import CELLS_WITH_STATE, INITIALS, inputs_of, network_of, seeds, specifications, starts_of

SMALL = Specification(inputs=3, units=4, classes=2)


@pytest.mark.parametrize("cell", CELLS_WITH_STATE)
@settings(max_examples=20)
@given(data=st.data(), seed=seeds)
def test_every_value_equals_the_reference(cell, data, seed):
    spec = data.draw(specifications(max_units=4, max_inputs=4, cell=cell, initials=INITIALS))
    starts = starts_of(spec, seed, 4)
    assert differences(network_of(spec, seed), inputs_of(spec, seed, batch=4, steps=2), starts) == []


def test_batches_go_on_from_one_another(seed):
    """Utterances of different lengths, cut out of a long one."""
    spec = SMALL.replace(keeps_state=1, initial="constant", readout="step")
    network, x = network_of(spec, seed), inputs_of(spec, seed, 1, 9)
    batches = [x[:, :2], np.concatenate([x[:, 2:4], x[:, 4:6]]), x[:, 6:]]
    parts = network.play(batches, Starts(np.array([True, True, True, False])))
    h = np.concatenate([part.h.reshape(-1, spec.hidden) for part in parts])
    np.testing.assert_array_equal(h, network.run(x).h[0])
    # And from the constants again, where nothing is kept.
    cut = network.play(batches, Starts(np.array([True, False, False, True])))
    np.testing.assert_array_equal(cut[1].h[1], network.run(x[:, 4:6]).h[0])


@pytest.mark.parametrize("readout", ["mean", "last", "step"])
@pytest.mark.parametrize("projection", [0, 3])
def test_fast_path_equals_the_trace(seed, readout, projection, monkeypatch):
    for initial in ("constant", "stream"):
        spec = SMALL.replace(initial=initial, readout=readout, projection=projection)
        network, x = network_of(spec, seed), inputs_of(spec, seed, 5, 3)
        given = starts_of(spec, seed, 5).given
        trace = network.run(x, start=given)
        assert network.lstm.fast is not None
        np.testing.assert_array_equal(network.answers(x, given), trace.answers)
        np.testing.assert_array_equal(network.lstm.hidden(x, start=given), trace.h)
        if network.lstm.fast.compile():
            np.testing.assert_array_equal(network.lstm.hidden(x, start=given), trace.h)


#: What, what instead.
FAULTS = {
    "lines start from zero": ("line_pulses(spec, c)", "line_pulses(spec, 0 * c)"),
    "h starts from zero": ("cell.output: h,", "cell.output: 0 * h,"),
    "c starts from zero": ("cell.register: c}", "cell.register: 0 * c}"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_fault_is_noticed(fault, seed):
    spec = Specification(inputs=3, units=4, classes=2, cell="lstm_peephole", initial="constant")
    network, x = network_of(spec, seed), inputs_of(spec, seed, 2, 1)
    assert differences(network, x) == []
    with planted("golden/macro/lstm.py", *fault):
        assert differences(Network(spec, network.weights), x) != []


def test_a_cell_without_state_has_none_to_start_from():
    assert [name for name, cell in CELLS.items() if not cell.has_state] == ["dense"]
    with pytest.raises(SpecificationError, match="initial is 'constant', but the cell dense keeps nothing"):
        SMALL.replace(cell="dense", state_bits=None, state_frac_bits=None, gates=None, initial="constant")
    with pytest.raises(SpecificationError, match="initial is 'random'; allowed: zero, constant, stream"):
        SMALL.replace(initial="random")


STREAM, KEEPS = SMALL.replace(initial="stream"), SMALL.replace(keeps_state=1)
ZEROS = State(np.zeros((2, 4), int), np.zeros((2, 4), int))
REFUSED = [
    (SMALL, Starts(np.array([True, False])), "keep is set, but keeps_state of the specification is 0; write 1 there"),
    (KEEPS, Starts(np.array([True])), r"keep is of bool and the shape \(1,\); expected bool, \(2,\)"),
    (KEEPS, Starts(np.array([1, 0])), r"keep is of int64 and the shape \(2,\); expected bool, \(2,\)"),
    (STREAM, Starts(), "initial states are missing, but initial of the specification is 'stream'"),
    (SMALL, Starts(given=ZEROS), "initial states are given, but initial of the specification is 'zero'"),
    (STREAM, Starts(given=State(ZEROS.c[:1], ZEROS.h)), r"c has the shape \(1, 4\); expected \(2, 4\)"),
    (STREAM, Starts(given=State(ZEROS.c, ZEROS.h + 16)), r"h\[0, 0\] is 16; allowed: -15 to 15"),
    (STREAM, Starts(given=State(ZEROS.c - 2048, ZEROS.h)), r"c\[0, 0\] is -2048; allowed: -2047 to 2047"),
]


@pytest.mark.parametrize(("spec", "starts", "message"), REFUSED)
def test_starts_refused(spec, starts, message, seed):
    with pytest.raises(ValueError, match=message):
        network_of(spec, seed).play([inputs_of(spec, seed)], starts)


def test_a_stream_needs_states(seed):
    with pytest.raises(ValueError, match="initial is 'stream': give the states that the utterances start from"):
        network_of(STREAM, seed).run(inputs_of(STREAM, seed))
