# SPDX-License-Identifier: Apache-2.0
"""Cells other than the LSTM: Amaranth's simulator, the self-checking testbench, and faults that only they can have."""

import numpy as np
import pytest
from crossramp.golden.macro.step_groups import step_groups
from crossramp.sim.amaranth import amaranth_backend
from crossramp.sim.amaranth.amaranth_backend import simulate_amaranth
from crossramp.sim.amaranth.step_trace import trace_step
from crossramp.sim.array.array_setup import ArraySetup
from crossramp.sim.array.boundary_verilog import IDEAL_ARRAY
from crossramp.sim.array.programming import Programming
from crossramp.sim.bulk import bulk_bench
from crossramp.sim.bulk.bulk_simulation import simulate_bulk
from crossramp.sim.bulk.selfcheck import commands
from crossramp.sim.checking.scoreboard import MismatchError
from crossramp.sim.tools.run_options import BuildOptions

from tests.sim.bulk.test_bulk_simulation import planted, rewired
from tests.sim.bulk.test_selfcheck import shell, write
from tests.support.chips import device_of
from tests.support.comparison import compared
from tests.support.designs import CELLS, SPECS, network_of, utterances_of


@pytest.mark.parametrize("array", ["ideal", "device"])
@pytest.mark.parametrize("name", CELLS)
def test_amaranth(name, array, seed, monkeypatch):
    """Every value; the noise of a device instance is the same in two processes."""
    network = network_of(name, 1)
    (x,) = utterances_of(name, seed, (2,), batch=3)
    behind = ArraySetup()
    if array == "device":
        behind = ArraySetup(device_of(network.spec, network.weights.macro, seed, lines=network.weights.lines))
        monkeypatch.setattr(amaranth_backend, "_PORTION_CLOCKS", 1)
    result = simulate_amaranth(network, x, array=behind, jobs=2 if name == "gru" else 1)
    compared(network, x, result, behind).check()
    if array == "ideal":
        assert set(result.traces[0].step_clocks) == {network.spec.clocks_per_step}


@pytest.mark.parametrize("name", CELLS)
def test_traced_step(name, seed):
    """The pins of one step, clock by clock, are those of golden's windows."""
    network = network_of(name, 1)
    spec, cell = network.spec, network.spec.layout
    (x,) = utterances_of(name, seed, (3,))
    golden = network.run(x)
    waves = trace_step(network, x[0], 2)
    np.testing.assert_array_equal(waves.codes, golden.codes[0, 2])
    if golden.state_codes is not None:
        np.testing.assert_array_equal(waves.state_codes, golden.state_codes[0, 2])
    for number, clocks in enumerate(spec.windows):
        window = waves.controls["integrate"] & (waves.controls["state"] == bool(number))
        assert window.sum() == clocks
        driven = waves.rows[window].astype(int).sum(axis=0)
        values = {"x": x[0, 2], cell.output: golden.h[0, 1], "1": np.full(spec.bias_rows, spec.input_max)}
        if cell.inner_rows:
            values[cell.inner_rows[0]] = golden.state_pulses[0, 2]
        for group in cell.row_groups:
            expected = values[group] if cell.driven_value(group, number) else 0 * values[group]
            np.testing.assert_array_equal(driven[spec.rows_of(group)], expected)
        for line in cell.lines:
            pulses = waves.state_rows[window].astype(int).sum(axis=0)[spec.wires_of(line)]
            # The first conversion of a step drives a line with the value of the step before.
            expected = golden.state_pulses[0, 2 if number else 1] * bool(cell.driven_value(line, number))
            np.testing.assert_array_equal(pulses, expected)


@pytest.mark.parametrize(
    ("name", "head"), [*((name, True) for name in CELLS), ("gru", False), ("gru_after", False), ("peephole", False)]
)
def test_self_checking_testbench(name, head, tmp_path, seed):
    place = write(tmp_path, seed, design=name, head=head)
    build, _, run = commands("../kws.v")["Icarus Verilog"].partition("\n")
    assert shell(build, place) == (0, "")
    status, output = shell(f"{run} +idle=30 +stall=30 +array_stall=20 +seed={seed}", place)
    assert status == 0, output
    conversions = 6 * len(SPECS[name].conversions)
    assert output.startswith("PASS: 3 utterances, ")
    assert f"{conversions} conversions" in output
    for group in step_groups(SPECS[name]):
        if group.answer and not head:
            continue
        path = place / "vectors" / f"{group.name}.hex"
        good = path.read_text()
        path.write_text(f"{int(good.split()[0], 16) ^ 1:x}\n" + good.partition("\n")[2])
        status, output = shell(run, place)
        assert status != 0
        assert f"bench: {group.name} record 0 is" in output
        path.write_text(good)


#: Faults in the gateware: the cell, the change of its Verilog, and a rule that breaks, if one does.
LAST_ROWS = "  reg [99:0] last = 0;\n  always @(posedge clk) last <= array_row_pos;\n"
GATEWARE = {
    "held bank is reset": ("gru", rewired("array_reset", "{2{good[0]}}"), "held_reset"),
    "held bank is never reset": ("gru_after", rewired("array_reset", "good & 2'b01"), "no_phase"),
    "wires of reset exchanged": ("peephole", rewired("array_reset", "{good[0], good[1]}"), "held_reset"),
    "k is not driven": ("gru", planted("_k_driver", r"pos <= (.*?);", "pos <= 0;"), None),
    "k is driven too early": (
        "gru",
        rewired("array_row_pos", "array_integrate && !array_state ? good | 1 << 8 : good"),
        "row_not_driven",
    ),
    "a line in the wrong window": (
        "gru_after",
        rewired("array_state_pos", "array_integrate && !array_state ? 1 : good"),
        "line_not_driven",
    ),
    "lines exchanged": (
        "peephole",
        rewired("array_state_pos", "array_state ? good >> 5 : good << 5"),
        "line_not_driven",
    ),
    "rows for the whole window": (
        "peephole",
        rewired("array_row_pos", "array_integrate && !array_state ? good | last : good", LAST_ROWS),
        "pulse_too_long",
    ),
    "a second conversion": ("rnn", rewired("array_state", "array_integrate | array_hold"), "conversion_order"),
}


def simulated(name, seed, models, array=None, **build):
    network = network_of(name, 1)
    batches = utterances_of(name, seed, (6, 2))
    options = BuildOptions(optimize=False, workdir=models, **build)
    return network, batches, simulate_bulk(network, batches, "icarus", array=array or ArraySetup(), build=options)


@pytest.mark.parametrize("fault", GATEWARE)
def test_fault_in_the_gateware_is_seen(fault, seed, models):
    name, change, rule = GATEWARE[fault]
    network, batches, result = simulated(name, seed, models, change_verilog=change)
    assert result.violations == () if rule is None else rule in result.violations
    if name != "rnn":  # where the array does not look at `state`
        with pytest.raises(MismatchError, match="differ from the golden model"):
            compared(network, batches, result).check()


#: Faults in the crossbar: the cell, what stands there, and what stands there instead.
CROSSBAR = {
    "held bank emptied": ("gru", "(HELD_BANKS[b] ? reset[RESETS-1] : reset[0]) ? 0.0", "reset[0] ? 0.0"),
    "nothing emptied": ("peephole", "(HELD_BANKS[b] ? reset[RESETS-1] : reset[0]) ? 0.0", "reset[1] ? 0.0"),
    "line": ("peephole", "line = UNITS * {24'd0, LINE_OF_CELL[8*b+:8]}", "line = 0"),
    "bank of a line": ("peephole", "c = UNITS * {24'd0, BANK_OF_CELL[8*b+:8]}", "c = 0"),
}


@pytest.mark.parametrize("fault", CROSSBAR)
def test_fault_in_the_crossbar_is_seen(fault, seed, models, monkeypatch):
    name, before, after = CROSSBAR[fault]
    original = bulk_bench.bulk_sources

    def spoiled(*arguments, **options):
        sources = original(*arguments, **options)
        assert sources[IDEAL_ARRAY].count(before) == 1
        return sources | {IDEAL_ARRAY: sources[IDEAL_ARRAY].replace(before, after)}

    monkeypatch.setattr(bulk_bench, "bulk_sources", spoiled)
    network, batches, result = simulated(name, seed, models)
    assert result.violations == ()
    with pytest.raises(MismatchError, match="differ from the golden model"):
        compared(network, batches, result).check()


def test_exchanged_cells_of_lines_are_seen(seed, models):
    network = network_of("peephole", 1)
    spec = network.spec
    ideal = Programming.ideal(spec, network.weights.macro, lines=network.weights.lines)
    swapped = ideal.replace(state_cells=np.roll(ideal.state_cells, spec.units))
    _, batches, result = simulated("peephole", seed, models, ArraySetup(swapped))
    with pytest.raises(MismatchError, match="differ from the golden model"):
        compared(network, batches, result).check()
