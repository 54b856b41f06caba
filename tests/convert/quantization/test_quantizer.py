# SPDX-License-Identifier: Apache-2.0
"""Networks in real numbers as models of integers: how far they are apart, and what is refused."""

import dataclasses

import numpy as np
import pytest
from crossramp.convert.float_network.imported_network import FloatNetwork
from crossramp.convert.quantization.quantizer import quantized
from crossramp.convert.quantization.quantizer_settings import NAIVE, QuantizationError, QuantizerSettings
from crossramp.golden.cell.library import CELLS
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.network.model_file import load_model, save_model

from tests.support.float_networks import drawn_layer, drawn_network, errors_of
from tests.support.planted import planted

STEPS = 9


def data(rng, inputs: int = 5, batch: int = 40) -> np.ndarray:
    """Inputs of quite different sizes, and not around 0."""
    return rng.normal(0.2, 1, (batch, STEPS, inputs)) * np.geomspace(0.1, 30, inputs)


def matched(network: FloatNetwork, x: np.ndarray) -> FloatNetwork:
    """The network for inputs of the size of ``x``."""
    size = np.abs(x).mean(axis=(0, 1))
    first = tuple(
        dataclasses.replace(layer, weights={k: v / size if k[1] == "x" else v for k, v in layer.weights.items()})
        for layer in network.layers[0]
    )
    return dataclasses.replace(network, layers=(first, *network.layers[1:]))


@pytest.mark.parametrize(
    "cells", [[cell] for cell in CELLS] + [["lstm", "gru"], [("gru",), "dense"], [("lstm",)]], ids=str
)
@pytest.mark.parametrize("readout", ["mean", "last", "step"])
def test_integers_follow_the_real_network(cells, readout, rng):
    """h within two steps of a code of n bits, and better the more bits there are."""
    x = data(rng)
    network = matched(drawn_network(cells, rng, readout=readout), x)
    lost = {}
    for bits in (4, 8):
        made = quantized(network, x, settings=QuantizerSettings.of_bits(bits), numbers=True)
        lost[bits] = errors_of(made, network, x)
        assert lost[bits][0] <= 2.0 ** (2 - bits) * made.h_scales[-1], (bits, lost)
    assert lost[8][1] < 0.25 * lost[4][1], lost
    assert lost[8][1] < 0.06, lost


def test_scales_of_the_inputs_go_into_the_weights(rng):
    x = data(rng)
    network = matched(drawn_network(["lstm"], rng), x)

    def lost():
        return errors_of(quantized(network, x, settings=QuantizerSettings.of_bits(8), numbers=True), network, x)[0]

    assert lost() <= 2.0**-6
    with planted("convert/quantization/rescaled.py", "{INPUT: before, ", "{INPUT: 1.0, "):
        assert lost() > 2.0**-5


def test_the_methods_lose_less_than_naive_rounding(rng):
    """On average over ten networks, each method together, at 4 bits."""
    found = {}
    for name, options in (("naive", NAIVE), ("best", {})):
        found[name] = []
        for seed in range(10):
            own = np.random.default_rng([seed, 3])
            x = data(own)
            network = matched(drawn_network(["lstm"], own), x)
            made = quantized(network, x, settings=QuantizerSettings.of_bits(4, **options), numbers=True)
            found[name].append(errors_of(made, network, x)[1])
    better = np.array(found["best"]) < np.array(found["naive"])
    assert better.sum() >= 9, found
    assert np.mean(found["best"]) < 0.7 * np.mean(found["naive"])


def test_projections_and_proportional_outputs_take_a_scale(rng):
    """h of a projection beyond ±1, and of a ReLU far beyond it: the weights around take its scale."""
    x = data(rng)
    projection = rng.normal(0, 2, (3, 6))
    projected = drawn_layer("lstm", 5, 6, rng, projection=projection, name="p")
    behind = drawn_layer("rnn_relu", 3, 6, rng, scale=2.0, name="r")
    network = matched(FloatNetwork([projected, behind], rng.normal(size=(4, 6))), x)
    assert max(np.abs(trace.h).max() for (trace,) in network.trace(x)) > 3
    made = quantized(network, x, settings=QuantizerSettings.of_bits(8), numbers=True)
    assert min(made.h_scales) > 1
    assert errors_of(made, network, x)[1] < 0.2
    assert made.model.spec.layers[0].macro.projection == 3


def test_initial_states_are_constants_of_the_model(rng):
    x = data(rng, batch=20)
    layer = drawn_layer("lstm", 5, 6, rng, initial_register=rng.normal(size=6), initial_h=rng.uniform(-1, 1, 6))
    network = matched(FloatNetwork([layer], rng.normal(size=(4, 6)), readout="step"), x)
    made = quantized(network, x, settings=QuantizerSettings.of_bits(8), numbers=True)
    assert made.model.spec.initial == "constant"
    assert errors_of(made, network, x)[0] <= 2.0**-6
    cold = matched(
        FloatNetwork([dataclasses.replace(layer, initial_register=None)], network.head_weights, readout="step"), x
    )
    assert errors_of(made, cold, x)[0] > 2.0**-5


def test_lengths_are_those_of_the_utterances(rng):
    """What lies beyond an end changes nothing."""
    x = data(rng)
    lengths = rng.integers(3, STEPS, len(x), endpoint=True)
    lengths[0] = STEPS
    network = matched(drawn_network([("gru",), "lstm"], rng), x)
    x = np.where(np.arange(STEPS)[:, None] < lengths[:, None, None], x, 0.0)
    other = np.where(np.arange(STEPS)[:, None] < lengths[:, None, None], x, 1e6)
    first, second = (quantized(network, values, lengths).model for values in (x, other))
    assert first.content_hash == second.content_hash
    assert first.content_hash != quantized(network, x).model.content_hash


def test_a_model_file_holds_it_all(rng, tmp_path):
    x = data(rng)
    network = matched(drawn_network(["gru"], rng, class_names=tuple("abcd")), x)
    model = quantized(network, x, provenance={"source": "drawn"}).model
    save_model(tmp_path / "m.npz", model)
    again = load_model(tmp_path / "m.npz")
    assert again.content_hash == model.content_hash
    assert again.real_inputs == model.real_inputs
    assert again.class_names == tuple("abcd")
    assert again.output_unit is None
    assert again.provenance["quantizer"]["rounding"] == "error-fed"
    assert again.provenance["source"] == "drawn"
    assert again.spec.max_steps == 16


def test_large_biases_take_rows(rng):
    layer = drawn_layer("rnn_tanh", 5, 6, rng)
    large = dataclasses.replace(layer, weights=layer.weights | {("a", "1"): np.full(6, 9.0)})
    network, x = FloatNetwork([large], rng.normal(size=(2, 6))), rng.normal(size=(20, 4, 5))
    made = quantized(network, x)
    spec = made.model.spec
    step = spec.gates[0].weight_range / spec.weight_max
    rows = made.model.weights.macro[spec.rows_of("1")]
    assert spec.bias_rows == len(rows) > 1
    assert np.abs(rows.sum(axis=0) * step - 9).max() < 0.5
    huge = dataclasses.replace(layer, weights=layer.weights | {("a", "1"): np.full(6, 1e3)})
    with pytest.raises(QuantizationError, match=r"a bias is .* times the largest weight; at most 64 bias rows"):
        quantized(FloatNetwork([huge], rng.normal(size=(2, 6))), x)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (lambda d: [d("lstm", clip={"i": 0.5})], r"layer 'l': clips the pre-activation of i at ±0.5, within the 5-bit"),
        (lambda d: [d("lstm", reverse=True)], "layer 'l': goes through the utterance from its end alone"),
        (lambda d: [(d("lstm"), d("gru", reverse=True))], "its directions differ in cell or size"),
        (
            lambda d: [(d("rnn_tanh"), d("rnn_tanh", reverse=True, activations={"a": "softsign"}))],
            "bank a has softsign, and the other direction tanh",
        ),
        (
            lambda d: [d("dense", activations={"a": "softplus"}, scale=9.0)],
            r"outputs reach ±.*, but pulse codes of h end",
        ),
    ],
)
def test_what_hardware_lacks_is_refused_in_one_line(layers, message, rng):
    def made(cell, scale=0.8, **options):
        return drawn_layer(cell, 5, 6, rng, scale, name="l", **options)

    network = FloatNetwork(layers(made))
    with pytest.raises(QuantizationError, match=message) as refused:
        quantized(network, rng.normal(size=(8, 4, 5)))
    assert "\n" not in str(refused.value)


def test_a_clip_beyond_the_ramp_changes_nothing(rng):
    layer = drawn_layer("lstm", 5, 6, rng)
    x = rng.normal(size=(8, 4, 5))
    models = [quantized(FloatNetwork([one]), x).model for one in (layer, dataclasses.replace(layer, clip={"i": 9.0}))]
    assert models[0].content_hash == models[1].content_hash


def test_utterances_longer_than_max_steps_are_refused(rng):
    network = FloatNetwork([drawn_layer("lstm", 5, 6, rng)])
    with pytest.raises(QuantizationError, match="max_steps is 3, but an utterance has 4 steps; raise it"):
        quantized(network, rng.normal(size=(8, 4, 5)), settings=QuantizerSettings(max_steps=3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"adc_bits": 9}, "adc_bits is 9; allowed: 2 to 8"),
        ({"rounding": "up"}, "rounding is 'up'; allowed: error-fed, nearest"),
        ({"bias_correction": 1}, "bias_correction is 1; allowed: true, false"),
    ],
)
def test_wrong_settings_are_refused(changes, message):
    with pytest.raises(InvalidValue, match=message):
        QuantizerSettings(**changes)


def test_a_network_without_a_head_gives_its_outputs(rng):
    x = data(rng)
    network = matched(FloatNetwork([drawn_layer("lstm", 5, 6, rng)], readout="last"), x)
    made = quantized(network, x, settings=QuantizerSettings.of_bits(8), numbers=True)
    h = made.model.network.run(made.model.real_inputs.codes(x, 8))
    np.testing.assert_allclose(made.model.outputs(h.logits, STEPS), h.h[:, -1] / 127, atol=1e-12)
