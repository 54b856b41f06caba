# SPDX-License-Identifier: Apache-2.0
"""A cell's description in float is torch's own cell, where torch has one, and the textbook's where it does not."""

import numpy as np
import pytest
import torch
from crossramp.golden.cell.library import CELLS
from crossramp.golden.spec.activations import REGISTRY, Activation, activation
from crossramp.golden.spec.specification import Specification
from crossramp.train.float.float_cell import FloatCell, MacroWeights, activation_in_torch, gate_signs, run_cell
from crossramp.train.float.float_network import FloatNetwork
from torch import nn

BATCH, STEPS, INPUTS, UNITS = 5, 9, 4, 6


def specification(cell: str, **more) -> Specification:
    return Specification(inputs=INPUTS, units=UNITS, classes=2, bias_rows=2, cell=cell, **more)


def values(rng) -> torch.Tensor:
    return torch.from_numpy(rng.uniform(-1, 1, (BATCH, STEPS, INPUTS)))


def drawn(rng, *shape) -> torch.Tensor:
    return torch.from_numpy(rng.uniform(-0.7, 0.7, shape))


def placed_of(spec: Specification, blocks: dict[tuple[str, str], torch.Tensor]) -> torch.Tensor:
    """Rows of the macro from torch's blocks, each (units, inputs of its group), by group and bank."""
    rows = torch.zeros(spec.rows - spec.bias_rows, spec.columns, dtype=torch.float64)
    for (group, bank), block in blocks.items():
        rows[spec.rows_of(group), spec.bank(bank)] = block.t()
    return rows


def test_an_lstm_is_torchs(rng):
    torch.manual_seed(1)
    lstm, spec = nn.LSTM(INPUTS, UNITS, batch_first=True).double(), specification("lstm")
    rows = torch.cat([lstm.weight_ih_l0, lstm.weight_hh_l0], dim=1).t()
    start = drawn(rng, BATCH, UNITS), drawn(rng, BATCH, UNITS)
    x = values(rng)
    with torch.no_grad():
        found, state = run_cell(spec, x, MacroWeights(rows, lstm.bias_ih_l0 + lstm.bias_hh_l0), start)
        expected, (h, c) = lstm(x, (start[1][None], start[0][None]))
    assert (found - expected).abs().max() < 1e-12
    assert (state[0] - c[0]).abs().max() < 1e-12
    assert torch.equal(state[1], found[:, -1])
    assert (h[0] - found[:, -1]).abs().max() < 1e-12


def test_a_gru_whose_reset_gate_acts_after_the_product_is_torchs(rng):
    torch.manual_seed(1)
    gru, spec = nn.GRU(INPUTS, UNITS, batch_first=True).double(), specification("gru_reset_after")
    inner, outer = (weight.chunk(3) for weight in (gru.weight_ih_l0, gru.weight_hh_l0))
    blocks = dict(zip([("x", "r"), ("x", "z"), ("x", "n")], inner, strict=True))
    blocks |= dict(zip([("h", "r"), ("h", "z"), ("h", "m")], outer, strict=True))
    first, second = gru.bias_ih_l0.chunk(3), gru.bias_hh_l0.chunk(3)
    bias = torch.cat([first[0] + second[0], first[1] + second[1], second[2], first[2]])  # r z m n
    start, x = drawn(rng, BATCH, UNITS), values(rng)
    with torch.no_grad():
        found, _ = run_cell(spec, x, MacroWeights(placed_of(spec, blocks), bias), (start, start))
        expected, _ = gru(x, start[None])
    assert (found - expected).abs().max() < 1e-12


@pytest.mark.parametrize(("cell", "nonlinearity"), [("rnn_tanh", "tanh"), ("rnn_relu", "relu")])
def test_a_plain_network_is_torchs(cell, nonlinearity, rng):
    torch.manual_seed(1)
    rnn = nn.RNN(INPUTS, UNITS, nonlinearity=nonlinearity, batch_first=True).double()
    rows, x = torch.cat([rnn.weight_ih_l0, rnn.weight_hh_l0], dim=1).t(), values(rng) / 2
    with torch.no_grad():
        found, _ = run_cell(specification(cell), x, MacroWeights(rows, rnn.bias_ih_l0 + rnn.bias_hh_l0))
        expected, _ = rnn(x)
    assert expected.max() < 1  # where the ramp of a ReLU ends
    assert (found - expected).abs().max() < 1e-12


def sigmoid(value):
    return 1 / (1 + np.exp(-value))


def by_hand(cell: str, x, w, p, h, c):
    """h of the next step, and the register, from weights by bank and group; numpy."""

    def sums(bank, *groups):
        return sum((w[bank, group] @ value for group, value in groups), w[bank, "1"])

    if cell == "lstm_peephole":
        i = sigmoid(sums("i", ("x", x), ("h", h)) + p["i"] * c)
        f = sigmoid(sums("f", ("x", x), ("h", h)) + p["f"] * c)
        c = f * c + i * np.tanh(sums("g", ("x", x), ("h", h)))
        return sigmoid(sums("o", ("x", x), ("h", h)) + p["o"] * c) * np.tanh(c), c
    if cell == "lstm_coupled":
        i = sigmoid(sums("i", ("x", x), ("h", h)))
        c = (1 - i) * c + i * np.tanh(sums("g", ("x", x), ("h", h)))
        return sigmoid(sums("o", ("x", x), ("h", h))) * np.tanh(c), c
    if cell == "gru":
        r, z = (sigmoid(sums(bank, ("x", x), ("h", h))) for bank in "rz")
        n = np.tanh(sums("n", ("x", x), ("k", r * h)))
        h = (1 - z) * n + z * h
        return h, h
    return np.tanh(sums("a", ("x", x))), c


@pytest.mark.parametrize("cell", ["lstm_peephole", "lstm_coupled", "gru", "dense"])
def test_other_cells_are_the_textbooks(cell, rng):
    spec = specification(cell)
    width = {"x": INPUTS}
    weights = {
        (name, group): drawn(rng, UNITS, width.get(group, UNITS))
        for name, bank in spec.layout.banks.items()
        for group in bank.rows
        if group != "1"
    }
    bias = drawn(rng, spec.columns)
    lines = drawn(rng, spec.trained_lines, UNITS) if spec.trained_lines else None
    x = values(rng)
    rows = placed_of(spec, {(group, name): block for (name, group), block in weights.items()})
    found, _ = run_cell(spec, x, MacroWeights(rows, bias, lines))
    plain = {key: block.numpy() for key, block in weights.items()}
    plain |= {(name, "1"): bias[spec.bank(name)].numpy() for name in spec.layout.banks}
    peepholes = {part.bank: lines[k].numpy() for k, part in enumerate(spec.layout.trained_line_cells)}
    for number in range(BATCH):
        h = c = np.zeros(UNITS)
        for step in range(STEPS):
            h, c = by_hand(cell, x[number, step].numpy(), plain, peepholes, h, c)
            assert np.abs(found[number, step].numpy() - h).max() < 1e-12


def test_rows_saturate_where_pulse_codes_do(rng):
    """A projection of large weights is held within ±1; so the next step sees it."""
    spec = specification("gru", projection=3)
    rows = torch.zeros(spec.rows - spec.bias_rows, spec.columns, dtype=torch.float64)
    rows[spec.rows_of("x")] = drawn(rng, INPUTS, spec.columns) * torch.tensor(spec.placed[spec.rows_of("x")])
    found, (_, h) = run_cell(
        spec, values(rng), MacroWeights(rows, drawn(rng, spec.columns), None, 20 * drawn(rng, 3, UNITS))
    )
    assert found.shape == (BATCH, STEPS, 3)
    assert found.abs().max() == 1
    assert torch.equal(h, found[:, -1])


@pytest.mark.parametrize("text", [*REGISTRY, "identity[-4,4]", "softplus[0,1]", "elu[-0.5,2]"])
def test_activations_are_goldens(text):
    act, x = activation(text), np.linspace(-9, 9, 2001)
    assert activation_in_torch(act)(torch.from_numpy(x)).numpy() == pytest.approx(act(x), abs=1e-12)


def test_an_activation_that_torch_lacks_is_refused():
    other = Activation("cubic", lambda x: x**3, np.cbrt, -1.0, 1.0)
    with pytest.raises(ValueError, match=r"activation 'cubic\[-1,1\]' cannot be trained; known here: sigmoid, tanh"):
        activation_in_torch(other)


def test_gates_that_keep_the_register():
    found = {name: gate_signs(specification(name)) for name in CELLS}
    kept = {"f": 1}
    assert found.pop("lstm") == found.pop("lstm_peephole") == kept
    assert found.pop("lstm_coupled") == {"i": -1}
    assert found.pop("gru") == found.pop("gru_reset_after") == {"z": 1}
    assert found == {"rnn_tanh": {}, "rnn_relu": {}, "dense": {}}


@pytest.mark.parametrize("cell", [name for name in CELLS if name != "lstm"])
def test_weights_start_and_stay_within_the_crossbars(cell):
    spec = specification(cell)
    network = FloatNetwork(spec)
    placed = torch.tensor(spec.placed[: -spec.bias_rows])
    assert torch.equal(network.macros[0].cell.rows != 0, placed)
    for gate, sign in gate_signs(spec).items():
        assert (network.macros[0].cell.bias[spec.bank(gate)] == sign).all()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(100.0)
    network.limit_weights()
    ranges = [(spec.gates[0] if gate == spec.state_gate else spec.gate(gate)).weight_range for gate in spec.gate_names]
    columns = torch.tensor(ranges).repeat_interleave(UNITS)
    assert torch.equal(network.macros[0].weights.rows, columns * placed)
    assert torch.equal(network.macros[0].weights.bias, 2 * columns)
    if spec.trained_lines:
        assert network.macros[0].weights.lines.unique().tolist() == [2.0]


def test_what_has_no_memristor_learns_nothing(rng):
    cell = FloatCell(specification("gru"))
    cell(values(rng).float())[0].square().sum().backward()
    assert torch.equal(cell.rows.grad != 0, cell.placed)
