# SPDX-License-Identifier: Apache-2.0
"""State_dicts of torch and of AIHWKit-Lightning, and what they leave open."""

import numpy as np
import pytest
from crossramp.convert.formats.pytorch.torch_state import network_of_state
from crossramp.golden.common.errors import InvalidValue

BATCH, STEPS, INPUTS, UNITS = 4, 6, 3, 5

#: Gates of each cell by the rows of weight_hh, and the nonlinearity that has to be given.
KINDS = {"lstm": (4, None), "gru_reset_after": (3, None), "rnn_tanh": (1, "tanh"), "rnn_relu": (1, "relu")}


def drawn(rng, gates: int, *, layers=1, both=False, bias=True, proj=0, module="rnn", head=None):
    """The arrays of a stack, by torch's names."""
    state, hidden = {}, proj or UNITS
    directions = 1 + both
    for number in range(layers):
        width = INPUTS if number == 0 else directions * hidden
        for end in ("", "_reverse")[:directions]:
            shapes = {"weight_ih": (gates * UNITS, width), "weight_hh": (gates * UNITS, hidden)}
            if bias:
                shapes |= {"bias_ih": (gates * UNITS,), "bias_hh": (gates * UNITS,)}
            if proj:
                shapes["weight_hr"] = (proj, UNITS)
            state |= {f"{module}.{name}_l{number}{end}": rng.normal(size=shape) for name, shape in shapes.items()}
    if head:
        state |= {"head.weight": rng.normal(size=(head, directions * hidden)), "head.bias": rng.normal(size=head)}
    return state


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("cell", KINDS)
def test_the_shapes_tell_the_cell(cell, bias, rng):
    gates, nonlinearity = KINDS[cell]
    network = network_of_state(drawn(rng, gates, bias=bias, layers=2, both=True), "mean", nonlinearity)
    assert [[(one.cell, one.reverse) for one in pair] for pair in network.layers] == [[(cell, False), (cell, True)]] * 2
    assert network.readout == "mean"


def test_a_projection_is_not_another_cell(rng):
    """4 · 5 rows of which h has 2: an LSTM, although 20 / 2 is 10."""
    network = network_of_state(drawn(rng, 4, proj=2, both=True, layers=2, head=3), "last")
    assert (network.layers[1][1].cell, network.layers[1][1].hidden, network.outputs) == ("lstm", 2, 3)


@pytest.mark.parametrize("cell", ["lstm", "gru_reset_after"])
def test_equals_torch(cell, rng, seed):
    torch = pytest.importorskip("torch")
    torch.manual_seed(seed)
    kind = {"lstm": torch.nn.LSTM, "gru_reset_after": torch.nn.GRU}[cell]
    module = torch.nn.ModuleDict(
        {"rnn": kind(INPUTS, UNITS, 2, batch_first=True), "head": torch.nn.Linear(UNITS, 3)}
    ).double()
    x = rng.normal(size=(BATCH, STEPS, INPUTS))
    h = module["rnn"](torch.from_numpy(x))[0]
    network = network_of_state(module.state_dict(), "mean")
    expected = module["head"](h.mean(1)).detach().numpy()
    np.testing.assert_allclose(network.run(x).logits, expected, rtol=0, atol=1e-12)
    assert [layer.name for (layer,) in network.layers] == ["rnn.l0", "rnn.l1"]


def test_both_halves_of_the_bias_count(rng):
    """b_ih and b_hh add up, of the last bank of a GRU they do not."""
    state = drawn(rng, 3)
    sides = {name: dict(state) for name in ("bias_ih", "bias_hh")}
    for name, changed in sides.items():
        changed[f"rnn.{name}_l0"] = changed[f"rnn.{name}_l0"] + 1
    before, inner, outer = (network_of_state(one, "mean").layers[0][0].weights for one in (state, *sides.values()))
    for bank in "rz":
        np.testing.assert_allclose(inner[bank, "1"], before[bank, "1"] + 1)
        np.testing.assert_allclose(outer[bank, "1"], before[bank, "1"] + 1)
    np.testing.assert_allclose(inner["n", "1"], before["n", "1"] + 1)
    np.testing.assert_allclose(outer["m", "1"], before["m", "1"] + 1)
    assert np.array_equal(inner["m", "1"], before["m", "1"])


def test_a_cell_of_torch_is_one_layer(rng):
    state = {name.removesuffix("_l0"): array for name, array in drawn(rng, 4, module="cell").items()}
    assert network_of_state(state, "last").layers[0][0].name == "cell.l0"


def renamed(state, *, hooked: bool) -> dict:
    """As AIHWKit-Lightning names them: inside an AnalogRNN, or after the hook that its state_dict has."""
    found = {}
    for name, array in state.items():
        module, _, last = name.rpartition(".")
        if module != "rnn":
            found |= {name: array, f"{module}.input_range": np.ones(1)}
            continue
        kind, side, number, *back = last.split("_")
        if hooked:
            key, extra = name, f"{module}.input_range_{side}_{number}{'_reverse' if back else ''}"
        else:
            place = f"{module}.rnn.layers.{number[1:]}.directions.{len(back)}.cell.weight_{side}"
            key, extra = f"{place}.{kind}", f"{place}.input_range_update_idx"
        found |= {key: array, extra: np.ones(1)}
    return found


@pytest.mark.parametrize("hooked", [True, False])
@pytest.mark.parametrize("cell", ["lstm", "gru_reset_after", "rnn_tanh"])
def test_analog_layers_of_lightning(cell, hooked, rng):
    state = drawn(rng, KINDS[cell][0], layers=2, both=True, head=2)
    plain = network_of_state(state, "mean", KINDS[cell][1])
    analog = network_of_state(renamed(state, hooked=hooked), "mean")  # of an RNN it says the nonlinearity
    x = rng.normal(size=(BATCH, STEPS, INPUTS))
    assert np.array_equal(analog.run(x).logits, plain.run(x).logits)


def broken(state, **changes):
    """With arrays replaced, or removed where the change is None."""
    state = {**state, **{name.replace("__", "."): array for name, array in changes.items()}}
    return {name: array for name, array in state.items() if array is not None}


REFUSED = {
    "no readout": (lambda s: s, {}, "does not say how h is read out; give readout='mean'"),
    "readout": (lambda s: s, {"readout": "max"}, "readout is 'max'; allowed: mean, last, step"),
    "nonlinearity": (lambda s: s, {"nonlinearity": "elu"}, "nonlinearity is 'elu'; allowed: tanh, relu"),
    "norm": (
        lambda s: broken(s, norm__running_mean=np.zeros(5)),
        {"readout": "mean"},
        r"'norm.running_mean', shape \(5,\), of neither a recurrent nor a linear layer; export .*net.pt2",
    ),
    "convolution": (lambda s: broken(s, conv__weight=np.zeros((5, 3, 2))), {"readout": "mean"}, "'conv.weight'"),
    "two linear layers": (
        lambda s: broken(s, first__weight=np.zeros((5, 5))),
        {"readout": "mean"},
        r"several linear layers \(head, first\)",
    ),
    "bias alone": (lambda s: broken(s, head__weight=None), {"readout": "mean"}, "a bias of 'head', but no weight"),
    "no recurrent layer": (lambda s: {"head.weight": s["head.weight"]}, {"readout": "mean"}, "no recurrent layer"),
    "missing layer": (
        lambda s: {name.replace("_l1", "_l2"): array for name, array in s.items()},
        {"readout": "mean"},
        "layer 'rnn.l1' is missing",
    ),
    "missing bias": (
        lambda s: broken(s, rnn__bias_hh_l0=None),
        {"readout": "mean"},
        "layer 'rnn.l0': only one of bias_ih and bias_hh",
    ),
    "missing weights": (
        lambda s: broken(s, rnn__weight_ih_l0=None),
        {"readout": "mean"},
        "'rnn.l0': weight_ih is missing",
    ),
    "not finite": (
        lambda s: broken(s, rnn__weight_ih_l0=np.full((20, 3), np.nan)),
        {"readout": "mean"},
        r"'rnn.l0': weights of x on bank i hold nan at \(0, 0\); export finite weights",
    ),
    "empty": (lambda s: broken(s, rnn__weight_ih_l0=np.zeros((20, 0))), {"readout": "mean"}, "'rnn.l0'.*not empty"),
    "shape": (lambda s: broken(s, rnn__weight_hh_l0=np.zeros((18, 5))), {"readout": "mean"}, r"'rnn.l0': .*\(18, 5\)"),
    "width of the next layer": (
        lambda s: broken(s, rnn__weight_ih_l1=np.zeros((20, 4))),
        {"readout": "mean"},
        "'rnn.l1' takes 4 inputs, but layer 'rnn.l0' gives 5",
    ),
    "text": (
        lambda s: broken(s, rnn__bias_hh_l0=object()),
        {"readout": "mean"},
        "'rnn.bias_hh_l0' is an array of object",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_by_name(case, rng):
    change, options, why = REFUSED[case]
    with pytest.raises(InvalidValue, match=why) as caught:
        network_of_state(change(drawn(rng, 4, layers=2, head=3)), **options)
    assert "\n" not in str(caught.value)


def test_an_rnn_needs_its_nonlinearity(rng):
    with pytest.raises(InvalidValue, match=r"layer 'rnn.l0': an RNN, .* give nonlinearity='tanh' or 'relu'"):
        network_of_state(drawn(rng, 1), "mean")
