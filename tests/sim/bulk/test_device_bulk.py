# SPDX-License-Identifier: Apache-2.0
"""Device instances behind the generated Verilog, in both simulators: every value is golden's, and faults are seen."""

import functools

import numpy as np
import pytest
from crossramp.golden.analog.chip.sampling import device as technology_device
from crossramp.golden.analog.technologies.technology import load, shipped
from crossramp.golden.network.model_file import load_model
from crossramp.sim.array.array_setup import ArraySetup
from crossramp.sim.array.boundary_verilog import DEVICE_ARRAY
from crossramp.sim.array.programming import calibration_port, write_device
from crossramp.sim.bulk import bulk_bench
from crossramp.sim.bulk.bulk_simulation import PAUSES, simulate_bulk
from crossramp.sim.checking.scoreboard import MismatchError
from crossramp.sim.tools.run_options import NO_PAUSES, BuildOptions, Pauses
from crossramp.sim.tools.simulators import SimulationError
from hypothesis import HealthCheck, Phase, given, settings

from tests.support.chips import EFFECTS, NOISES, device_of
from tests.support.comparison import compared
from tests.support.designs import CELLS, network_of, utterances_of
from tests.support.strategies import inputs_of, seeds, specifications
from tests.support.strategies import network_of as drawn_network

#: Of planted faults: with these draws each of them matters.
FAULT_SEED = 1

EVERYWHERE = {"idle": 30, "stall": 30, "array_stall": 10}


@functools.cache
def odd():
    return network_of("odd", 1)


def check(network, device, batches, simulator, models, calibration=None, pauses=NO_PAUSES):
    array, build = ArraySetup(device, calibration), BuildOptions(workdir=models, optimize=False)
    result = simulate_bulk(network, batches, simulator, array=array, pauses=pauses, build=build)
    board = compared(network, batches, result, array)
    board.check()
    assert result.violations == ()
    return board, result


@pytest.mark.parametrize(("simulator", "steps"), [("verilator", 12), ("icarus", 1)])
def test_shipped_model(simulator, steps, seed, models):
    """Its array with every effect at once, and calibration cells; last high, 5 bits. And chips of the technologies."""
    network = load_model("kws").network
    spec = network.spec
    device = device_of(spec, network.weights.macro, seed)
    assert device.nominal.any()
    batches = [inputs_of(spec, seed, batch=2, steps=steps), inputs_of(spec, seed + 1, batch=1, steps=1)]
    board, result = check(network, device, batches, simulator, models)
    assert board.compared["codes"] == (2 * steps + 1) * spec.columns
    assert result.clocks_per_step == spec.clocks_per_step or steps == 1
    # The ideal array would give other codes: the instance is seen.
    assert compared(network, batches, result).mismatched["codes"] > 0
    if simulator == "verilator":
        _, paused = check(network, device, batches, simulator, models, pauses=Pauses(**EVERYWHERE, seed=seed))
        assert all(paused.pauses[name] > 0 for name in PAUSES)
        other = calibration_port(spec, None, device) ^ 0b00101
        check(network, device, batches, simulator, models, calibration=other)
        for name in shipped():
            chip = technology_device(load(name), spec, network.weights.macro, seed)
            check(network, chip, batches, simulator, models)


SETS = {
    "verilator": (EFFECTS, (), *[(name,) for name in EFFECTS]),
    # Slow to start: what belongs together, together.
    "icarus": (EFFECTS, (), NOISES, sorted({*EFFECTS} - {*NOISES}), ("falling_ramp",), ("comparator_noise", "delays")),
}


@pytest.mark.parametrize("simulator", SETS)
def test_effects_alone_and_together(simulator, seed, models):
    """First trip, four ramps, lanes that do not divide."""
    network, batches = odd(), utterances_of("odd", seed, (2, 1))
    for effects in SETS[simulator]:
        device = device_of(network.spec, network.weights.macro, seed, effects)
        check(network, device, batches, simulator, models)
    device = device_of(network.spec, network.weights.macro, seed)
    _, result = check(
        network, device, utterances_of("odd", seed, (3, 1, 2)), simulator, models, pauses=Pauses(**EVERYWHERE)
    )
    assert result.pauses["array_stalled"] > 0


@pytest.mark.parametrize(("name", "simulator"), [(name, sim) for name in CELLS for sim in ("icarus", "verilator")])
def test_every_cell(name, simulator, seed, models):
    """All effects together, banks that hold and their droop among them."""
    network, batches = network_of(name, 1), utterances_of(name, seed, (2, 1))
    device = device_of(network.spec, network.weights.macro, seed, lines=network.weights.lines)
    _, result = check(network, device, batches, simulator, models, pauses=Pauses(**EVERYWHERE, seed=seed))
    assert compared(network, batches, result).mismatched["codes"] > 0


@given(specifications(max_units=5, max_inputs=5, max_bits=5, any_ramps=True), seeds)
@settings(
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
    database=None,
    max_examples=3,
)
def test_drawn_specifications(tmp_path_factory, spec, seed):
    network = drawn_network(spec, seed)
    x = inputs_of(spec, seed, batch=2, steps=min(2, spec.max_steps))
    device = device_of(spec, network.weights.macro, seed)
    check(network, device, x, "icarus", tmp_path_factory.getbasetemp() / "drawn", pauses=Pauses(array_stall=5))


#: The same of cells with banks that hold: the cell comes first.
CELL_FAULTS = {
    "droop": ("gru", "charge[c] * hold_gain[b]", "charge[c]", ("hold",)),
    "held bank emptied": ("gru_after", "HELD_BANKS[b] ? emptied[HELD] : emptied[0]", "emptied[0]", ("hold",)),
    "crossing": ("gru", "normal(COMMON + k)", "normal(COMMON)", ("common_variance",)),
    "two windows": ("gru", "row_clocks[k+ROWS] * row_clocks[k+ROWS]", "0", ("common_variance", "variance")),
    "line of a cell": ("peephole", "line = UNITS * {24'd0, LINE_OF_CELL[8*b+:8]}", "line = 0", ("leak",)),
}


#: What the SystemVerilog could have wrong: the text, what stands there instead, and the effects that show it.
FAULTS = {
    "seed": ("origin = words[1]", "origin = words[1] + 1", NOISES),
    "numbering": ("number = 32'hffffffff", "number = 0", NOISES),
    "quantiles": (": -quantile[place]", ": quantile[place]", NOISES),
    "window gain": ("+ gain * rate[c]", "+ rate[c]", ("leak",)),
    "limit": ("if (charge[c] > most)", "if (charge[c] > 2.0 * most)", ("limit",)),
    "clock of the window": ("clocks = clocks + 1", "clocks = clocks + 2", ("leak",)),
    "compression": ("y / 2.0", "y / 3.0", ("compression",)),
    "variance": ("squares[c] + more * variance", "squares[c] - more * variance", ("variance",)),
    "ramp noise": ("normal(STEPS + r * TICKS + k)", "normal(STEPS + k)", ("ramp_noise",)),
    "decision noise": ("(count - 1) * COLUMNS + c", "count * COLUMNS + c", ("comparator_noise",)),
    "undrawn decisions": ("lowest[c] = value[c] - ", "lowest[c] = value[c] - 0.1 * ", ("comparator_noise",)),
    "droop": ("rise[count-1]", "rise[0]", ("rise",)),
    "delay": ("decided[count-delay[c]]", "decided[count+1-delay[c]]", ("delays",)),
}


@pytest.mark.parametrize("fault", [*FAULTS, *CELL_FAULTS])
def test_a_fault_in_the_crossbar_is_seen(fault, models, monkeypatch):
    name, before, after, effects = CELL_FAULTS.get(fault) or ("odd", *FAULTS[fault])
    original = bulk_bench.bulk_sources

    def spoiled(*arguments, **options):
        sources = original(*arguments, **options)
        assert sources[DEVICE_ARRAY].count(before) == 1
        return sources | {DEVICE_ARRAY: sources[DEVICE_ARRAY].replace(before, after)}

    monkeypatch.setattr(bulk_bench, "bulk_sources", spoiled)
    network = network_of(name, 1)
    device = device_of(network.spec, network.weights.macro, FAULT_SEED, effects, network.weights.lines)
    with pytest.raises(MismatchError, match="differ from the golden model"):
        check(network, device, utterances_of(name, FAULT_SEED, (30,)), "icarus", models)


def test_a_folder_of_another_array_is_refused(models, monkeypatch):
    network = odd()
    x, build = utterances_of("odd", 1, (1,)), BuildOptions(workdir=models)
    small = drawn_network(network.spec.replace(inputs=6), 1)
    other = device_of(small.spec, small.weights.macro, 1)
    with pytest.raises(ValueError, match=r"the programming is for specification \w+, the network for \w+; write"):
        simulate_bulk(network, x, array=ArraySetup(other), build=build)
    device = device_of(network.spec, network.weights.macro, 1)
    for write, message in (
        (lambda _, folder: write_device(other, folder), "device.bin is not for an array of these sizes: it has"),
        (lambda _, folder: folder, "crossbar: cannot read"),
    ):
        monkeypatch.setattr(bulk_bench, "write_device", write)
        with pytest.raises(SimulationError, match=message):
            simulate_bulk(network, x, "icarus", array=ArraySetup(device), build=build)


def test_what_is_written(tmp_path, seed):
    """Sixty-four bits a word, the most significant byte first; nothing is rounded."""
    network = odd()
    device = device_of(network.spec, network.weights.macro, seed)
    words = np.frombuffer((write_device(device, tmp_path) / "device.bin").read_bytes(), ">u8")
    assert words[0] == len(words)
    doubles = words.view(">f8")
    assert (doubles[2], doubles[3]) == (device.compression, device.comparator_noise)
    np.testing.assert_array_equal(doubles[4 : 4 + device.weights.size], device.weights.ravel())
    assert doubles[-32768] > 0
    assert doubles[-1] == doubles[-32768:].max()
