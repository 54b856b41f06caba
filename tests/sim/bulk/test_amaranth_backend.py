# SPDX-License-Identifier: Apache-2.0
"""The network in Amaranth's own simulator: equal to golden, in any split, and it notices what goes wrong."""

import numpy as np
import pytest
from crossramp.golden.macro.initial_state import Played
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.network.head import Head
from crossramp.sim.amaranth import amaranth_backend
from crossramp.sim.amaranth.amaranth_backend import simulate_amaranth
from crossramp.sim.amaranth.step_trace import trace_step
from crossramp.sim.array.array_setup import ArraySetup
from crossramp.sim.array.programming import Programming
from crossramp.sim.checking.scoreboard import MismatchError, compare_traces
from crossramp.sim.tools.simulators import SimulationError
from hypothesis import given, settings

from tests.support.comparison import compared
from tests.support.strategies import INITIALS, inputs_of, network_of, seeds, specifications, starts_of

SPEC = Specification(
    inputs=3, units=5, classes=3, lanes=2, adc_bits=3, input_bits=3, weight_bits=3, state_pulse_bits=3, max_steps=4
)


@settings(max_examples=8)
@given(specifications(max_units=4, max_inputs=4, max_bits=4, initials=INITIALS), seeds)
def test_equal_to_golden(spec, seed):
    network, x = network_of(spec, seed), inputs_of(spec, seed, batch=2, steps=2)
    played = Played([x], starts_of(spec, seed, 2))
    result = simulate_amaranth(network, played, jobs=1)
    compared(network, played, result).check()
    assert set(result.traces[0].step_clocks) == {spec.clocks_per_step}


def test_any_split_over_processes_gives_the_same(monkeypatch):
    monkeypatch.setattr(amaranth_backend, "_PORTION_CLOCKS", 1)
    network, x = network_of(SPEC, 1), inputs_of(SPEC, 1, batch=5, steps=3)
    done = []
    alone = simulate_amaranth(network, x, jobs=1)
    shared = simulate_amaranth(network, x, jobs=2, progress=done.append)
    compare_traces(SPEC, alone.traces, shared.traces).check()
    assert done == sorted(done)
    assert done[-1] == 5


def test_a_wrong_weight_is_seen():
    network, x = network_of(SPEC, 2), inputs_of(SPEC, 2)
    array = ArraySetup(Programming.ideal(SPEC, -network.weights.macro))
    board = compared(network, x, simulate_amaranth(network, x, array=array))
    assert board.mismatched["codes"] > 0
    with pytest.raises(MismatchError, match="codes, step 0, bank "):
        board.check()


def test_gateware_that_stops_is_given_up(monkeypatch):
    original = Head.elaborate

    def deaf(self, platform):
        m = original(self, platform)
        m.d.comb += self.h.ready.eq(0)
        return m

    monkeypatch.setattr(Head, "elaborate", deaf)
    with pytest.raises(SimulationError, match="showed nothing for"):
        simulate_amaranth(network_of(SPEC, 2), inputs_of(SPEC, 2))


def test_an_utterance_too_long_is_no_answer():
    network, x = network_of(SPEC, 2), inputs_of(SPEC, 2, steps=5)
    with pytest.raises(SimulationError, match="answer_too_long of record 0 is 1; expected 0"):
        simulate_amaranth(network, x)


#: A bit that is flipped: the stream, its beat, the bit, and what must be said.
CODES, BEYOND = SPEC.lanes * SPEC.input_bits, (SPEC.units % SPEC.lanes) * SPEC.input_bits
FRAMING = {
    "h_end missing": ("h", SPEC.beats - 1, CODES, "h_end of record 2 is 0; expected 1"),
    "h_end early": ("h", SPEC.beats, CODES, "h_end of record 3 is 1; expected 0"),
    "h_last missing": ("h", 2 * SPEC.beats, CODES + 1, "h_last of record 6 is 0; expected 1"),
    "h_last early": ("h", SPEC.beats, CODES + 1, "h_last of record 3 is 1; expected 0"),
    "lanes beyond": ("h", 2 * SPEC.beats - 1, BEYOND, "h_codes is 1 in a lane beyond the last unit; expected 0"),
    "logit_last missing": ("logits", 2, SPEC.logit_bits, "logit_last of record 2 is 0; expected 1"),
    "logit_last early": ("logits", 1, SPEC.logit_bits, "logit_last of record 1 is 1; expected 0"),
    "too_long": ("answers", 0, 2, "answer_too_long of record 0 is 1; expected 0"),
}


@pytest.mark.parametrize("fault", FRAMING)
def test_wrong_framing_is_refused(monkeypatch, fault):
    """Three steps, every value right; one bit of the framing is not."""
    stream, beat, bit, message = FRAMING[fault]
    original = amaranth_backend._trace

    def spoil(spec, shape, beats, *others):
        beats[stream][beat] ^= 1 << bit
        return original(spec, shape, beats, *others)

    monkeypatch.setattr(amaranth_backend, "_trace", spoil)
    with pytest.raises(SimulationError, match=f"^{message}$"):
        simulate_amaranth(network_of(SPEC, 1), inputs_of(SPEC, 1, batch=1, steps=3), jobs=1)


@pytest.mark.parametrize(
    ("stream", "message"), [("gates", "gates: 5 records"), ("h", "h: 5 records"), ("logits", "logits: 2 records")]
)
def test_a_missing_beat_is_refused(monkeypatch, stream, message):
    original = amaranth_backend._trace

    def spoil(spec, shape, beats, *others):
        beats[stream].pop()
        return original(spec, shape, beats, *others)

    monkeypatch.setattr(amaranth_backend, "_trace", spoil)
    with pytest.raises(SimulationError, match=f"{message}; expected"):
        simulate_amaranth(network_of(SPEC, 1), inputs_of(SPEC, 1, batch=1, steps=2), jobs=1)


def test_step_trace_shows_what_golden_computes():
    network, x = network_of(SPEC, 3), inputs_of(SPEC, 3, batch=1, steps=4)[0]
    golden = network.run(x[None])
    for step in (0, 3):
        waves = trace_step(network, x, step)
        assert np.array_equal(waves.codes, golden.codes[0, step])
        assert np.array_equal(waves.state_codes, golden.state_codes[0, step])
        first = waves.controls["integrate"] & ~waves.controls["state"]
        assert np.array_equal(waves.rows[first, : SPEC.inputs].sum(axis=0), x[step])
        before = golden.h[0, step - 1] if step else np.zeros(SPEC.hidden, int)
        driven = waves.rows[first].sum(axis=0)
        assert np.array_equal(driven[SPEC.inputs : SPEC.inputs + SPEC.hidden], before)
        assert (driven[SPEC.inputs + SPEC.hidden :] == SPEC.input_max).all()
        second = waves.controls["integrate"] & waves.controls["state"]
        assert np.array_equal(waves.state_rows[second].sum(axis=0), golden.state_pulses[0, step])
        tick = waves.controls["tick"]
        assert waves.tap[tick].tolist() == [*range(SPEC.ticks)] * 2
        assert (waves.tap[~tick] == -1).all()
        # Twice the beats and a clock of the pipeline: of c after the gates' codes, of h after those of the state.
        assert waves.update.sum() == 2 * (SPEC.beats + 1)
        assert not (waves.update & (tick | waves.controls["integrate"])).any()
        held = waves.controls["hold"] & ~waves.controls["state"]
        assert np.array_equal(waves.values[held][-1], golden.macs[0, step])
    assert len(waves.tap) == SPEC.clocks_per_step
    with pytest.raises(ValueError, match="step is 4; the utterance has steps 0 to 3"):
        trace_step(network, x, 4)
