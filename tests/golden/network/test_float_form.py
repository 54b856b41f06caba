# SPDX-License-Identifier: Apache-2.0
"""Cells in real numbers: against torch's layers, against equations by hand, and near the quantized network."""

import numpy as np
import pytest
from crossramp.golden.cell.description import Gate
from crossramp.golden.cell.library import CELLS
from crossramp.golden.cell.torch_weights import torch_weights
from crossramp.golden.network.float_form import FloatForm, rectangle
from crossramp.golden.spec.specification import Specification

from tests.support.planted import planted
from tests.support.strategies import ALL_CELLS, inputs_of, network_of

INPUTS, UNITS, BATCH, STEPS = 6, 5, 3, 9
NEAR = 1e-12


def spec_of(cell: str, **changes) -> Specification:
    return Specification(**({"inputs": INPUTS, "units": UNITS, "classes": 2, "cell": cell} | changes))


def torch_layer(torch, cell: str):
    layer = {
        "lstm": lambda: torch.nn.LSTM(INPUTS, UNITS, batch_first=True),
        "gru_reset_after": lambda: torch.nn.GRU(INPUTS, UNITS, batch_first=True),
        "rnn_tanh": lambda: torch.nn.RNN(INPUTS, UNITS, batch_first=True),
        "rnn_relu": lambda: torch.nn.RNN(INPUTS, UNITS, batch_first=True, nonlinearity="relu"),
    }[cell]()
    return layer.double()


@pytest.mark.parametrize("bias_rows", [1, 3])
@pytest.mark.parametrize("cell", ["lstm", "gru_reset_after", "rnn_tanh", "rnn_relu"])
def test_equals_torch(cell, bias_rows, seed, rng):
    """Random weights, both biases different, in float64: relu without an end, since torch's has none."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(seed)
    layer, spec = torch_layer(torch, cell), spec_of(cell, bias_rows=bias_rows)
    arrays = {name: value.detach().numpy() * 1.5 for name, value in layer.named_parameters()}
    layer.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()})
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    form = FloatForm(
        spec, rectangle(spec, torch_weights(spec.cell, *(arrays[name] for name in names))), saturates=False
    )
    x = rng.uniform(-1, 1, (BATCH, STEPS, INPUTS))
    expected = layer(torch.from_numpy(x))[0].detach().numpy()
    np.testing.assert_allclose(form.run(x), expected, rtol=0, atol=NEAR)
    swapped = FloatForm(
        spec, rectangle(spec, torch_weights(spec.cell, *(arrays[name] for name in names[:3]))), saturates=False
    )
    assert np.abs(swapped.run(x) - expected).max() > 1e-3


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def hand_peephole(w, x, c, h):
    """Gers and Schmidhuber: i and f see the c before, o the new one."""
    i = sigmoid(w["i", "x"] @ x + w["i", "h"] @ h + w["i", "1"] + w["i", "a"] * c)
    f = sigmoid(w["f", "x"] @ x + w["f", "h"] @ h + w["f", "1"] + w["f", "a"] * c)
    g = np.tanh(w["g", "x"] @ x + w["g", "h"] @ h + w["g", "1"])
    c = f * c + i * g
    o = sigmoid(w["o", "x"] @ x + w["o", "h"] @ h + w["o", "1"] + w["o", "q"] * c)
    return c, o * np.tanh(c)


def hand_coupled(w, x, c, h):
    i = sigmoid(w["i", "x"] @ x + w["i", "h"] @ h + w["i", "1"])
    g = np.tanh(w["g", "x"] @ x + w["g", "h"] @ h + w["g", "1"])
    o = sigmoid(w["o", "x"] @ x + w["o", "h"] @ h + w["o", "1"])
    c = (1 - i) * c + i * g
    return c, o * np.tanh(c)


def hand_gru(w, x, s, h):
    """Cho et al.: r before the product with U."""
    r = sigmoid(w["r", "x"] @ x + w["r", "h"] @ h + w["r", "1"])
    z = sigmoid(w["z", "x"] @ x + w["z", "h"] @ h + w["z", "1"])
    n = np.tanh(w["n", "x"] @ x + w["n", "k"] @ (r * s) + w["n", "1"])
    s = (1 - z) * n + z * s
    return s, s


def hand_dense(w, x, c, h):
    return c, np.tanh(w["a", "x"] @ x + w["a", "1"])


HANDS = {"lstm_peephole": hand_peephole, "lstm_coupled": hand_coupled, "gru": hand_gru, "dense": hand_dense}


@pytest.mark.parametrize("cell", HANDS)
def test_equals_its_equations(cell, rng):
    spec, layout = spec_of(cell), CELLS[cell]
    shapes = {"x": (UNITS, INPUTS), "h": (UNITS, UNITS), "k": (UNITS, UNITS), "1": (UNITS,)}
    parts = {
        (gate, group): rng.normal(0, 0.8, shapes[group]) for gate, bank in layout.banks.items() for group in bank.rows
    }
    trained = {(place.bank, place.line): rng.normal(0, 1, UNITS) for place in layout.trained_line_cells}
    lines = np.array(list(trained.values())) if trained else None
    form = FloatForm(spec, rectangle(spec, parts), lines, saturates=False)
    x = rng.uniform(-1, 1, (BATCH, STEPS, INPUTS))
    h = form.run(x)
    for number in range(BATCH):
        state, out = np.zeros(UNITS), np.zeros(UNITS)
        for t in range(STEPS):
            state, out = HANDS[cell](parts | trained, x[number, t], state, out)
            np.testing.assert_allclose(h[number, t], out, rtol=0, atol=NEAR)


def test_every_cell_is_compared():
    assert {*HANDS, "lstm", "gru_reset_after", "rnn_tanh", "rnn_relu"} == set(CELLS)


def test_a_projection_is_that_of_torch(seed, rng):
    torch = pytest.importorskip("torch")
    torch.manual_seed(seed)
    layer = torch.nn.LSTM(INPUTS, UNITS, batch_first=True, proj_size=2).double()
    arrays = {name: value.detach().numpy() for name, value in layer.named_parameters()}
    spec = spec_of("lstm", projection=2)
    macro = rectangle(
        spec,
        torch_weights(spec.cell, *(arrays[f"{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))),
    )
    x = rng.uniform(-1, 1, (BATCH, STEPS, INPUTS))
    got = FloatForm(spec, macro, projection=arrays["weight_hr_l0"], saturates=False).run(x)
    np.testing.assert_allclose(got, layer(torch.from_numpy(x))[0].detach().numpy(), rtol=0, atol=NEAR)


# ---- the quantized network -------------------------------------------------------------------------------------------


def distance(cell: str, bits: int, seed: int) -> float:
    """The largest difference of h, in full scales, of the quantized network and the float form of its weights."""
    fine = {"state_bits": bits + 8, "state_frac_bits": bits + 4} if CELLS[cell].register else {}
    spec = spec_of(cell, adc_bits=bits, input_bits=bits, weight_bits=bits, **fine)
    network, x = network_of(spec, seed), inputs_of(spec, seed, batch=8, steps=6)
    # Weights of a half scale, so that the cell is not at its ends all the time.
    network = type(network)(spec, network.weights.replace(macro=network.weights.macro // 2 * spec.placed))
    h = FloatForm.of(spec, network.weights).run(x / spec.input_max)
    return np.abs(network.run(x).h / spec.input_max - h).max()


@pytest.mark.parametrize("cell", ALL_CELLS)
def test_eight_bits_are_near_the_float_form(cell, seed):
    """Of 12 seeds and all cells the largest distance was 0.034, and that at 4 bits was 9 times as large or more."""
    fine, coarse = distance(cell, 8, seed), distance(cell, 4, seed)
    assert fine < 0.05
    assert fine < coarse / 4


def test_a_wrong_form_is_far(seed):
    old = "values[store.name] = self._limited(cell.values[store.name], _value(store.expression, values))"
    with planted("golden/cell/real_cell.py", old, old.replace("values))", "values) / 2)")):
        assert distance("gru", 8, seed) > 0.1


# ---- what is refused -------------------------------------------------------------------------------------------------


def test_refused():
    spec = spec_of("gru")
    macro = np.zeros((spec.rows, spec.columns))
    with pytest.raises(ValueError, match=r"weights has the shape \(2, 2\); expected \(17, 15\)"):
        FloatForm(spec, np.zeros((2, 2)))
    macro[INPUTS, spec.column("n", 0)] = 0.5
    with pytest.raises(ValueError, match=r"weights\[6, 10\] is 0.5, but the cell gru has no memristor there; write 0"):
        FloatForm(spec, macro)
    with pytest.raises(ValueError, match="line_weights are missing"):
        FloatForm(spec_of("lstm_peephole"), np.zeros((12, 20)))
    with pytest.raises(ValueError, match="line_weights are given, but the cell has none"):
        FloatForm(spec, 0 * macro, np.zeros((1, UNITS)))
    with pytest.raises(ValueError, match="the cell gru has no weights of 'h' on bank 'n'; leave them out"):
        rectangle(spec, {("n", "h"): np.zeros((UNITS, UNITS))})
    with pytest.raises(ValueError, match=r"the part 'x' of bank n has the shape \(6, 5\); expected \(5, 6\)"):
        rectangle(spec, {("n", "x"): np.zeros((INPUTS, UNITS))})
    with pytest.raises(ValueError, match="the part '1' of bank n is given, but bias_rows is 0; give 1 or more"):
        rectangle(spec.replace(bias_rows=0), {("n", "1"): np.ones(UNITS)})
    with pytest.raises(ValueError, match=r"torch\.nn has no layer for the cell gru; it has: lstm, gru_reset_after"):
        torch_weights("gru", macro, macro)


def test_values_end_where_those_of_the_hardware_do():
    gates = (Gate("clipped_relu", 2.0),)
    spec = spec_of("rnn_relu", gates=gates)
    macro = rectangle(spec, {("a", "x"): np.full((UNITS, INPUTS), 1.0)})
    x = np.ones((1, 1, INPUTS))
    assert FloatForm(spec, macro).run(x).max() == 1
    assert FloatForm(spec, macro, saturates=False).run(x).max() == INPUTS
