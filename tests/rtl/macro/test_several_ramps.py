# SPDX-License-Identifier: Apache-2.0
"""Macros whose ramps differ in length and turn: clocks, comparators that misbehave, and faults that are noticed."""

import numpy as np
import pytest
from crossramp.golden.cell.description import Gate
from crossramp.golden.macro.lstm import Lstm
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.macro import Macro
from crossramp.sim.array.comparator_faults import Chatter, Late, Stuck
from crossramp.sim.checking.recorded_array import RecordedArray

from tests.support.amaranth_benches import MacroRun
from tests.support.planted import planted
from tests.support.strategies import network_of

#: 62, 15, 49 and 7 ticks; the second conversion, of bank g, has 49.
GATES = (Gate("gaussian", 2.0, 5), Gate("sigmoid", 2.0), Gate("silu", 2.0, 6), Gate("tanh", 2.0, 3))
SPEC = Specification(inputs=3, units=4, classes=2, lanes=2, adc_bits=4, input_bits=3, state_pulse_bits=4, gates=GATES)


def run_of(spec, seed, fault=None):
    rng = np.random.default_rng(seed)
    x = [rng.integers(-spec.input_max, spec.input_max + 1, (steps, spec.inputs)) for steps in (2, 1)]
    network = network_of(spec, seed)
    run = MacroRun(spec, network.weights.macro, x, rng=rng, probability=0.1, fault=fault)
    return network, x, run


def agrees(spec, seed, fault=None) -> bool:
    """Whether the macro made of the comparators that it was shown what golden makes of them."""
    _, x, run = run_of(spec, seed, fault)
    lstm = Lstm(spec, RecordedArray(spec, run.model.conversions))
    expected = [lstm.run(utterance[None]) for utterance in x]
    found = {"codes": np.concatenate([run.units(gate) for gate in "ifgo"], axis=1)}
    found |= {"c": run.units("c"), "state_codes": run.units("t"), "h": run.units("h")}
    joined = {name: np.concatenate([getattr(trace, name)[0] for trace in expected]) for name in found}
    return all(np.array_equal(values, joined[name]) for name, values in found.items())


FAULTS = {
    "chatter": lambda spec: Chatter(seed=5, probability=0.3),
    "late": lambda spec: Late(range(0, spec.columns, 3), ticks=2),
    "stuck": lambda spec: Stuck(high=range(0, spec.columns, 2)),
}


@pytest.mark.parametrize("registers", [0, 1])
@pytest.mark.parametrize("mode", ["last_high", "first_trip"])
@pytest.mark.parametrize("fault", FAULTS)
def test_misbehaving_comparators_are_defined(fault, mode, registers, seed):
    """Also on the ticks behind a shorter ramp's last one, which its banks do not latch."""
    spec = SPEC.replace(latch=mode, comparator_registers=registers)
    assert agrees(spec, seed, FAULTS[fault](spec))


def test_a_step_takes_what_the_longest_ramps_take(seed, rng):
    assert SPEC.conversion_ticks == (62, 49)
    network = network_of(SPEC, seed)
    x = [rng.integers(-SPEC.input_max, SPEC.input_max + 1, (4, SPEC.inputs))]
    run = MacroRun(SPEC, network.weights.macro, x, rng=rng, dut=Macro(SPEC))
    run.assert_equals(network.lstm.run(np.stack(x)))
    run.checker.check_finished()
    assert run.step_clocks[1:] == [SPEC.clocks_per_step] * 3


#: Each is noticed by the comparison.
PLANTED = {
    "banks latch behind their ramp's end": ("rtl/macro/macro.py", "enable = enable & ~over[end]", "enable = enable"),
    "a ramp ends a tick early": (
        "rtl/macro/ramp_counter.py",
        "self.step & self.tap[end - 1]",
        "self.tap[end - 2]",
    ),
    "levels below 0 count as large ones": ("rtl/common/arith.py", "code.as_signed() if bipolar else Cat", "Cat"),
    "the count never turns": ("rtl/macro/ramp_counter.py", "falling.eq(~falling)", "falling.eq(falling)"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_faults_are_noticed(name, seed):
    assert agrees(SPEC, seed, _misbehaving(name))
    with planted(*PLANTED[name]):
        assert not agrees(SPEC, seed, _misbehaving(name))


def _misbehaving(name):
    """Comparators that chatter show what happens behind a ramp's end; good ones show levels of every sign."""
    return FAULTS["chatter"](SPEC) if "end" in name else None
