# SPDX-License-Identifier: Apache-2.0
"""Text as it is made: every step's codes chosen by the gateware's logits, every value against golden, step by step."""

from dataclasses import replace

import numpy as np
import pytest
from crossramp.golden.macro.trace import Trace
from crossramp.sim.array.array_setup import ArraySetup
from crossramp.sim.bulk.interactive import Session
from crossramp.sim.checking.scoreboard import MismatchError, Scoreboard
from crossramp.sim.tools.run_options import NO_PAUSES, BuildOptions, Pauses
from crossramp.sim.tools.simulators import SimulationError, SimulatorMissing
from hypothesis import given, settings

from tests.support.chips import device_of, macro_of
from tests.support.designs import SPECS, network_of
from tests.support.strategies import network_of as drawn_network
from tests.support.strategies import seeds, specifications

SPEC = SPECS["projected"]
#: From a step's h to the next one's, nothing overlapping: the logits, the load of x that they decide, the macro.
CLOCKS = SPEC.head_clocks + SPEC.inputs + SPEC.macro_clocks
PAUSES = Pauses(idle=40, stall=40, array_stall=10)
SHOWN = ("h", "logits")


def chosen(spec, seed, logits):
    """x of the next step, a function of the logits before."""
    rng = np.random.default_rng([seed, *(int(value) & 0xFFFF for value in logits)])
    return rng.integers(-spec.input_max, spec.input_max + 1, spec.inputs)


def check(session, network, seed, steps, lstm=None):
    """Runs ``steps`` steps, two of them an utterance's last; golden goes along step by step."""
    lstm = network.lstm if lstm is None else lstm
    spec, (c, h) = network.spec, lstm.start(1)
    logits, expected, board = np.zeros(spec.classes, np.int64), [], Scoreboard(network.spec)
    for step in range(steps):
        x = chosen(spec, seed, logits)
        last = step in (2, steps - 2)
        golden = lstm.step(x[None], c, h, 2 * step)
        got_h, logits = session.step(x, last)
        board.compare(
            golden.replace(logits=network.logits(golden.h, 1)), Trace(h=got_h[None], logits=logits[None]), SHOWN
        )
        board.check()
        expected.append(golden)
        c, h = lstm.start(1) if last else (golden.c, golden.h)
    board.compare(network.with_head(Trace.stack(expected)), session.trace())
    board.check()
    assert session.steps == steps


@pytest.mark.parametrize("pauses", [NO_PAUSES, PAUSES])
@pytest.mark.parametrize("simulator", ["verilator", "icarus"])
def test_every_value(simulator, pauses, seed, models):
    network = network_of("projected", 1)
    pauses, build = replace(pauses, seed=seed), BuildOptions(workdir=models, optimize=False)
    with Session(network, simulator, pauses=pauses, build=build) as session:
        check(session, network, seed, 8)
        assert session.simulator == simulator
        assert session.end_clocks is None
    assert len(session.end_clocks) == 8
    if not pauses.most:
        clocks = np.diff(session.end_clocks)
        assert (clocks == clocks[0]).all()
        assert abs(clocks[0] - CLOCKS) < 4  # the bench's own


def test_amaranth(seed):
    network = network_of("projected", 1)
    with Session(network, "amaranth") as session:
        check(session, network, seed, 6)
    assert len(session.end_clocks) == 6


@pytest.mark.parametrize("simulator", ["icarus", "amaranth"])
def test_device_instance(simulator, seed, models):
    """A chip with every imperfection: read noise of conversion after conversion, as golden's."""
    network = network_of("projected", 1)
    chip = device_of(SPEC, network.weights.macro, seed)
    with Session(network, simulator, array=ArraySetup(chip), build=BuildOptions(workdir=models)) as session:
        check(session, network, seed, 5, macro_of(chip, None, network.weights.projection))
        with pytest.raises(MismatchError):
            check(session, network, seed, 3)  # the ideal network is another


@given(specifications(max_units=4, max_inputs=3, max_bits=4, readout="step"), seeds)
@settings(max_examples=5)
def test_drawn_specifications(spec, seed):
    network = drawn_network(spec, seed)
    with Session(network, simulator="amaranth") as session:
        check(session, network, seed, 4)


def test_a_fault_is_seen(seed, models):
    """Other weights in the head than golden's."""
    with Session(network_of("projected", 2), "icarus", build=BuildOptions(workdir=models)) as session:
        with pytest.raises(MismatchError, match="values differ from the golden model"):
            check(session, network_of("projected", 1), seed, 3)


def test_a_simulation_that_dies_is_told(models):
    session = Session(network_of("projected", 1), "icarus", build=BuildOptions(workdir=models))
    session.step(np.zeros(SPEC.inputs, int))
    session._backend._process.kill()
    with pytest.raises(SimulationError, match="icarus ended with status -9 in step 1"):
        session.step(np.zeros(SPEC.inputs, int))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"simulator": "spice"}, "simulator is 'spice'; allowed: auto, verilator, icarus, amaranth"),
        ({"simulator": "amaranth", "pauses": Pauses(stall=5)}, "Amaranth's simulator makes no pauses"),
        ({"simulator": "icarus", "array": ArraySetup(calibration=1 << 60)}, "calibration is .*; allowed: 0 to"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        Session(network_of("projected", 1), **options)
    with pytest.raises(ValueError, match="the readout is 'mean': only 'step' has logits after every step"):
        Session(network_of("tiny", 1))


def test_wrong_codes_and_closed_sessions(monkeypatch):
    with Session(network_of("projected", 1), simulator="amaranth") as session:
        with pytest.raises(ValueError, match=r"codes\[2\] is 16; allowed: -15 to 15"):
            session.step(np.array([0, 0, 16, 0]))
        with pytest.raises(ValueError, match=r"codes has the shape \(5,\); expected \(4,\)"):
            session.step(np.zeros(5, int))
    with pytest.raises(ValueError, match="the session is closed; start another"):
        session.step(np.zeros(4, int))
    monkeypatch.setenv("PATH", "/nonexistent")
    assert Session(network_of("projected", 1)).simulator == "amaranth"
    with pytest.raises(SimulatorMissing, match="icarus: iverilog is not on PATH"):
        Session(network_of("projected", 1), simulator="icarus")
