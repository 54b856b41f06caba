# SPDX-License-Identifier: Apache-2.0
"""One layer in real numbers: against torch's layers and equations by hand, and what it refuses."""

import numpy as np
import pytest
from crossramp.convert.float_network.float_layer import FloatLayer
from crossramp.golden.cell.library import CELLS
from crossramp.golden.cell.real_cell import trained_places
from crossramp.golden.cell.torch_weights import torch_weights

from tests.support.planted import planted

INPUTS, UNITS, BATCH, STEPS = 4, 3, 5, 7
NEAR = 1e-12


def drawn(cell: str, rng, **options) -> FloatLayer:
    """A layer with random weights on all places of its cell."""
    weights = {}
    for place in trained_places(CELLS[cell]):
        group = place[1]
        shape = (UNITS, INPUTS) if group == "x" else (UNITS, UNITS) if group in ("h", "k") else (UNITS,)
        weights[place] = rng.normal(0, 0.8, shape)
    return FloatLayer(cell, weights, **options)


def of_torch(torch, kind: str, cell: str, **options):
    """A layer of torch.nn in float64, and the same as a FloatLayer for each direction."""
    module = getattr(torch.nn, kind)(INPUTS, UNITS, batch_first=True, **options).double()
    arrays = {name: value.detach().numpy() for name, value in module.named_parameters()}
    layers = []
    for reverse in (False, True)[: 1 + module.bidirectional]:
        end = "_l0" + "_reverse" * reverse
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        weights = torch_weights(cell, *(arrays[name + end] for name in names))
        layers.append(FloatLayer(cell, weights, projection=arrays.get("weight_hr" + end), reverse=reverse))
    return module, layers


@pytest.mark.parametrize(
    ("kind", "cell", "options"),
    [
        ("LSTM", "lstm", {}),
        ("LSTM", "lstm", {"proj_size": 2, "bidirectional": True}),
        ("GRU", "gru_reset_after", {"bidirectional": True}),
        ("RNN", "rnn_tanh", {}),
        ("RNN", "rnn_relu", {"nonlinearity": "relu"}),
    ],
)
def test_equals_torch_with_ragged_lengths(kind, cell, options, rng, seed):
    torch = pytest.importorskip("torch")
    torch.manual_seed(seed)
    module, layers = of_torch(torch, kind, cell, **options)
    x, lengths = rng.normal(size=(BATCH, STEPS, INPUTS)), np.array([7, 1, 4, 7, 2])
    packed = torch.nn.utils.rnn.pack_padded_sequence(torch.from_numpy(x), lengths, True, False)
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(module(packed)[0], True)
    found = np.concatenate([layer.run(x, lengths) for layer in layers], axis=2)
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=0, atol=NEAR)
    assert np.abs(layers[0].run(x) - found[..., : layers[0].hidden]).max() > 1e-3  # the lengths count


def test_initial_states_are_those_of_torch(rng, seed):
    torch = pytest.importorskip("torch")
    torch.manual_seed(seed)
    module, (layer,) = of_torch(torch, "LSTM", "lstm", proj_size=2)
    h, c = rng.normal(size=2), rng.normal(size=UNITS)
    started = FloatLayer("lstm", layer.weights, projection=layer.projection, initial_register=c, initial_h=h)
    x = rng.normal(size=(BATCH, STEPS, INPUTS))
    start = tuple(torch.from_numpy(np.tile(value, (1, BATCH, 1))) for value in (h, c))
    expected = module(torch.from_numpy(x), start)[0].detach().numpy()
    np.testing.assert_allclose(started.run(x), expected, rtol=0, atol=NEAR)
    assert np.abs(layer.run(x) - expected).max() > 1e-3


def test_one_initial_state_suffices_where_h_is_the_register(rng):
    start = np.array([0.5, -0.5, 0.25])
    for cell in ("gru", "gru_reset_after"):
        layer = drawn(cell, rng, initial_h=start)
        assert (layer.initial_register == start).all()
        assert (drawn(cell, rng, initial_register=start).initial_h == start).all()
        with pytest.raises(ValueError, match="initial_register and initial_h differ, but h is the register"):
            drawn(cell, rng, initial_h=start, initial_register=-start)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def test_a_trace_has_codes_charges_and_values_in_the_order_of_x(rng):
    layer = drawn("gru", rng, reverse=True, clip={"n": 0.4})
    x, lengths = rng.normal(size=(BATCH, STEPS, INPUTS)), np.array([7, 3, 7, 5, 1])
    h, values, charges = layer.trace(x, lengths)
    w = layer.weights
    for b, t in ((0, 6), (1, 2), (1, 0), (3, 1)):
        before = h[b, t + 1] if t + 1 < lengths[b] else np.zeros(UNITS)
        np.testing.assert_allclose(charges["r"][b, t], w["r", "x"] @ x[b, t] + w["r", "h"] @ before + w["r", "1"])
        np.testing.assert_allclose(values["k"][b, t], sigmoid(charges["r"][b, t]) * before)
        z = w["n", "x"] @ x[b, t] + w["n", "k"] @ values["k"][b, t] + w["n", "1"]
        np.testing.assert_allclose(charges["n"][b, t], z)
        np.testing.assert_allclose(values["n"][b, t], np.tanh(np.clip(z, -0.4, 0.4)))
    assert (np.abs(charges["n"]) > 0.4).any()
    assert not h[1, 3:].any()
    assert (layer.last(h, lengths) == h[:, 0]).all()
    assert (drawn("gru", rng).last(h, lengths) == h[np.arange(BATCH), lengths - 1]).all()


def test_a_cell_that_forgets_a_product_is_seen(rng):
    """The comparison with equations by hand can fail."""
    old = "return left * right"
    with planted("golden/cell/real_cell.py", old, "return left"), pytest.raises(AssertionError):
        test_a_trace_has_codes_charges_and_values_in_the_order_of_x(rng)


def test_peepholes_have_a_vector_for_each_gate(rng):
    layer = drawn("lstm_peephole", rng)
    x, w = rng.normal(size=(1, 2, INPUTS)), layer.weights
    _, values, charges = layer.trace(x)
    before, new = values["c"][0]
    rows = {bank: w[bank, "x"] @ x[0, 1] + w[bank, "h"] @ values["h"][0, 0] + w[bank, "1"] for bank in "ifo"}
    np.testing.assert_allclose(charges["i"][0, 1], rows["i"] + w["i", "a"] * before)
    np.testing.assert_allclose(charges["f"][0, 1], rows["f"] + w["f", "a"] * before)
    np.testing.assert_allclose(charges["o"][0, 1], rows["o"] + w["o", "q"] * new)


def test_a_missing_bias_is_zero_and_ranges_end_nothing(rng):
    weights = {("a", "x"): np.full((UNITS, INPUTS), 3.0)}
    layer = FloatLayer("dense", weights, {"a": "clipped_relu[0,2]"})
    assert layer.run(np.ones((1, 1, INPUTS))).tolist() == [[[12.0] * UNITS]]
    assert not layer.weights["a", "1"].any()


def changed(cell: str, rng, place: tuple[str, str], value) -> dict:
    return {**drawn(cell, rng).weights, place: value}


@pytest.mark.parametrize(
    ("cell", "place", "value", "told"),
    [
        ("lstm", ("g", "x"), np.zeros((3, 5)), r"weights of x on bank g have the shape \(3, 5\); expected \(3, 4\)"),
        ("lstm", ("f", "h"), np.zeros((3, 4)), r"weights of h on bank f have the shape \(3, 4\); expected \(3, 3\)"),
        ("lstm", ("i", "x"), np.zeros((0, 4)), r"weights of x on bank i have the shape \(0, 4\); .* not empty"),
        ("gru", ("n", "k"), np.full((3, 3), np.nan), r"weights of k on bank n hold nan at \(0, 0\); export finite"),
        ("lstm_peephole", ("o", "q"), np.zeros(2), r"weights of q on bank o have the shape \(2,\); expected \(3\)"),
        ("gru", ("n", "h"), np.zeros((3, 3)), r"weights of \('n', 'h'\), which the cell gru lacks; it has: r x, r h"),
        ("rnn_tanh", ("a", "1"), ["b", "i", "as"], "weights of 1 on bank a are not an array of numbers"),
    ],
)
def test_weights_that_do_not_fit_are_told_with_the_name(cell, place, value, told, rng):
    with pytest.raises(ValueError, match="^layer 'encoder': " + told):
        FloatLayer(cell, changed(cell, rng, place, value), name="encoder")


def test_what_else_is_refused(rng):
    with pytest.raises(ValueError, match="a layer of the cell lstn: unknown cell 'lstn'; known: lstm, "):
        FloatLayer("lstn", {})
    weights = dict(drawn("lstm", rng).weights)
    weights.pop(("o", "h"))
    with pytest.raises(ValueError, match="weights of h on bank o are missing"):
        FloatLayer("lstm", weights)
    with pytest.raises(ValueError, match="bank i: unknown activation 'swoosh'; known: sigmoid"):
        drawn("lstm", rng, activations={"i": "swoosh"})
    with pytest.raises(ValueError, match="activation of bank 'q'; the banks: i, f, g, o"):
        drawn("lstm", rng, activations={"q": "tanh"})
    with pytest.raises(ValueError, match="clip has the code 'c'; those of the cell lstm: i, f, g, o, t"):
        drawn("lstm", rng, clip={"c": 1.0})
    with pytest.raises(ValueError, match=r"clip of t is -1\.0; expected a number above 0"):
        drawn("lstm", rng, clip={"t": -1.0})
    with pytest.raises(ValueError, match="initial_register is given, but the cell rnn_tanh has no register"):
        drawn("rnn_tanh", rng, initial_register=np.zeros(UNITS))
    with pytest.raises(ValueError, match="initial_h is given, but the cell dense keeps nothing"):
        drawn("dense", rng, initial_h=np.zeros(UNITS))
    with pytest.raises(ValueError, match=r"projection have the shape \(3, 4\); expected \(any, 3\), not empty"):
        drawn("lstm", rng, projection=np.zeros((3, 4)))


@pytest.mark.parametrize(
    ("x", "lengths", "told"),
    [
        (np.zeros((2, 3, 5)), None, r"x has the shape \(2, 3, 5\); expected \(batch, steps, 4\), not empty"),
        (np.zeros((2, 0, 4)), None, r"x has the shape \(2, 0, 4\); expected \(batch, steps, 4\), not empty"),
        (np.full((1, 1, 4), np.inf), None, "x holds inf; expected finite numbers"),
        (np.zeros((2, 3, 4)), [3, 0], "lengths are 0 to 3; allowed: 1 to 3, the steps of x"),
        (np.zeros((2, 3, 4)), [3], r"lengths are int64 of the shape \(1,\); expected integers, \(2,\)"),
        (np.zeros((2, 3, 4)), [1.0, 2.0], r"lengths are float64 of the shape \(2,\); expected integers, \(2,\)"),
    ],
)
def test_batches_that_do_not_fit(x, lengths, told, rng):
    with pytest.raises(ValueError, match=told):
        drawn("lstm", rng).run(x, lengths)
