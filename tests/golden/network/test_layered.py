# SPDX-License-Identifier: Apache-2.0
"""Networks of several layers: values against exact fractions, checks of their parts, files."""

import dataclasses

import numpy as np
import pytest
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.layers.layer import Layer
from crossramp.golden.layers.network_specification import NetworkSpecification, specification_from
from crossramp.golden.macro.initial_state import Starts, State, random_starts, streaming_macros
from crossramp.golden.macro.trace import Trace
from crossramp.golden.network.layered_network import LayeredNetwork
from crossramp.golden.network.layered_weights import LayeredWeights
from crossramp.golden.network.model_file import Model, load_model, save_model
from crossramp.golden.network.network import Network
from crossramp.golden.spec.gates import SpecificationError
from crossramp.golden.spec.specification import Specification
from hypothesis import given, settings

from tests.support.layered import KEEPING, SMALL, layered_network_of, layered_specifications
from tests.support.reference_comparison import layered_differences
from tests.support.strategies import inputs_of, seeds, starts_of


@given(layered_specifications(), seeds)
@settings(max_examples=60)
def test_drawn_networks(spec, seed):
    network = layered_network_of(spec, seed)
    x = inputs_of(spec, seed, steps=3)
    assert layered_differences(network, x, starts_of(spec, seed, len(x))) == []
    if not streaming_macros(spec):
        trace = network.run(x)
        np.testing.assert_array_equal(network.answers(x), trace.answers)
        np.testing.assert_array_equal(network.hidden(x), trace.h)
    again = specification_from(spec.to_dict())
    assert again == spec
    assert again.content_hash == spec.content_hash


def test_the_reference_sees_a_wrong_order(seed, monkeypatch):
    network = layered_network_of(SMALL, seed)
    x = inputs_of(SMALL, seed, batch=1, steps=4)
    assert not layered_differences(network, x)
    forward = network.macros["layer0_forward"]
    monkeypatch.setitem(network.macros, "layer0_backward", forward)  # weights of the other direction
    assert layered_differences(network, x)


def test_one_macro_or_several(seed):
    """One layer of one direction is a network of one macro."""
    macro = SMALL.layers[1].macro
    layered = layered_network_of(NetworkSpecification(layers=(Layer(macro=macro),), classes=3), seed)
    x = inputs_of(layered.spec, seed)
    head = {"head": layered.weights.head, "head_biases": layered.weights.head_biases}
    one = Network(macro.replace(classes=3), layered.weights.macros["layer0"].replace(**head))
    expected, found = one.run(x), layered.run(x)
    np.testing.assert_array_equal(found.logits, expected.logits)
    for name in expected.known():
        if name not in ("logits", "answers", "sums"):
            np.testing.assert_array_equal(found.quantity(f"layer0 {name}"), getattr(expected, name))


def test_hashes():
    """The content hash leaves the implementation out, the hardware hash does not."""
    first, second = SMALL.layers
    faster = SMALL.replace(layers=(first, Layer(macro=second.macro.replace(lanes=1))))
    assert faster.content_hash == SMALL.content_hash
    assert faster.hardware_hash != SMALL.hardware_hash
    one_way = Layer(macro=second.macro.replace(inputs=3))
    hashes = {SMALL.content_hash, SMALL.replace(classes=4).content_hash}
    hashes |= {
        SMALL.replace(layers=(Layer(macro=first.macro),)).content_hash,
        SMALL.replace(layers=(first,)).content_hash,
    }
    hashes.add(SMALL.replace(layers=(Layer(macro=first.macro), one_way)).content_hash)
    assert len(hashes) == 5


MACRO = Specification(inputs=3, units=4, classes=0)
KEEPS = MACRO.replace(keeps_state=1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"layers": ()}, "there are 0 layers; a network has 1 to 64"),
        ({"layers": (MACRO,)}, "layers is .*; give a tuple of Layer"),
        ({"layers": (Layer(macro=MACRO),) * 2}, "layer 1 has 3 inputs, but layer 0 gives 4 codes a step; set its inp"),
        (
            {"layers": (Layer(macro=MACRO, bidirectional=True), Layer(macro=MACRO.replace(inputs=4)))},
            "layer 1 has 4 inputs, but layer 0 gives 8 codes a step; set its inputs to 8",
        ),
        (
            {"layers": (Layer(macro=MACRO), Layer(macro=MACRO.replace(inputs=4, input_bits=4)))},
            "layer 1 has input_bits 4, but layer 0 has 5: codes pass from layer to layer as they are; give both the",
        ),
        ({"layers": (Layer(macro=MACRO.replace(classes=2)),)}, "layer 0: classes is 2; the head belongs to the netw"),
        ({"layers": (Layer(macro=MACRO.replace(readout="last")),)}, "layer 0: readout is 'last'; the head belongs"),
        (
            {"layers": (Layer(macro=KEEPS), Layer(macro=MACRO.replace(inputs=4)))},
            "layer 1: keeps_state is 0, but that of layer 0 is 1; give all layers with a state the same",
        ),
        (
            {"layers": (Layer(macro=KEEPS, bidirectional=True),)},
            "layer 0 has two directions, and the backward one begins at the end of an utterance, so no state goes on",
        ),
        ({"layers": (Layer(macro=MACRO, bidirectional=2),)}, "layer 0: bidirectional is 2; give true or false"),
        ({"layers": (Layer(macro=MACRO),), "classes": 0}, "classes is 0; allowed: 1 to 4096"),
        (
            {"layers": (Layer(macro=MACRO),), "head": "array"},
            "head is 'array', so the last layer gives the 2 logits; layer 0 has one direction and gives 4 codes a step",
        ),
        (
            {"layers": (Layer(macro=MACRO),), "head": "array", "classes": 4, "head_weight_bits": 5},
            "head_weight_bits is 5, but head is 'array'; leave it out",
        ),
        ({"layers": (Layer(macro=MACRO),), "readout": "sum"}, "readout is 'sum'; allowed: mean, last, step"),
    ],
)
def test_layers_that_do_not_fit(content, message):
    with pytest.raises(SpecificationError, match=message):
        NetworkSpecification(**({"classes": 2} | content))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda c: c | {"units": 3},
            "unknown parameter 'units' of the network; known: classes, readout, head",
        ),
        (lambda c: c | {"layers": 3}, "layers is 3; expected a table for each layer"),
        (lambda c: {k: v for k, v in c.items() if k != "classes"}, "parameter 'classes' is missing"),
        (lambda c: c | {"layers": [{"units": 3}]}, "layer 0: parameter 'inputs' is missing"),
        (lambda c: c | {"layers": [{"inputs": 3, "units": 3, "cell": "lsmt"}]}, "layer 0: cell is 'lsmt'; allowed: "),
        (
            lambda c: c | {"layers": [{"inputs": 3, "units": 3, "classes": 2}]},
            "layer 0: classes belongs to the",
        ),
        (lambda c: c | {"format": 1}, "format is 1; networks of several layers have 2"),
    ],
)
def test_tables_that_do_not_fit(change, message):
    with pytest.raises(SpecificationError, match=message):
        specification_from(change(SMALL.to_dict()))


def test_file(tmp_path, seed):
    network = layered_network_of(SMALL, seed)
    model = Model(SMALL, network.weights, ("a", "b", "c"))
    save_model(tmp_path / "m.npz", model)
    again = load_model(tmp_path / "m.npz")
    assert again.content_hash == model.content_hash
    assert again.spec == SMALL
    x = inputs_of(SMALL, seed)
    np.testing.assert_array_equal(again.network.answers(x), network.answers(x))
    changed = dict(network.weights.macros)
    changed["layer1"] = changed["layer1"].replace(macro=-changed["layer1"].macro)
    other = dataclasses.replace(model, weights=network.weights.replace(macros=changed))
    assert other.content_hash != model.content_hash


def test_what_is_refused(seed):
    network = layered_network_of(SMALL, seed)
    macros = dict(network.weights.macros)
    part = {name: weights for name, weights in macros.items() if name != "layer1"}
    with pytest.raises(InvalidValue, match="there are weights of layer0_forward, layer0_backward; expected those"):
        LayeredNetwork(SMALL, network.weights.replace(macros=part))
    large = macros | {"layer1": macros["layer1"].replace(macro=macros["layer1"].macro + 100)}
    with pytest.raises(InvalidValue, match="layer1: weights"):
        LayeredNetwork(SMALL, network.weights.replace(macros=large))
    with pytest.raises(InvalidValue, match="head_weights"):
        LayeredNetwork(SMALL, LayeredWeights(macros, network.weights.head[:, :2], network.weights.head_biases))
    with pytest.raises(InvalidValue, match="there is no macro 'layer2' for an array; there are layer0_forward, "):
        network.behind({"layer2": network.macros["layer1"].array})
    with pytest.raises(InvalidValue, match="the array is for specification"):
        network.behind({"layer1": network.macros["layer0_forward"].array})
    x = inputs_of(SMALL, seed)
    for bad, message in (
        (x[:, :0], "x has no steps; an utterance has at least 1"),
        (np.tile(x, (1, 3, 1)), "x has 9 steps; max_steps is 6"),
        (x[..., :2], "x has the shape"),
        (x + 20, "x"),
    ):
        with pytest.raises(InvalidValue, match=message):
            network.run(bad)
    assert Trace(h=x).quantity("layer0 codes") is None


def test_a_recording_in_pieces(seed, rng):
    """Utterances that go on from one another have the values of one in a piece, in every layer."""
    network = layered_network_of(KEEPING, seed)
    x = inputs_of(KEEPING, seed, batch=1, steps=6)
    first = random_starts(KEEPING, 1, rng).given
    whole = network.run(x, start=first)
    given = {name: State(*(np.repeat(values, 4, axis=0) for values in state)) for name, state in first.items()}
    batches = [x[:, :1], x[:, 1:3], np.stack([x[0, 3:4], x[0, 4:5]])]
    parts = network.play(batches, Starts(np.array([True, True, True, False]), given))
    for name in KEEPING.macros:
        h = [row for part in parts for utterance in part.macros[name].h for row in utterance]
        np.testing.assert_array_equal(h, whole.macros[name].h[0, :5])
    np.testing.assert_array_equal(np.concatenate([part.logits.reshape(-1, 3) for part in parts]), whole.logits[0, :5])
    cut = network.play(batches, Starts(np.array([True, False, True, False]), given))
    assert (cut[2].macros["layer3"].h[0] != parts[2].macros["layer3"].h[0]).any()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "initial states are those of no macro; expected layer0, layer1"),
        (("layer0",), "initial states are those of layer0; expected layer0, layer1"),
        (("layer0", "layer1", "layer3"), "those of layer0, layer1, layer3; expected layer0, layer1"),
    ],
)
def test_starts_that_do_not_fit(seed, rng, names, message):
    network = layered_network_of(KEEPING, seed)
    x = inputs_of(KEEPING, seed, batch=2)
    given = random_starts(KEEPING, 2, rng).given
    with pytest.raises(InvalidValue, match=message):
        network.play([x], Starts(given={name: given.get(name, given["layer0"]) for name in names} or None))
    bad = given | {"layer1": State(given["layer1"].c, given["layer1"].h + 16)}
    with pytest.raises(InvalidValue, match=r"layer1: h\[0, 0\] is "):
        network.play([x], Starts(given=bad))
    with pytest.raises(InvalidValue, match="initial states are those of one macro; expected layer0, layer1"):
        network.play([x], Starts(given=given["layer0"]))
