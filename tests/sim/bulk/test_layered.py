# SPDX-License-Identifier: Apache-2.0
"""Networks of several layers in the Verilog simulators: drawn ones, pauses, chips behind every macro, faults."""

import numpy as np
import pytest
from crossramp.golden.analog.chip.chip_sample import ChipSample
from crossramp.golden.analog.chip.placed_chip import PlacedChip
from crossramp.golden.analog.conversion.tiled_device import TiledDevice
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.array.tiled_array import tile_weights
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.layers.layer import Layer
from crossramp.golden.layers.tile import arrays_by_macro, arrays_of, need_one_array, tiles_of
from crossramp.golden.macro.initial_state import Played
from crossramp.sim.amaranth.amaranth_backend import simulate_amaranth
from crossramp.sim.amaranth.step_trace import trace_step
from crossramp.sim.array.array_setup import IDEAL, ArraySetup
from crossramp.sim.bulk.bulk_simulation import simulate_bulk
from crossramp.sim.bulk.interactive import Session
from crossramp.sim.checking.scoreboard import MismatchError
from crossramp.sim.tools.run_options import BuildOptions, Pauses
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.chips import device_of
from tests.support.comparison import compared
from tests.support.layered import (
    HEAD_IN_ARRAY,
    KEEPING,
    PROJECTED,
    SMALL,
    SUMMED,
    layered_network_of,
    layered_specifications,
)
from tests.support.strategies import inputs_of, network_of, seeds, starts_of

# A failure is reported as drawn: shrinking would build a model for each try.
drawn = settings(
    deadline=None, phases=(Phase.explicit, Phase.generate), suppress_health_check=list(HealthCheck), database=None
)


def check(spec, seed, percent, simulator, workdir):
    network = layered_network_of(spec, seed)
    x = inputs_of(spec, seed, batch=2, steps=3)
    batches = Played([x, x[:1, :1]], starts_of(spec, seed, 3))
    pauses = Pauses(percent, percent, percent // 2, seed % 2**31)
    build = BuildOptions(workdir=workdir, optimize=False)
    result = simulate_bulk(network, batches, simulator, pauses=pauses, build=build)
    compared(network, batches, result).check()
    assert result.violations == ()
    assert result.conversions == sum(len(array.conversions) for array in arrays_of(spec).values()) * 7


@given(layered_specifications(), seeds, st.sampled_from([0, 30]))
@settings(drawn, max_examples=4)
def test_icarus(tmp_path_factory, spec, seed, percent):
    check(spec, seed, percent, "icarus", tmp_path_factory.getbasetemp() / "layered")


def test_verilator(tmp_path, seed):
    check(SMALL, seed, 30, "verilator", tmp_path)


@pytest.mark.slow
@given(layered_specifications(max_layers=4, max_units=9, max_inputs=9, max_bits=6), seeds, st.sampled_from([0, 30]))
@settings(drawn, max_examples=6)
def test_verilator_drawn(tmp_path_factory, spec, seed, percent):
    check(spec, seed, percent, "verilator", tmp_path_factory.getbasetemp() / "layered")


def chips_of(network, seed):
    """A device instance for every macro, noise and all."""
    chips = {}
    for k, (name, spec) in enumerate(network.spec.macros.items()):
        weights = network.weights.macros[name]
        tiles = [
            device_of(tile, part.macro, seed + k, None, part.lines)
            for tile in tiles_of(spec)
            for part in [weights if tile is spec else tile_weights(spec, tile, weights)]
        ]
        chips[name] = tiles[0] if len(tiles) == 1 else TiledDevice(spec, tuple(tiles))
    return chips


def test_chips(seed):
    """A chip behind each macro: each code is its own golden model's, in Icarus and in Amaranth's simulator."""
    network = layered_network_of(SMALL, seed)
    x = inputs_of(SMALL, seed)
    array = ArraySetup(chips_of(network, seed))
    result = simulate_bulk(network, x, "icarus", array=array)
    compared(network, x, result, array).check()
    compared(network, x, simulate_amaranth(network, x, array=array), array).check()
    with pytest.raises(MismatchError, match="layer"):
        compared(network, x, result, ArraySetup(chips_of(network, seed + 1))).check()


@pytest.mark.parametrize("simulator", ["icarus", "verilator"])
def test_projections_in_arrays(seed, simulator):
    """Arrays that project, with pauses and in tiles of their own; chips behind each."""
    first, second = PROJECTED.layers
    spec = PROJECTED.replace(layers=(first, Layer(macro=second.macro.replace(tile_columns=12))))
    tiles = [f"layer1_array{k}" for k in range(2)]
    assert list(arrays_of(spec))[-3:] == [*tiles, "layer1_projection_array"]
    network = layered_network_of(spec, seed)
    x = inputs_of(spec, seed)
    result = simulate_bulk(network, x, simulator, pauses=Pauses(30, 30, 20, seed % 2**31))
    compared(network, x, result).check()
    assert result.violations == ()
    if simulator == "icarus":
        array = ArraySetup(chips_of(network, seed), {"layer1_projection": 0b101})
        compared(network, x, simulate_bulk(network, x, "icarus", array=array), array).check()
        compared(network, x, simulate_amaranth(network, x, array=array), array).check()


@pytest.mark.parametrize("simulator", ["icarus", pytest.param("verilator", marks=pytest.mark.slow)])
def test_partial_sums(seed, simulator):
    """Rows in several arrays of a GRU and of an LSTM, with pauses; chips behind each."""
    network = layered_network_of(SUMMED, seed)
    x = inputs_of(SUMMED, seed)
    result = simulate_bulk(network, x, simulator, pauses=Pauses(30, 30, 20, seed % 2**31))
    compared(network, x, result).check()
    assert result.violations == ()
    if simulator == "icarus":
        array = ArraySetup(chips_of(network, seed), {"layer0_partial1": 0b10})
        compared(network, x, simulate_bulk(network, x, "icarus", array=array), array).check()
        compared(network, x, simulate_amaranth(network, x, array=array), array).check()


def test_tiles_of_a_layer(seed):
    """A layer in two arrays of its own: ideal ones with pauses, and chips."""
    first, second = SMALL.layers
    spec = SMALL.replace(layers=(first, Layer(macro=second.macro.replace(tile_columns=8))))
    assert list(arrays_of(spec))[2:] == ["layer1_array0", "layer1_array1"]
    network = layered_network_of(spec, seed)
    x = inputs_of(spec, seed)
    result = simulate_bulk(network, x, "icarus", pauses=Pauses(array_stall=20, seed=seed))
    compared(network, x, result).check()
    assert result.violations == ()
    array = ArraySetup(chips_of(network, seed), {"layer1": 0b1010010})
    compared(network, x, simulate_bulk(network, x, "icarus", array=array), array).check()
    compared(network, x, simulate_amaranth(network, x, array=array), array).check()


def test_calibrations(seed):
    """Each array has its own calibration port."""
    network = layered_network_of(SMALL, seed)
    x = inputs_of(SMALL, seed)
    chips = chips_of(network, seed)
    array = ArraySetup(chips, {"layer0_backward": 0b11011, "layer1": 0b101})
    compared(network, x, simulate_bulk(network, x, "icarus", array=array), array).check()


def test_arrays_that_do_not_fit(seed):
    network = layered_network_of(SMALL, seed)
    chips = chips_of(network, seed)
    for content, message in (
        (
            chips["layer1"],
            "the network has 3 macros, but one DeviceInstance is given; give a mapping with",
        ),
        (
            chips | {"layer9": chips["layer1"]},
            "there is no macro 'layer9'; the network has layer0_forward, ",
        ),
        (
            {"layer1": chips["layer1"]},
            "there is no device instance for layer0_forward, layer0_backward; ",
        ),
        (chips | {"layer1": chips["layer0_forward"]}, "the programming is for specification"),
    ):
        with pytest.raises(InvalidValue, match=message):
            simulate_bulk(network, inputs_of(SMALL, seed), "icarus", array=ArraySetup(content))


def test_a_planted_fault_names_the_macro(seed, tmp_path):
    """A code of one macro that is wrong in the Verilog."""
    network = layered_network_of(SMALL, seed)
    x = inputs_of(SMALL, seed)

    def spoil(verilog):
        wires = {
            "    .layer1_monitor__i(layer1_monitor_i),": "    .layer1_monitor__i(code_of_i),",
            "  wire [8:0] layer1_monitor_i;": "  wire [8:0] code_of_i;\n  assign layer1_monitor_i = code_of_i ^ 1;",
        }
        for text, other in wires.items():
            assert verilog.count(text) == 1
            verilog = verilog.replace(text, other)
        return verilog

    result = simulate_bulk(network, x, "icarus", build=BuildOptions(workdir=tmp_path, change_verilog=spoil))
    board = compared(network, x, result)
    with pytest.raises(MismatchError, match=r"utterance 0, layer1 codes, step 0, bank i, unit 0"):
        board.check()
    assert set(np.flatnonzero(list(board.mismatched.values()))) == {list(board.mismatched).index("layer1 codes")}


@pytest.mark.parametrize(
    ("spec", "setup"),
    [(SMALL, "chip"), (HEAD_IN_ARRAY, "ideal"), (PROJECTED.replace(layers=PROJECTED.layers[:1]), "chip")],
)
def test_traced_steps(spec, setup, seed):
    """Pins and codes of a step of every array are golden's, in the order in which its macro takes the steps."""
    spec = spec.implemented(tile_columns=8)
    network, (x,) = layered_network_of(spec, seed), inputs_of(spec, seed, batch=1, steps=3)
    chip = PlacedChip.of(spec, network.weights, ChipSample(load("rram")), seed) if setup == "chip" else None
    golden = (network if chip is None else chip.behind(network)).run(x[None])
    behind = IDEAL if chip is None else ArraySetup.of_chip(chip)
    for name, arrays in list(arrays_by_macro(spec).items())[1:]:
        array = list(arrays)[-1]
        waves = trace_step(network, x, 1, behind, array)
        trace, tile, macro = golden.macros[name], arrays[array], spec.macros[name]
        codes = np.full(macro.columns, -1)
        codes[macro.converted(False)] = trace.codes[0, 1]
        codes = codes[macro.columns_of_units(tile.unit_range)]
        np.testing.assert_array_equal(waves.codes, codes[codes >= 0])
        first = waves.controls["integrate"] & ~waves.controls["state"]
        if "h" in macro.row_sizes:
            before = golden.macros.get(f"{name}_projection", trace).h[0, 0]
            np.testing.assert_array_equal(waves.rows[first][:, tile.rows_of("h")].sum(axis=0), before)
        assert not first[0]
        assert len(waves.tap) <= macro.macro_clocks + tile.inputs + 16


def test_step_that_cannot_be_traced(seed):
    network = layered_network_of(SMALL, seed)
    (x,) = inputs_of(SMALL, seed, batch=1, steps=1)
    with pytest.raises(InvalidValue, match="there is no array 'array'; the network has layer0_forward_array, layer0_"):
        trace_step(network, x, 0, array="array")
    streamed = SMALL.layers[1].macro.replace(classes=2, initial="stream")
    with pytest.raises(InvalidValue, match="initial is 'stream', and a traced step has no state to start from"):
        trace_step(network_of(streamed, seed), inputs_of(streamed, seed, batch=1, steps=1)[0], 0)


def test_what_takes_one_macro(seed):
    """Sessions, and an array of one's own: one line that names the macros."""
    network = layered_network_of(SMALL.replace(readout="step"), seed)
    message = "the network has the macros layer0_forward, layer0_backward, layer1; {} has one; give a network of one"
    with pytest.raises(InvalidValue, match=message.format("a session")):
        Session(network, "amaranth")
    with pytest.raises(InvalidValue, match=message.format("an array of your own")):
        need_one_array(network.spec, "an array of your own")


def test_a_traced_step_has_no_states_from_streams(seed):
    network = layered_network_of(KEEPING, seed)
    with pytest.raises(InvalidValue, match="initial is 'stream', and a traced step has no state to start from"):
        trace_step(network, inputs_of(KEEPING, seed)[0], 0)
    assert (KEEPING.initial, SMALL.initial) == ("stream", "zero")
