# SPDX-License-Identifier: Apache-2.0
"""Columns and ramps in ngspice: each voltage and tick is the behavioral model's, and a wrong deck is found out."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from crossramp.golden.analog.chip.sampling import ALL, sample
from crossramp.golden.analog.chip.translate import to_device
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.cell.description import Gate
from crossramp.golden.network.model_file import load_model
from crossramp.golden.network.network import Network
from crossramp.golden.spec.specification import Specification
from crossramp.sim.amaranth.step_trace import trace_step
from crossramp.sim.array.array_setup import ArraySetup
from crossramp.sim.spice.accuracy import OPTIONS, Accuracy
from crossramp.sim.spice.agreement import report
from crossramp.sim.spice.column_equation import window_volts
from crossramp.sim.spice.deck import Deck, build
from crossramp.sim.spice.pin_voltages import conversions
from crossramp.sim.spice.resistor_network import Lines
from crossramp.sim.spice.spice_step import NOISE, decks, golden_answers, simulate, spice_answers

from tests.support.designs import CELLS, SPECS, network_of
from tests.support.strategies import network_of as drawn_network

EFFECTS = ALL - NOISE


@cache
def shipped() -> Network:
    return load_model("kws").network


def chip(network, technology, effects, seed, step=1, changes=None):
    """One chip, and a step of a random utterance with it behind the gateware."""
    tech = load(technology).replace(changes or {})
    array = sample(tech, network.spec, network.weights, seed, switches=frozenset(effects))
    device = to_device(array)
    limit = network.spec.input_max
    x = np.random.default_rng(seed).integers(-limit, limit, (step + 1, network.spec.inputs), endpoint=True)
    waves = trace_step(network, x, step, ArraySetup(device))
    return SimpleNamespace(array=array, device=device, waves=waves, x=x, network=network)


def drawn(network, count, seed) -> list[int]:
    return np.random.default_rng(seed).choice(network.spec.columns, count, replace=False).tolist()


def compared(chip, columns, change=None, accuracy=None):
    """The report, and ngspice's answers; ``change`` edits the netlists first."""
    texts = decks(chip.array, chip.device, chip.waves, columns, accuracy=accuracy)
    if change is not None:
        texts = [Deck(change(deck.text), deck.columns, deck.ramps, deck.clock) for deck in texts]
    spice = spice_answers(chip.array, chip.waves, texts, simulate(texts, seconds=300, jobs=2))
    golden = golden_answers(chip.array, chip.device, chip.waves, columns)
    return report(chip.array, chip.waves, texts, spice, golden), spice, golden


def test_ideal_columns_trip_where_the_integers_do(seed):
    ideal = chip(shipped(), "rram", (), seed)
    content, spice, _ = compared(ideal, drawn(ideal.network, 32, seed))
    print(f"seed {seed}: at most {content['largest_mac']:.4f} MAC apart")
    assert content["agrees"]
    assert content["codes_differ"] == 0
    assert content["largest_mac"] < 0.02
    golden = ideal.network.run(ideal.x[None])
    assert np.array_equal(spice[0].codes, golden.codes[0, 1][list(spice[0].columns)])
    units = [column - 2 * ideal.network.spec.units for column in spice[1].columns]
    assert np.array_equal(spice[1].codes, golden.state_codes[0, 1][units])


@pytest.mark.parametrize(
    ("technology", "off"), [("rram", {"wires"}), ("pcm", {"wires"}), ("charge", set())], ids=["rram", "pcm", "charge"]
)
def test_columns_of_a_chip_agree(seed, technology, off):
    """With wires, the same is in test_wires_agree, with fewer columns, and in bench/spice_agreement.py, with all."""
    real = chip(shipped(), technology, EFFECTS - off, seed + 10)
    content, spice, golden = compared(real, drawn(real.network, 32, seed))
    print(f"seed {seed}: {content['largest_mac']:.4f} MAC apart, {content['unexplained_mac']:.4f} unexplained")
    assert content["agrees"]
    assert sum(len(part["rows"]) for part in content["conversions"]) == len(spice[0].columns) + len(spice[1].columns)
    for part, ours, theirs in zip(content["conversions"], spice, golden, strict=True):
        assert part["gateware_differ"] == 0
        assert part["ramp_mac"] < 0.02
        # What differs lies nearer to the ramp than the voltages are apart: nothing else may.
        apart = np.abs(ours.margins - theirs.margins).max()
        assert (np.abs(theirs.margins[ours.comparators != theirs.comparators]) <= apart).all()
        assert apart < 1.5 * real.array.volts_per_mac
        assert (ours.codes != theirs.codes).sum() <= 2


def test_wires_agree(seed):
    real = chip(shipped(), "rram", EFFECTS, seed)
    content, _, _ = compared(real, drawn(real.network, 3, seed))
    assert content["agrees"]
    # A deck without wires is another circuit, and is found out.
    bare = SimpleNamespace(**vars(real))
    bare.array = sample(
        real.array.technology, real.network.spec, real.network.weights.macro, seed, switches=EFFECTS - {"wires"}
    )
    texts = decks(bare.array, real.device, real.waves, drawn(real.network, 3, seed))
    spice = spice_answers(real.array, real.waves, texts, simulate(texts))
    golden = golden_answers(real.array, real.device, real.waves, drawn(real.network, 3, seed))
    assert not report(real.array, real.waves, texts, spice, golden)["agrees"]


def test_a_deck_of_all_columns_is_the_exact_network(seed):
    """No line is left out, and wires are fifty times the shipped ones."""
    changes = {"wires.row_resistance": 3.0, "wires.column_resistance": 9.0}
    network = drawn_network(SPECS["odd"].replace(inputs=4, units=2, lanes=1, bias_rows=1), seed)
    small = chip(network, "rram", {"wires"}, seed, changes=changes)
    columns = list(range(small.network.spec.columns))
    deck = build(small.array, small.waves, columns)
    assert "\nRload" not in deck.text
    spice = spice_answers(small.array, small.waves, [deck], simulate([deck]))
    window = conversions(small.waves)[0]
    exact = window_volts(small.array, small.waves, columns, window)
    bare = chip(small.network, "rram", (), seed).array
    drop = np.abs(window_volts(bare, small.waves, columns, window) - exact).max()
    assert np.abs(spice[0].window - exact).max() < 25e-6 < drop / 40


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize(
    ("technology", "changes"),
    [("rram", {}), ("rram", {"pair": "single-ended"}), ("charge", {})],
    ids=["rram", "single-ended", "charge"],
)
def test_other_cells_agree(seed, name, technology, changes):
    """All columns: banks that hold, lines of one cell or several, rows that do not cross every bank."""
    leaks = {"integrator.leakage_time": 4e-5}  # the droop between the windows shows
    other = chip(network_of(name, seed), technology, EFFECTS - {"wires"}, seed, changes=changes | leaks)
    # Small networks use the whole swing: finer than for the shipped one, whose columns stay near the middle.
    fine = Accuracy(options=OPTIONS.replace("reltol=1e-4", "reltol=1e-5"))
    content, spice, _ = compared(other, range(other.network.spec.columns), accuracy=fine)
    print(f"seed {seed}: {content['largest_mac']:.4f} MAC apart, {content['unexplained_mac']:.4f} unexplained")
    assert content["agrees"]
    spec = other.network.spec
    assert [len(part.columns) for part in spice] == [len(codes) * spec.units for codes in spec.conversions]
    assert all(part["gateware_differ"] == 0 for part in content["conversions"])


TURNING = {
    "silu": {"cell": "dense", "gates": (Gate("silu", 2.0, 4),)},
    "bump, and a shorter ramp": {
        "cell": "gru",
        "adc_bits": 3,
        "gates": (Gate("gaussian", 2.0), Gate("sigmoid", 2.0), Gate("gelu", 2.0, 4)),
    },
}


@pytest.mark.parametrize("name", TURNING)
@pytest.mark.parametrize("technology", ["rram", "charge"])
def test_ramps_that_turn_agree(seed, name, technology):
    """Columns of every bank: two conversions of different length, ramps that end before others."""
    spec = Specification(inputs=6, units=3, classes=2, **TURNING[name])
    real = chip(drawn_network(spec, seed), technology, EFFECTS - {"wires"}, seed)
    fine = Accuracy(options=OPTIONS.replace("reltol=1e-4", "reltol=1e-5"))
    content, spice, _ = compared(real, range(spec.columns), accuracy=fine)
    assert content["agrees"]
    assert all(part["gateware_differ"] == 0 for part in content["conversions"])
    assert [part.comparators.shape[1] for part in spice] == list(spec.conversion_ticks)


@pytest.mark.parametrize("technology", ["rram", "charge"])
def test_a_bank_that_is_reset_between_its_windows_is_found_out(seed, technology):
    real = chip(network_of("gru", seed), technology, (), seed)
    held = [real.network.spec.column("n", unit) for unit in range(real.network.spec.units)]
    assert compared(real, held)[0]["agrees"]
    content, _, _ = compared(real, held, change=lambda text: text.replace(" reset_1 integrator", " reset integrator"))
    assert not content["agrees"]


@pytest.mark.parametrize(
    ("technology", "changes"),
    [
        ("rram", {"pair": "single-ended"}),
        ("rram", {"ramp": "external"}),
        ("charge", {"ramp": "external"}),
        ("rram", {"integrator.gain": 300.0, "integrator.early_voltage": 8.0, "integrator.leakage_time": 2e-6}),
        ("rram", {"comparator.delay": 22e-9}),
    ],
    ids=["single-ended", "external", "charge-external", "poor-amplifier", "late"],
)
def test_other_circuits_agree(seed, technology, changes):
    """Another specification: first trip, four ramps, three clocks of settling."""
    other = chip(network_of("odd", seed), technology, EFFECTS - {"wires"}, seed, changes=changes)
    columns = range(20)
    if "comparator.delay" in changes:  # the model shows late comparators high at first, also below the ramp's start
        start = other.device.starts(other.device.nominal)[np.repeat(other.network.spec.ramp_of_gate, 5)]
        window = golden_answers(other.array, other.device, other.waves, columns)[0].window
        columns = np.flatnonzero(window / other.array.volts_per_mac > start + 1).tolist()
        assert len(columns) > 5
        assert (other.device.delays == 2).all()
    content, _, _ = compared(other, columns)
    if "integrator.gain" in changes:  # beyond what the behavioral ramp of a good amplifier promises
        assert content["unexplained_mac"] < 0.1
    else:
        assert content["agrees"]
        assert content["codes_differ"] == 0


@pytest.mark.parametrize("technology", ["rram", "charge"])
def test_saturated_columns_lose_what_is_beyond_the_rail(seed, technology):
    network = network_of("odd", seed)
    spec = network.spec
    weights = np.full_like(network.weights.macro, spec.weight_max)
    weights[::2, ::3] = -spec.weight_max  # these columns turn back within the window
    network = Network(spec, network.weights.replace(macro=weights))
    effects = {"saturation"}
    full = chip(network, technology, effects, seed, changes={"integrator.saturation": 0.55})
    content, spice, _ = compared(full, range(20))
    rail = full.array.technology["integrator.saturation"]
    assert np.abs(spice[0].window).max() == pytest.approx(rail, rel=1e-4)
    assert content["agrees"]
    assert content["codes_differ"] == 0


def test_finer_steps_and_edges_change_nothing(seed):
    """Edges a fifth as long, steps a quarter: what is left of the difference is theirs."""
    real = chip(network_of("odd", seed), "rram", EFFECTS - {"wires"}, seed)
    _, coarse, _ = compared(real, range(4))
    fine = Accuracy(edge=4e-6, step=0.125, options="reltol=1e-5 vntol=1e-9 abstol=1e-13 chgtol=1e-19 trtol=1")
    _, finer, _ = compared(real, range(4), accuracy=fine)
    for ours, theirs in zip(coarse, finer, strict=True):
        assert np.abs(ours.window - theirs.window).max() < 25e-6
        assert np.abs(ours.ramps - theirs.ramps).max() < 25e-6
        assert np.array_equal(ours.comparators, theirs.comparators)


@pytest.fixture(scope="module")
def real():
    return chip(network_of("odd", 5), "rram", EFFECTS - {"wires"}, 5)


class TestPlantedFaults:
    """Each is one wrong thing in a deck that agrees without it."""

    def changed(self, real, old: str, new) -> dict:
        def change(text):
            lines = text.splitlines(keepends=True)
            places = [k for k, line in enumerate(lines) if line.startswith(old)]
            assert places, old
            lines[places[0]] = new(lines[places[0]])
            return "".join(lines)

        return compared(real, [0, 11], change)[0]

    def test_none(self, real):
        assert compared(real, [0, 11])[0]["agrees"]

    def test_a_cell_of_another_weight(self, real):
        driven = int(np.flatnonzero(real.waves.rows.any(axis=0))[0])
        name = real.network.spec.column_name(0)
        line = Lines.of(real.array).names.index(f"{name}p")
        ohm = 1 / Lines.of(real.array).cells[driven, line].item()
        content = self.changed(real, f"Rcell{driven}_{name}p ", lambda line: line.replace(repr(ohm), repr(ohm * 1.05)))
        assert not content["agrees"]

    def test_a_tap_a_tick_late(self, real):
        content = self.changed(real, "Xramp0_tap3 ", lambda line: line.replace(" tap3 ", " tap4 "))
        assert not content["agrees"]
        assert content["conversions"][0]["ramp_mac"] > 0.1

    def test_a_row_of_the_other_sign(self, real):
        driven = int(np.flatnonzero(real.waves.rows.any(axis=0))[0])
        content = self.changed(
            real, f"Vrow{driven} ", lambda line: line.replace(f"row{driven} 0 ", f"0 row{driven} ", 1)
        )
        assert not content["agrees"]

    def test_a_comparator_with_another_offset(self, real):
        content = self.changed(real, "Xcmp_", lambda line: line.rpartition("=")[0] + "=0.2\n")
        assert not content["agrees"]

    def test_an_integrator_that_is_not_emptied(self, real):
        content = self.changed(real, "Xcolumn_g1 ", lambda line: line.replace(" reset integrator", " 0 integrator"))
        assert not content["agrees"]
