# SPDX-License-Identifier: Apache-2.0
"""Layers, readouts and heads in real numbers, against torch, and what does not fit together."""

import numpy as np
import pytest
from crossramp.convert.float_network.float_layer import FloatLayer
from crossramp.convert.float_network.imported_network import FloatNetwork
from crossramp.golden.cell.torch_weights import torch_weights
from crossramp.golden.common.errors import InvalidValue

from tests.convert.float_network.test_float_layer import BATCH, INPUTS, NEAR, STEPS, UNITS, drawn

LENGTHS = np.array([7, 2, 5, 1, 6])


def of_module(module, cell: str) -> list[tuple[FloatLayer, ...]]:
    arrays = {name: value.detach().numpy() for name, value in module.named_parameters()}
    layers = []
    for number in range(module.num_layers):
        ends = [f"_l{number}", f"_l{number}_reverse"][: 1 + module.bidirectional]
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        layers.append(
            tuple(
                FloatLayer(cell, torch_weights(cell, *(arrays[name + end] for name in names)), reverse="rev" in end)
                for end in ends
            )
        )
    return layers


@pytest.mark.parametrize("readout", ["mean", "last", "step"])
def test_two_layers_of_two_directions_and_a_head(readout, rng, seed):
    torch = pytest.importorskip("torch")
    torch.manual_seed(seed)
    module = torch.nn.GRU(INPUTS, UNITS, 2, batch_first=True, bidirectional=True).double()
    head = torch.nn.Linear(2 * UNITS, 4).double()
    network = FloatNetwork(
        of_module(module, "gru_reset_after"), head.weight.detach().numpy(), head.bias.detach().numpy(), readout, "abcd"
    )
    x = rng.normal(size=(BATCH, STEPS, INPUTS))
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.from_numpy(x), LENGTHS, True, False)
    out, final = module(packed)
    h, _ = torch.nn.utils.rnn.pad_packed_sequence(out, True)
    valid = torch.arange(STEPS) < torch.from_numpy(LENGTHS)[:, None]
    expected = {
        "mean": lambda: head(h.sum(1) / torch.from_numpy(LENGTHS)[:, None]),
        "last": lambda: head(torch.cat([final[2], final[3]], 1)),
        "step": lambda: head(h) * valid[..., None],
    }[readout]()
    got = network.run(x, LENGTHS)
    np.testing.assert_allclose(got.h, h.detach().numpy(), rtol=0, atol=NEAR)
    np.testing.assert_allclose(got.logits, expected.detach().numpy(), rtol=0, atol=NEAR)
    assert (network.inputs, network.hidden, network.outputs, len(network.layers)) == (INPUTS, 2 * UNITS, 4, 2)
    if readout == "last":  # h of the last step of a backward direction is not its last h
        assert np.abs(got.logits - head(h[np.arange(BATCH), LENGTHS - 1]).detach().numpy()).max() > 1e-3


def test_without_a_head_logits_are_h(rng):
    layer = drawn("lstm", rng)
    x = rng.normal(size=(BATCH, STEPS, INPUTS))
    for readout, expected in (("last", layer.run(x)[:, -1]), ("step", layer.run(x)), ("mean", layer.run(x).mean(1))):
        network = FloatNetwork([layer], readout=readout)
        np.testing.assert_allclose(network.run(x).logits, expected, rtol=0, atol=NEAR)
        assert network.outputs == UNITS


def test_a_dense_layer_stands_between(rng):
    first, last = drawn("rnn_tanh", rng), drawn("lstm", rng)
    matrix, bias = rng.normal(size=(INPUTS, UNITS)), rng.normal(size=INPUTS)
    dense = FloatLayer("dense", {("a", "x"): matrix, ("a", "1"): bias}, {"a": "identity"})
    x = rng.normal(size=(BATCH, STEPS, INPUTS))
    expected = last.run(first.run(x) @ matrix.T + bias)
    network = FloatNetwork([first, dense, last], readout="step")
    np.testing.assert_allclose(network.run(x).h, expected, rtol=0, atol=NEAR)
    assert [len(traces) for traces in network.trace(x)] == [1, 1, 1]


def test_what_does_not_fit(rng):
    layer, wide = drawn("lstm", rng, name="first"), drawn("lstm", rng, name="second")
    back = drawn("lstm", rng, reverse=True)
    head = np.zeros((2, UNITS))
    for told, layers, options in (
        ("the network has no layers; give one or more", [], {}),
        ("layer 'second' takes 4 inputs, but layer 'first' gives 3", [layer, wide], {}),
        ("layer 'first': a pair is (forward, backward), and only the second is reverse", [(layer, wide)], {}),
        ("a layer has 3 directions; expected one FloatLayer or a pair", [(layer, back, back)], {}),
        ("readout is 'max'; allowed: mean, last, step", [layer], {"readout": "max"}),
        ("head_weights have the shape (2, 3), but h of the last layer has the width 6", [(layer, back)], {}),
        ("head_biases have 3 values; expected 2, one for each logit", [layer], {"head_biases": np.zeros(3)}),
        ("head_biases hold nan; export finite weights", [layer], {"head_biases": np.array([np.nan, 0])}),
        ("3 class names are given, but there are 2 outputs", [layer], {"class_names": ("a", "b", "c")}),
    ):
        with pytest.raises(InvalidValue) as caught:
            FloatNetwork(layers, head, **options)
        assert str(caught.value) == told
    with pytest.raises(ValueError, match="head_biases are given without head_weights; give both"):
        FloatNetwork([layer], None, np.zeros(3))
