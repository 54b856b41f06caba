# SPDX-License-Identifier: Apache-2.0
"""The Python array with a device instance: every value and decision is golden's, and each planted fault is seen."""

import numpy as np
import pytest
from crossramp.golden.analog.conversion.device import DeviceInstance
from crossramp.golden.analog.conversion.device_array import DeviceArray
from crossramp.golden.array.array_protocol import Window, first_conversions
from crossramp.golden.macro.lstm import Lstm
from crossramp.golden.macro.step_groups import shown_quantities
from crossramp.golden.macro.trace import Trace
from crossramp.golden.spec.specification import Specification
from crossramp.sim.amaranth import amaranth_backend
from crossramp.sim.amaranth.amaranth_backend import simulate_amaranth
from crossramp.sim.array.array_setup import ArraySetup
from crossramp.sim.array.boundary_sequence import DrivenArray, conversion_pins, run_conversion
from crossramp.sim.array.clocked_device import ClockedDevice
from crossramp.sim.array.programming import calibration_port
from crossramp.sim.array.python_array import ArrayModel, Pins, random_stalls
from crossramp.sim.checking.scoreboard import MismatchError, Scoreboard
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.chips import EFFECTS, NOISES, device_of, macro_of, windows_of
from tests.support.comparison import compared
from tests.support.strategies import ALL_CELLS, inputs_of, network_of, seeds, specifications

#: Of planted faults: with these draws each of them matters.
FAULT_SEED = 1

SPEC = Specification(inputs=14, units=3, classes=2, calibration_cells=3)


def compare(spec, device, x, model, calibration=None, first=0) -> Scoreboard:
    """A scoreboard of ``model``, driven with ``x``, against the golden model of ``device``."""
    port = calibration_port(spec, calibration, device)
    board = Scoreboard(spec)
    network = network_of(spec, 1)  # its head only
    array = DeviceArray(device, ArraySetup(device, calibration).cells(spec))
    golden = network.behind(array).run(x, first + first_conversions(spec, *x.shape[:2]))
    driven = Lstm(spec, DrivenArray(spec, model, port))
    quantities = ("macs", *shown_quantities(spec, head=False))
    board.compare(golden, Trace.join([driven.run(x[k : k + 1]) for k in range(len(x))]), quantities)
    return board


@given(
    specifications(max_units=4, max_inputs=5, max_bits=6, projection=0, cells=ALL_CELLS, any_ramps=True),
    seeds,
    st.sets(st.sampled_from(EFFECTS)),
    st.booleans(),
)
@settings(max_examples=80)
def test_drawn_instances_of_drawn_specifications(spec, seed, effects, all_effects):
    weights = network_of(spec, seed).weights
    device = device_of(spec, weights.macro, seed, None if all_effects else {*effects, "hold"}, weights.lines)
    model = ArrayModel(spec, device, ready=random_stalls(seed, 0.1), garbage_seed=seed)
    compare(spec, device, inputs_of(spec, seed, batch=2, steps=2), model).check()


def visible(spec, device, x, golden) -> bool:
    """Whether the instance answers otherwise than the ideal array: an effect that does nothing proves nothing."""
    ideal = macro_of(DeviceInstance.ideal(spec, golden)).run(x)
    real = macro_of(device).run(x)
    return not (np.array_equal(ideal.codes, real.codes) and np.array_equal(ideal.state_codes, real.state_codes))


@pytest.mark.parametrize("mode", ["last_high", "first_trip"])
def test_each_effect_alone_and_all(mode, seed):
    spec = SPEC.replace(latch=mode)
    weights = network_of(spec, seed).weights.macro
    x = inputs_of(spec, seed, batch=1, steps=5)
    for effects in (EFFECTS, *[(name,) for name in EFFECTS]):
        device = device_of(spec, weights, seed, effects)
        assert device.noisy == bool(set(effects) & set(NOISES))
        assert visible(spec, device, inputs_of(spec, seed, batch=8, steps=10), weights), effects
        compare(spec, device, x, ArrayModel(spec, device)).check()


@pytest.mark.parametrize("cell", ALL_CELLS)
def test_every_decision(cell, seed):
    """What each comparator shows on each tick, for any pulses on any line: the codes alone would not tell all of it."""
    spec = Specification(inputs=8, units=3, classes=2, calibration_cells=3, cell=cell)
    weights, rng = network_of(spec, seed).weights, np.random.default_rng(seed)
    device = device_of(spec, weights.macro, seed, lines=weights.lines)
    golden, model = DeviceArray(device), ArrayModel(spec, device)
    port, number = calibration_port(spec, None, device), np.zeros(1, np.int64)
    for _ in range(2):
        windows = windows_of(spec, rng, 1)
        for k, window in enumerate(windows):
            alone = Window(*(None if pulses is None else pulses[0] for pulses in window))
            shown = run_conversion(spec, model, alone, second=k == 1, calibration=port)
            values = golden.values(golden.charge(windows[: k + 1]), windows[: k + 1], number)
            expected = golden.comparators(values, number, k == 1)[:, 0]
            columns = spec.converted(k)
            np.testing.assert_array_equal(shown[:, columns], expected)
            np.testing.assert_array_equal(model.finish()[-1].macs[columns], values[0])
            number += 1


def test_calibration_cells_are_the_ones_chosen(seed):
    device = device_of(SPEC, network_of(SPEC, seed).weights.macro, seed)
    x = inputs_of(SPEC, seed, batch=1, steps=2)
    for calibration in (None, 0, 0b101_010, 0b111_111):
        board = compare(SPEC, device, x, ArrayModel(SPEC, device), calibration)
        board.check()
    port = calibration_port(SPEC, None, device)
    other = compare(SPEC, device.replace(nominal=~device.nominal), x, ArrayModel(SPEC, device), port)
    other.check()  # the port says it, not the instance
    assert port != calibration_port(SPEC, None, device.replace(nominal=~device.nominal))
    with pytest.raises(ValueError, match="calibration is 64; allowed: 0 to 63, for 6 cells"):
        calibration_port(SPEC, 64, device)


def test_conversions_are_counted_by_windows_that_end(seed):
    """A window that a reset cuts short is no conversion; a ramp without a window repeats the one before."""
    device = device_of(SPEC, network_of(SPEC, seed).weights.macro, seed, NOISES)
    x = inputs_of(SPEC, seed, batch=1, steps=2)
    model = ArrayModel(SPEC, device)
    pulses = np.full(SPEC.rows, SPEC.input_max)
    sequence = [pins for pins, _ in conversion_pins(SPEC, Window(pulses))]
    window = 3 + SPEC.input_max
    for pins in sequence[: window - 2]:
        model.clock(pins)
    for _ in range(5):
        model.clock(Pins(reset=1))
    assert model.converted == 0
    # Cut short in the ramp: that was one.
    for pins in sequence[: window + 9]:
        model.clock(pins)
    assert model.converted == 1
    compare(SPEC, device, x, model, first=1).check()
    assert model.converted == 5
    shown = [run_conversion(SPEC, model, Window(pulses))]
    for ramp in range(2):
        ticks = []
        for pins in sequence[window:]:
            comparators, _ = model.clock(pins)
            if pins.tap:
                ticks.append([comparators >> column & 1 for column in range(SPEC.columns)])
        shown.append(np.array(ticks, bool))
        assert ramp < 2
    assert model.converted == 6
    np.testing.assert_array_equal(shown[1], shown[0])
    np.testing.assert_array_equal(shown[2], shown[0])
    compare(SPEC, device, x, ArrayModel(SPEC, device, first=6), first=6).check()


def replaced(**changes):
    return lambda device: device.replace(**{name: make(device) for name, make in changes.items()})


#: What an array could have wrong: the effects that show it, and the instance it then stands for.
WRONG_NUMBERS = {
    "noise of another seed": (NOISES, replaced(seed=lambda d: d.seed + 1)),
    "no gain along the window": (("leak",), replaced(window=lambda d: np.ones_like(d.window))),
    "no gain along the second window": (("state_leak",), replaced(state_window=lambda d: np.ones_like(d.state_window))),
    "gains backwards": (("leak",), replaced(window=lambda d: d.window[::-1])),
    "no limit": (("limit",), replaced(limit=lambda d: np.full_like(d.limit, np.inf))),
    "limit at the end alone": (
        ("limit",),
        replaced(limit=lambda d: np.append(np.full(len(d.limit) - 1, np.inf), d.limit[-1])),
    ),
    "no limit in the second window": (
        ("state_limit",),
        replaced(state_limit=lambda d: np.full_like(d.state_limit, np.inf)),
    ),
    "no compression": (("compression",), replaced(compression=lambda d: 0.0)),
    "no droop": (("rise",), replaced(rise=lambda d: np.ones_like(d.rise))),
    "droop a tick late": (("rise",), replaced(rise=lambda d: np.append(1.0, d.rise[:-1]))),
    "delays of a tick more": (("delays",), replaced(delays=lambda d: np.minimum(d.delays + 1, SPEC.ticks))),
    "no delays": (("delays",), replaced(delays=lambda d: np.zeros_like(d.delays))),
    "offsets of the other sign": (("offsets",), replaced(offsets=lambda d: -d.offsets)),
    "no common noise": (("common_variance",), replaced(common_variance=lambda d: np.zeros_like(d.common_variance))),
    "no noise of state cells": (
        ("state_variance",),
        replaced(state_variance=lambda d: np.zeros_like(d.state_variance)),
    ),
    "steps without noise": (("ramp_noise",), replaced(ramp_noise=lambda d: np.zeros_like(d.ramp_noise))),
    "decisions without noise": (("comparator_noise",), replaced(comparator_noise=lambda d: 0.0)),
}


@pytest.mark.parametrize("fault", WRONG_NUMBERS)
def test_a_wrong_number_is_seen(fault):
    effects, change = WRONG_NUMBERS[fault]
    device = device_of(SPEC, network_of(SPEC, FAULT_SEED).weights.macro, FAULT_SEED, effects)
    x = inputs_of(SPEC, FAULT_SEED, batch=2, steps=5)
    board = compare(SPEC, device, x, ArrayModel(SPEC, change(device)))
    assert board.compared["codes"] == 10 * SPEC.columns
    with pytest.raises(MismatchError, match="differ from the golden model"):
        board.check()
    assert board.mismatched["codes"] + board.mismatched["state_codes"] > 0


HELD = Specification(inputs=8, units=3, classes=2, cell="gru_reset_after")


def emptied(model):
    """The second reset wire follows the first: the bank that holds loses its charge before its conversion."""
    reset = model._array.reset
    model._array.reset = lambda wires: reset(0b11 if wires else 0)


def forgetful(model):
    """Noise of the second window's pulses alone."""
    integrate = model._array.integrate

    def last_alone(rows, lines, state):
        if state:
            model._array._row_clocks[:, 0] = 0
        integrate(rows, lines, state)

    model._array.integrate = last_alone


def swapped(model):
    """Columns take the noise of another crossing's reference column."""
    model._array._crossings = np.roll(model._array._crossings, HELD.units)


def instance(**changes):
    """An array with another number."""

    def spoil(model):
        device = model._array.device
        model._array.__init__(device.replace(**{name: make(device) for name, make in changes.items()}))

    return spoil


#: What is wrong with an array whose bank holds, and the effects that show it.
WRONG_HOLDS = {
    "no droop": (("hold",), instance(hold_gain=lambda d: np.ones(1))),
    "droop twice": (("hold",), instance(hold_gain=lambda d: d.hold_gain**2)),
    "nothing held": ((), emptied),
    "noise of one window": (("variance",), forgetful),
    "common noise of one window": (("common_variance",), forgetful),
    "reference columns swapped": (("common_variance",), swapped),
    "gains of the first window": (("state_leak",), instance(state_window=lambda d: np.ones_like(d.state_window))),
}


@pytest.mark.parametrize("fault", [None, *WRONG_HOLDS])
def test_a_wrong_hold_is_seen(fault):
    effects, spoil = WRONG_HOLDS.get(fault, (None, lambda model: None))
    device = device_of(HELD, network_of(HELD, FAULT_SEED).weights.macro, FAULT_SEED, effects)
    model = ArrayModel(HELD, device)
    spoil(model)
    board = compare(HELD, device, inputs_of(HELD, FAULT_SEED, batch=3, steps=5), model)
    assert (board.mismatched["state_codes"] > 0) == (fault is not None)


#: Normals that are drawn from the wrong place.
WRONG_PLACES = {
    "conversion": ("number", NOISES),
    "ramp": ("_ramp_first", ("ramp_noise",)),
    "decision": ("_decision_first", ("comparator_noise",)),
    "common": ("_common", ("common_variance",)),
}


@pytest.mark.parametrize("fault", WRONG_PLACES)
def test_noise_from_the_wrong_place_is_seen(fault, monkeypatch):
    name, effects = WRONG_PLACES[fault]
    original = ClockedDevice.__init__

    def spoiled(self, *arguments):
        original(self, *arguments)
        setattr(self, name, getattr(self, name) + 1)

    monkeypatch.setattr(ClockedDevice, "__init__", spoiled)
    device = device_of(SPEC, network_of(SPEC, FAULT_SEED).weights.macro, FAULT_SEED, effects)
    board = compare(SPEC, device, inputs_of(SPEC, FAULT_SEED, batch=2, steps=3), ArrayModel(SPEC, device))
    assert board.mismatched["codes"] > 0


def test_amaranth_however_the_utterances_are_shared(seed, monkeypatch):
    """The generated network in front of the array, in one process and in two: the noise does not know."""
    spec = Specification(inputs=4, units=3, classes=2, lanes=2, adc_bits=4, input_bits=4, calibration_cells=2)
    network, x = network_of(spec, seed), inputs_of(spec, seed, batch=3, steps=2)
    device = device_of(spec, network.weights.macro, seed)
    for jobs, calibration in ((1, 0b10_01), (2, None)):
        monkeypatch.setattr(amaranth_backend, "_PORTION_CLOCKS", 1)
        array = ArraySetup(device, calibration)
        result = simulate_amaranth(network, x, array=array, jobs=jobs)
        compared(network, x, result, array).check()
        # Fails without the instance, and with other cells.
        assert compared(network, x, result).mismatched["codes"] > 0
    with pytest.raises(ValueError, match=r"the programming is for specification \w+, the network for \w+"):
        simulate_amaranth(network_of(SPEC, seed), inputs_of(SPEC, seed), array=ArraySetup(device), jobs=1)
