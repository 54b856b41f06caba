# SPDX-License-Identifier: Apache-2.0
"""The network against the slow reference, the fast path against the network, and faults that must be noticed."""

import dataclasses

import numpy as np
import pytest
from crossramp.golden.array import ramps
from crossramp.golden.array.weights import Weights
from crossramp.golden.macro import cell_update, compiled, fast_lstm, lstm
from crossramp.golden.network.network import Network
from crossramp.golden.spec.specification import Specification
from hypothesis import given, settings

from tests.support.reference_comparison import differences
from tests.support.strategies import inputs_of, network_of, seeds, specifications

DEMO = Specification(inputs=40, units=32, classes=12)


def test_demo_size_equals_the_reference(seed):
    assert differences(network_of(DEMO, seed), inputs_of(DEMO, seed, batch=1, steps=4)) == []


@settings(max_examples=200)
@given(specifications(max_units=9, max_inputs=12), seeds)
def test_fast_path_equals_the_trace(spec, seed):
    network, x = network_of(spec, seed), inputs_of(spec, seed, batch=3, steps=5)
    trace = network.run(x)
    np.testing.assert_array_equal(network.lstm.hidden(x), trace.h)
    np.testing.assert_array_equal(network.answers(x), trace.answers)


@settings(max_examples=100)
@given(specifications(max_units=9, max_inputs=12, state_bits=12, state_frac_bits=8), seeds)
def test_fast_sums_and_last(spec, seed):
    network, x = network_of(spec, seed), inputs_of(spec, seed, batch=3, steps=5)
    h = network.run(x).h
    if network.lstm.fast is not None:
        np.testing.assert_array_equal(network.lstm.fast.sums(x), h.sum(axis=1))
        np.testing.assert_array_equal(network.lstm.fast.last(x), h[:, -1])


@settings(max_examples=30)
@given(specifications(max_units=5, max_inputs=5, readout="step"), seeds)
def test_step_by_step_equals_the_run(spec, seed):
    """Logits and an answer after every step, of that step's h alone, however the steps are fed."""
    network, x = network_of(spec, seed), inputs_of(spec, seed, batch=2, steps=4)
    assert differences(network, x) == []
    trace = network.run(x)
    assert trace.logits.shape == (2, 4, spec.classes)
    assert trace.answers.shape == (2, 4)
    last = network_of(spec.replace(readout="last"), seed)
    c, h = network.lstm.start(2)
    for t in range(4):
        np.testing.assert_array_equal(trace.logits[:, t], last.run(x[:, : t + 1]).logits)
        step = network.step(x[:, t], c, h)
        c, h = step.c, step.h
        for name in ("answers", "logits", "sums"):
            np.testing.assert_array_equal(getattr(step, name), getattr(trace, name)[:, t])


def test_steps_without_end(seed):
    """With the readout "step" max_steps bounds nothing; of another readout there is no single step."""
    network = network_of(DEMO.replace(readout="step", max_steps=2), seed)
    x = inputs_of(DEMO, seed, batch=1, steps=5)
    np.testing.assert_array_equal(network.answers(x), network.run(x).answers)
    with pytest.raises(ValueError, match=r"x\[0, 3\] is 16; allowed: -15 to 15"):
        network.step(np.where(np.arange(40) == 3, 16, x[:, 0]), *network.lstm.start(1))
    with pytest.raises(ValueError, match="the readout is 'mean': only 'step' has logits after every step"):
        network_of(DEMO, seed).step(x[:, 0], *network.lstm.start(1))


@pytest.mark.parametrize(("readout", "projection"), [("mean", 0), ("last", 20), ("step", 0), ("mean", 1)])
@pytest.mark.parametrize(("whole", "number"), [(1 << 16, np.float32), (0, np.float32), (1 << 16, np.float64)])
def test_fast_path_by_table_and_by_float(seed, monkeypatch, readout, projection, whole, number):
    """Whole tables and clipped ones, both float types, more utterances than a block, int8 codes."""
    monkeypatch.setattr(fast_lstm, "_TABLE_WHOLE", whole)
    monkeypatch.setattr(fast_lstm, "_FLOATS", tuple(f for f in fast_lstm._FLOATS if f.dtype is number))
    monkeypatch.setattr(fast_lstm, "_BLOCK", 4)
    network = network_of(DEMO.replace(readout=readout, projection=projection), seed)
    x = inputs_of(DEMO, seed, batch=10, steps=9)
    trace = network.run(x)
    assert network.lstm.fast.number.dtype is number
    np.testing.assert_array_equal(network.lstm.hidden(x.astype(np.int8)), trace.h)
    np.testing.assert_array_equal(network.answers(x.astype(np.int8)), trace.answers)


@pytest.mark.parametrize(("readout", "projection"), [("mean", 0), ("last", 20), ("step", 0), ("mean", 1)])
@pytest.mark.parametrize("number", [np.float32, np.float64])
def test_compiled_steps_equal_the_trace(seed, monkeypatch, readout, projection, number):
    pytest.importorskip("numba", reason="the extra `fast` is not installed")
    monkeypatch.setattr(fast_lstm, "_FLOATS", tuple(f for f in fast_lstm._FLOATS if f.dtype is number))
    monkeypatch.setattr(fast_lstm, "_BLOCK", 4)
    network = network_of(DEMO.replace(readout=readout, projection=projection), seed)
    x = inputs_of(DEMO, seed, batch=10, steps=9)
    trace = network.run(x)
    assert network.lstm.fast.compile()
    np.testing.assert_array_equal(network.lstm.hidden(x.astype(np.int8)), trace.h)
    np.testing.assert_array_equal(network.answers(x), trace.answers)
    network.lstm.fast.compiled.tables[4][:] = np.roll(network.lstm.fast.compiled.tables[4], 40)
    assert (network.lstm.hidden(x) != trace.h).any()


@settings(max_examples=30)
@given(specifications(max_units=9, max_inputs=12, state_bits=12, state_frac_bits=8), seeds)
def test_compiled_steps_of_drawn_specifications(spec, seed):
    pytest.importorskip("numba", reason="the extra `fast` is not installed")
    network, x = network_of(spec, seed), inputs_of(spec, seed, batch=3, steps=4)
    if network.lstm.fast is not None and network.lstm.fast.compile():
        np.testing.assert_array_equal(network.lstm.fast.hidden(x), network.run(x).h)


def test_numba_takes_over_once_it_pays_and_never_without_it(seed, monkeypatch):
    network, x = network_of(DEMO, seed), inputs_of(DEMO, seed, batch=2, steps=5)
    monkeypatch.setattr(fast_lstm, "_COMPILING", 2.5 * 5 * (fast_lstm._STEP_SAVES + 2 * 32 * fast_lstm._UNIT_SAVES))
    monkeypatch.setattr(compiled, "kernels", lambda: None)
    runs = [network.lstm.hidden(x) for _ in range(4)]
    assert network.lstm.fast.compiled is None
    monkeypatch.undo()
    if compiled.kernels() is not None:
        monkeypatch.setattr(fast_lstm, "_COMPILING", 2.5 * 5 * (fast_lstm._STEP_SAVES + 2 * 32 * fast_lstm._UNIT_SAVES))
        network = network_of(DEMO, seed)
        taken = []
        for _ in range(4):
            runs.append(network.lstm.hidden(x))
            taken.append(network.lstm.fast.compiled is not None)
        assert taken == [False, False, True, True]
    for h in runs:
        np.testing.assert_array_equal(h, network.run(x).h)


def test_tables_of_too_many_macs_are_not_compiled(seed):
    eight = {"weight_bits": 8, "input_bits": 8, "state_pulse_bits": None, "state_cell": None}
    assert not network_of(DEMO.replace(inputs=100, **eight), seed).lstm.fast.compile()  # 133 rows: 4.3 million MACs


def test_fast_path_covers_real_sizes_and_declines_the_rest():
    assert network_of(DEMO, 0).lstm.fast.number.dtype is np.float32
    eight = {"weight_bits": 8, "input_bits": 8, "state_pulse_bits": None, "state_cell": None}
    wide = DEMO.replace(inputs=2000, **eight)  # MACs beyond 2**24
    assert network_of(wide, 0).lstm.fast.number.dtype is np.float64
    assert network_of(DEMO.replace(state_bits=20), 0).lstm.fast is None


def test_rounding_by_nudge_is_exact():
    """All halves, and the values next to them, up to the bound that `rounds` admits."""
    for number in fast_lstm._FLOATS:
        top = int(1 / (2 * number.nudge)) - 1
        assert number.rounds(top)
        assert not number.rounds(2 * top + 4)
        for shift in (1, 4, 12):
            half = np.arange(1, 2000) * 2 + 1  # odd multiples of 1/2, low and just below the bound
            for at in (half, ((top >> (shift - 1)) - half) | 1):
                exact = (at[:, None] << (shift - 1)) + np.array([-1, 0, 1])
                exact = exact[(exact > 0) & (exact <= top)]
                s = exact.astype(number.dtype) / number.dtype(2**shift)
                got = np.rint(s * number.dtype(1 + number.nudge)).astype(np.int64)
                np.testing.assert_array_equal(got, (exact + (1 << (shift - 1))) >> shift)
                np.testing.assert_array_equal(np.rint(-s * number.dtype(1 + number.nudge)).astype(np.int64), -got)


# ---- what the network refuses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [Network.run, Network.answers, lambda network, x: network.lstm.hidden(x)])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.astype(float), "x holds float64; expected integers"),
        (lambda x: x[0], r"x has the shape \(3, 6\); expected \(any, any, 6\)"),
        (lambda x: x[..., :5], r"x has the shape \(2, 3, 5\); expected \(any, any, 6\)"),
        (lambda x: x[:, :0], "x has no steps; an utterance has at least 1"),
        (lambda x: np.where(np.arange(6) == 4, 16, x), r"x\[0, 0, 4\] is 16; allowed: -15 to 15"),
        (lambda x: np.where(np.arange(6) == 5, -16, x), r"x\[0, 0, 5\] is -16; allowed: -15 to 15"),
    ],
)
def test_inputs_refused(run, change, message):
    spec = Specification(inputs=6, units=3, classes=2)
    with pytest.raises(ValueError, match=message):
        run(network_of(spec, 0), change(inputs_of(spec, 0)))


def test_too_many_steps_refused():
    spec = Specification(inputs=2, units=1, classes=2, max_steps=2)
    for run in (Network.run, Network.answers):
        with pytest.raises(ValueError, match="x has 3 steps; max_steps is 2"):
            run(network_of(spec, 0), inputs_of(spec, 0))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("weights", 16, r"weights\[0, 0\] is 16; allowed: -15 to 15"),
        ("head_weights", -128, r"head_weights\[0, 0\] is -128; allowed: -127 to 127"),
        ("head_biases", 2048, r"head_biases\[0\] is 2048; allowed: -2047 to 2047"),
    ],
)
def test_weights_refused(name, value, message):
    spec = Specification(inputs=2, units=1, classes=2)
    network = network_of(spec, 0)
    arrays = {key: array.copy() for key, array in network.weights.arrays().items()}
    arrays[name].flat[0] = value
    with pytest.raises(ValueError, match=message):
        Network(spec, Weights.from_arrays(arrays))


def test_projection_rounds_saturates_and_feeds_back():
    """Halves away from zero, full scale held, and the rows of h are those of the projection."""
    spec = Specification(inputs=1, units=2, classes=1, projection=1, head_weight_bits=4, adc_bits=8)
    assert (spec.hidden, spec.rows, spec.projection_shift, spec.head_weight_max) == (1, 3, 3, 7)
    weights = np.array([[4, 4]])  # a half each
    codes = np.array([[1, 0], [0, -1], [2, 1], [1, 1], [15, 15], [-15, -15]])
    assert cell_update.project(spec, weights, codes)[:, 0].tolist() == [1, -1, 2, 1, 15, -15]
    assert cell_update.project(spec, np.array([[7, 7]]), codes)[:, 0].tolist() == [1, -1, 3, 2, 15, -15]
    network = network_of(spec, 3)
    x = inputs_of(spec, 3, batch=1, steps=2)
    other = Network(spec, network.weights.replace(projection=-network.weights.projection))
    first, second = network.run(x).macs, other.run(x).macs
    assert (first[:, 0] == second[:, 0]).all()
    assert (first[:, 1] != second[:, 1]).any()


def test_projection_weights_refused():
    spec = Specification(inputs=1, units=3, classes=2, projection=2)
    network = network_of(spec, 0)
    for weights, message in (
        (None, "projection_weights are missing: the specification has a digital projection to 2"),
        (np.zeros((3, 2), int), r"projection_weights has the shape \(3, 2\); expected \(2, 3\)"),
        (np.full((2, 3), 128), r"projection_weights\[0, 0\] is 128; allowed: -127 to 127"),
    ):
        with pytest.raises(ValueError, match=message):
            Network(spec, network.weights.replace(projection=weights))
    plain = network_of(spec.replace(projection=0), 0)
    with pytest.raises(
        ValueError, match="projection_weights are given, but the specification has no digital projection"
    ):
        Network(plain.spec, plain.weights.replace(projection=np.zeros((2, 3), int)))


def test_tie_goes_to_the_lower_class():
    spec = Specification(inputs=2, units=3, classes=4)
    network = Network(
        spec, network_of(spec, 1).weights.replace(head=np.zeros((4, 3), int), head_biases=np.array([0, 5, 5, 1]))
    )
    assert network.run(inputs_of(spec, 1)).answers.tolist() == [1, 1]
    assert network.answers(inputs_of(spec, 1)).tolist() == [1, 1]


def test_states_of_utterances_do_not_mix(seed):
    network, x = network_of(DEMO, seed), inputs_of(DEMO, seed, batch=5, steps=4)
    whole = network.run(x).h
    for k in range(5):
        np.testing.assert_array_equal(network.run(x[k : k + 1]).h[0], whole[k])


# ---- planted faults: each comparison above can fail ------------------------------------------------------------------


def _half_up(value, shift):
    return (value + (1 << (shift - 1))) >> shift if shift else value


def _wrap(value, limit):
    return (value + limit) % (2 * limit + 1) - limit


FAULTS = {
    "rounds halves up": ("round_shift", _half_up),
    "wraps": ("saturate", _wrap),
    "truncates": ("round_shift", lambda value, shift: value >> shift),
    "decodes without the one": (
        "decode_integer",
        lambda codes, bipolar, bits, turns: 2 * codes - ((1 << bits) * bipolar),
    ),
    "swaps unipolar and bipolar": (
        "decode_integer",
        lambda codes, bipolar, bits, turns: 2 * codes + 1 - (0 if bipolar else (1 << bits)),
    ),
    "no second conversion": (
        "run_update",
        lambda spec, update, values: cell_update.run_update(spec, update, values | {"t": values["g"]}),
    ),
    "no projection": ("project", lambda spec, weights, h: h[:, : spec.hidden]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_in_the_model_is_noticed(monkeypatch, fault):
    # Saturation within a few steps, and halves: a short cell state.
    spec = Specification(inputs=3, units=4, classes=3, state_bits=5, state_frac_bits=4, adc_bits=3)
    spec = spec.replace(projection=3 if fault == "no projection" else 0)
    network, x = network_of(spec, 5), inputs_of(spec, 5, batch=4, steps=6)
    assert differences(network, x) == []
    name, faulty = FAULTS[fault]
    module = {"run_update": lstm, "project": lstm, "decode_integer": ramps}.get(name, cell_update)
    monkeypatch.setattr(module, name, faulty)
    assert differences(network, x) != []


def test_wrong_threshold_is_noticed(seed):
    network, x = network_of(DEMO, seed), inputs_of(DEMO, seed, batch=1, steps=3)
    trace = network.run(x)
    gate_i = trace.macs[0, 0, : DEMO.units]
    ramp = network.lstm.array.ramps[0]
    on = int(gate_i[np.abs(gate_i) < 300][0])  # a MAC that occurs becomes a threshold
    floors = np.sort(np.append(ramp.floors[1:], on))
    ramp.__dict__["floors"] = floors
    assert differences(network, x) != []


def test_fault_in_the_fast_path_is_noticed(seed):
    network, x = network_of(DEMO, seed), inputs_of(DEMO, seed, batch=4, steps=5)
    table = network.lstm.fast.state_table
    table[:] = np.roll(table, 40)
    assert (network.lstm.hidden(x) != network.run(x).h).any()


def test_halves_are_nudged(seed, monkeypatch):
    """Without its nudge the fast path rounds halves to even, and the comparison with the trace sees it."""
    plain = tuple(dataclasses.replace(number, nudge=0.0) for number in fast_lstm._FLOATS)
    monkeypatch.setattr(fast_lstm, "_FLOATS", plain)
    # So coarse that a unit of c shows in h, and fine enough behind the point for halves to occur.
    coarse = DEMO.replace(adc_bits=3, state_bits=7, state_frac_bits=4)
    network, x = network_of(coarse, seed), inputs_of(coarse, seed, batch=64, steps=9)
    assert (network.lstm.hidden(x) != network.run(x).h).any()
