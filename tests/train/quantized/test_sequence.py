# SPDX-License-Identifier: Apache-2.0
"""Training's arithmetic is the golden model's, in every code, state and logit; its gradients are the declared ones."""

import numpy as np
import pytest
import torch
from crossramp.golden.array.ramps import ramps
from crossramp.golden.network.network import Network
from crossramp.golden.spec.specification import Specification
from crossramp.train.float.float_network import FloatNetwork
from crossramp.train.quantized.conversion_tables import ConversionTables
from crossramp.train.quantized.imperfections import Array, Imperfections
from crossramp.train.quantized.quantized_network import QuantizedNetwork
from crossramp.train.quantized.sequence import Conversions, exact_dtype, run_sequence
from hypothesis import given, settings
from torch import nn

from tests.support.strategies import ALL_CELLS, inputs_of, network_of, seeds, specifications
from tests.support.trained_networks import differences, exported, quantized_of

KWS = Specification(inputs=40, units=32, classes=12, bias_rows=2)


@settings(deadline=None, max_examples=60)
@given(specifications(cells=ALL_CELLS, any_ramps=True, initials=("zero", "constant")), seeds)
def test_any_specification_equals_golden(spec, seed):
    golden = network_of(spec, seed)
    network = quantized_of(golden)
    found = exported(network).weights
    assert np.array_equal(found.head, golden.weights.head)
    assert np.array_equal(found.projection, golden.weights.projection)
    assert np.array_equal(found.lines, golden.weights.lines)
    assert differences(network, exported(network), inputs_of(spec, seed, batch=3, steps=5)) == []


@pytest.mark.parametrize("readout", ["mean", "last"])
def test_keyword_network_equals_golden(readout):
    spec = KWS.replace(readout=readout)
    torch.manual_seed(3)
    network = QuantizedNetwork(spec)
    nn.init.normal_(network.macros[0].weight, std=0.6)
    nn.init.normal_(network.macros[0].bias, std=1.5)
    golden = exported(network)
    x = np.random.default_rng(3).integers(-15, 16, (20, 49, 40))
    steps = golden.run(x)
    assert len(np.unique(steps.codes)) == 32  # the network is alive: every code occurs,
    assert np.abs(steps.c).max() > 31 * 16  # and c passes its pulse code's full scale
    assert differences(network, golden, x) == []


def test_comparison_notices_one_weight_level():
    torch.manual_seed(4)
    network = QuantizedNetwork(KWS)
    golden = exported(network)
    x = np.random.default_rng(4).integers(-15, 16, (4, 10, 40))
    weights = golden.weights.macro.copy()
    weights[0, 0] += 1 if weights[0, 0] < 15 else -1
    assert "macs" in differences(network, Network(KWS, golden.weights.replace(macro=weights)), x)
    biases = golden.weights.head_biases + 1
    assert differences(network, Network(KWS, golden.weights.replace(head_biases=biases)), x) == ["logits"]


def test_comparison_notices_halves_rounded_to_even(monkeypatch):
    from crossramp.train.quantized import update_program

    torch.manual_seed(5)
    network = QuantizedNetwork(KWS)
    x = np.random.default_rng(5).integers(-15, 16, (50, 20, 40))
    monkeypatch.setattr(update_program, "round_half_away", torch.round)
    assert "c" in differences(network, exported(network), x)


def drawing(change) -> Imperfections:
    """Imperfections that draw an ideal array and let ``change`` change it."""

    class Drawing(Imperfections):
        def draw(self, levels, training, lines=None):
            array = Array(self.spec, levels, lines)
            change(array)
            return array

    return Drawing(KWS)


def test_comparison_notices_a_shifted_threshold():
    def shifted(array):
        array.thresholds = [ramp.thresholds + (number == 1) for number, ramp in enumerate(ramps(KWS))]

    torch.manual_seed(6)
    network = QuantizedNetwork(KWS, imperfections=[drawing(shifted)])
    x = np.random.default_rng(6).integers(-15, 16, (20, 20, 40))
    assert "codes" in differences(network, exported(network), x)


def test_every_conversion_passes_the_array():
    seen = []

    class Spy(Array):
        def charge(self, codes, window=0):
            seen.append(("charge", tuple(codes.shape)))
            return codes

        def variance(self, codes):
            seen.append(("variance", tuple(codes.shape)))

        def line(self, number, pulses, window):
            seen.append(("line", number, tuple(pulses.shape), window))
            return super().line(number, pulses, window)

        def seen(self, number, macs, pulses, variance):
            driven = {name: tuple(codes.shape) for name, codes in pulses.items() if codes is not None}
            seen.append(("seen", number, tuple(macs.shape), driven, variance))
            return macs

        def late(self, values, number):
            seen.append(("late", number))

    class Spying(Imperfections):
        def draw(self, levels, training, lines=None):
            seen.append(("draw", tuple(levels.shape), training, lines))
            return Spy(self.spec, levels)

    network = QuantizedNetwork(KWS, imperfections=[Spying(KWS)])
    assert differences(network, exported(network), np.zeros((3, 2, 40), np.int64)) == []
    step = [("charge", (3, 32)), ("seen", 0, (3, 128), {"h": (3, 32)}, None), ("late", 0)]
    step += [("line", 0, (3, 32), 1), ("seen", 1, (3, 32), {"h": (3, 32), "q": (3, 32)}, None), ("late", 1)]
    begin = [("draw", (74, 128), True, None), ("variance", (6, 40)), ("charge", ()), ("charge", (6, 40))]
    assert seen == [*begin, *step, *step]


def test_a_finer_table_changes_nothing():
    def finer(array):
        array.resolution = 8

    torch.manual_seed(6)
    network = QuantizedNetwork(KWS, imperfections=[drawing(finer)])
    x = np.random.default_rng(6).integers(-15, 16, (20, 20, 40))
    assert differences(network, exported(network), x) == []


def test_noisy_weights_and_macs_pass_gradients():
    class Noisy(Array):
        def seen(self, number, macs, pulses, variance):
            return macs if number else macs + 2 * torch.randn_like(macs)

    class Drawing(Imperfections):
        def draw(self, levels, training, lines=None):
            return Noisy(self.spec, levels + 0.3 * torch.randn_like(levels))

    torch.manual_seed(7)
    network = QuantizedNetwork(KWS, imperfections=[Drawing(KWS)])
    network(torch.randint(-15, 16, (4, 6, 40))).square().sum().backward()
    for parameter in network.parameters():
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.abs().max() > 0


@pytest.mark.parametrize("cell", ALL_CELLS)
def test_a_run_in_two_parts_is_one_run(cell):
    """Register and h are handed on, and with them what a line brings to the first conversion."""
    spec = Specification(inputs=4, units=6, classes=3, bias_rows=2, cell=cell, readout="last")
    torch.manual_seed(9)
    network, float_network = QuantizedNetwork(spec), FloatNetwork(spec)
    nn.init.normal_(network.macros[0].weight, std=0.6)
    x = torch.from_numpy(np.random.default_rng(9).integers(-15, 16, (8, 11, 4)))
    for trained, inputs in ((network, x), (float_network, x.float() / 15)):
        with torch.no_grad():
            whole, end = trained.run(inputs)
            _, state = trained.run(inputs[:, :4])
            parts, after = trained.run(inputs[:, 4:], state)
            torch.testing.assert_close(parts, whole)
            for one, other in zip(after[0], end[0], strict=True):
                torch.testing.assert_close(one, other)
            # The state matters, but to a layer that has none.
            afresh, _ = trained.run(inputs[:, 4:])
            assert torch.allclose(afresh, whole, atol=1e-5) == (cell == "dense")


def test_limit_weights_brings_masters_back_into_reach():
    network = QuantizedNetwork(KWS)
    (macro,) = network.macros
    nn.init.constant_(macro.weight, 50.0)
    nn.init.constant_(macro.bias, -50.0)
    network.limit_weights()
    assert (macro.weight_levels() == 15).all()
    assert (macro.bias_levels() == -30).all()
    assert (macro.bias_row_levels() == -15).all()
    torch.testing.assert_close(macro.weight.max().item(), 225 / 112)


@pytest.mark.parametrize("rows", [0, 1, 2, 3])
def test_bias_rows_add_up(rows):
    (macro,) = QuantizedNetwork(Specification(inputs=1, units=2, classes=2, bias_rows=rows)).macros
    nn.init.uniform_(macro.bias, -9, 9)
    split = macro.bias_row_levels()
    assert split.shape == (rows, 8)
    assert torch.equal(split.sum(0), macro.bias_levels().detach())
    if rows:
        assert (split.max(0).values - split.min(0).values).max() <= 1


def test_no_gradient_passes_a_saturated_c():
    """Two steps at 200 MAC bring c beyond 1, where it saturates here: only o's columns of the second step learn."""
    spec = Specification(inputs=1, units=2, classes=1, state_bits=9, state_frac_bits=8)
    dtype = exact_dtype(spec)
    array = Array(spec, torch.zeros(spec.rows, spec.columns, dtype=dtype))
    drive = torch.full((2, 1, spec.columns), 200.0, dtype=dtype, requires_grad=True)
    recurrent = torch.zeros(spec.hidden, spec.columns, dtype=dtype)
    tables = ConversionTables(spec, dtype, array)
    hidden, _, trace = run_sequence(Conversions(spec, array, tables, drive, {"h": recurrent}), trace=True)
    assert (trace.state[0] < spec.state_max).all()
    assert (trace.state[1] == spec.state_max).all()
    hidden[1].sum().backward()
    assert (spec.of_bank(drive.grad[1], "o") > 0).all()
    assert all((spec.of_bank(drive.grad[1], gate) == 0).all() for gate in "ifg")
    assert (drive.grad[0] == 0).all()
    drive.grad = None
    hidden, _, _ = run_sequence(Conversions(spec, array, tables, drive, {"h": recurrent}))
    hidden[0].sum().backward()
    assert all((spec.of_bank(drive.grad[0], gate) > 0).all() for gate in "igo")


@pytest.mark.parametrize("resolution", [1, 4, 8])
def test_a_table_rounds_a_mac_to_its_nearest_entry(resolution):
    """A threshold between two MACs is off by half an entry at most, and by no more on one side than on the other."""
    ideal = [ramp.thresholds for ramp in ramps(KWS)]
    array = Array(KWS, torch.zeros(KWS.rows, KWS.columns, dtype=torch.float64))
    array.thresholds, array.resolution = [ticks + 0.3 for ticks in ideal], resolution
    tables = ConversionTables(KWS, torch.float64, array)
    assert tables.resolution == resolution
    ramp = KWS.ramp_of_gate[KWS.gate_names.index("f")]
    ticks, half = array.thresholds[ramp], 0.5 / resolution
    assert np.diff(np.sort(ticks)).min() > 2 * half  # else two thresholds share an entry
    for beyond, count in ((half + 1e-6, 1), (-half - 1e-6, 0)):
        for k, tick in enumerate(np.sort(ticks)):
            macs = torch.full((1, KWS.columns), tick + beyond, dtype=torch.float64)
            values, slopes = torch.empty_like(macs), torch.empty_like(macs)
            tables.convert(0, macs, values, slopes)
            expected = ramps(KWS)[ramp].decode(np.array([k + count]))[0]
            assert (KWS.of_bank(values[0], "f") == expected).all(), (tick, beyond)
