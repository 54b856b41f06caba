# SPDX-License-Identifier: Apache-2.0
"""Partial sums: which rows are in which array, what a step waits for, and what is refused."""

import pytest
from crossramp.golden.layers.layer import Layer
from crossramp.golden.layers.network_specification import NetworkSpecification
from crossramp.golden.spec.gates import SpecificationError
from crossramp.golden.spec.row_tile import row_tiles_of
from crossramp.golden.spec.specification import Specification
from hypothesis import given
from hypothesis import strategies as st

from tests.support.strategies import ALL_CELLS, specifications

KWS = {"inputs": 40, "units": 32, "classes": 0, "bias_rows": 2, "lanes": 16, "state_pulse_bits": 6}


@given(specifications(cells=ALL_CELLS, classes=0, readouts=["mean"]), st.integers(1, 12))
def test_every_memristor_is_in_one_array(spec, most):
    """Each row crosses the banks that it crosses where columns are joined, in one array, of which none is too large."""
    split = spec.replace(partial_rows=most)
    if not split.row_sums:
        assert spec.rows <= most
        assert split.layout is spec.layout
        return
    places = [(group, k, bank) for group, part in split.row_parts.items() for k in part for bank in split.gate_names]
    places = [place for place in places if place[0] in spec.layout.banks[place[2]].rows]
    assert split.rows <= most
    for one, tile in zip(split.row_sums, row_tiles_of(split).values(), strict=True):
        assert tile.rows <= most
        assert tile.placed.all()
        assert (tile.columns, tile.beats) == (len(one.banks) * spec.units, spec.beats)
        places += [(group, k, bank) for group, part in one.parts.items() for k in part for bank in one.banks]
    crossed = [(group, bank) for bank in spec.gate_names for group in spec.layout.banks[bank].rows]
    whole = [(group, k, bank) for group, bank in crossed for k in range(spec.row_sizes[group])]
    assert sorted(places) == sorted(whole)


@pytest.mark.parametrize(
    ("cell", "rows", "bits", "bound", "clocks"),
    [
        ("lstm", 74, 5, 108, 118),  # one array
        ("lstm", 37, 4, 108, 118),  # sums of inputs alone, one step ahead: only the window grows
        ("lstm", 37, 5, 124, 134),
        ("lstm", 37, 6, 156, 166),
        ("lstm", 25, 5, 124 + 46, 134 + 51),  # rows of h in another array
        ("gru", 37, 5, 108 + 46, 118 + 51),
        ("gru", 25, 5, 108 + 16 + 2 * 46, 118 + 16 + 2 * 51),  # and rows of r·s
        ("rnn_tanh", 25, 5, 62 + 46, 67 + 51),
    ],
)
def test_clocks(cell, rows, bits, bound, clocks):
    more = {} if cell == "lstm" else {"state_pulse_bits": None}
    spec = Specification(cell=cell, partial_rows=rows, partial_bits=bits, **KWS | more)
    assert (spec.analog_clocks_per_step, spec.macro_clocks) == (bound, clocks)


def test_inputs_must_come_in_time():
    """Where sums of inputs take longer than a step, so does every other step: 40 codes of x, then the sums."""
    spec = Specification(cell="rnn_tanh", partial_rows=37, **KWS | {"state_pulse_bits": None})
    assert spec.macro_clocks == 67
    assert NetworkSpecification(layers=(Layer(macro=spec),), classes=2).clocks_per_step == 40 + 51


def test_defaults():
    """As many bits as the ramps of the gates, and levels for a reach of about 4: 14 · 32 MAC units of 2/225."""
    spec = Specification(partial_rows=37, **KWS)
    assert (spec.partial_bits, spec.partial_cell) == (5, 14)
    assert Specification(partial_rows=37, partial_bits=7, **KWS).partial_cell == 4
    tile = row_tiles_of(spec)["partial0"]
    assert (tile.scale("a"), tile.activation("a").high) == (1.0, 14 * 32)
    fine = Specification(partial_rows=37, weight_bits=8, input_bits=8, **KWS | {"state_pulse_bits": 9})
    tile = row_tiles_of(fine)["partial0"]
    assert (tile.scale("a"), tile.activation("a").high) == (1 / 16, fine.partial_cell * 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": 3}, "partial_rows is 37 and classes is 3: such a macro is a layer of a network; write it as"),
        ({"initial": "constant"}, "initial is 'constant', but arrays of partial sums get h from the macro"),
        ({"keeps_state": 1}, "keeps_state is 1, but arrays of partial sums start every utterance from zero; write 0"),
        ({"partial_rows": 0, "partial_bits": 5}, "partial_bits is 5, but partial_rows is 0; leave it out"),
        ({"partial_rows": 0, "partial_cell": 3}, "partial_cell is 3, but partial_rows is 0; leave it out"),
        ({"partial_rows": -1}, "partial_rows is -1; allowed: 0 to 1048576"),
        ({"partial_bits": 10}, "partial_bits is 10; allowed: 2 to 9"),
        ({"partial_cell": 16}, "partial_cell is 16; allowed: 1 to 15"),
    ],
)
def test_what_is_refused(changes, message):
    with pytest.raises(SpecificationError, match=message):
        Specification(**KWS | {"partial_rows": 37} | changes)
