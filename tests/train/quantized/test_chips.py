# SPDX-License-Identifier: Apache-2.0
"""Training on device instances: the graph computes what golden's instance converts, and draws are repeatable."""

import numpy as np
import pytest
import torch
from crossramp.golden.analog.chip.sampling import ALL, device
from crossramp.golden.analog.conversion import device_array as golden_array
from crossramp.golden.analog.conversion.calibration import calibrate
from crossramp.golden.analog.technologies.constants import SWITCHES
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.array.array_protocol import Window, step_window
from crossramp.golden.array.weights import Weights
from crossramp.golden.cell.library import CELLS
from crossramp.golden.spec.specification import Specification
from crossramp.train.float.rounding import integers
from crossramp.train.quantized.chips import DeviceArray, DeviceImperfections
from crossramp.train.quantized.imperfections import Imperfections
from crossramp.train.quantized.quantized_network import QuantizedNetwork
from crossramp.train.quantized.update_program import BEFORE
from torch import nn

from tests.support.chips import macro_of

SPEC = Specification(inputs=12, units=8, classes=4, bias_rows=2)
CHIP = 7

# What the training graph simplifies: noise that belongs to ticks, and saturation on the way.
QUIET = ALL - {"read_noise", "thermal", "comparator_noise"}


class One(Imperfections):
    """One chip of a technology, without noise."""

    def __init__(self, technology, switches, spec=SPEC):
        super().__init__(spec)
        self.technology, self.switches = technology, switches

    def draw(self, levels, training, lines=None):
        programmed = integers(levels)
        if lines is not None:
            programmed = Weights(programmed, None, None, lines=integers(lines))
        self.chip = device(self.technology, self.spec, programmed, CHIP, switches=self.switches)
        return DeviceArray(self.chip, levels, None, None, lines)


def network_with(imperfections) -> QuantizedNetwork:
    torch.manual_seed(3)
    network = QuantizedNetwork(imperfections.spec, imperfections=[imperfections])
    nn.init.normal_(network.macros[0].weight, std=0.6)
    nn.init.normal_(network.macros[0].bias, std=0.8)
    return network


def second(array, pulses):
    """What the comparators see of c's pulses."""
    return array.seen(1, array.line(0, pulses, 1), {"q": pulses}, None)


def inputs(batch=30, steps=12):
    return torch.from_numpy(np.random.default_rng(4).integers(-15, 16, (batch, steps, SPEC.inputs)))


@pytest.mark.parametrize("name", ["rram", "pcm", "charge", "single-ended", "external"])
@pytest.mark.parametrize("switches", [QUIET, frozenset()], ids=["real", "ideal"])
def test_the_graph_is_the_instance(name, switches):
    """Every c and h equal, but where a value lies within a sixteenth of a MAC of a threshold."""
    changes = {"single-ended": {"pair": "single-ended"}, "external": {"ramp": "external"}}.get(name, {})
    one = One(load("rram" if changes else name).replace(changes), switches)
    network = network_with(one)
    with torch.no_grad():
        trace = network.integer_logits(inputs(), trace=True)[2][""]
    golden = macro_of(one.chip).run(inputs().numpy())
    step = (trace.hidden.transpose(0, 1).numpy() != golden.h).any(axis=2)
    first = trace.macs[0].transpose(0, 1).numpy()[:, 0] - golden.macs[:, 0]
    assert np.abs(first).max() < 1e-2 + 1e-5 * np.abs(golden.macs).max()
    assert step[:, 0].mean() <= (0 if not switches else 0.1)
    # A value that lies so near moves h by one, and most utterances go on as if nothing had happened.
    assert step.mean() <= (0 if not switches else 0.15)
    assert np.abs(trace.hidden.transpose(0, 1).numpy() - golden.h).mean() <= (0 if not switches else 0.05)


@pytest.mark.parametrize("switches", [QUIET, frozenset()], ids=["real", "ideal"])
@pytest.mark.parametrize("cell", [name for name in CELLS if name != "lstm"])
def test_the_graph_is_the_instance_of_every_cell(cell, switches):
    """As above; a first step from a state reset differs in hardly any h, and where nothing errs none does."""
    spec = Specification(inputs=12, units=8, classes=4, bias_rows=2, cell=cell)
    tech = load("rram").replace({"integrator.leakage_time": 2e-6})  # the droop of a bank that holds shows
    one = One(tech, switches, spec)
    network = network_with(one)
    with torch.no_grad():
        trace = network.integer_logits(inputs(), trace=True)[2][""]
    if switches and spec.layout.held:
        assert (one.chip.hold_gain < 0.99).all()
    golden = macro_of(one.chip).run(inputs().numpy())
    differ = (trace.hidden.transpose(0, 1).numpy() != golden.h).any(axis=2)
    assert differ[:, 0].mean() <= (0.1 if switches else 0)
    assert np.abs(trace.hidden.transpose(0, 1).numpy() - golden.h).mean() <= (0.1 if switches else 0)


@pytest.mark.parametrize("cell", CELLS)
def test_noise_of_every_cell_has_the_instances_spread(cell):
    """Standard deviations of 3,000 conversions, against golden's: what a bank holds has the noise of both windows."""
    spec = Specification(inputs=12, units=8, classes=4, bias_rows=2, cell=cell)
    tech = load("rram").replace({"pair": "single-ended", "cell.read_noise": 0.01})
    on = frozenset({"read_noise", "thermal", "comparator_noise"})
    network = network_with(DeviceImperfections(spec, tech, on, every="never", seed=2))
    (macro,) = network.macros
    levels = torch.cat([macro.weight_levels(), macro.bias_row_levels()])
    array = macro.imperfections.draw(levels, True, macro.line_levels())
    chip, golden, cell = array.chip, golden_array.DeviceArray(array.chip), spec.layout
    lengths = {"x": 7, "h": 13, **dict.fromkeys(cell.inner_rows, 9)}
    before, after = (lengths if cell.line_value is None else lengths | {cell.line_value: n} for n in (-6, 20))
    pulses = {name: torch.full((3000, 8), float(n)) for name, n in after.items()} | {
        BEFORE: torch.full((3000, 8), -6.0)
    }
    widths = {"x": spec.inputs, "h": spec.hidden}

    def filled(values):
        return {name: np.full((3000, widths.get(name, 8)), n) for name, n in values.items()}

    told = array.variance(torch.full((1, spec.inputs), 7.0)).expand(3000, -1)
    windows = []
    for number, values in zip(range(len(spec.conversions)), (before, after), strict=False):
        windows.append(step_window(spec, number, filled(values)))
        columns = spec.converted(number)
        found = array.seen(number, torch.zeros(3000, columns.stop - columns.start), pulses, told).double().numpy()
        seen = golden.values(golden.charge(windows), windows, np.arange(3000))
        expected = np.sqrt(seen.var(axis=0) + chip.comparator_noise**2)
        assert np.allclose(found.std(axis=0) / expected, 1, atol=0.12)
        shared = np.corrcoef(seen[:, 0], seen[:, -1])[0, 1]
        assert np.corrcoef(found[:, 0], found[:, -1])[0, 1] == pytest.approx(shared, abs=0.1)


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_of_every_cell_pass_every_effect(cell):
    spec = Specification(inputs=12, units=8, classes=4, bias_rows=2, cell=cell)
    network = network_with(DeviceImperfections(spec, load("rram"), calibrated=cell != "rnn_relu"))
    network(inputs(8, 5)).square().sum().backward()
    for parameter in network.parameters():
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.abs().max() > 0


def test_a_chip_with_late_comparators():
    one = One(load("rram").replace({"comparator.delay": 2e-8}), frozenset({"delay"}))
    network = network_with(one)
    with torch.no_grad():
        trace = network.integer_logits(inputs(), trace=True)[2][""]
    assert (one.chip.delays == 2).all()
    assert np.array_equal(trace.hidden.transpose(0, 1).numpy(), macro_of(one.chip).run(inputs().numpy()).h)


def test_noise_has_the_instances_spread():
    """The standard deviation of a column's value over 4,000 passes of one step, against golden's."""
    tech = load("rram").replace({"pair": "single-ended", "cell.read_noise": 0.01})
    on = frozenset({"read_noise", "thermal", "comparator_noise"})
    network = network_with(DeviceImperfections(SPEC, tech, on, every="never", seed=2))
    x = inputs(1, 1).expand(4000, 1, SPEC.inputs)
    network.train()
    with torch.no_grad():
        trace = network.integer_logits(x, trace=True)[2][""]
    found = trace.macs[0][0].double().numpy()
    (macro,) = network.macros
    chip = macro.imperfections.draw(torch.cat([macro.weight_levels(), macro.bias_row_levels()]), True).chip
    array = golden_array.DeviceArray(chip)
    pulses = np.full((4000, SPEC.rows), SPEC.input_max)
    pulses[:, : SPEC.inputs], pulses[:, SPEC.inputs : -2] = x[:, 0].numpy(), 0
    values = array.values(array.charge([Window(pulses)]), [Window(pulses)], np.arange(4000))
    expected = np.sqrt(values.var(axis=0) + chip.comparator_noise**2)
    assert np.allclose(found.std(axis=0) / expected, 1, atol=0.12)
    assert np.corrcoef(found[:, 0], found[:, 20])[0, 1] == pytest.approx(
        np.corrcoef(values[:, 0], values[:, 20])[0, 1], abs=0.1
    )


def test_gradients_pass_every_effect():
    network = network_with(DeviceImperfections(SPEC, load("rram"), calibrated=True))
    network(inputs(8, 5)).square().sum().backward()
    for parameter in network.parameters():
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.abs().max() > 0


def test_draws_are_new_in_training_and_repeat_in_validation():
    drawn = DeviceImperfections(SPEC, load("rram"), seed=5)
    levels = torch.zeros(SPEC.rows, SPEC.columns)
    seeds = [drawn.draw(levels, True).chip.seed for _ in range(5)]
    assert len(set(seeds)) == 5
    first = [drawn.draw(levels, False).chip.seed for _ in range(10)]
    drawn.restart()
    assert [drawn.draw(levels, False).chip.seed for _ in range(10)] == first
    assert len(set(first)) == 8
    assert not set(first) & set(seeds)
    epochs = DeviceImperfections(SPEC, load("rram"), every="epoch", seed=5)
    same = [epochs.draw(levels, True).chip.seed for _ in range(2)]
    epochs.next_epoch()
    assert same[0] == same[1] != epochs.draw(levels, True).chip.seed


def test_every_recipes_seed_has_chips_of_its_own():
    """None is met by two runs, by training and validation both, or by an evaluation, whose seeds are small."""
    levels, met = torch.zeros(SPEC.rows, SPEC.columns), {}
    for seed in (0, 1, 2, 2**31 - 1):
        for every, draws in (("batch", 4), ("epoch", 2)):
            one = DeviceImperfections(SPEC, load("rram"), frozenset(), every=every, seed=seed)
            found = set()
            for _ in range(draws):
                found.add(one.draw(levels, True).chip.seed)
                one.next_epoch()
            assert len(found) == draws
            met.setdefault(seed, set()).update(found)
    seeds = [number for found in met.values() for number in found]
    assert len(seeds) == len(set(seeds)) == 4 * 4
    validation = {one.draw(levels, False).chip.seed for _ in range(20)}
    assert len(validation) == 8
    assert min(validation) >= 1 << 31
    assert min(seeds) > max(validation)


def test_validation_draws_the_same_noise_every_time():
    one = DeviceImperfections(SPEC, load("rram"), seed=5)
    levels = torch.zeros(SPEC.rows, SPEC.columns)

    def drawn():
        array = one.draw(levels, False)
        first = array.seen(
            0, torch.zeros(3, SPEC.columns), {"h": torch.ones(3, SPEC.units)}, array.variance(torch.ones(3, 12))
        )
        return [torch.from_numpy(np.stack(array.thresholds)), first, second(array, torch.full((3, SPEC.units), 9.0))]

    one.restart()
    kept = [drawn() for _ in range(2)]
    one.restart()
    again = [drawn() for _ in range(2)]
    for a, b in zip(kept, again, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert not any(torch.equal(x, y) for x, y in zip(*kept, strict=True))


def test_noise_of_states_and_ramps_has_the_instances_spread():
    """Of one chip, by 3,000 draws: of c's pulses the square of their length, of ramps all steps up to a tick."""
    tech = load("rram").replace({"cell.read_noise": 0.02, "cell.read_noise_limit": 0.1})
    on = frozenset({"read_noise", "thermal", "comparator_noise", "ramp_cells"})
    imperfections = DeviceImperfections(SPEC, tech, on, every="never", seed=2)
    array = imperfections.draw(torch.zeros(SPEC.rows, SPEC.columns), True)
    chip = array.chip
    for pulse in (0.0, 9.0, -31.0):
        found = second(array, torch.full((3000, SPEC.units), pulse)).double()
        constant = (chip.noise_variance + chip.comparator_noise**2)[16:24]
        expected = np.sqrt(pulse**2 * chip.state_variance + constant)
        assert found.std(0).numpy() / expected == pytest.approx(np.ones(SPEC.units), abs=0.07)
    assert (31**2 * chip.state_variance > 0.1 * constant).all()
    # Of the first conversion: x rows and bias rows as told, and h's rows by the codes at hand.
    hidden = torch.full((3000, SPEC.units), 13.0)
    told = array.variance(torch.full((1, SPEC.inputs), 7.0)).expand(3000, -1)
    found = array.seen(0, torch.zeros(3000, SPEC.columns), {"h": hidden}, told).double()
    clocks = np.repeat([7.0, 13.0, 15.0], [SPEC.inputs, SPEC.units, 2])
    expected = np.sqrt(clocks**2 @ chip.variance + chip.noise_variance + chip.comparator_noise**2)
    assert found.std(0).numpy() / expected == pytest.approx(np.ones(SPEC.columns), abs=0.07)
    levels = np.array([array._levels(None) for _ in range(1000)])
    expected = np.sqrt(np.cumsum(chip.ramp_noise**2, axis=1)) * chip.rise
    assert levels.std(axis=0) / expected == pytest.approx(np.ones(expected.shape), abs=0.1)
    assert levels.mean(axis=0) == pytest.approx(chip.levels(), abs=5 * expected.max() / np.sqrt(1000))


@pytest.mark.parametrize("calibrated", [False, True])
def test_ramps_stand_where_the_recipe_says(calibrated):
    drawn = DeviceImperfections(SPEC, load("pcm"), QUIET, calibrated=calibrated)
    array = drawn.draw(torch.zeros(SPEC.rows, SPEC.columns), True)
    nominal, settled = array.chip.levels(), array.chip.levels(calibrate(array.chip).cells)
    assert np.abs(settled - nominal).max() > 1
    assert np.array_equal(np.stack(array.thresholds), settled if calibrated else nominal)


def test_draws_go_on_where_they_were_kept():
    levels = torch.zeros(SPEC.rows, SPEC.columns)
    one = DeviceImperfections(SPEC, load("rram"), seed=5)
    one.draw(levels, True)
    torch.randn(3, generator=one._noise)
    kept = one.state_dict()
    other = DeviceImperfections(SPEC, load("rram"), seed=5)
    other.load_state_dict(kept)
    a, b = one.draw(levels, True), other.draw(levels, True)
    assert a.chip.same(b.chip)
    assert all(np.array_equal(x, y) for x, y in zip(a.thresholds, b.thresholds, strict=True))


@pytest.mark.parametrize("name", SWITCHES)
def test_each_effect_can_be_trained_with_alone(name):
    network = network_with(DeviceImperfections(SPEC, load("rram"), frozenset({name, "ramp_cells"})))
    assert torch.isfinite(network(inputs(2, 2))).all()


@pytest.mark.parametrize(
    ("arguments", "message"), [({"every": "week"}, "every is 'week'"), ({"seed": -1}, "seed is -1")]
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        DeviceImperfections(SPEC, load("rram"), **arguments)
