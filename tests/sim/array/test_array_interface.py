# SPDX-License-Identifier: Apache-2.0
"""A class with ``clock`` is enough to stand behind the boundary, and an array that does not fit is told how."""

from types import SimpleNamespace

import numpy as np
import pytest
from crossramp.golden.array.array_protocol import Window
from crossramp.golden.macro.trace import Trace
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.macro import Macro
from crossramp.sim import Array, ArrayError, ArrayModel, MismatchError, Scoreboard, drive_array
from crossramp.sim.amaranth.amaranth_backend import simulate_amaranth
from crossramp.sim.array.array_interface import CheckedArray
from crossramp.sim.array.array_setup import ArraySetup
from crossramp.sim.array.boundary_sequence import run_conversion

from tests.support.amaranth_benches import receive, send, simulate, x_payloads
from tests.support.comparison import compared
from tests.support.strategies import inputs_of, network_of

SPEC = Specification(
    inputs=3, units=5, classes=3, lanes=2, adc_bits=3, input_bits=3, weight_bits=3, state_pulse_bits=3, max_steps=4
)
WIDE = (1 << SPEC.columns) - 1


class Minimal:
    """Answers as an ideal array would, and has no other method; waits one clock on every third tick."""

    def __init__(self, weights):
        self._array = ArrayModel(SPEC, weights, ready=self._ready, record=False)
        self.asked = self.waited = 0

    def _ready(self, phase):
        self.asked += phase == "tick"
        waits = phase == "tick" and self.asked % 3 == 0
        self.waited += waits
        return not waits

    def clock(self, pins):
        comparators, ready = self._array.clock(pins)
        return comparators, bool(ready)


def test_clock_is_enough_in_amaranths_simulator():
    network, x = network_of(SPEC, 1), inputs_of(SPEC, 1, batch=3, steps=2)
    array = Minimal(network.weights.macro)
    assert isinstance(array, Array)
    assert [name for name in dir(array) if not name.startswith("_")] == ["asked", "clock", "waited"]
    # More jobs than one: the object cannot be shared, and sees every conversion itself.
    result = simulate_amaranth(network, x, array=ArraySetup(array), jobs=4)
    compared(network, x, result).check()
    # Its ready was heard: each of its waits took one clock.
    assert array.asked - array.waited == 2 * SPEC.ticks * x.shape[0] * x.shape[1]
    assert array.waited > 10
    per_step = set(np.unique(result.traces[0].step_clocks - SPEC.clocks_per_step))
    assert per_step
    assert min(per_step) > 0


def test_clock_is_enough_for_drive_array():
    network, x = network_of(SPEC, 2), inputs_of(SPEC, 2, batch=1, steps=2)
    dut, got = Macro(SPEC), []

    async def array(ctx):
        await drive_array(ctx, dut.array, Minimal(network.weights.macro))

    async def feed(ctx):
        await send(ctx, dut.x, x_payloads(list(x)))

    async def take(ctx):
        got.extend(await receive(ctx, dut.h, 2 * SPEC.h_beats))

    simulate(dut, take, background=(array, feed))
    codes = np.array([[beat.codes[lane] for lane in range(SPEC.lanes)] for beat in got]).reshape(2, -1)
    np.testing.assert_array_equal(codes[:, : SPEC.hidden], network.run(x).h[0])


ANSWERS = {
    "comparators alone": (5, r"Odd.clock returned 5; expected the pair \(comparators, ready\)"),
    "nothing": (None, "Odd.clock returned None; expected the pair"),
    "three": ((0, 1, 0), r"Odd.clock returned \(0, 1, 0\); expected the pair"),
    "booleans": ((np.zeros(SPEC.columns, bool), 1), r"\(ndarray\) as comparators; .*crossramp.sim.from_bits"),
    "a float": ((3.0, 1), r"gave 3.0 \(float\) as comparators"),
    "too wide": ((WIDE + 1, 1), rf"gave comparators 0x{WIDE + 1:x}, 21 bits; expected 0 to 2\*\*20 - 1 for 20 columns"),
    "negative": ((-1, 1), "gave comparators -0x1"),
    "ready in words": ((0, "yes"), "Odd.clock gave 'yes' as ready; expected 0 or 1"),
    "ready of 2": ((0, 2), "gave 2 as ready"),
    "ready unknown": ((0, None), "gave None as ready"),
}


class Odd:
    def __init__(self, answer):
        self._answer = answer

    def clock(self, pins):
        return self._answer


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_wrong_answer_is_quoted(kind):
    answer, message = ANSWERS[kind]
    with pytest.raises(ArrayError, match=message):
        CheckedArray(Odd(answer), SPEC.columns).clock(None)


@pytest.mark.parametrize("answer", [(WIDE, 1), (np.int64(3), np.bool_(True)), (True, 0), (np.uint8(1), np.int8(0))])
def test_any_integers_will_do(answer):
    given = CheckedArray(Odd(answer), SPEC.columns).clock(None)
    assert given == tuple(int(part) for part in answer)
    assert [type(part) for part in given] == [int, int]


def test_adapters_check_the_answers():
    network, x = network_of(SPEC, 1), inputs_of(SPEC, 1, batch=1, steps=1)
    with pytest.raises(ArrayError, match="gave comparators"):
        simulate_amaranth(network, x, array=ArraySetup(Odd((WIDE + 1, 1))))
    dut = Macro(SPEC)

    async def array(ctx):
        await drive_array(ctx, dut.array, Odd((0, None)))

    with pytest.raises(ArrayError, match="gave None as ready"):
        simulate(dut, array)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 4)), r"a ndarray without a method clock\(pins\) .*ArrayModel\(spec, weights\)"),
        (None, "a NoneType without a method clock"),
        (SimpleNamespace(clock=3), "a SimpleNamespace without a method clock"),
        (Odd, "the array is the class Odd; give an instance of it"),
    ],
)
def test_what_has_no_clock_is_refused_at_once(array, message):
    with pytest.raises(ArrayError, match=message):
        CheckedArray(array, SPEC.columns)


def converted(model, seed):
    """One whole step of ``model``: both conversions."""
    rng = np.random.default_rng(seed)
    run_conversion(SPEC, model, Window(rng.integers(-SPEC.input_max, SPEC.input_max + 1, SPEC.rows)))
    state = rng.integers(-SPEC.state_pulse_max, SPEC.state_pulse_max + 1, SPEC.units)
    run_conversion(SPEC, model, Window(None, state), second=True)


class Recording(Minimal):
    """With the optional method: ``finish`` gives the list itself, or a copy of it."""

    def __init__(self, weights, copies):
        super().__init__(weights)
        self._array = ArrayModel(SPEC, weights)
        self._copies = copies

    def finish(self):
        return list(self._array.finish()) if self._copies else self._array.finish()


@pytest.mark.parametrize("copies", [False, True])
def test_what_an_array_recorded_is_read_and_forgotten(copies):
    weights = network_of(SPEC, 3).weights.macro
    array = Recording(weights, copies)
    checked = CheckedArray(array, SPEC.columns)
    assert checked.macs().shape == (0, SPEC.columns)
    converted(checked, 1)
    first = checked.macs()
    assert first.shape == (1, SPEC.columns)
    # A conversion that a reset cuts short counts neither before nor after.
    run_conversion(SPEC, checked, Window(np.ones(SPEC.rows, int)))
    checked.forget()
    assert checked.macs().shape == (0, SPEC.columns)
    converted(checked, 2)
    converted(checked, 1)
    assert len(checked.conversions()) == 4
    np.testing.assert_array_equal(checked.macs()[1:], first)


def test_without_a_record_there_are_no_macs_and_that_is_said():
    weights = network_of(SPEC, 3).weights.macro
    for array in (Minimal(weights), ArrayModel(SPEC, weights, record=False)):
        checked = CheckedArray(array, SPEC.columns)
        converted(checked, 1)
        checked.forget()
        assert checked.macs() is None
        assert checked.conversions() is None
    with pytest.raises(MismatchError, match=r"macs: nothing was observed; .* only if it has finish\(\)"):
        Scoreboard(SPEC).compare(Trace(macs=np.zeros((1, 1, SPEC.columns))), Trace(macs=checked.macs()), ("macs",))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (7, "finish returned 7; expected a list of Conversion"),
        ([3], "finish gave a conversion without an attribute: 'int' object has no attribute 'state'"),
        ([SimpleNamespace(state=False, macs=[1, 2])], r"finish gave MACs of shape \(2,\); expected \(20,\)"),
    ],
)
def test_a_wrong_record_is_quoted(record, message):
    array = Odd((0, 1))
    array.finish = lambda: record
    with pytest.raises(ArrayError, match=message):
        CheckedArray(array, SPEC.columns).macs()
