# SPDX-License-Identifier: Apache-2.0
"""Modules of torch through torch.export: every readout, form and order that people write, equal to torch."""

import io

import numpy as np
import pytest
from crossramp.convert.formats.pytorch.torch_module import network_of_module
from crossramp.golden.common.errors import InvalidValue

torch = pytest.importorskip("torch")

BATCH, STEPS, INPUTS, UNITS = 4, 6, 3, 5
NEAR = 1e-12

LSTM, GRU, RNN = torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN


class Net(torch.nn.Module):
    """What ``forward`` does with x and the recurrent layers, which are its parts a, b, ..., and ``head``."""

    def __init__(self, forward, *parts, width: int, outputs: int = 4):
        super().__init__()
        for name, part in zip("abcd", parts, strict=False):
            self.add_module(name, part)
        self.does = forward
        self.head = torch.nn.Linear(width, outputs)

    def forward(self, x):
        return self.head(self.does(self, x))


def drawn(module, seed: int):
    """Of float64, with weights and biases that are large enough to tell gates apart."""
    torch.manual_seed(seed)
    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, 0.6)
    return module


def compared(module, rng, *, batch_first: bool = True):
    """The network, after its logits were found equal to torch's."""
    network = network_of_module(module)
    x = rng.normal(size=(BATCH, STEPS, INPUTS))
    given = x if batch_first else x.swapaxes(0, 1).copy()
    expected = module(torch.from_numpy(given)).detach().numpy()
    logits = network.run(x).logits
    if expected.ndim == 3 and not batch_first:
        expected = expected.swapaxes(0, 1)
    np.testing.assert_allclose(logits.reshape(expected.shape), expected, rtol=0, atol=NEAR)
    return network


def last_of_both(module, x):
    _, (h, _) = module.a(x)
    return torch.cat([h[-2], h[-1]], 1)


def both_ends(module, x):
    h, _ = module.a(x)
    return torch.cat([h[:, -1, :5], h[:, 0, 5:]], 1)


def mean_sum(module, x):
    h, _ = module.a(x)
    return (h[..., :5] + h[..., 5:]).mean(1)


def from_constants(module, x):
    ones = torch.ones(1, len(x), 5, dtype=x.dtype)
    return module.a(x, (ones / 2, -ones[:, :1].expand(1, len(x), 5)))[0]


FIRST = {"batch_first": True}
BOTH = {"batch_first": True, "bidirectional": True}

CASES = {
    "last step": (Net(lambda m, x: m.a(x)[0][:, -1], LSTM(3, 5, **FIRST), width=5), "last"),
    "last h": (Net(lambda m, x: m.a(x)[1][0][-1], LSTM(3, 5, 3, **FIRST), width=5), "last"),
    "last h of one layer": (Net(lambda m, x: m.a(x)[1].squeeze(0), GRU(3, 5, **FIRST), width=5), "last"),
    "mean": (Net(lambda m, x: m.a(x)[0].mean(1), GRU(3, 5, **FIRST), width=5), "mean"),
    "every step": (Net(lambda m, x: m.a(x)[0], LSTM(3, 5, **FIRST), width=5), "step"),
    "flattened steps": (Net(lambda m, x: m.a(x)[0].reshape(-1, 5), LSTM(3, 5, **FIRST), width=5), "step"),
    "no bias": (Net(lambda m, x: m.a(x)[0].mean(1), LSTM(3, 5, bias=False, **FIRST), width=5), "mean"),
    "projection": (Net(lambda m, x: m.a(x)[0].mean(1), LSTM(3, 5, 2, proj_size=2, **BOTH), width=4), "mean"),
    "projection, no bias": (
        Net(lambda m, x: m.a(x)[0].mean(1), LSTM(3, 5, bias=False, proj_size=2, **FIRST), width=2),
        "mean",
    ),
    "relu": (Net(lambda m, x: m.a(x)[0].mean(1), RNN(3, 5, nonlinearity="relu", **FIRST), width=5), "mean"),
    "tanh": (Net(lambda m, x: m.a(x)[1][-1], RNN(3, 5, 2, **FIRST), width=5), "last"),
    "last h of both directions": (
        Net(last_of_both, LSTM(3, 5, 2, **BOTH), width=10),
        "last",
    ),
    "last h side by side": (
        Net(lambda m, x: m.a(x)[1].transpose(0, 1).reshape(len(x), -1), GRU(3, 5, **BOTH), width=10),
        "last",
    ),
    "both ends": (
        Net(both_ends, GRU(3, 5, **BOTH), width=10),
        "last",
    ),
    "sum of both directions": (
        Net(mean_sum, LSTM(3, 5, **BOTH), width=5),
        "mean",
    ),
    "layers with a linear one between": (
        Net(
            lambda m, x: m.c(m.b(m.a(x)[0]))[0][:, -1],
            LSTM(3, 5, **FIRST),
            torch.nn.Linear(5, 2),
            GRU(2, 5, **FIRST),
            width=5,
        ),
        "last",
    ),
    "layers with an activation between": (
        Net(
            lambda m, x: m.c(torch.relu(m.b(m.a(x)[0])))[0][:, -1],
            *(LSTM(3, 5, **FIRST), torch.nn.Linear(5, 2), GRU(2, 5, **FIRST)),
            width=5,
        ),
        "last",
    ),
    "activation behind the last step": (
        Net(lambda m, x: torch.tanh(m.b(m.a(x)[0][:, -1])), LSTM(3, 5, **FIRST), torch.nn.Linear(5, 4), width=4),
        "last",
    ),
    "linear layer in front": (
        Net(lambda m, x: m.b(m.a(x))[0].mean(1), torch.nn.Linear(3, 4), LSTM(4, 5, **BOTH), width=10),
        "mean",
    ),
    "scaled inputs": (
        Net(lambda m, x: m.a((x - torch.tensor([1.0, 2, 3])) / 4)[0].mean(1), LSTM(3, 5, **FIRST), width=5),
        "mean",
    ),
    "batch norm": (
        Net(
            lambda m, x: m.b(m.a(x)[0].transpose(1, 2)).transpose(1, 2).mean(1),
            *(LSTM(3, 5, **FIRST), torch.nn.BatchNorm1d(5)),
            width=5,
        ),
        "mean",
    ),
    "directions by hand": (
        Net(
            lambda m, x: torch.cat([m.b(x.flip(1))[0].flip(1), m.a(x)[0]], 2).mean(1),
            *(LSTM(3, 5, **FIRST), LSTM(3, 5, **FIRST)),
            width=10,
        ),
        "mean",
    ),
    "last of directions by hand": (
        Net(
            lambda m, x: torch.cat([m.a(x)[0][:, -1], m.b(x.flip(1))[0][:, -1]], 1),
            *(LSTM(3, 5, **FIRST), LSTM(3, 5, **FIRST)),
            width=10,
        ),
        "last",
    ),
    "two directions of a reversed input": (
        Net(lambda m, x: m.a(x.flip(1))[0].flip(1).mean(1), GRU(3, 5, 2, **BOTH), width=10),
        "mean",
    ),
    "initial states": (Net(from_constants, LSTM(3, 5, **FIRST), width=5), "step"),
}


@pytest.mark.parametrize("case", CASES)
def test_equals_torch(case, seed, rng):
    module, readout = CASES[case]
    network = compared(drawn(module, seed), rng)
    assert network.readout == readout


@pytest.mark.parametrize("kind", [LSTM, GRU])
def test_both_layouts_are_one_network(kind, seed, rng):
    networks = []
    for first in (True, False):
        part = kind(INPUTS, UNITS, 2, bidirectional=True, batch_first=first)
        module = Net(lambda m, x: m.a(x)[0].mean(1 if m.a.batch_first else 0), part, width=2 * UNITS)
        networks.append(compared(drawn(module, seed), np.random.default_rng(seed), batch_first=first))
    for one, other in zip(*(sum(network.layers, ()) for network in networks), strict=True):
        assert (one.cell, one.reverse, one.name) == (other.cell, other.reverse, other.name)
        assert all(np.array_equal(one.weights[place], other.weights[place]) for place in one.weights)


def test_a_recurrent_layer_alone_gives_every_step(seed, rng):
    module = drawn(LSTM(INPUTS, UNITS, 2, bidirectional=True), seed)
    x = rng.normal(size=(BATCH, STEPS, INPUTS))
    network = network_of_module(module)
    expected = module(torch.from_numpy(x.swapaxes(0, 1).copy()))[0].detach().numpy().swapaxes(0, 1)
    np.testing.assert_allclose(network.run(x).logits, expected, rtol=0, atol=NEAR)
    assert (network.readout, network.head_weights) == ("step", None)
    assert [layer.name for layer in network.layers[1]] == ["l1", "l1_reverse"]


def test_a_softmax_at_the_end_is_left_out(seed, rng):
    net = CASES["mean"][0]
    module = drawn(torch.nn.Sequential(net, torch.nn.LogSoftmax(1)), seed)
    x = rng.normal(size=(BATCH, STEPS, INPUTS))
    logits = network_of_module(module).run(x).logits
    shifted = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    np.testing.assert_allclose(shifted, module(torch.from_numpy(x)).detach().numpy(), rtol=0, atol=NEAR)


def test_a_gru_is_the_form_of_torch(seed):
    """pytorch#189225: an exporter wrote the other one, silently."""
    network = network_of_module(drawn(CASES["mean"][0], seed))
    assert network.layers[0][0].cell == "gru_reset_after"


@pytest.mark.parametrize(("kind", "banks"), [(LSTM, "ifgo"), (GRU, "rzn")])
def test_each_gate_goes_to_its_bank(kind, banks, seed):
    """One weight at a time: zero biases and symmetrical weights have hidden exchanged gates."""
    module = drawn(Net(lambda m, x: m.a(x)[0], kind(INPUTS, UNITS, **FIRST), width=UNITS), seed)
    with torch.no_grad():
        for parameter in module.a.parameters():
            parameter.zero_()
        for gate in range(len(banks)):
            module.a.weight_ih_l0[gate * UNITS + 1, 2] = gate + 1
            module.a.weight_hh_l0[gate * UNITS + 2, 1] = gate + 1
            module.a.bias_ih_l0[gate * UNITS] = (2, 3, 5, 7)[gate]
            module.a.bias_hh_l0[gate * UNITS] = (11, 13, 17, 19)[gate]
    weights = network_of_module(module).layers[0][0].weights
    for gate, bank in enumerate(banks):
        back = "m" if bank == "n" else bank
        assert weights[bank, "x"][1, 2] == weights[back, "h"][2, 1] == gate + 1
        assert weights[bank, "x"].sum() == weights[back, "h"].sum() == gate + 1
        inner, outer = (2, 3, 5, 7)[gate], (11, 13, 17, 19)[gate]
        assert weights[bank, "1"][0] == inner + (outer if back == bank else 0)
        assert weights[back, "1"][0] == outer + (inner if back == bank else 0)


def test_states_besides_the_logits_do_no_harm(seed):
    class WithState(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm, self.head = LSTM(INPUTS, UNITS, **FIRST), torch.nn.Linear(UNITS, 2)

        def forward(self, x):
            out, state = self.lstm(x)
            return self.head(out), state

    assert network_of_module(WithState().double()).readout == "step"


def test_a_program_in_memory(seed, rng):
    module = drawn(CASES["mean"][0], seed)
    program = torch.export.export(module, (torch.zeros(2, 4, INPUTS, dtype=torch.float64),))
    x = rng.normal(size=(BATCH, STEPS, INPUTS))
    assert np.array_equal(network_of_module(program).run(x).logits, network_of_module(module).run(x).logits)


def by_cell(module, x):
    h = torch.zeros(len(x), 5, dtype=x.dtype)
    for step in x.unbind(1):
        h = module.a(step, h)
    return h


REFUSED = {
    "last step of both directions": (
        Net(lambda m, x: m.a(x)[0][:, -1], LSTM(3, 5, **BOTH), width=10),
        "node 'linear': it takes the last step of layer 'a.l0_reverse', whose last one is the first; take h_n",
    ),
    "first step": (Net(lambda m, x: m.a(x)[0][:, 0], LSTM(3, 5, **FIRST), width=5), "first step"),
    "c": (Net(lambda m, x: m.a(x)[1][1][-1], LSTM(3, 5, **FIRST), width=5), "reads c of the last step"),
    "h of another layer": (
        Net(lambda m, x: torch.cat([m.a(x)[1][0], m.a(x)[1][1]], 1), GRU(3, 5, 2, **FIRST), width=10),
        "'a.l0' and 'a.l1', which are not two directions of one layer",
    ),
    "maximum": (
        Net(lambda m, x: m.a(x)[0].amax(1), LSTM(3, 5, **FIRST), width=5),
        "node 'amax'.*train with their mean",
    ),
    "layer norm": (
        Net(lambda m, x: m.b(m.a(x)[0]).mean(1), LSTM(3, 5, **FIRST), torch.nn.LayerNorm(5), width=5),
        "node 'layer_norm'.*train without it",
    ),
    "residual": (
        Net(lambda m, x: m.b(m.a(x)[0])[0] + m.a(x)[0], LSTM(3, 5, **FIRST), LSTM(5, 5, **FIRST), width=5),
        "'b.l0' and 'a.l0', which are not two directions of one layer",
    ),
    "product": (Net(lambda m, x: m.a(x)[0] * m.a(x)[0], LSTM(3, 5, **FIRST), width=5), "only constants"),
    "embedding": (
        Net(lambda m, x: m.b(m.a(x[..., 0].long()))[0], torch.nn.Embedding(9, 3), LSTM(3, 5, **FIRST), width=5),
        "node 'to': makes integers of real numbers",
    ),
    "activation behind the mean": (
        Net(lambda m, x: torch.relu(m.b(m.a(x)[0].mean(1))), LSTM(3, 5, **FIRST), torch.nn.Linear(5, 5), width=5),
        "node 'relu': an activation behind the mean",
    ),
    "initial state that differs": (
        Net(
            lambda m, x: m.a(x, torch.tensor([[[1.0], [2]]], dtype=x.dtype).expand(1, 2, 5))[0],
            GRU(3, 5, **FIRST),
            width=5,
        ),
        "h0 differs between utterances",
    ),
    "initial state from x": (
        Net(lambda m, x: m.a(x, x[:, :1, :].transpose(0, 1).repeat(1, 1, 2)[..., :5])[0], GRU(3, 5, **FIRST), width=5),
        "node 'slice_1'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_by_name(case):
    module, why = REFUSED[case]
    with pytest.raises(InvalidValue, match=why) as caught:
        network_of_module(module.double())
    assert "\n" not in str(caught.value)


def test_refuses_a_run_time_initial_state():
    class Streamed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.gru = GRU(INPUTS, UNITS, **FIRST)

        def forward(self, x, h0):
            return self.gru(x, h0)[0]

    program = torch.export.export(Streamed(), (torch.zeros(2, 4, INPUTS), torch.zeros(1, 2, UNITS)))
    with pytest.raises(InvalidValue, match=r"^node 'gru': its initial state h0 is 'h0', .* known at run time alone"):
        network_of_module(program)


def test_refuses_unrolled_steps():
    module = Net(by_cell, torch.nn.GRUCell(3, 5), width=5)
    with pytest.raises(InvalidValue, match=r"no torch.nn.LSTM, GRU or RNN is in it"):
        network_of_module(module)
    with pytest.raises(InvalidValue, match=r"^Net: none of its 6 nodes \(the first is 'zeros'\) .* instead of a loop"):
        network_of_module(module, torch.zeros(2, 3, 3))
    program = torch.export.export(LSTM(INPUTS, UNITS), (torch.zeros(4, 2, INPUTS),)).run_decompositions()
    with pytest.raises(InvalidValue, match=r"^ExportedProgram: none of its .* without run_decompositions"):
        network_of_module(program)


def test_refuses_dropout_that_still_drops():
    module = LSTM(INPUTS, UNITS, 2, dropout=0.5, **FIRST).train()
    program = torch.export.export(module, (torch.zeros(2, 4, INPUTS),))
    with pytest.raises(InvalidValue, match=r"node 'lstm': drops out values; call module.eval\(\)"):
        network_of_module(program)
    assert network_of_module(module).readout == "step"
    assert module.training


def test_refuses_what_is_no_module():
    with pytest.raises(InvalidValue, match=r"a BytesIO is given; expected a torch.nn.Module"):
        network_of_module(io.BytesIO())
