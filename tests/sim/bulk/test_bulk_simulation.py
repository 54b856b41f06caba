# SPDX-License-Identifier: Apache-2.0
"""The generated network with the behavioral crossbar, in both simulators: every value, and planted faults."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from crossramp.golden.array.ramps import Ramp
from crossramp.sim.array.array_setup import IDEAL, ArraySetup
from crossramp.sim.array.programming import Programming
from crossramp.sim.bulk.bulk_simulation import PAUSES, simulate_bulk
from crossramp.sim.checking.protocol import RULES
from crossramp.sim.checking.protocol_verilog import checker_source
from crossramp.sim.checking.scoreboard import MismatchError
from crossramp.sim.tools.run_options import BuildOptions, Pauses
from crossramp.sim.tools.simulators import SimulationError

from tests.support.bare_verilog import strip_initial
from tests.support.comparison import compared
from tests.support.designs import CELLS, SPECS, network_of, utterances_of

NETWORK_SEED = 1

# Steps of the utterances, by design and simulator: Icarus takes half a second a step on the largest.
LENGTHS = {
    ("words", "icarus"): (2, 1),
    ("words", "verilator"): (49, 1, 20),
    ("wide", "icarus"): (3, 1),
    ("wide", "verilator"): (9, 1, 30),
    ("tiny", "icarus"): (9, 1, 5),
    ("tiny", "verilator"): (9, 1, 5),
    ("odd", "icarus"): (6, 1),
    ("odd", "verilator"): (20, 1, 7),
    ("text", "icarus"): (6, 1, 2),
    ("projected", "icarus"): (6, 1, 2),
    ("projected", "verilator"): (40, 1, 7),
    **{(cell, "icarus"): (6, 1, 2) for cell in CELLS},
    **{(cell, "verilator"): (40, 1, 7) for cell in CELLS},
}


def simulate(name, seed, lengths, models, simulator, *, array=IDEAL, pauses=None, **build):
    """The network, its x, and the result; ``build``: BuildOptions."""
    network = network_of(name, NETWORK_SEED)
    batches = utterances_of(name, seed, lengths)
    pauses = Pauses(**(pauses or {}), seed=seed)
    build = BuildOptions(**({"optimize": False, "workdir": models} | build))
    return network, batches, simulate_bulk(network, batches, simulator, array=array, pauses=pauses, build=build)


@pytest.mark.parametrize(("name", "simulator"), LENGTHS)
def test_every_value(name, simulator, seed, models):
    spec, lengths = SPECS[name], LENGTHS[name, simulator]
    for pauses in ({}, {"idle": 30, "stall": 40, "array_stall": 10}):
        network, batches, result = simulate(name, seed, lengths, models, simulator, pauses=pauses)
        board = compared(network, batches, result)
        board.check()
        steps = sum(lengths)
        assert board.compared["codes"] == steps * len(spec.conversions[0]) * spec.units
        assert result.violations == ()
        assert result.conversions == len(spec.conversions) * steps
        if not pauses:
            assert result.clocks_per_step == spec.clocks_per_step
            assert result.pauses == dict.fromkeys(PAUSES, 0)
        else:
            # The smallest runs have few logits: only together do the two outputs always wait.
            assert result.pauses["h_stalled"] + result.pauses["logit_stalled"] > 0
            assert result.pauses["x_idle"] > 0
            assert result.pauses["array_stalled"] > 0
            assert result.clocks_per_step > spec.clocks_per_step


def test_random_start(seed, models):
    """Registers start at random where the Verilog does not say otherwise: reset alone must put it in order."""

    def strip(text):
        stripped = strip_initial(text)
        assert stripped != text
        assert not re.search(r"^\s*(output )?reg\b[^;\[]*(\[[^;]*\])?[^;]*=", stripped, re.MULTILINE)
        return stripped

    for start in range(4):
        network, batches, result = simulate(
            "odd", seed + start, (3, 1, 2), models, simulator="verilator", change_verilog=strip, random_start=True
        )
        compared(network, batches, result).check()
        assert result.violations == ()


def planted(module: str, pattern: str, replacement: str):
    """A change of the Verilog of one module, which must be there."""

    def change(text):
        found = re.search(rf"^module \w*{module}\(.*?^endmodule", text, re.MULTILINE | re.DOTALL)
        assert found, f"no module {module}"
        body, count = re.subn(pattern, replacement, found[0])
        assert count, f"nothing in {module} matches {pattern}"
        return text[: found.start()] + body + text[found.end() :]

    return change


def test_a_missing_reset_is_seen(seed, models):
    """Without its reset the sequencer works by its initial values, and not when they are gone."""
    unreset = planted("_sequencer", r"if \(rst\) begin", "if (1'h0) begin")
    options = {"lengths": (3, 1, 2), "models": models}
    network, batches, result = simulate("odd", seed, simulator="icarus", change_verilog=unreset, **options)
    compared(network, batches, result).check()
    for simulator in ("icarus", "verilator"):  # unknown there, random here
        options |= {"simulator": simulator, "random_start": simulator == "verilator"}
        with pytest.raises(SimulationError):
            simulate("odd", seed, change_verilog=lambda text: strip_initial(unreset(text)), **options)


GATEWARE_FAULTS = {
    "gray_bit": planted("_ramp", r"count <= (.*?);", r"count <= \1 ^ 1'h1;"),
    "tap_order": planted("_ramp", r"tap <= (.*?);", r"tap <= \1 << 1;"),
    "pulse_missing": planted("_x_driver", r"pos <= (.*?);", r"pos <= \1 & ~7'h01;"),
    "polarity": planted("_h_driver", r"neg <= (.*?);", r"neg <= \1 | pos;"),
    "codes_inverted": planted("_capture_f", r"(assign codes = )(.*?);", r"\1~(\2);"),
    "late_window": planted("_sequencer", r"\bintegrate <= (.*?);", r"integrate <= \1 & integrate;"),
}


@pytest.mark.parametrize("fault", GATEWARE_FAULTS)
def test_fault_in_the_gateware_is_seen(fault, seed, models):
    try:
        network, batches, result = simulate(
            "odd", seed, (4, 2), models, simulator="icarus", change_verilog=GATEWARE_FAULTS[fault]
        )
    except SimulationError:
        return  # it hung, or gave another number of records
    board = compared(network, batches, result)
    assert board.wrong or result.violations
    if board.wrong:
        with pytest.raises(MismatchError, match=r"utterance \d"):
            board.check()


def rewired(port: str, expression: str, extra: str = ""):
    """A change of the top module: output ``port`` becomes ``expression`` of ``good``, which is what it should be."""

    def change(text):
        width = re.search(rf"^  output (\[\d+:0\] )?{port};", text, re.MULTILINE)
        core = re.search(r"^  \w+_core core \(", text, re.MULTILINE)
        assert width, f"no output {port}"
        assert core, "no core"
        head, body = text[: core.start()], text[core.start() :]
        # It is the core's own port, or a part of a payload.
        body, first = re.subn(rf"\({port}\)", "(good)", body)
        body, second = re.subn(rf"assign {port} = ", "assign good = ", body)
        assert first + second == 1, f"{port} is driven {first + second} times"
        return f"{head}  wire {width[1] or ''}good;\n{extra}  assign {port} = {expression};\n{body}"

    return change


# Each breaks one rule where the array does not look: every value stays right, and only a checker can tell.
RULE_FAULTS = {
    "ramp_reset_missing": rewired(
        "array_ramp_reset", "good & late", "  reg late = 0;\n  always @(posedge clk) late <= good;\n"
    ),
    "state_changes": rewired("array_state", "good | array_reset"),
    "calibration_changes": rewired("array_calibration", "array_tick ? ~good : good"),
    "tap_changes": rewired("array_tap", "array_tick ? good : ~good"),
}


@pytest.mark.parametrize("rule", RULE_FAULTS)
def test_a_broken_rule_is_seen_where_every_value_is_right(rule, seed, models):
    network, batches, result = simulate(
        "odd", seed, (2, 1), models, simulator="icarus", pauses={"array_stall": 30}, change_verilog=RULE_FAULTS[rule]
    )
    compared(network, batches, result).check()
    assert result.violations == (rule,)
    assert re.findall(r"^protocol: (\w+) is broken on clock \d+$", result.log, re.MULTILINE) == [rule]


def test_the_checker_in_verilog_breaks_every_rule():
    assert set(re.findall(r"\bnow\[(\w+)\] = ", checker_source())) == {rule.upper() for rule in RULES}


def test_a_payload_that_changes_while_it_waits_is_seen(seed, models):
    network, batches, result = simulate(
        "odd",
        seed,
        (2, 1),
        models,
        simulator="icarus",
        pauses={"stall": 50},
        change_verilog=rewired("h_codes", "h_ready ? good : ~good"),
    )
    compared(network, batches, result).check()
    assert result.violations == ("streams",)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        # 3 beats a step, 2 steps, then 1
        (rewired("h_last", "1'b0"), "h_last of record 3 is 0; expected 1"),
        # On the first beat of each step, not on its last: as many as expected.
        (
            rewired(
                "h_end", "first", "  reg first = 1;\n  always @(posedge clk) if (h_valid && h_ready) first <= good;\n"
            ),
            "h_end of record 0 is 1; expected 0",
        ),
        (rewired("logit_last", "!good"), "logit_last of record 0 is 1; expected 0"),
        (rewired("answer_too_long", "1'b1"), "answer_too_long of record 0 is 1; expected 0"),
    ],
    ids=("h_last", "h_end", "logit_last", "answer_too_long"),
)
def test_wrong_framing_is_seen(fault, message, seed, models):
    with pytest.raises(SimulationError, match=message):
        simulate("odd", seed, (2, 1), models, simulator="icarus", change_verilog=fault)


def changed(name: str, at: tuple, by: int):
    def change(programming: Programming) -> Programming:
        values = getattr(programming, name).copy()
        values[at] += by
        return programming.replace(**{name: values})

    return change


PROGRAMMING_FAULTS = {
    "one_weight": changed("weights", (3, 7), 4),
    "bias": changed("weights", (-1, 0), 4),
    "state_cells": changed("state_cells", (slice(None),), 2),
    "ramp_start": changed("ramp_start", (0,), 25),
    "ramp_step": changed("ramp_steps", (1, 6), 25),
}


@pytest.mark.parametrize("fault", PROGRAMMING_FAULTS)
def test_fault_in_the_programming_is_seen(fault, seed, models):
    network = network_of("odd", NETWORK_SEED)
    programming = PROGRAMMING_FAULTS[fault](Programming.ideal(network.spec, network.weights.macro))
    network, batches, result = simulate("odd", seed, (6, 2), models, simulator="icarus", array=ArraySetup(programming))
    with pytest.raises(MismatchError, match="differ from the golden model"):
        compared(network, batches, result).check()


class ShiftedRamp(Ramp):
    """A ramp that starts ``shift`` higher."""

    def __init__(self, spec, gate, shift):
        super().__init__(spec.activation(gate), spec.adc_bits, spec.scale(gate))
        # What an array holds: a threshold that no MAC can reach is not beyond reach once it is shifted.
        self.__dict__["floors"] = self.clipped_floors(spec.mac_max) + shift


def test_calibration_cells_shift_the_ramps(seed, models):
    """Every value, against the golden model with the thresholds that the chosen cells make."""
    network = network_of("odd", NETWORK_SEED)
    spec = network.spec
    cells = np.array([[30, -55], [-20, 65], [35, 15], [-70, 40]])
    assert cells.shape == (len(spec.ramps), spec.calibration_cells)
    chosen = np.array([[1, 0], [0, 1], [1, 1], [0, 0]])
    calibration = 0b00_11_10_01
    result_of = {}
    for port in (0, calibration):
        programming = Programming.ideal(spec, network.weights.macro, calibration_cells=cells)
        _, batches, result = simulate(
            "odd", seed, (4, 2), models, simulator="icarus", array=ArraySetup(programming, port)
        )
        assert result.violations == ()
        result_of[port] = result
    compared(network, batches, result_of[0]).check()
    shifts = (cells * chosen).sum(axis=1)
    gates = [next(gate for gate in spec.gate_names if spec.ramp_of(gate) == ramp) for ramp in range(len(spec.ramps))]
    network.lstm.array.ramps = [ShiftedRamp(spec, gate, shift) for gate, shift in zip(gates, shifts, strict=True)]
    compared(network, batches, result_of[calibration]).check()
    # Each shifted bank converts otherwise in the first step, where both runs have the same sums.
    before, after = (spec.by_bank(result.traces[0].codes[0, 0]) for result in result_of.values())
    assert ((before != after).any(axis=1) == (shifts != 0)[list(spec.ramp_of_gate)]).all()


def test_refuses_bad_stimuli(models):
    network = network_of("tiny", NETWORK_SEED)
    for x, message in (
        (np.zeros((1, 0, 1), int), "x has 0 steps; allowed: 1 to 9"),
        ([], "there are no utterances"),
        (np.zeros((0, 1, 1), int), "batch 0 holds no utterances; give at least 1"),
        ([np.zeros((2, 1, 1), int), np.zeros((0, 1, 1), int)], "batch 1 holds no utterances"),
        (np.full((1, 1, 1), 2), r"x\[0, 0, 0\] is 2; allowed: -1 to 1"),
    ):
        with pytest.raises(ValueError, match=message):
            simulate_bulk(network, x, build=BuildOptions(workdir=models))
    with pytest.raises(ValueError, match="stall is 95; allowed: 0 to 90"):
        Pauses(stall=95)
    with pytest.raises(ValueError, match="calibration is 1; allowed: 0 to 0, for 0 cells"):
        simulate_bulk(network, np.zeros((1, 1, 1), int), array=ArraySetup(calibration=1))
    with pytest.raises(ValueError, match="a SimpleNamespace cannot stand in a Verilog bench; give a Programming or"):
        simulate_bulk(network, np.zeros((1, 1, 1), int), array=ArraySetup(SimpleNamespace(clock=None)))
    with pytest.raises(ValueError, match="simulator is 'vcs'"):
        simulate_bulk(network, np.zeros((1, 1, 1), int), simulator="vcs")


def test_missing_simulator_names_what_to_install(monkeypatch, models):
    network = network_of("tiny", NETWORK_SEED)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(RuntimeError, match="iverilog is not on PATH; install it: apt install iverilog"):
        simulate_bulk(network, np.zeros((1, 1, 1), int), simulator="icarus", build=BuildOptions(workdir=models))
    with pytest.raises(RuntimeError, match=r"no Verilog simulator is here: verilator: .*install g...*icarus: "):
        simulate_bulk(network, np.zeros((1, 1, 1), int), simulator="auto", build=BuildOptions(workdir=models))
