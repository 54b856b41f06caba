# SPDX-License-Identifier: Apache-2.0
"""Device instances: the vectorized conversion against the arithmetic written out, value by value and tick by tick."""

import math

import numpy as np
import pytest
from crossramp.golden.analog.conversion import noise
from crossramp.golden.analog.conversion.device import DeviceError, DeviceInstance, grid_bits, on_grid
from crossramp.golden.analog.conversion.device_array import DeviceArray, drooped
from crossramp.golden.array.array_protocol import IdealArray, Window, first_conversions, undriven
from crossramp.golden.array.ramps import latch, latched_codes
from crossramp.golden.macro.lstm import Lstm
from crossramp.golden.spec.specification import Specification
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.chips import device_of, effects_of, macro_of, windows_of
from tests.support.strategies import ALL_CELLS, inputs_of, network_of, seeds, specifications


def charged(device: DeviceInstance, windows, conversion: int, c: int, xi, common: int) -> float:
    """The charge of one column, with noise: points 1 and 2 of :mod:`golden.analog.device`, in plain loops.

    ``windows``: of a step so far, pulses of the rows and of the lines' wires, each a list or None.
    """
    spec = device.spec
    gate, unit = spec.bank_of_column(c), spec.unit_of_column(c)
    bits = sum(grid_bits(spec))
    held = spec.layout.windows(gate, conversion)
    crossing = spec.crossing_of_gate[spec.gate_names.index(gate)]
    q, variance, shared = 0.0, 0.0, 0.0
    for index in held:
        window, limit = [(device.window, device.limit), (device.state_window, device.state_limit)][index]
        rows, lines = windows[index]
        pulses = [] if rows is None else list(zip(rows, device.weights[:, c], device.variance[:, c], strict=True))
        for number, cell in enumerate(spec.line_cells):
            if lines is not None and cell.bank == gate:
                wire = spec.layout.lines.index(cell.line) * spec.units + unit
                place = number * spec.units + unit
                pulses.append((lines[wire], device.state_cells[place], device.state_variance[place]))
        if index != held[0]:
            q = math.floor(q * float(device.hold_gain[spec.layout.held.index(gate)]) * 2**bits + 0.5) / 2**bits
        for t in range(1, len(window) + 1):
            driven = sum(math.copysign(cell, n * cell) for n, cell, _ in pulses if abs(n) >= t and cell)
            q = min(max(q + window[t - 1] * driven, -limit[t - 1]), limit[t - 1])
        variance += sum(float(n) ** 2 * v for n, _, v in pulses)
        if rows is not None:
            shared += sum(float(n) ** 2 * v for n, v in zip(rows, device.common_variance[:, crossing], strict=True))
    q += math.sqrt(shared) * xi(common + crossing) if device.common_variance.any() else 0.0
    return q + math.sqrt(variance + device.noise_variance[c]) * xi(c)


def written_out(device: DeviceInstance, windows, conversion: int, calibration) -> tuple[list[float], list[int]]:
    """Values and codes of one conversion by :mod:`golden.analog.device`'s points 1 to 5, in plain loops."""
    spec, second = device.spec, len(windows) - 1

    def groups(count):
        return -(-count // 4) * 4

    ramp_first = groups(spec.columns)
    decision_first = ramp_first + groups(len(spec.ramps) * spec.ticks)
    common = decision_first + groups(spec.ticks * spec.columns)

    def xi(number):
        word = int(noise.words(noise.key(device.seed), np.array([conversion]), number // 4)[0])
        return float(noise.table()[word >> 16 * (number % 4) & 0xFFFF])

    start = [
        device.ramp_start[r]
        + sum(cell for cell, on in zip(device.calibration_cells[r], calibration[r], strict=True) if on)
        for r in range(len(spec.ramps))
    ]
    seen, codes = [], []
    for c in range(spec.columns)[spec.converted(second)]:
        q = charged(device, windows, second, c, xi, common)
        y = abs(q) * device.compression
        v = q / (1.0 + y / 2.0 + y * y / 12.0) + device.offsets[c]
        seen.append(v)
        r = int(spec.ramp_of_column[c])
        level, decided, walk = start[r], [], spec.ramp_walks[r]
        for k in range(1, walk.ticks + 1):
            step = device.ramp_steps[r, k - 1]
            if device.ramp_noise.any():
                step = step + device.ramp_noise[r, k - 1] * xi(ramp_first + r * spec.ticks + k - 1)
            level = level + step
            chatter = device.comparator_noise * xi(decision_first + (k - 1) * spec.columns + c)
            decided.append(v + chatter > level * device.rise[k - 1])
        late = device.delays[c]
        shown = [True] * min(late, walk.ticks) + decided[: max(walk.ticks - late, 0)]
        codes.append(walk.codes[int(latch(np.array(shown)[:, None], spec.latch)[0])])
    return seen, codes


@settings(max_examples=60)
@given(
    specifications(max_units=3, max_inputs=4, max_bits=5, cells=ALL_CELLS, any_ramps=True),
    seeds,
    st.data(),
)
def test_conversions_are_the_arithmetic_written_out(spec, seed, data):
    effects = effects_of(spec)
    chosen = data.draw(st.sampled_from([(effect,) for effect in effects] + [effects] * 6), label="effects")
    rng, weights = np.random.default_rng(seed), network_of(spec, seed).weights
    device = device_of(spec, weights.macro, seed, chosen, weights.lines)
    calibration = rng.integers(0, 2, device.nominal.shape).astype(bool)
    array = DeviceArray(device, calibration)
    numbers = rng.integers(0, 2**20, 3)
    windows = windows_of(spec, rng, 3)
    for k in range(len(windows)):
        values, codes = array.convert(windows[: k + 1], numbers)
        shown = array.comparators(values, numbers, k == 1)
        assert np.array_equal(codes, latched_codes(spec, shown, spec.converted(k)))
        expected = []
        for b in range(3):
            mine = [tuple(None if codes is None else codes[b].tolist() for codes in window) for window in windows]
            expected.append(written_out(device, mine[: k + 1], int(numbers[b]), calibration))
        assert [(v.tolist(), found.tolist()) for v, found in zip(values, codes, strict=True)] == expected


@settings(max_examples=60)
@given(specifications(max_units=5, cells=ALL_CELLS, any_ramps=True), seeds)
def test_the_ideal_instance_is_the_ideal_macro(spec, seed):
    network, x = network_of(spec, seed), inputs_of(spec, seed, batch=3, steps=4)
    device = DeviceInstance.ideal(spec, network.weights.macro, lines=network.weights.lines)
    ideal = network.run(x)
    lstm = macro_of(device, projection=network.weights.projection)
    real = lstm.run(x)
    assert np.array_equal(lstm.hidden(x), ideal.h)
    if spec.projection:
        with pytest.raises(ValueError, match="projection_weights are missing"):
            macro_of(device)
    assert all(np.array_equal(getattr(ideal, name), getattr(real, name)) for name in real.known())


@pytest.mark.parametrize("cell", ALL_CELLS)
def test_every_effect_of_every_cell_shows_in_codes(cell, seed):
    spec = Specification(inputs=5, units=4, classes=3, cell=cell)
    weights, x = network_of(spec, seed).weights, inputs_of(spec, seed, batch=20, steps=10)
    ideal = Lstm(spec, IdealArray(spec, weights.macro, lines=weights.lines)).run(x)
    shown = [name for name in ("codes", "state_codes") if name in ideal.known()]
    for effect in effects_of(spec):
        if effect != "calibration":
            real = macro_of(device_of(spec, weights.macro, seed, [effect], weights.lines)).run(x)
            assert any(not np.array_equal(getattr(ideal, name), getattr(real, name)) for name in shown), effect


SPEC = Specification(inputs=5, units=4, classes=3)


@pytest.fixture
def weights(rng):
    return rng.integers(-15, 16, (SPEC.rows, SPEC.columns))


def test_noise_belongs_to_the_conversion_not_to_the_batch(weights, rng):
    """An utterance gives the same codes alone, in a batch, and in any order, if its conversions are numbered alike."""
    lstm = macro_of(device_of(SPEC, weights, 3))
    x = rng.integers(-15, 16, (6, 7, SPEC.inputs))
    whole, first = lstm.run(x), first_conversions(lstm.spec, 6, 7)
    for k in (0, 4):
        alone = lstm.run(x[k : k + 1], first[k : k + 1])
        assert np.array_equal(alone.codes[0], whole.codes[k])
    assert np.array_equal(lstm.hidden(x), whole.h)
    again = lstm.run(x[::-1], first[::-1])
    assert np.array_equal(again.state_codes[::-1], whole.state_codes)
    assert not np.array_equal(lstm.run(x, first + 1).codes, whole.codes)


def test_another_seed_is_other_noise(weights, rng):
    device = device_of(SPEC, weights, 3, ["comparator_noise"])
    x = rng.integers(-15, 16, (6, 7, SPEC.inputs))
    codes = [macro_of(device.replace(seed=seed)).run(x).codes for seed in (1, 1, 2)]
    assert np.array_equal(codes[0], codes[1])
    assert not np.array_equal(codes[0], codes[2])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": np.zeros((2, 2))}, r"weights has the shape \(2, 2\); expected \(10, 16\)"),
        ({"offsets": np.full(16, np.nan)}, r"offsets\[0\] is .*nan"),
        ({"delays": np.full(16, 0.5)}, "delays holds float64"),
        ({"delays": np.full(16, 32)}, r"delays\[0\] is .*32"),
        ({"variance": np.full((10, 16), -1.0)}, r"variance\[0, 0\]"),
        ({"variance": np.full((10, 16), 901.0)}, r"variance\[0, 0\]"),
        ({"window": np.full(15, 1.5)}, r"window\[0\]"),
        ({"limit": np.full(15, -1.0)}, r"limit\[0\]"),
        ({"hold_gain": np.ones(1)}, r"hold_gain has the shape \(1,\); expected \(0,\)"),
        ({"compression": -1.0}, "compression is -1.0"),
        ({"comparator_noise": np.inf}, "comparator_noise is inf"),
        ({"seed": -1}, "seed is -1"),
        ({"ramp_steps": np.full((2, 31), np.inf)}, r"ramp_steps\[0, 0\]"),
        ({"weights": np.full((10, 16), 2.0**-30)}, r"weights\[0, 0\]"),
        ({"weights": np.full((10, 16), 15.0 * 8)}, "a column reaches .* no sum is exact"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(weights, changes, message):
    ideal = DeviceInstance.ideal(SPEC, weights)
    with pytest.raises(DeviceError, match=message):
        ideal.replace(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": np.ones((15, 12))}, r"weights\[5, 8\] is 1.0"),
        ({"variance": np.ones((15, 12))}, r"variance\[5, 8\] is 1.0"),
        ({"common_variance": np.ones((15, 2))}, r"common_variance\[5, 1\] is 1.0"),
        ({"hold_gain": np.full(1, 1.5)}, r"hold_gain\[0\] is 1.5"),
        ({"hold_gain": np.full(1, -0.5)}, r"hold_gain\[0\] is -0.5"),
    ],
)
def test_numbers_where_a_gru_has_none_are_refused(changes, message):
    spec = Specification(inputs=5, units=4, classes=3, cell="gru", bias_rows=2)
    with pytest.raises(DeviceError, match=message):
        DeviceInstance.ideal(spec, network_of(spec, 1).weights.macro).replace(**changes)


def test_what_a_bank_that_holds_has_left_is_on_the_grid(rng):
    """A factor of any value: sums of what is left and what comes stay exact, in any order; 1 changes nothing."""
    spec = Specification(inputs=5, units=4, classes=3, cell="gru")
    bits = sum(grid_bits(spec))
    charge = np.rint(rng.uniform(-1000, 1000, 10_000) * 2.0**bits) * 2.0**-bits
    for gain in (1.0, 0.0, 0.1, *rng.random(20)):
        left = drooped(charge, gain, bits)
        assert np.array_equal(left * 2.0**bits, np.rint(left * 2.0**bits))
        assert np.abs(left - charge * gain).max() <= 2.0 ** -(bits + 1) + 1e-12
    assert np.array_equal(drooped(charge, 1.0, bits), charge)


def test_sums_are_exact_in_any_order(weights, rng):
    """Ten thousand orders of adding up: one result, bit for bit."""
    device = device_of(SPEC, weights, 7, ["weights", "leak"])
    array = DeviceArray(device)
    pulses = rng.integers(-15, 16, (1, SPEC.rows))
    sums = set()
    parts = array._charges[0][pulses[0] + 15][:, None] * device.weights
    for _ in range(10_000):
        total = np.zeros(SPEC.columns)
        for part in parts[rng.permutation(len(parts))]:
            total += part
        sums.add(total.tobytes())
    assert sums == {array.charge([Window(pulses)])[0].tobytes()}


def test_the_grid_is_far_below_any_error():
    cells, window = grid_bits(SPEC)
    assert cells == window == 19
    assert on_grid(0.3, cells) == pytest.approx(0.3, abs=2.0**-20)


def test_a_limit_that_is_met_on_the_way_alone_counts():
    """10 a clock for 3 clocks and -1 for 15: at most 27, 15 in the end; held at 20, it is 8 in the end."""
    weights = np.zeros((SPEC.rows, SPEC.columns), int)
    weights[0], weights[1] = 10, -1
    device = DeviceInstance.ideal(SPEC, weights)
    pulses = np.zeros((1, SPEC.rows), int)
    pulses[0, :2] = 3, 15
    assert (DeviceArray(device).charge([Window(pulses)]) == 15).all()
    assert (DeviceArray(device.replace(limit=np.full(15, 20.0))).charge([Window(pulses)]) == 8).all()
    assert (DeviceArray(device.replace(limit=np.full(15, 27.0))).charge([Window(pulses)]) == 15).all()
    assert (DeviceArray(device.replace(limit=np.full(15, 20.0))).charge([Window(-pulses)]) == -8).all()


def test_a_limit_counts_from_what_a_bank_holds():
    """15 are held; 10 in one clock, and -1 for 15 clocks: 10 in the end; held at 20 on the way, 6."""
    spec = Specification(inputs=2, units=2, classes=2, cell="gru")
    weights = np.zeros((spec.rows, spec.columns), int)
    n, k = spec.bank("n"), spec.rows_of("k")
    weights[0, n], weights[k.start, n], weights[k.start + 1, n] = 1, 10, -1
    device = DeviceInstance.ideal(spec, weights)
    windows = [undriven(spec, number, 1) for number in range(2)]
    windows[0].rows[0, 0] = 15
    windows[1].rows[0, k] = 1, 15
    assert (DeviceArray(device).charge(windows) == 10).all()
    held = device.replace(state_limit=np.full(15, 20.0))
    assert (DeviceArray(held).charge(windows) == 6).all()
    assert (DeviceArray(held.replace(hold_gain=np.zeros(1))).charge(windows) == -5).all()
    lower = device.replace(limit=np.full(15, 12.0))
    assert (DeviceArray(lower).charge(windows) == 7).all()
