# SPDX-License-Identifier: Apache-2.0
"""Each stream of random numbers decides one thing: exchanged one at a time, only what it is drawn for changes."""

import dataclasses

import numpy as np
import pytest
from crossramp.golden.analog.chip import sampling
from crossramp.golden.analog.chip.cell_sampling import _DRAWS, _PARTS
from crossramp.golden.analog.chip.sampling import sample
from crossramp.golden.analog.chip.translate import to_device
from crossramp.golden.analog.conversion import device_array
from crossramp.golden.analog.conversion.noise import key, table, words
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.spec.specification import Specification

from tests.support.chips import NOISES, device_of, macro_of
from tests.support.strategies import inputs_of, network_of

SPEC = Specification(inputs=6, units=10, classes=2, bias_rows=1, adc_bits=4)
WEIGHTS = np.random.default_rng(4).integers(-15, 16, (SPEC.rows, SPEC.columns))
# Every kind of draw shows: many stuck cells, aging of each kind, spare columns.
STRONG = {
    "cell.stuck_on": 0.15,
    "cell.stuck_off": 0.15,
    "cell.fault_aware": 0,
    "cell.drift_spread": [0, 0.02, 0, 1],
    "ramp.spares": 2,
    "integrator.mismatch": 0.01,
    "read.voltage_spread": 0.05,
}
#: What a stream decides, by part and draw; of the parts that are pairs, by whether its number is even or odd.
OWN = {
    "weights": (("positive",), ("negative",)),
    "references": (("negative",),),
    "state": (("state_positive",), ("state_negative",)),
    "ramp": (("ramp",), ("ramp_negative",)),
    "start": (("ramp_start",), ("ramp_start_negative",)),
    "calibration": (("calibration",), ("calibration_negative",)),
    ("columns", "mismatch"): (("column_capacitance",),),
    ("columns", "offset"): (("offset",),),
    ("columns", "delay"): (("delay",),),
    ("ramp", "mismatch"): (("ramp_capacitance",),),
    ("chip", "voltage"): (("read_voltage", "ramp_voltage"),),
    ("chip", "external"): ((),),  # drawn in the translation to a device
}


def technology_of(name, **more):
    single = {"single-ended": {"pair": "single-ended"}, "external": {"ramp": "external"}}.get(name, {})
    tech = load("rram" if single else name)
    changes = {key: value for key, value in (STRONG | single | more).items() if "." not in key or key in tech.names}
    return tech.replace(changes)


class Streams:
    """Keeps the keys of all streams that are made, and exchanges the one of ``other``."""

    def __init__(self, monkeypatch):
        self.real, self.seen, self.other = np.random.SeedSequence, set(), None
        monkeypatch.setattr(np.random, "SeedSequence", self)

    def __call__(self, seed, *, spawn_key):
        self.seen.add(spawn_key)
        return self.real(seed + (spawn_key == self.other), spawn_key=spawn_key)


def changed(first, second) -> set[str]:
    """Fields of two arrays or instances that differ."""
    names = [item.name for item in dataclasses.fields(first)]
    return {name for name in names if not np.array_equal(getattr(first, name), getattr(second, name))}


@pytest.mark.parametrize("name", ["rram", "charge", "single-ended"])
def test_a_stream_changes_what_it_is_drawn_for_and_nothing_else(name, monkeypatch):
    tech, streams = technology_of(name), Streams(monkeypatch)
    whole, kept = sample(tech, SPEC, WEIGHTS, 3), set()
    for spawn_key in sorted(streams.seen):
        streams.other = spawn_key
        part, draw = _PARTS[spawn_key[0]], _DRAWS[spawn_key[1]]
        own = OWN.get((part, draw)) or OWN[part]
        found = changed(whole, sample(tech, SPEC, WEIGHTS, 3))
        if part == "ramp" and draw != "mismatch":
            # Only the column that is kept shows; another one may be chosen, too.
            assert found <= {"ramp", "ramp_negative"}
            kept |= found
        else:
            expected = set(own[spawn_key[2] % len(own)])
            # Partners of capacitors are none at all: they have no mismatch, and may be stuck where they are.
            empty = name == "charge" and spawn_key[2] % 2
            assert found == expected or (empty and not found), (part, draw, spawn_key[2])
    assert "ramp" in kept


@pytest.mark.parametrize("aware", [0, 1])
def test_each_spare_column_has_streams_of_its_own(aware, monkeypatch):
    """Its faults included: what programming knows of column 0 says nothing of the others."""
    tech, streams = technology_of("rram", **{"cell.fault_aware": aware}), Streams(monkeypatch)
    made = {}
    real = sampling.Chip._tap_column

    def column(self, targets, number, error):
        made[number] = real(self, targets, number, error)
        return made[number]

    monkeypatch.setattr(sampling.Chip, "_tap_column", column)
    sample(tech, SPEC, WEIGHTS, 3)
    whole, seen = dict(made), set(streams.seen)
    ramp = _PARTS.index("ramp")
    drawn = {k for k in seen if k[0] == ramp and _DRAWS[k[1]] != "mismatch"}
    assert {(_DRAWS[draw], number) for _, draw, number in drawn} == {
        (draw, number) for draw in ("programming", "stuck", "drift") for number in range(6)
    }
    for spawn_key in sorted(drawn):
        streams.other = spawn_key
        sample(tech, SPEC, WEIGHTS, 3)
        found = {number for number in made if not np.array_equal(made[number], whole[number])}
        assert found == {spawn_key[2] // 2}, spawn_key


def test_partners_of_a_spare_column_make_up_for_its_own_faults(monkeypatch):
    """One cell of each pair of column 1 is stuck, none of column 0: differences are right wherever the pair reaches."""
    tech = technology_of("rram", **{"cell.fault_aware": 1, "ramp.spares": 1})
    made, wanted = {}, {}
    real, draws = sampling.Chip._tap_column, sampling.Chip.draws

    def column(self, targets, number, error):
        made[number], wanted[number] = real(self, targets, number, error), targets
        return made[number]

    def drawn(self, part, shape, number):
        deviation, _ = draws(self, part, shape, number)
        # Column 1's negative cells have number 3.
        return deviation, np.full(shape, 0.0 if (part, number) == ("ramp", 3) else 0.5)

    monkeypatch.setattr(sampling.Chip, "_tap_column", column)
    monkeypatch.setattr(sampling.Chip, "draws", drawn)
    sample(tech, SPEC, WEIGHTS, 3, switches=frozenset({"stuck", "ramp_cells"}))
    high = tech["cell.g_max"]
    cells, partners = made[0]
    assert np.allclose(cells - partners, wanted[0], atol=1e-12)
    cells, partners = made[1]
    assert (partners == high).all()
    # Stuck at the high end, the partner takes all that the cell can bring: the best is a difference of 0.
    assert (wanted[1] > 0).any()
    assert (cells[wanted[1] > 0] == high).all()


def test_streams_of_an_external_ramp(monkeypatch):
    tech, streams = technology_of("external"), Streams(monkeypatch)
    whole = to_device(sample(tech, SPEC, WEIGHTS, 3))
    external = (_PARTS.index("chip"), _DRAWS.index("external"), 0)
    assert external in streams.seen
    streams.other = external
    assert changed(whole, to_device(sample(tech, SPEC, WEIGHTS, 3))) == {"ramp_steps"}


def test_no_number_of_a_conversions_noise_is_drawn_twice(monkeypatch, seed):
    """Columns, ramps, decisions and the reference column take numbers apart, in every conversion of two steps."""
    network = network_of(SPEC, seed)
    lstm = macro_of(device_of(SPEC, network.weights.macro, seed, NOISES))
    array = lstm.array
    taken = {}

    def take(purpose, conversion, numbers):
        for pair in zip(*(array.ravel().tolist() for array in np.broadcast_arrays(conversion, numbers)), strict=True):
            assert taken.setdefault(pair, purpose) == purpose, (pair, purpose, taken[pair])
            count[pair] = count.get(pair, 0) + 1

    count, normals, at = {}, device_array.normals, device_array.at

    def many(origin, conversion, first, number):
        purpose = {0: "columns", array.ramp_first: "ramp", array.common_index: "reference"}.get(first, "columns")
        take(purpose, np.asarray(conversion)[:, None], first + np.arange(number))
        return normals(origin, conversion, first, number)

    def single(origin, conversion, index):
        take("decision", conversion, index)
        return at(origin, conversion, index)

    monkeypatch.setattr(device_array, "normals", many)
    monkeypatch.setattr(device_array, "at", single)
    lstm.run(inputs_of(SPEC, seed, batch=6, steps=2))
    assert set(taken.values()) == {"columns", "ramp", "reference", "decision"}
    # Numbers are those of one conversion after the other: 6 utterances of 2 steps of 2 conversions.
    assert {conversion for conversion, _ in taken} == set(range(24))
    assert set(count.values()) == {1}
    # Written out: 40 columns, ramps of 2 x 15, decisions of 15 x 40, each rounded up to groups of 4.
    assert (array.ramp_first, array.decision_first, array.common_index) == (40, 72, 672)


def test_seeds_conversions_and_groups_give_words_of_their_own():
    """A word of 64 bits comes twice among 2**17 of them with a probability of 5e-10."""
    found = [words(key(seed), np.arange(64)[:, None], np.arange(64)) for seed in range(32)]
    assert len(np.unique(found)) == 32 * 64 * 64
    assert table().std() == pytest.approx(1, abs=1e-4)
    assert np.array_equal(table(), -table()[::-1])
