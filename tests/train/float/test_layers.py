# SPDX-License-Identifier: Apache-2.0
"""Training of several layers: golden's values in every macro, gradients of plain operations, torch's own layers."""

import dataclasses

import numpy as np
import pytest
import torch
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.layers.layer import Layer
from crossramp.golden.layers.network_specification import NetworkSpecification
from crossramp.golden.network.layered_network import LayeredNetwork
from crossramp.golden.spec.specification import Specification
from crossramp.train.float.float_network import FloatNetwork
from crossramp.train.float.rounding import through
from crossramp.train.quantized import quantized_network
from crossramp.train.quantized.chips import DeviceImperfections
from crossramp.train.quantized.quantized_network import QuantizedNetwork
from crossramp.train.recipes.settings import Hardware
from crossramp.train.tasks.keyword_training import keyword_specification
from hypothesis import given, settings
from torch import nn

from tests.support.layered import PROJECTED, SMALL, layered_network_of, layered_specifications
from tests.support.strategies import inputs_of, seeds
from tests.support.trained_networks import differences, exported, quantized_of
from tests.train.quantized.test_gradients import BATCH, STEPS, Plain

READOUTS = ["mean", "last", "step"]


def without_partial_sums(spec: NetworkSpecification) -> NetworkSpecification:
    """The same network with its columns joined, since partial sums are not trained."""
    none = {"partial_rows": 0, "partial_bits": None, "partial_cell": None}
    layers = (dataclasses.replace(layer, macro=layer.macro.replace(**none)) for layer in spec.layers)
    return spec.replace(layers=tuple(layers))


def test_partial_sums_are_refused():
    macro = SMALL.layers[1].macro.replace(partial_rows=2)
    spec = SMALL.replace(layers=(SMALL.layers[0], Layer(macro=macro)))
    for network in (FloatNetwork, QuantizedNetwork):
        with pytest.raises(ValueError, match="layer1: partial_rows is 2, and training knows no partial sums; leave"):
            network(spec)
    assert without_partial_sums(spec) == SMALL


@settings(deadline=None, max_examples=30)
@given(layered_specifications(initials=("zero", "constant")), seeds)
def test_drawn_networks_equal_golden(spec, seed):
    spec = without_partial_sums(spec)
    golden = layered_network_of(spec, seed)
    network = quantized_of(golden)
    found = exported(network)
    assert spec.head_in_array or np.array_equal(found.weights.head, golden.weights.head)
    for name, weights in golden.weights.macros.items():
        for field in ("lines", "projection", "initial_register", "initial_h"):
            assert np.array_equal(getattr(found.weights.macros[name], field), getattr(weights, field))
    x = inputs_of(spec, seed, batch=3, steps=3)
    assert differences(network, found, x) == []
    assert set(network.integer_logits(torch.from_numpy(x), trace=True)[2]) == set(spec.macros)


def test_the_comparison_names_the_macro(seed):
    network = quantized_of(layered_network_of(SMALL, seed))
    golden, x = exported(network), inputs_of(SMALL, seed, batch=4, steps=6)
    assert differences(network, golden, x) == []
    macros = dict(golden.weights.macros)
    weights = macros["layer1"].macro.copy()
    weights[0, 0] += 1 if weights[0, 0] < 1 else -1
    macros["layer1"] = macros["layer1"].replace(macro=weights)
    found = differences(network, LayeredNetwork(SMALL, golden.weights.replace(macros=macros)), x)
    assert "layer1.macs" in found
    assert not [name for name in found if name.startswith("layer0")]


@pytest.mark.parametrize("readout", READOUTS)
def test_the_comparison_sees_a_wrong_order_of_steps(seed, monkeypatch, readout):
    """Of two directions: h that is not turned back, or turned back where the head takes it as it comes."""
    spec = SMALL.replace(layers=SMALL.layers[:1], readout=readout)
    network = quantized_of(layered_network_of(spec, seed))
    golden, x = exported(network), inputs_of(spec, seed, batch=4, steps=6)
    assert differences(network, golden, x) == []
    right = quantized_network.through_layers
    other = spec.replace(readout="mean" if readout == "step" else "step")
    monkeypatch.setattr(quantized_network, "through_layers", lambda _, *given, **more: right(other, *given, **more))
    # The sum over all steps has no order.
    assert differences(network, golden, x) == ([] if readout == "mean" else ["logits"])


def fine(**more) -> Specification:
    """Fine registers: with float64, the comparison of gradients is not blurred by rounding errors."""
    return Specification(classes=0, bias_rows=2, state_frac_bits=20, **more)


STACK = NetworkSpecification(
    layers=(
        Layer(macro=fine(inputs=4, units=3, state_bits=24), bidirectional=True),
        Layer(macro=fine(inputs=6, units=4, cell="gru", state_bits=21, projection=2)),
        Layer(macro=fine(inputs=2, units=3, state_bits=24), bidirectional=True),
    ),
    classes=3,
)


class PlainNetwork:
    """The layers one after the other in plain operations, each of :class:`Plain`; written without training's order."""

    def __init__(self, network: QuantizedNetwork):
        self.network, self.spec = network, network.spec
        self.macros = dict(zip(network.spec.macros, network.macros, strict=True))

    def hidden(self, name, codes):
        """h of a macro, shape (steps, batch, hidden), from codes of one step each in its own order."""
        macro = self.macros[name]
        spec, levels = macro.spec, macro.weight_levels().double()
        bias = macro.bias_levels().double() * spec.input_max
        groups = {group: spec.rows_of(group) for group in spec.row_sizes if group != "1"}
        rows = {group: levels[place] for group, place in groups.items()}
        taken = rows.pop("x")
        drive = [code @ taken + bias for code in codes]
        projection = macro.projection_levels()
        return Plain(spec, drive, rows, None, None, None if projection is None else projection.double()).hidden()

    def logits(self, x):
        steps = list(x.double().unbind(1))
        for number, layer in enumerate(self.spec.layers):
            if not layer.bidirectional:
                steps = list(self.hidden(f"layer{number}", steps))
                continue
            ahead = self.hidden(f"layer{number}_forward", steps)
            back = self.hidden(f"layer{number}_backward", steps[::-1])
            last = number == len(self.spec.layers) - 1 and self.spec.readout == "last"
            pairs = [(ahead[t], back[t if last else STEPS - 1 - t]) for t in range(STEPS)]
            steps = [torch.cat(pair, 1) for pair in pairs]
        weight, bias = (levels.double() for levels in self.network.head_levels())
        if self.spec.readout == "mean":
            return sum(steps) @ weight.t() + bias * STEPS
        each = [step @ weight.t() + bias for step in steps]
        return each[-1] if self.spec.readout == "last" else torch.stack(each, 1)


def enliven(network: QuantizedNetwork):
    for macro in network.macros:
        nn.init.normal_(macro.weight, std=0.4)
        nn.init.normal_(macro.bias, std=0.5)


def gradients(network, logits, goal):
    parameters = dict(network.named_parameters())
    return dict(zip(parameters, torch.autograd.grad((logits * goal).sum(), list(parameters.values())), strict=True))


def compare_gradients(rng, readout="mean"):
    torch.manual_seed(11)
    network = QuantizedNetwork(STACK.replace(readout=readout))
    enliven(network)
    x = torch.from_numpy(rng.integers(-15, 16, (BATCH, STEPS, 4)))
    found, expected = network.integer_logits(x)[0], PlainNetwork(network).logits(x)
    assert torch.equal(found.detach(), expected.detach().round())
    goal = torch.from_numpy(rng.normal(size=tuple(found.shape)))
    one, other = gradients(network, found, goal), gradients(network, expected, goal)
    for name, gradient in other.items():
        assert gradient.abs().max() > 1e-3, name
        text = f"gradients of {name}"
        torch.testing.assert_close(one[name], gradient, rtol=1e-4, atol=1e-5 * float(gradient.abs().max()), msg=text)


@pytest.mark.parametrize("readout", READOUTS)
def test_gradients_through_layers_are_the_straight_through_ones(readout, rng):
    compare_gradients(rng, readout)


def test_a_gradient_that_stops_between_layers_is_seen(rng, monkeypatch):
    right = quantized_network.through_layers

    def stopped(spec, values, run, steps_axis):
        return right(spec, values, lambda number, codes: run(number, codes.detach()), steps_axis)

    monkeypatch.setattr(quantized_network, "through_layers", stopped)
    with pytest.raises((AssertionError, RuntimeError), match=r"gradients of macros|not have been used"):
        compare_gradients(rng)


def test_what_goes_through_is_exact_and_has_the_gradient_of_the_value():
    value = torch.tensor([1.0, 2.0], requires_grad=True)
    exact = torch.tensor([1e-30, 3.0])
    found = through(value, exact)
    assert torch.equal(found.detach(), exact)
    found.backward(torch.tensor([5.0, 7.0]))
    assert value.grad.tolist() == [5, 7]


@pytest.mark.parametrize("readout", READOUTS)
def test_float_layers_are_torchs(readout, rng):
    """Two layers of two directions, against torch's own; the last h of each direction is what torch hands on."""
    macros = [Specification(inputs=inputs, units=5, classes=0) for inputs in (4, 10)]
    layers = tuple(Layer(macro=macro, bidirectional=True) for macro in macros)
    torch.manual_seed(2)
    network = FloatNetwork(NetworkSpecification(layers=layers, classes=3, readout=readout))
    stack = nn.LSTM(4, 5, num_layers=2, bidirectional=True, batch_first=True)
    for number, macro in enumerate(network.macros):
        suffix = f"_l{number // 2}{'_reverse' if number % 2 else ''}"
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        macro.lstm.load_state_dict({f"{name}_l0": getattr(stack, name + suffix) for name in names})
    x = torch.from_numpy(rng.uniform(-1, 1, (6, 7, 4))).float()
    with torch.no_grad():
        hidden, (ends, _) = stack(x)
        seen = {"mean": hidden.mean(1), "last": torch.cat([ends[2], ends[3]], 1), "step": hidden}[readout]
        torch.testing.assert_close(network(x), network.head(seen))


@pytest.mark.parametrize("readout", READOUTS)
def test_at_high_resolution_layers_answer_as_their_float_network(readout):
    hardware = Hardware(5, 8, 8, 8, sigmoid_range=2.0, layers=({"bidirectional": True}, {"cell": "gru"}))
    spec = keyword_specification(hardware, 6, 3, 8, readout=readout).replace(head_weight_bits=12)
    torch.manual_seed(3)
    network = FloatNetwork(spec)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-0.7, 0.7)
    quantized = QuantizedNetwork.from_float(network, spec)
    codes = torch.from_numpy(np.random.default_rng(1).integers(-127, 128, (40, 8, 6)))
    with torch.no_grad():
        expected, found = network(codes.float() / 127), quantized(codes)
        error = (found - expected).abs()
        assert error.max() < 0.04
        for parameter in network.parameters():
            kept = parameter.clone()
            parameter.zero_()
            assert (network(codes.float() / 127) - found).abs().mean() > 1.2 * error.mean()
            parameter.copy_(kept)


def test_projections_and_heads_in_arrays_answer_as_their_float_network():
    """At high resolution; every weight counts, and the golden model agrees in every value."""
    layers = (
        {"bidirectional": True, "projection": 4, "projection_in": "array", "projection_range": 2.0},
        {"cell": "dense", "units": 3},
    )
    hardware = Hardware(8, 8, 8, 8, sigmoid_range=2.0, layers=layers, head="array")
    spec = keyword_specification(hardware, 6, 3, 8)
    directions = "layer0_forward", "layer0_backward"
    assert set(spec.macros) == {*directions, *(f"{name}_projection" for name in directions), "layer1"}
    torch.manual_seed(3)
    network = FloatNetwork(spec)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.uniform_(-0.7, 0.7)
    quantized = QuantizedNetwork.from_float(network, spec)
    codes = torch.from_numpy(np.random.default_rng(1).integers(-127, 128, (40, 8, 6)))
    with torch.no_grad():
        expected, found = network(codes.float() / 127), quantized(codes)
        error = (found - expected).abs()
        assert error.max() < 0.3  # of logits within ±8
        for parameter in network.parameters():
            kept = parameter.clone()
            parameter.zero_()
            assert (network(codes.float() / 127) - found).abs().mean() > 1.2 * error.mean()
            parameter.copy_(kept)
    assert differences(quantized, exported(quantized), codes[:5].numpy()) == []


def test_chips_of_projections_in_arrays():
    """Each has one of its own, and gradients pass it."""
    tech = load("rram").replace({"integrator.leakage_time": 2e-6})
    drawn = [DeviceImperfections(macro, tech, place=place) for place, macro in enumerate(PROJECTED.macros.values())]
    torch.manual_seed(4)
    network = QuantizedNetwork(PROJECTED, imperfections=drawn)
    assert network.imperfections == drawn
    enliven(network)
    for macro in network.macros:
        nn.init.normal_(macro.projecting.weight)
    network(torch.from_numpy(np.random.default_rng(4).integers(-7, 8, (8, 5, 3)))).square().sum().backward()
    for macro in network.macros:
        gradient = macro.projecting.weight.grad
        assert torch.isfinite(gradient).all()
        assert gradient.abs().max() > 0


def test_limits_reach_every_macro():
    for network in (FloatNetwork(STACK), QuantizedNetwork(STACK)):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.fill_(1e3)
        network.limit_weights()
        assert all(parameter.max() < 100 for macro in network.macros for parameter in macro.parameters())


def test_every_macro_has_a_chip_of_its_own_and_gradients_pass_all_of_them():
    """Leaky integrators: what a pulse brings depends on its clock, and gradients reach the layers before."""
    tech = load("rram").replace({"integrator.leakage_time": 2e-6})
    macros = list(SMALL.macros.values())
    drawn = [DeviceImperfections(macro, tech, place=place) for place, macro in enumerate(macros)]
    chips = [one.draw(torch.zeros(m.rows, m.columns), True).chip for one, m in zip(drawn, macros, strict=True)]
    assert (chips[-1].window != 1).any()
    assert len({chip.seed for chip in chips}) == len({one._noise.initial_seed() for one in drawn}) == 3
    torch.manual_seed(4)
    network = QuantizedNetwork(SMALL, imperfections=drawn)
    enliven(network)
    x = torch.from_numpy(np.random.default_rng(4).integers(-7, 8, (8, 6, 3)))
    network(x).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().max() > 0, name
