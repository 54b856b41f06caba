# SPDX-License-Identifier: Apache-2.0
"""Networks of several layers in Amaranth's simulator: drawn ones against golden, clocks, and utterances too long."""

import numpy as np
import pytest
from amaranth import Module
from amaranth.lib.wiring import In
from crossramp.golden.layers.layer import Layer
from crossramp.golden.layers.network_specification import NetworkSpecification
from crossramp.golden.macro.initial_state import Played, Starts, random_starts
from crossramp.golden.network.layered_network import LayeredNetwork
from crossramp.golden.network.layered_weights import LayeredWeights
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.layers import layered_top
from crossramp.rtl.layers.code_streams import KeepFlags
from crossramp.rtl.layers.layered_top import LayeredTop
from crossramp.rtl.layers.utterance_memory import UtteranceMemory
from crossramp.sim.amaranth.amaranth_backend import simulate_amaranth
from crossramp.sim.amaranth.amaranth_bench import Bench
from crossramp.sim.array.array_setup import IDEAL
from crossramp.sim.checking.scoreboard import MismatchError
from hypothesis import Phase, given, settings

from tests.support.comparison import compared
from tests.support.layered import KEEPING, PROJECTED, SMALL, layered_network_of, layered_specifications
from tests.support.strategies import inputs_of, seeds, starts_of


@given(layered_specifications(max_units=4, max_bits=4), seeds)
@settings(max_examples=8, phases=(Phase.explicit, Phase.generate))
def test_drawn_networks(spec, seed):
    network = layered_network_of(spec, seed)
    played = Played([inputs_of(spec, seed, batch=3, steps=2)], starts_of(spec, seed, 3))
    compared(network, played, simulate_amaranth(network, played, jobs=1)).check()


def test_a_stack_that_keeps_its_states(seed, monkeypatch):
    """Short utterances, so that layers work on different ones; a layer that is told otherwise is seen."""
    network = layered_network_of(KEEPING, seed)
    rng = np.random.default_rng(seed)
    starts = Starts(np.arange(9) % 3 != 1, random_starts(KEEPING, 9, rng).given)
    played = Played([inputs_of(KEEPING, seed, batch=9, steps=1)], starts)
    compared(network, played, simulate_amaranth(network, played, jobs=1)).check()
    monkeypatch.setattr(layered_top, "KeepFlags", Forgetful)
    with pytest.raises(MismatchError, match="utterance 1, layer3 "):
        compared(network, played, simulate_amaranth(network, played, jobs=1)).check()


class Forgetful(KeepFlags):
    """Says to layer 3 that no utterance keeps its state."""

    def elaborate(self, platform):
        m = Module()
        m.submodules.flags = flags = KeepFlags(self.layers)
        for name, member in self.signature.members.items():
            own, other = getattr(self, name), getattr(flags, name)
            if member.flow == In:
                m.d.comb += other.eq(own)
            else:
                m.d.comb += own.eq(0 if name == "keep_3" else other)
        return m


#: Three layers of one direction, the second the slowest.
STACK = NetworkSpecification(
    layers=(
        Layer(macro=Specification(inputs=3, units=4, classes=0, cell="rnn_tanh", lanes=3)),
        Layer(macro=Specification(inputs=4, units=3, classes=0, lanes=1)),
        Layer(macro=Specification(inputs=3, units=5, classes=0, cell="gru", lanes=5)),
    ),
    classes=2,
)


def test_clocks_of_a_stack(seed):
    """Layers work on different steps: the slowest sets the clocks of a step."""
    network = layered_network_of(STACK, seed)
    result = simulate_amaranth(network, inputs_of(STACK, seed, batch=1, steps=9), jobs=1)
    assert set(result.traces[0].step_clocks[3:]) == {STACK.clocks_per_step}
    assert STACK.clocks_per_step == STACK.layers[1].macro.macro_clocks
    assert STACK.analog_clocks_per_step == 108


#: The papers' sizes of codes: a step needs 108 clocks in the array, and 46 in that of the projection.
PROJECTING = {"inputs": 3, "classes": 0, "projection": 4, "projection_in": "array"}


@pytest.mark.parametrize(
    ("changes", "bound"),
    [
        ({"units": 6, "lanes": 6}, 154),
        ({"units": 5, "lanes": 2, "settle_clocks": 3, "comparator_registers": 1, "projection_bits": 6}, 186),
        ({"units": 7, "lanes": 1, "cell": "gru"}, 138),
    ],
)
def test_clocks_of_a_projection_in_an_array(seed, changes, bound):
    spec = NetworkSpecification(layers=(Layer(macro=Specification(**PROJECTING | changes)),), classes=2)
    network = layered_network_of(spec, seed)
    x = inputs_of(spec, seed, batch=1, steps=5)
    result = simulate_amaranth(network, x, jobs=1)
    compared(network, x, result).check()
    assert set(result.traces[0].step_clocks[1:]) == {spec.clocks_per_step}
    assert spec.analog_clocks_per_step == bound
    if changes["units"] == changes["lanes"]:
        assert spec.clocks_per_step <= 1.10 * bound


@pytest.mark.parametrize("readout", ["mean", "last", "step"])
def test_a_head_in_an_array(seed, readout):
    """The last layer gives the logits: those of a digital head whose matrix is one; a class takes a clock."""
    first = Layer(macro=Specification(inputs=3, units=4, classes=0, cell="rnn_tanh", lanes=3))
    last = Layer(macro=Specification(inputs=4, units=60, classes=0, cell="dense", lanes=7))
    spec = NetworkSpecification(layers=(first, last), classes=60, head="array", readout=readout)
    network = layered_network_of(spec, seed)
    x = inputs_of(spec, seed, batch=2, steps=5)
    result = simulate_amaranth(network, x, jobs=1)
    compared(network, x, result).check()
    assert set(result.traces[0].step_clocks.reshape(2, -1)[:, 2:].ravel()) == {spec.clocks_per_step}
    assert spec.clocks_per_step == (spec.head_clocks if readout == "step" else last.macro.macro_clocks)
    digital = NetworkSpecification(layers=(first, last), classes=60, readout=readout)
    one = LayeredWeights(network.weights.macros, np.eye(60, dtype=int), np.zeros(60, int))
    np.testing.assert_array_equal(LayeredNetwork(digital, one).run(x).logits, network.run(x).logits)


def test_wide_layers_load_in_groups(seed):
    """A layer takes the codes of the one before as they come, so that many inputs cost no clocks."""
    first = Layer(macro=Specification(inputs=2, units=60, classes=0, cell="rnn_tanh", lanes=11))
    second = Layer(macro=Specification(inputs=60, units=3, classes=0, cell="dense"))
    spec = NetworkSpecification(layers=(first, second), classes=2)
    network = layered_network_of(spec, seed)
    x = inputs_of(spec, seed, batch=1, steps=5)
    result = simulate_amaranth(network, x, jobs=1)
    compared(network, x, result).check()
    assert set(result.traces[0].step_clocks[2:]) == {spec.clocks_per_step} == {first.macro.macro_clocks}


def test_a_projection_in_an_array(seed):
    """Two directions and another layer behind; weights of another array are seen where they project."""
    network = layered_network_of(PROJECTED, seed)
    x = inputs_of(PROJECTED, seed)
    result = simulate_amaranth(network, x, jobs=1)
    compared(network, x, result).check()
    macros = dict(network.weights.macros)
    macros["layer1_projection"] = macros["layer1_projection"].replace(macro=-macros["layer1_projection"].macro)
    other = LayeredNetwork(PROJECTED, network.weights.replace(macros=macros))
    with pytest.raises(MismatchError, match="utterance 0, layer1_projection codes, step 0, unit"):
        compared(other, x, result).check()


@pytest.mark.parametrize("readout", ["mean", "last", "step"])
def test_clocks_of_two_directions(seed, readout):
    macro = Specification(inputs=3, units=4, classes=0, cell="rnn_tanh", lanes=3)
    spec = NetworkSpecification(layers=(Layer(macro=macro, bidirectional=True),), classes=2, readout=readout)
    network = layered_network_of(spec, seed)
    x = inputs_of(spec, seed, batch=2, steps=7)
    result = simulate_amaranth(network, x, jobs=1)
    compared(network, x, result).check()
    # With "step" the answer is read out of a memory, as fast as the head takes it.
    slowest = max(spec.head_clocks, spec.hidden) if readout == "step" else spec.clocks_per_step
    assert set(result.traces[0].step_clocks.reshape(2, -1)[:, 2:].ravel()) == {slowest}


def test_an_utterance_too_long(seed):
    """It is marked, through every memory, and leaves the next one alone."""
    network = layered_network_of(SMALL, seed)
    x = inputs_of(SMALL, seed, batch=1, steps=3)
    bench = Bench(network, IDEAL)
    bits, long = SMALL.input_bits, SMALL.max_steps + 3
    for utterance in (np.tile(x[0, :1], (long, 1)), x[0]):
        codes = (utterance & ((1 << bits) - 1)).ravel().tolist()
        codes[-SMALL.inputs :] = [code | 1 << bits for code in codes[-SMALL.inputs :]]
        bench.payloads += codes
    bench.run_to(2)
    first, second = bench.beats["answers"]
    index = len(f"{SMALL.classes - 1:b}")
    assert first >> index == 1
    assert second == int(network.answers(x)[0])


def test_a_wrong_way_is_seen(seed, monkeypatch):
    """Readers that ignore their direction, and a network whose golden model has other weights."""
    network = layered_network_of(SMALL, seed)
    x = inputs_of(SMALL, seed)

    def forward_only(parts, readers, bits, max_steps):
        return UtteranceMemory(parts, [False] * len(readers), bits, max_steps)

    with monkeypatch.context() as patch:
        patch.setattr(layered_top, "UtteranceMemory", forward_only)
        with pytest.raises(MismatchError, match="layer0_backward codes, step"):
            compared(network, x, simulate_amaranth(network, x, jobs=1)).check()
    macros = dict(network.weights.macros)
    macros["layer1"] = macros["layer1"].replace(macro=-macros["layer1"].macro)
    other = LayeredNetwork(SMALL, network.weights.replace(macros=macros))
    with pytest.raises(MismatchError, match="utterance 0, layer1 codes, step 0, bank"):
        compared(other, x, simulate_amaranth(network, x, jobs=1)).check()


def test_compact(seed):
    """Macros that load no sooner than they must: other clocks, the same values."""
    network = layered_network_of(SMALL, seed)
    top = LayeredTop(SMALL, network.weights, compact=True)
    assert top.compact
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LayeredTop, "of", classmethod(lambda cls, made: top))
        x = inputs_of(SMALL, seed)
        compared(network, x, simulate_amaranth(network, x, jobs=1)).check()
