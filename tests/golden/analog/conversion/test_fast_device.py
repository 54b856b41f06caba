# SPDX-License-Identifier: Apache-2.0
"""Device instances at speed: every h equal to the instance's own run, whatever errs and however the type rounds."""

from statistics import NormalDist

import numpy as np
import pytest
from crossramp.golden.analog.chip import sampling
from crossramp.golden.analog.conversion.device import grid_bits, on_grid
from crossramp.golden.analog.fast import fast_charge, fast_device, fast_ramp
from crossramp.golden.analog.fast.fast_device import FastDevice
from crossramp.golden.analog.technologies import technology
from crossramp.golden.macro.lstm import Lstm
from crossramp.golden.network.model_file import load_model
from crossramp.golden.spec.specification import Specification
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.chips import EFFECTS, device_of, macro_of
from tests.support.strategies import ALL_CELLS, inputs_of, network_of, seeds, specifications

KEYWORDS = Specification(inputs=12, units=9, classes=3, bias_rows=2, state_pulse_bits=6)

#: What an instance is drawn with: one effect, any of them, or all.
effect_sets = st.one_of(
    st.just(EFFECTS), st.sampled_from(EFFECTS).map(lambda name: (name,)), st.sets(st.sampled_from(EFFECTS)).map(tuple)
)


def lstm_of(spec: Specification, seed: int, effects=EFFECTS) -> Lstm:
    network = network_of(spec, seed)
    device = device_of(spec, network.weights.macro, seed, effects)
    # As strong as compression may be: a stronger one turns the order of the largest values around.
    window = fast_charge.Window(device)
    most = 2.9 / (window.largest + window.largest_noise)
    device = device.replace(compression=min(device.compression, most))
    return macro_of(device, projection=network.weights.projection)


def assert_equal(lstm: Lstm, x: np.ndarray, first: np.ndarray | None = None):
    quick = FastDevice.of(lstm)
    assert quick is not None
    expected = lstm.hidden(x, first)
    assert np.array_equal(quick.hidden(x, first), expected)
    assert np.array_equal(quick.sums(x, first), expected.sum(axis=1))
    assert np.array_equal(quick.last(x, first), expected[:, -1])


@settings(max_examples=60)
@given(specifications(), seeds, effect_sets)
def test_every_h_equals_the_instances_own(spec, seed, effects):
    spec = spec.replace(state_bits=min(spec.state_bits, 16), state_frac_bits=min(spec.state_frac_bits, 15))
    lstm = lstm_of(spec, seed, effects)
    quick = FastDevice.of(lstm)
    x = inputs_of(spec, seed, batch=5, steps=3)
    if quick is not None:
        assert np.array_equal(quick.hidden(x), lstm.hidden(x))


@pytest.mark.parametrize("effect", EFFECTS)
def test_one_effect(effect, seed):
    lstm = lstm_of(KEYWORDS, seed, (effect,))
    assert_equal(lstm, inputs_of(KEYWORDS, seed, batch=67, steps=4))


@pytest.mark.parametrize(("latch", "projection"), [("last_high", 0), ("first_trip", 0), ("last_high", 5)])
@pytest.mark.parametrize("adc_bits", [3, 5, 8])
def test_all_effects(latch, projection, adc_bits, seed):
    spec = KEYWORDS.replace(latch=latch, adc_bits=adc_bits, projection=projection)
    lstm = lstm_of(spec, seed)
    first = np.random.default_rng(seed).integers(0, 1 << 20, 67)
    assert_equal(lstm, inputs_of(spec, seed, batch=67, steps=4), first)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ideal_instance_is_the_integer_model(dtype, seed, monkeypatch):
    monkeypatch.setattr(fast_device, "_TYPES", (dtype,))
    network = network_of(KEYWORDS, seed)
    lstm = lstm_of(KEYWORDS, seed, ())
    x = inputs_of(KEYWORDS, seed, batch=9, steps=5)
    assert FastDevice.of(lstm).dtype is dtype
    assert np.array_equal(FastDevice.of(lstm).hidden(x), network.lstm.hidden(x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["rram", "pcm", "charge"])
def test_the_shipped_model_in_each_technology(name, dtype, seed, monkeypatch):
    monkeypatch.setattr(fast_device, "_TYPES", (dtype,))
    model = load_model("kws")
    device = sampling.device(technology.load(name), model.spec, model.network.weights.macro, seed)
    # Blocks of different sizes, the last one smaller.
    monkeypatch.setattr(fast_device, "_BLOCK", 40 * model.spec.columns)
    assert_equal(macro_of(device), inputs_of(model.spec, seed, batch=75, steps=4))


def test_where_no_type_is_exact_there_is_no_fast_path(seed):
    assert FastDevice.of(lstm_of(KEYWORDS.replace(state_bits=20), seed, ())) is None
    squeezed = lstm_of(KEYWORDS, seed, ()).array.device.replace(compression=1.0)
    assert FastDevice.of(macro_of(squeezed)) is None


@pytest.mark.parametrize("cell", ALL_CELLS[1:])
def test_cells_but_the_lstm_take_the_general_path(cell, seed):
    spec = Specification(inputs=5, units=4, classes=3, cell=cell)
    weights = network_of(spec, seed).weights
    assert FastDevice.of(macro_of(device_of(spec, weights.macro, seed, lines=weights.lines))) is None


def test_inputs_are_checked_as_the_instance_checks_them(seed):
    lstm = lstm_of(KEYWORDS, seed, ())
    for x in (np.zeros((2, 0, 12), int), np.full((1, 1, 12), 16), np.zeros((1, 1, 12))):
        with pytest.raises(ValueError, match="x"):
            lstm.hidden(x)
        with pytest.raises(ValueError, match="x"):
            FastDevice.of(lstm).hidden(x)


# ---- planted faults -----------------------------------------------------------------------------------------------


def differs(seed, effects, batch=200) -> bool:
    lstm = lstm_of(KEYWORDS, seed, effects)
    x = inputs_of(KEYWORDS, seed, batch=batch, steps=4)
    return not np.array_equal(FastDevice.of(lstm).hidden(x), lstm.hidden(x))


def test_fault_rounding_that_nobody_doubts(seed, monkeypatch):
    """Values as near to thresholds as float32's errors: without doubt, some code would be another."""
    network = network_of(KEYWORDS, seed)
    device = device_of(KEYWORDS, network.weights.macro, seed, ())
    thirds = on_grid(device.weights / 3, grid_bits(KEYWORDS)[0])
    lstm = macro_of(device.replace(weights=thirds, offsets=device.offsets + 0.5))
    x = inputs_of(KEYWORDS, seed, batch=200, steps=4)
    expected = lstm.hidden(x)
    assert np.array_equal(FastDevice.of(lstm).hidden(x), expected)
    monkeypatch.setattr(FastDevice, "_error", lambda self, unit: fast_ramp.Error(-1e-9, 0.0, 0.0))
    assert not np.array_equal(FastDevice.of(lstm).hidden(x), expected)


@pytest.mark.parametrize("effects", [("comparator_noise",), ("ramp_noise",)])
def test_fault_decisions_that_nobody_doubts(seed, effects, monkeypatch):
    assert not differs(seed, effects)
    monkeypatch.setattr(fast_ramp, "BOUND", 0.1)
    if effects == ("ramp_noise",):
        monkeypatch.setattr(fast_ramp.Converter, "_doubt", lambda self, bank, z, index, mask: mask.fill(False))
    assert differs(seed, effects)


def test_fault_limits_that_nobody_meets(seed, monkeypatch):
    assert not differs(seed, ("limit",))
    monkeypatch.setattr(fast_charge.Charges, "_beyond", lambda self, pulses, met, charge: charge)
    assert differs(seed, ("limit",))


def test_fault_another_conversions_noise(seed, monkeypatch):
    assert not differs(seed, ("variance",))
    monkeypatch.setattr(fast_device.Draws, "advance", lambda self: None)
    assert differs(seed, ("variance",))


# ---- bounds ---------------------------------------------------------------------------------------------------------


def used_margins(lstm, x, monkeypatch) -> list[float]:
    """How much of its margin the worst error of each conversion uses, by the exact values of all columns."""
    used, real = [], fast_ramp.Converter.convert

    def convert(self, bank, z, out, exact, unused=None):
        real(self, bank, z, out, exact, unused)
        # z holds places in the table by now.
        columns, places = (array.ravel() for array in np.mgrid[bank.columns, : self.batch])
        error = np.abs(z.ravel().astype(float) - bank.table.in_cells(exact(columns, places)))
        margin = np.full(error.shape, bank.table.margin)
        if unused is not None:
            margin -= bank.table.share * unused(columns, places) * bank.table.per_cell
        used.append(float((error / margin).max()))

    with monkeypatch.context() as patch:
        patch.setattr(fast_ramp.Converter, "convert", convert)
        FastDevice.of(lstm).hidden(x)
    return used


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("effects", [(), ("weights", "offsets"), ("limit", "weights"), EFFECTS], ids=str)
def test_no_error_is_larger_than_its_bound(effects, dtype, seed, monkeypatch):
    """By thousands of values, each against its exact one. Random errors stay far below what rounding may do."""
    monkeypatch.setattr(fast_device, "_TYPES", (dtype,))
    used = []
    for number in range(3):
        lstm = lstm_of(KEYWORDS, seed + number, effects)
        used += used_margins(lstm, inputs_of(KEYWORDS, seed + number, batch=100, steps=3), monkeypatch)
    assert max(used) <= 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_margin_is_the_worst_that_rounding_can_do(dtype, seed, monkeypatch):
    """Of a sum of n products (Higham, Accuracy and Stability of Numerical Algorithms, 3.1): n roundings of Σ|w·x|.

    Beside them each value is offset, scaled and shifted: three more roundings of its place, which is nowhere larger
    than the largest value or level and the noise of a decision.
    """
    monkeypatch.setattr(fast_device, "_TYPES", (dtype,))
    lstm = lstm_of(KEYWORDS, seed, ("weights", "offsets", "comparator_noise"))
    device, unit = lstm.array.device, np.finfo(dtype).eps / 2
    sums = np.abs(device.weights).sum(axis=0).max() * KEYWORDS.input_max
    noise = 4.4 * device.comparator_noise
    place = sums + np.abs(device.offsets).max() + np.abs(lstm.array.levels).max() + 2 * noise
    least = KEYWORDS.rows * unit * sums + 3 * unit * place
    for bank in FastDevice.of(lstm).banks:
        margin = bank.table.margin / bank.table.per_cell
        assert least < margin < 3 * least


def test_bounds_on_noise_charges_and_the_ramps_end_hold(seed, monkeypatch):
    """Recomputed by the largest of everything: noise at its bound, lines at full scale, levels beyond any noise."""
    lstm = lstm_of(KEYWORDS, seed, tuple(set(EFFECTS) - {"falling_ramp"}))
    device, quick = lstm.array.device, FastDevice.of(lstm)
    most, window = KEYWORDS.input_max, fast_charge.Window(lstm.array.device)
    bound = NormalDist().inv_cdf(1 - 0.5 / 65536)
    own = np.sqrt((device.variance * most**2).sum(axis=0) + device.noise_variance).max()
    noise = bound * (own + np.sqrt((device.common_variance * most**2).sum()))
    assert window.largest_noise == pytest.approx(noise, rel=1e-9)
    # A charge at its column's end, less all noise, is still seen above every level with all of their noise.
    assert window.saturates
    levels = np.repeat(np.abs(lstm.array.levels).max(axis=1)[list(KEYWORDS.ramp_of_gate)], KEYWORDS.units)
    ramp_noise = (device.ramp_noise.sum(axis=1) * device.rise.max())[list(KEYWORDS.ramp_of_gate)]
    levels = levels + bound * (np.repeat(ramp_noise, KEYWORDS.units) + device.comparator_noise)
    y = np.maximum(quick.ends - noise, 0) * device.compression
    with np.errstate(invalid="ignore"):
        seen = (quick.ends - noise) / (1 + y / 2 + y * y / 12)
    finite = np.isfinite(quick.ends)
    assert (seen[finite] >= (levels + np.abs(device.offsets))[finite]).all()
    # What is left of the largest charge when its parts are known is never claimed to be more.
    unused = []
    real = fast_ramp.Converter.convert

    def convert(self, bank, z, out, exact, unused_of=None):
        if unused_of is not None:
            columns, places = (array.ravel() for array in np.mgrid[bank.columns, : self.batch])
            unused.append((columns, places, unused_of(columns, places)))
        real(self, bank, z, out, exact, unused_of)

    monkeypatch.setattr(fast_ramp.Converter, "convert", convert)
    x = inputs_of(KEYWORDS, seed, batch=20, steps=1)
    quick.hidden(x)
    pulses = np.full((20, KEYWORDS.rows), most)
    pulses[:, : KEYWORDS.inputs], pulses[:, KEYWORDS.inputs : -KEYWORDS.bias_rows] = np.abs(x[:, 0]), 0
    lines = np.vstack([device.weights[: -KEYWORDS.bias_rows], device.weights[-KEYWORDS.bias_rows :].sum(axis=0)])
    brought = np.concatenate([[0.0], np.cumsum(device.window)])[pulses[:, : -KEYWORDS.bias_rows + 1]]
    parts = brought @ np.abs(lines)
    assert len(unused) == 3 or len(unused) == 4
    for columns, places, left in unused:
        assert (left <= window.largest - parts[places, columns] + 1e-3).all()
        assert left.max() > 0


def test_a_compression_that_turns_back_has_no_fast_path(seed):
    """v(q) rises until q times the compression is sqrt(12): up to 3 it is taken."""
    lstm = lstm_of(KEYWORDS, seed, ())
    window = fast_charge.Window(lstm.array.device)
    for product, there in ((2.9, True), (3.1, False), (20.0, False)):
        device = lstm.array.device.replace(compression=product / (window.largest + window.largest_noise))
        assert (FastDevice.of(macro_of(device)) is not None) == there
