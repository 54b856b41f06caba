# SPDX-License-Identifier: Apache-2.0
"""What a deck says, what ngspice's files hold, and the networks of lines that decks are reduced from."""

import re
import shutil
import struct
import threading

import numpy as np
import pytest
from crossramp.golden.analog.chip.sampling import ALL, sample
from crossramp.golden.analog.chip.translate import to_device
from crossramp.golden.analog.chip.wire_resistance import exact
from crossramp.golden.analog.technologies.technology import load
from crossramp.golden.spec.bank_columns import parse_columns
from crossramp.sim.amaranth.step_trace import trace_step
from crossramp.sim.array.array_setup import ArraySetup
from crossramp.sim.spice import ngspice
from crossramp.sim.spice.accuracy import Accuracy
from crossramp.sim.spice.deck import build
from crossramp.sim.spice.ngspice import SpiceError, SpiceMissing, Stopped, find_ngspice, read_raw, run_deck
from crossramp.sim.spice.pin_voltages import conversions, corners, first_halves, start_levels, tap_levels
from crossramp.sim.spice.resistor_network import lump, transfer

from tests.support.designs import SPECS, network_of

SPEC = SPECS["odd"]
RC = "* an RC\nV1 a 0 PWL(0 0 1e-9 1)\nR1 a b 1000.0\nC1 b 0 1e-12\n.save v(b)\n.tran 1e-11 5e-09\n.end\n"


@pytest.fixture(scope="module")
def traced():
    network = network_of("odd", 2)
    array = sample(load("rram"), SPEC, network.weights.macro, 2, switches=ALL)
    device = to_device(array)
    x = np.random.default_rng(2).integers(-SPEC.input_max, SPEC.input_max, (2, SPEC.inputs), endpoint=True)
    return array, trace_step(network, x, 1, ArraySetup(device))


# ---- waves -----------------------------------------------------------------------------------------------------------


def test_corners_keep_the_area_of_a_pulse():
    levels = np.array([0, 1, 1, 1, 0, -1, -1, 0])
    for edge in (0.3, 0.01):
        time, level = np.array([*corners(levels, 1.0, edge), (8.0, 0.0)]).T
        assert (np.diff(time) >= 0).all()
        assert np.trapezoid(np.maximum(level, 0), time) == pytest.approx(3) if hasattr(np, "trapezoid") else True
        assert np.sum((level[1:] + level[:-1]) / 2 * np.diff(time)) == pytest.approx(3 - 2)


def test_taps_are_driven_in_their_own_clock_and_starts_in_one(traced):
    _, waves = traced
    taps = np.array([tap_levels(waves, cell) for cell in range(SPEC.ticks)])
    assert np.array_equal(taps.sum(axis=1), [2] * SPEC.ticks)  # once a conversion
    assert np.array_equal(taps.any(axis=0), waves.controls["tick"])
    assert waves.controls["ramp_reset"].sum() == 2 * SPEC.settle_clocks
    assert start_levels(waves).sum() == 2
    assert first_halves(np.array([True, False, True])).tolist() == [1, 0, 0, 0, 1, 0]


def test_conversions_are_where_the_pins_say(traced):
    _, waves = traced
    first, second = conversions(waves)
    assert (first.second, second.second) == (False, True)
    assert first.window[1] - first.window[0] == SPEC.input_max
    assert second.window[1] - second.window[0] == SPEC.state_pulse_max
    for conversion in (first, second):
        assert conversion.first_tick == conversion.window[1] + SPEC.settle_clocks
        assert conversion.latched == tuple(range(conversion.first_tick, conversion.first_tick + SPEC.ticks))


# ---- deck ------------------------------------------------------------------------------------------------------------


def test_a_deck_has_every_cell_exactly(traced):
    array, waves = traced
    columns = [SPEC.column("i", 0), SPEC.column("g", 3)]
    text = build(array, waves, columns).text
    assert text.startswith("* crossramp: ")
    assert text.endswith(".end\n")
    assert text.isascii()
    found = dict(re.findall(r"(?m)^Rcell(\d+_\w+) .* (\S+)$", text))
    assert len(found) == 2 * SPEC.rows * len(columns)
    for row in range(SPEC.rows):
        for name, cells, column in (("i0p", array.positive, 0), ("i0n", array.negative, 0)):
            assert float(found[f"{row}_{name}"]) == 1 / cells[row, column].item()
    taps = re.findall(r"(?m)^Xramp(\d)_tap(\d+) .* gp=(\S+) gn=(\S+)$", text)
    assert {int(ramp) for ramp, *_ in taps} == {SPEC.ramp_of("i"), SPEC.ramp_of("g")}
    for ramp, tick, positive, negative in taps:
        place = int(ramp), int(tick) - 1
        assert float(positive) == array.ramp[place]
        assert float(negative) == array.ramp_negative[place]
    assert "Xramp0_bias1 " in text  # the middle of the register: its highest cell alone
    assert "Xramp0_bias0 " not in text
    subcircuits = {line.split()[1] for line in text.splitlines() if line.startswith(".subckt")}
    assert subcircuits == {"integrator", "tap", "comparator"}
    assert build(array, waves, columns).text == text


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["i0", "i5"], "there is no column 'i5'; columns are i0 to i4, f0 to f4"),
        (["x1"], "there is no column 'x1'"),
        (["g"], "there is no column 'g'"),
        (["f1", "f1"], "column f1 is given twice"),
        ([], "no column is given"),
    ],
)
def test_wrong_columns_are_quoted(names, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_columns(SPEC, names)


def test_columns_have_names():
    assert parse_columns(SPEC, ["i0", "f3", "g4", "o0"]) == [0, 8, 14, 15]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"edge": 0.0}, "edge is 0.0 clocks"),
        ({"edge": 0.5}, "edge is 0.5 clocks"),
        ({"step": 2.0}, "step is 2.0 clocks"),
        ({"method": "euler"}, "method is 'euler'; allowed: gear, trap"),
    ],
)
def test_wrong_accuracy_is_quoted(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        Accuracy(**arguments)


def test_wrong_arguments_are_quoted(traced):
    array, waves = traced
    with pytest.raises(ValueError, match=r"columns are \[99\]; expected some of 0 to 19"):
        build(array, waves, [99])
    other = network_of("tiny", 1)
    small = sample(load("rram"), other.spec, other.weights.macro, 1)
    with pytest.raises(ValueError, match="the waves are of 15 rows and 20 columns, the chip has 2 and 4"):
        build(small, waves, [0])
    external = sample(load("rram").replace({"ramp": "external"}), SPEC, network_of("odd", 2).weights.macro, 2)
    with pytest.raises(ValueError, match="an external ramp needs its voltages"):
        build(external, waves, [0])


# ---- networks --------------------------------------------------------------------------------------------------------


def test_elimination_line_by_line_is_the_dense_solution(rng):
    cells = rng.uniform(5e-6, 1e-4, (7, 10))
    expected = exact(cells, 30.0, 70.0)
    assert transfer(cells, 30.0, 70.0) == pytest.approx(expected, rel=1e-11)


def test_lumped_lines_load_the_rows_as_the_lines_do(rng):
    """With ideal column wires a ladder and its two-port are the same; with real ones they differ in second order."""
    cells, kept = rng.uniform(5e-6, 1e-4, (5, 12)), [2, 3, 8]
    whole = transfer(cells, 30.0, 1e-6)[:, kept]
    assert _solve_lumped(cells, kept, 30.0, 1e-6) == pytest.approx(whole, rel=1e-9)
    left_out = set(range(12)) - set(kept)
    whole = transfer(cells, 30.0, 70.0, left_out)[:, kept]
    assert _solve_lumped(cells, kept, 30.0, 70.0) == pytest.approx(whole, rel=1e-9)
    assert transfer(cells, 30.0, 70.0)[:, kept] == pytest.approx(whole, rel=0.02)
    assert transfer(cells, 30.0, 70.0)[:, kept] != pytest.approx(whole, rel=1e-6)


def _solve_lumped(cells, kept, row_ohm, column_ohm) -> np.ndarray:
    """Currents of the kept lines in the network of a deck: nodes of row wires, then of lines."""
    lumped, rows, lines = lump(cells, kept, row_ohm, column_ohm), len(cells), len(kept)
    count = rows * lines
    matrix, drive = np.zeros((2 * count, 2 * count)), np.zeros((2 * count, rows))

    def add(a, b, siemens):
        matrix[a, a] += siemens
        if b is not None:
            matrix[b, b] += siemens
            matrix[a, b] -= siemens
            matrix[b, a] -= siemens

    for row in range(rows):
        for place in range(lines):
            at, foot = row * lines + place, count + row * lines + place
            series = 1 / lumped.series[row, place]
            add(at, at - 1 if place else None, series)
            if not place:
                drive[at, row] = series
            add(at, None, lumped.load[row, place])
            add(at, foot, cells[row, kept[place]])
            add(foot, foot + lines if row + 1 < rows else None, 1 / column_ohm)
    volts = np.linalg.solve(matrix, drive)
    return volts[count + (rows - 1) * lines :].T / column_ohm


# ---- ngspice ---------------------------------------------------------------------------------------------------------


def test_an_rc_charges_as_it_should():
    waveforms = run_deck(RC)
    assert waveforms.time[-1] == pytest.approx(5e-9)
    # A ramp of 1 ns into an RC of 1 ns: 1 - (1 - 1/e) e at 2 ns, ...
    expected = 1 - (1 - np.exp(-1)) * np.exp(-(2e-9 - 1e-9) / 1e-9)
    assert waveforms.at("b", 2e-9) == pytest.approx(expected, rel=2e-3)
    assert set(waveforms.vectors) == {"b"}


def test_a_missing_ngspice_says_what_to_type(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SpiceMissing, match="ngspice is not installed; type: sudo apt-get install ngspice"):
        find_ngspice()


@pytest.mark.parametrize(
    ("old", "new"), [("R1 a b 1000.0", "R1 a b 1000.0 nonsense=("), (".tran 1e-11 5e-09", ""), ("V1 a 0", "X1 a 0")]
)
def test_what_ngspice_refuses_is_an_error(old, new):
    with pytest.raises(SpiceError, match="ngspice"):
        run_deck(RC.replace(old, new))


def test_an_end_that_is_not_reached_is_an_error(monkeypatch):
    monkeypatch.setattr(ngspice, "_end_of", lambda deck: 6e-9)
    with pytest.raises(SpiceError, match="ngspice stopped at 5e-09 s of 6e-09 s"):
        run_deck(RC)


def test_a_run_can_be_limited_and_stopped():
    long = RC.replace(".tran 1e-11 5e-09", ".tran 1e-13 1e-03 0 1e-13")
    with pytest.raises(SpiceError, match=r"ngspice took longer than 0.3 s"):
        run_deck(long, seconds=0.3)
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(Stopped):  # or it would run for days
        run_deck(long, stop=stop)


HEAD = "Title: x\nDate: y\nPlotname: Transient Analysis\nFlags: {}\nNo. Variables: 2\nNo. Points: 2\nVariables:\n"
VARIABLES = "\t0\ttime\ttime\n\t1\tv(Out_A)\tvoltage\n"


def test_raw_files_are_read_binary_and_text():
    binary = (HEAD.format("real") + VARIABLES + "Binary:\n").encode() + struct.pack("<4d", 0.0, 1.5, 1e-9, -2.5)
    text = (HEAD.format("real") + VARIABLES + "Values:\n0\t0.0\n\t1.5\n\n1\t1e-9\n\t-2.5\n").encode()
    for data in (binary, text):
        waveforms = read_raw(data)
        assert waveforms.time.tolist() == [0.0, 1e-9]
        assert waveforms.vectors["out_a"].tolist() == [1.5, -2.5]
        assert waveforms.at("out_a", 0.5e-9) == pytest.approx(-0.5)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cannot be read"),
        (b"Binary:\n", "cannot be read"),
        ((HEAD.format("real") + VARIABLES + "Binary:\n").encode() + b"\0" * 31, "cannot be read"),
        ((HEAD.format("complex") + VARIABLES + "Binary:\n").encode() + b"\0" * 32, "instead of a transient analysis"),
    ],
)
def test_other_raw_files_are_refused(data, message):
    with pytest.raises(SpiceError, match=message):
        read_raw(data)
