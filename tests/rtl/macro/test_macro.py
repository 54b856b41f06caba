# SPDX-License-Identifier: Apache-2.0
"""The macro against golden.lstm: every code, c and h, whatever the specification, the pauses and the comparators."""

import numpy as np
import pytest
from amaranth import Module, Signal
from crossramp.golden.array.ramps import latch
from crossramp.golden.cell.description import Gate
from crossramp.golden.macro.cell_update import run_update
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.capture import CaptureBank
from crossramp.rtl.macro.macro import Macro
from crossramp.sim.array.comparator_faults import Chatter, Late, Stuck
from crossramp.sim.array.python_array import ArrayModel, drive_array
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.amaranth_benches import MacroRun, send, simulate, x_payloads
from tests.support.strategies import ALL_CELLS, inputs_of, network_of, seeds, specifications

SMALL = Specification(inputs=3, units=5, classes=2, lanes=2, adc_bits=4, input_bits=3, state_pulse_bits=4)

CASES = {
    "one unit, one input, two bits": {
        "inputs": 1,
        "units": 1,
        "adc_bits": 2,
        "input_bits": 2,
        "weight_bits": 2,
        "bias_rows": 0,
    },
    "lanes do not divide units": {"inputs": 3, "units": 7, "lanes": 3},
    # So coarse a converter and so fine a pulse code that o·t of code 0 would not round to zero.
    "lanes without a unit": {"inputs": 2, "units": 3, "lanes": 2, "adc_bits": 2, "input_bits": 8},
    "all units at once": {"inputs": 3, "units": 6, "lanes": 6, "bias_rows": 3},
    "eight bits": {"inputs": 2, "units": 2, "adc_bits": 8, "input_bits": 8, "weight_bits": 8, "state_pulse_bits": 9},
    "x loads longer than a step runs": {
        "inputs": 70,
        "units": 2,
        "lanes": 2,
        "adc_bits": 2,
        "input_bits": 2,
        "state_pulse_bits": 2,
    },
    "four activations": {
        "inputs": 4,
        "units": 3,
        "gates": (Gate("hard_sigmoid", 1.5), Gate("softplus[0,1]", 3.0), Gate("softsign", 2.5), Gate("elu[-1,1]", 1.0)),
    },
    "bipolar output gate, unipolar g": {
        "inputs": 4,
        "units": 3,
        "gates": (Gate("tanh", 2.0), Gate("sigmoid", 1.0), Gate("sigmoid", 1.0), Gate("tanh", 2.0)),
    },
    "first trip": {"inputs": 3, "units": 5, "lanes": 2, "latch": "first_trip"},
    "long hold": {"inputs": 3, "units": 2, "settle_clocks": 9},
    "registered comparators": {"inputs": 3, "units": 5, "lanes": 2, "comparator_registers": 1},
    "registered comparators, first trip": {"inputs": 3, "units": 2, "comparator_registers": 1, "latch": "first_trip"},
    "coarse c": {"inputs": 3, "units": 2, "state_bits": 3, "state_frac_bits": 0},
    "fine c": {"inputs": 3, "units": 2, "state_bits": 24, "state_frac_bits": 23},
    "projection to one": {"inputs": 3, "units": 5, "lanes": 2, "projection": 1},
    "projection of all units at once": {"inputs": 2, "units": 4, "lanes": 4, "projection": 4, "head_weight_bits": 2},
    "projection of a unit at a time": {"inputs": 2, "units": 5, "lanes": 1, "projection": 4, "head_weight_bits": 16},
    "projection, lanes that divide nothing": {"inputs": 2, "units": 7, "lanes": 3, "projection": 5},
}


def utterances(spec, seed, count=2, steps=2):
    return list(inputs_of(spec, seed, batch=count, steps=steps))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_equals_golden(case, seed, rng):
    spec = Specification(classes=1, **case)
    network = network_of(spec, seed)
    x = utterances(spec, seed)
    dut = Macro(spec, projection_weights=network.weights.projection)
    run = MacroRun(spec, network.weights.macro, x, rng=rng, dut=dut)
    run.assert_equals(network.lstm.run(np.stack(x)))
    run.checker.check_finished()
    # The first step has its x to wait for; an x that loads longer than a step runs sets the pace.
    assert run.step_clocks[1:] == [spec.clocks_per_step] * 3


# Small ones, many of them; large ones are listed above. `make test-all` draws others.
@pytest.mark.parametrize("cell", ALL_CELLS)
@given(data=st.data(), seed=seeds, compact=st.booleans())
@settings(max_examples=6)
def test_every_specification_equals_golden(cell, data, seed, compact):
    spec = data.draw(specifications(max_units=4, max_inputs=3, max_bits=4, cell=cell, any_ramps=True))
    network = network_of(spec, seed)
    x = utterances(spec, seed)
    dut = Macro(spec, compact=compact, projection_weights=network.weights.projection)
    run = MacroRun(spec, network.weights, x, rng=np.random.default_rng(seed), probability=0.2, dut=dut)
    run.assert_equals(network.lstm.run(np.stack(x)))
    run.checker.check_finished()


def test_a_compact_macro_takes_as_many_clocks(seed, rng):
    """As long as x loads in what is left of a step after its first window."""
    network, x = network_of(SMALL, seed), utterances(SMALL, seed)
    run = MacroRun(SMALL, network.weights.macro, x, rng=rng, dut=Macro(SMALL, compact=True))
    run.assert_equals(network.lstm.run(np.stack(x)))
    assert run.step_clocks[1:] == [SMALL.clocks_per_step] * 3


#: Clocks of each cell's windows and ramps at 5 bits: no periphery can take fewer.
ANALOG_CLOCKS = {
    "lstm": 108,
    "lstm_peephole": 124,
    "lstm_coupled": 108,
    "gru": 92,
    "gru_reset_after": 108,
    "rnn_tanh": 46,
    "rnn_relu": 46,
    "dense": 46,
}


@pytest.mark.parametrize("cell", ALL_CELLS)
def test_clocks_per_step_within_a_tenth_of_the_analog_bound(cell, seed, rng):
    """With lanes for all units; an LSTM has it with half of them."""
    spec = Specification(inputs=20, units=16, classes=12, lanes=8 if cell == "lstm" else 16, cell=cell)
    run = MacroRun(spec, network_of(spec, seed).weights, utterances(spec, seed, 1, 3), rng=rng)
    assert spec.analog_clocks_per_step == ANALOG_CLOCKS[cell]
    assert run.step_clocks[1:] == [spec.clocks_per_step] * 2
    assert spec.clocks_per_step <= 1.10 * spec.analog_clocks_per_step


@pytest.mark.parametrize("lanes", [1, 3, 7])
def test_clocks_of_an_update(lanes, seed, rng):
    """From the first codes that enter to the last c that is made, and to the last h."""
    spec = Specification(inputs=2, units=7, classes=1, lanes=lanes, adc_bits=3)
    run = MacroRun(spec, network_of(spec, seed).weights.macro, utterances(spec, seed, 1, 3), rng=rng)
    first, c, second = (
        np.array(run.beat_clocks[name]).reshape(-1, spec.beats) for name in ("gates", "state", "output")
    )
    assert (c[:, -1] - first[:, 0] + 1).tolist() == [spec.update_clocks] * 3
    assert (np.cumsum(run.step_clocks) - second[:, 0] + 1).tolist() == [spec.update_clocks] * 3


def test_flushing_takes_a_clock_a_beat():
    """After reset the capture banks are shifted empty in three beats; then x, loaded meanwhile, is taken at once."""
    dut, shown = Macro(SMALL.replace(inputs=1)), []

    async def watch(ctx):
        ctx.set(dut.x.valid, 1)
        ctx.set(dut.array.ready, 1)
        for _ in range(12):
            shown.append(ctx.get(dut.array.integrate))
            await ctx.tick()

    simulate(dut, watch)
    # Three clocks of flushing, one of waiting for x, and one that prepares the pulses.
    assert shown.index(1) == 3 + 1 + 1


def test_busy_from_the_first_step_to_the_last_beat(seed):
    network, x = network_of(SMALL, seed), utterances(SMALL, seed, 2, 2)
    dut, model = Macro(SMALL), ArrayModel(SMALL, network.weights.macro)
    shown = []

    async def array(ctx):
        await drive_array(ctx, dut.array, model)

    async def watch(ctx):
        ends = 0
        async for _, _, busy, taken, last in ctx.tick().sample(
            dut.busy, dut.h.valid & dut.h.ready, dut.h.payload.end & dut.h.payload.last
        ):
            shown.append((busy, ends))
            ends += taken and last

    async def bench(ctx):
        ctx.set(dut.h.ready, 1)
        for utterance in x:
            await ctx.tick().repeat(20)
            assert not ctx.get(dut.busy)
            await send(ctx, dut.x, x_payloads([utterance]))
            # The first step runs while the second loads.
            assert ctx.get(dut.busy)
            await ctx.tick().until(dut.h.valid & dut.h.payload.end & dut.h.payload.last)
            assert not ctx.get(dut.busy)

    simulate(dut, bench, background=[array, watch])
    busy = np.array([b for b, _ in shown])
    assert np.count_nonzero(np.diff(busy) == 1) == 2  # once an utterance, without a gap between its steps


def test_calibration_reaches_the_array(rng):
    dut = Macro(SMALL)
    width = len(SMALL.ramps) * SMALL.calibration_cells

    async def bench(ctx):
        for word in rng.integers(0, 1 << width, 5).tolist():
            ctx.set(dut.calibration, word)
            await ctx.tick()
            assert ctx.get(dut.array.calibration) == word

    simulate(dut, bench)


def replayed(spec, model, x) -> dict[str, np.ndarray]:
    """What the macro must have computed from the comparators the array really showed."""
    units = spec.units
    conversions = iter(model.conversions)
    found = {name: [] for name in ("codes", "c", "state_pulses", "state_codes", "h")}
    for utterance in x:
        c = np.zeros(units, np.int64)
        for _ in utterance:
            codes = latch(next(conversions).comparators, spec.latch)
            t = latch(next(conversions).comparators, spec.latch)[spec.bank("g")]
            of = {gate: spec.of_bank(codes, gate) for gate in "ifgo"}
            first = run_update(spec, 0, of | {"c": c})
            c, h = first["c"], run_update(spec, 1, of | {"t": t})["h"]
            for name, value in zip(found, (codes, c, first["q"], t, h), strict=True):
                found[name].append(value)
    return {name: np.array(values) for name, values in found.items()}


FAULTS = {
    "stuck": lambda spec: Stuck(high=[0, spec.column("g", 0)], low=[1, spec.columns - 1]),
    "all stuck low": lambda spec: Stuck(low=range(spec.columns)),
    "all stuck high": lambda spec: Stuck(high=range(spec.columns)),
    "late": lambda spec: Late(range(0, spec.columns, 3)),
    "chatter": lambda spec: Chatter(seed=5, probability=0.3),
}


@pytest.mark.parametrize("mode", ["last_high", "first_trip"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_misbehaving_comparators_are_defined(fault, mode, seed, rng):
    spec = SMALL.replace(latch=mode)
    x = utterances(spec, seed)
    run = MacroRun(spec, network_of(spec, seed).weights.macro, x, rng=rng, probability=0.1, fault=fault(spec))
    expected = replayed(spec, run.model, x)
    np.testing.assert_array_equal(np.concatenate([run.units(g) for g in "ifgo"], axis=1), expected["codes"])
    np.testing.assert_array_equal(run.units("c"), expected["c"])
    np.testing.assert_array_equal(run.units("q"), expected["state_pulses"])
    np.testing.assert_array_equal(run.units("t"), expected["state_codes"])
    np.testing.assert_array_equal(run.units("h"), expected["h"])
    stuck = {"all stuck low": 0, "all stuck high": spec.ticks}
    for name, code in stuck.items():
        if fault is FAULTS[name]:
            assert (expected["codes"] == code).all()


def test_a_late_comparator_costs_one_code(seed, rng):
    network = network_of(SMALL, seed)
    x = utterances(SMALL, seed, 1, 1)
    run = MacroRun(SMALL, network.weights.macro, x, rng=rng, fault=Late(range(SMALL.columns)))
    got = np.concatenate([run.units(g) for g in "ifgo"], axis=1)
    golden = network.lstm.run(np.stack(x)).codes[0]
    # Each falls one tick late; at full scale there is no tick left to fall on.
    np.testing.assert_array_equal(got, np.minimum(golden + 1, SMALL.ticks))


def test_the_most_negative_code_is_driven_as_full_scale(seed, rng):
    network = network_of(SMALL, seed)
    x = utterances(SMALL, seed, 1, 2)
    below = [np.where(u == -SMALL.input_max, -SMALL.input_max - 1, u) for u in x]
    below[0][0, 0], x[0][0, 0] = -SMALL.input_max - 1, -SMALL.input_max
    run = MacroRun(SMALL, network.weights.macro, below, rng=rng)
    run.assert_equals(network.lstm.run(np.stack(x)))


class WrongCapture(CaptureBank):
    """A planted fault: the lowest bit of the count is not Gray-coded."""

    def elaborate(self, platform):
        m = Module()
        inner = CaptureBank(self.columns, self.bits, lanes=self.lanes, latch=self.latch)
        m.submodules.inner = inner
        count = Signal(self.bits)
        m.d.comb += count.eq(self.count ^ self.count[1])
        for name in ("comparators", "arm", "enable", "shift"):
            m.d.comb += getattr(inner, name).eq(getattr(self, name))
        m.d.comb += [inner.count.eq(count), self.codes.eq(inner.codes)]
        return m


def test_the_comparison_can_fail(seed, rng, monkeypatch):
    monkeypatch.setattr("crossramp.rtl.macro.macro.CaptureBank", WrongCapture)
    network = network_of(SMALL, seed)
    x = utterances(SMALL, seed)
    run = MacroRun(SMALL, network.weights.macro, x, rng=rng)
    with pytest.raises(AssertionError, match="Mismatched elements"):
        run.assert_equals(network.lstm.run(np.stack(x)))


def test_the_array_matters(seed, rng):
    network = network_of(SMALL, seed)
    x = utterances(SMALL, seed)
    wrong = network.weights.macro.copy()
    wrong[0] = -wrong[0]
    run = MacroRun(SMALL, wrong, x, rng=rng)
    with pytest.raises(AssertionError, match="Mismatched elements"):
        run.assert_equals(network.lstm.run(np.stack(x)))
