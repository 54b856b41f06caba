# SPDX-License-Identifier: Apache-2.0
"""Every rule of the boundary is broken once, on purpose, and the checkers say exactly which."""

import dataclasses
import shutil
import subprocess

import numpy as np
import pytest
from crossramp.golden.array.array_protocol import Window
from crossramp.golden.cell.library import CELLS
from crossramp.golden.spec.boundary_wires import BOUNDARY
from crossramp.golden.spec.specification import Specification
from crossramp.sim.array.boundary_sequence import conversion_pins
from crossramp.sim.array.boundary_verilog import boundary_wires
from crossramp.sim.array.python_array import PIN_NAMES, Pins
from crossramp.sim.checking.protocol import RULES, ProtocolChecker, ProtocolError, driven_pins
from crossramp.sim.checking.protocol_verilog import CHECKER, checker_instance, checker_source

WIDE = tuple(dataclasses.replace(gate, weight_range=4.0) for gate in CELLS["lstm_peephole"].default_gates)


def sized(cell="lstm", **changes) -> Specification:
    parameters = {"adc_bits": 3, "input_bits": 3, "settle_clocks": 2, "calibration_cells": 2}
    if CELLS[cell].line_value:
        parameters["state_pulse_bits"] = 4
    return Specification(inputs=3, units=3, classes=2, cell=cell, **parameters | changes)


SPECS = {
    "lstm": sized(),
    "peephole": sized("lstm_peephole"),
    # The lines' pulses are the shorter ones.
    "peephole_rows": sized("lstm_peephole", input_bits=4, state_pulse_bits=3, gates=WIDE),
    "gru": sized("gru"),
    "gru_reset_after": sized("gru_reset_after"),
    "rnn": sized("rnn_tanh"),
}
SPEC = SPECS["lstm"]


def _lines_of(mask: int, count: int) -> list[int]:
    return [line for line in range(count) if mask >> line & 1]


class Step:
    """The pins of one step of a cell's periphery, and the clocks of each conversion's phases."""

    def __init__(self, spec):
        self.spec = spec
        self.all_resets = (1 << spec.reset_groups) - 1
        self.codes, self.clocks = [], []
        self.start, self.window, self.hold, self.ramp, self.end = [], [], [], [], []
        for k, length in enumerate(spec.windows):
            masks = driven_pins(spec, k)
            codes = {}
            limits = spec.input_max, spec.state_pulse_max
            sizes = spec.rows, spec.state_lines
            for bus, mask, limit, count in zip(("row", "state"), masks, limits, sizes, strict=True):
                values = np.zeros(count, int)
                driven = _lines_of(mask, count)
                values[driven] = np.resize([limit, -limit, 1], len(driven))
                codes[bus] = values
            self.codes.append(codes)
            first = len(self.clocks)
            window = Window(codes["row"] if masks[0] else None, codes["state"] if masks[1] else None)
            self.clocks += [[pins, 1] for pins, _ in conversion_pins(spec, window, second=k == 1)]
            self.start.append(first)
            self.window.append(first + 3)
            self.hold.append(first + 3 + length)
            self.ramp.append(first + 5 + length)
            self.end.append(len(self.clocks))
            assert self.end[-1] == self.ramp[-1] + spec.ticks

    def pins(self) -> list[list]:
        """[pins, ready] of each clock of the step, correct, and of two idle clocks."""
        return [list(clock) for clock in self.clocks] + [[Pins(reset=self.all_resets), 1] for _ in range(2)]


def change(clock, **pins):
    """A mutation: set pins on one clock."""

    def mutate(clocks):
        clocks[clock][0] = dataclasses.replace(clocks[clock][0], **pins)

    return mutate


def drop(first, count=1):
    """A mutation: leave clocks out."""

    def mutate(clocks):
        del clocks[first : first + count]

    return mutate


def repeat(clock, count=1, **pins):
    """A mutation: a clock lasts longer, the added ones with other pins."""

    def mutate(clocks):
        for _ in range(count):
            clocks.insert(clock + 1, [dataclasses.replace(clocks[clock][0], **pins), clocks[clock][1]])

    return mutate


def ready_low(*at):
    def mutate(clocks):
        for clock in at:
            clocks[clock][1] = 0

    return mutate


def flip(clock, name, line):
    """A mutation: one line of a bus is driven on one clock where it was not, or the other way round."""

    def mutate(clocks):
        pins = clocks[clock][0]
        clocks[clock][0] = dataclasses.replace(pins, **{name: getattr(pins, name) ^ 1 << line})

    return mutate


def all_of(*mutations):
    def mutate(clocks):
        for mutation in mutations:
            mutation(clocks)

    return mutate


def violations(step: Step) -> dict:
    """Mutations of a correct step, each by the rule that it breaks first."""
    window, hold, ramp, end = (values[0] for values in (step.window, step.hold, step.ramp, step.end))
    silent = dict.fromkeys(("row_pos", "row_neg", "state_pos", "state_neg"), 0)
    found = {
        "integrate_in_ramp": change(ramp + 2, integrate=1),
        "reset_in_conversion": change(hold, reset=1),
        "no_phase": change(1, reset=0),
        "reset_too_short": drop(step.start[-1]),
        "ready_ignored": ready_low(ramp + 3),
        "ready_ignored (window)": ready_low(window - 1),
        "ready_ignored (ramp)": ready_low(ramp - 1),
        "window_length": repeat(hold - 1, **silent),
        "window_length (short)": drop(step.hold[-1] - 1),
        "window_without_hold": repeat(hold - 1, integrate=0, reset=1, **silent),
        "hold_without_window": drop(window, hold - window),
        "hold_dropped": all_of(ready_low(end - 1), change(end - 1, tick=1)),
        "state_changes": all_of(
            *(change(clock, state=int(len(step.start) == 1)) for clock in range(step.hold[-1] + 1, step.end[-1]))
        ),
        "state_changes (idle)": change(step.start[-1], state=1),
        "ramp_reset_outside_hold": change(1, ramp_reset=1),
        "ramp_reset_outside_hold (ramp)": change(ramp, ramp_reset=1),
        "ramp_reset_missing": change(hold + 1, ramp_reset=0),
        "tick_outside_hold": change(1, tick=1, tap=1),
        "hold_too_short": drop(hold),
        "tick_count": drop(end - 1),
        "tap_not_one_hot": change(ramp + 4, tap=0b11000),
        "tap_order": change(ramp + 4, tap=0b01000),
        "tap_changes": all_of(ready_low(ramp + 2), repeat(ramp + 2, tick=0, tap=1), _ready_again(ramp + 3)),
        "ramp_pauses": repeat(ramp + 3, tick=0),
        "calibration_changes": change(ramp, calibration=1),
    }
    return found | _order(step) | _held(step) | _pulses(step)


def _ready_again(clock):
    def mutate(clocks):
        clocks[clock][1] = 1

    return mutate


def _order(step: Step) -> dict:
    """The conversions of a step in another order."""
    if len(step.start) == 1:
        return {"conversion_order": all_of(*(change(c, state=1) for c in range(step.window[0], step.end[0])))}

    def second_first(clocks):
        clocks[:] = clocks[step.start[1] :]
        for clock in range(3):
            change(clock, reset=step.all_resets)(clocks)

    def first_twice(clocks):
        clocks[step.start[1] : step.end[1]] = [list(clock) for clock in clocks[: step.end[0]]]
        for clock in range(step.start[1], step.window[1]):
            change(clock, reset=1)(clocks)

    return {"conversion_order": second_first, "conversion_order (twice)": first_twice}


def _held(step: Step) -> dict:
    """The reset wire of banks that hold."""
    if step.spec.reset_groups == 1:
        return {}
    between = step.start[1]
    return {
        "held_reset": change(between + 1, reset=3),
        "held_reset (at once)": change(between, reset=3),
        "held_reset (late)": change(step.window[1] - 1, reset=3),
        "no_phase (held, before)": change(1, reset=1),
        "no_phase (held, after)": change(step.end[1], reset=1),
        "no_phase (between)": change(between + 1, reset=0),
        "reset_in_conversion (held, window)": change(step.window[0], reset=2),
        "reset_in_conversion (held, hold)": change(step.hold[1], reset=2),
    }


def _pulses(step: Step) -> dict:
    """Pulses that are too late, too long, of both polarities, or on what the conversion does not drive."""
    spec, found = step.spec, {}
    for k, buses in enumerate(step.codes):
        window, hold = step.window[k], step.hold[k]
        for bus, mask, limit in zip(buses, driven_pins(spec, k), (spec.input_max, spec.state_pulse_max), strict=True):
            codes, name = buses[bus], {"row": "row", "state": "line"}[bus]
            idle = _lines_of(~mask, len(codes))
            if idle:
                found[f"{name}_not_driven ({k})"] = flip(window, f"{bus}_pos", idle[0])
                found[f"{name}_not_driven ({k}, negative)"] = flip(window, f"{bus}_neg", idle[-1])
            if not mask:
                continue
            driven = _lines_of(mask, len(codes))
            for sign, pins in ((1, f"{bus}_pos"), (-1, f"{bus}_neg")):
                own, other = (
                    next(line for line in driven if codes[line] == code) for code in (sign * limit, -sign * limit)
                )
                short = next(line for line in driven if codes[line] == 1)
                found |= {
                    f"pulse_outside_window ({pins}, {k}, before)": flip(window - 1, pins, own),
                    f"pulse_outside_window ({pins}, {k}, hold)": flip(hold, pins, own),
                    f"pulse_outside_window ({pins}, {k}, ramp)": flip(hold + 4, pins, other),
                    f"pulse_both_polarities ({pins}, {k})": flip(window, pins, other),
                    f"pulse_not_from_start ({pins}, {k}, late)": flip(window, pins, own),
                    f"pulse_not_from_start ({pins}, {k}, stray)": flip(window + 1 + (sign == 1), pins, short),
                }
                if hold - window > limit:
                    found[f"pulse_too_long ({pins}, {k})"] = flip(window + limit, pins, own)
    return found


CASES = [(cell, name) for cell, spec in SPECS.items() for name in violations(Step(spec))]

# A window that opens in a ramp was not reset either.
ALSO = {"integrate_in_ramp": {"reset_too_short"}}


def mutated(cell, name) -> list[list]:
    step = Step(SPECS[cell])
    clocks = step.pins()
    violations(step)[name](clocks)
    return clocks


def check(clocks, cell="lstm", strict=False) -> ProtocolChecker:
    checker = ProtocolChecker(SPECS[cell], strict=strict)
    for pins, ready in clocks:
        checker.clock(pins, ready)
    return checker


@pytest.mark.parametrize("cell", SPECS)
def test_correct_step_is_accepted(cell):
    step = Step(SPECS[cell])
    checker = check(step.pins() + step.pins() + step.pins(), cell, strict=True)
    checker.check_finished()
    assert checker.conversions == 3 * len(step.start)


@pytest.mark.parametrize("cell", SPECS)
def test_waiting_is_accepted(cell):
    """A step with waits in start, in hold and on ticks."""
    step = Step(SPECS[cell])
    clocks = step.pins()
    waits = {first + 2 for first in step.start} | {first + 1 for first in step.hold}
    waits |= {first + k for first in step.ramp for k in (0, 3, 6)}
    for clock in sorted(waits, reverse=True):
        clocks[clock][1] = 0
        clocks.insert(clock + 1, [dataclasses.replace(clocks[clock][0], tick=0), 1])
    check(clocks, cell, strict=True).check_finished()


def test_every_rule_is_tried():
    assert {name.split(" ")[0] for _, name in CASES} | {"unknown_value"} == set(RULES)


@pytest.mark.parametrize(("cell", "name"), CASES)
def test_violation_is_named(cell, name):
    with pytest.raises(ProtocolError) as caught:
        check(mutated(cell, name), cell, strict=True)
    rule = name.split(" ")[0]
    assert caught.value.violation.rule == rule
    # Nothing else is wrong on that clock but what the same wires break by themselves.
    first = caught.value.violation.clock
    collected = check(mutated(cell, name), cell)
    others = {violation.rule for violation in collected.violations if violation.clock == first} - {rule}
    assert others == ALSO.get(name, set())
    # Collected instead of raised, it is not forgotten.
    with pytest.raises(ProtocolError) as finished:
        collected.check_finished()
    assert finished.value.violation == caught.value.violation
    assert str(caught.value).startswith(f"{rule} on clock {caught.value.violation.clock}: {RULES[rule]}")


def test_unknown_value():
    clocks = Step(SPEC).pins()
    clocks[8][0].tap = "X"
    with pytest.raises(ProtocolError, match="unknown_value on clock 8"):
        check(clocks, strict=True)


def test_nothing_checked_is_an_error():
    with pytest.raises(AssertionError, match="saw no conversion in 0 clocks"):
        ProtocolChecker(SPEC).check_finished()


def in_icarus(tmp_path, spec, sequences, clock: int = 0, assignment: str = "") -> list[tuple[int, int]]:
    """What protocol.sv in Icarus says of each sequence, after a reset: the rules broken, and the conversions.

    ``assignment`` is a statement in Verilog, executed after that ``clock`` of the first sequence.
    """
    if shutil.which("iverilog") is None:
        pytest.fail("iverilog is not on PATH; install it (apt install iverilog)")
    widths = {wire.name: max(wire.width(spec), 1) for wire in BOUNDARY if wire.to_array}
    lines = []
    for clocks in sequences:
        lines += [(1, Pins(reset=1), 1)] + [(0, *clock) for clock in clocks]
    packed = []
    for rst, pins, ready in lines:
        value = rst << 1 | ready
        for name in PIN_NAMES:
            value = value << widths[name] | getattr(pins, name)
        packed.append(value)
    total = sum(widths.values()) + 2
    (tmp_path / "pins.hex").write_text("".join(f"{value:x}\n" for value in packed))
    pins = [wire.port for wire in BOUNDARY if wire.to_array]
    assert widths["calibration"] > 1
    (tmp_path / "top.sv").write_text(f"""
module top;
  reg clk = 0;
  reg [{total - 1}:0] memory[0:{len(packed) - 1}];
{boundary_wires(spec).replace("wire", "reg")}
  reg rst;
  wire [31:0] broken, conversions;
  integer k;
{checker_instance(spec)}
  initial begin
    $readmemh("{tmp_path}/pins.hex", memory);
    for (k = 0; k < {len(packed)}; k = k + 1) begin
      {{rst, array_ready, {", ".join(pins)}}} = memory[k];
      if (rst) begin
        $display("broken %0d %0d", broken, conversions);
        protocol.broken = 0;
        protocol.conversions = 0;
      end
      #1 clk = 1;
      #1 clk = 0;
      if (k == {clock + 1}) begin {assignment} end
    end
    $display("broken %0d %0d", broken, conversions);
  end
endmodule
""")
    (tmp_path / CHECKER).write_text(checker_source())
    subprocess.run(["iverilog", "-g2012", "-o", "top.vvp", "top.sv", CHECKER], cwd=tmp_path, check=True)
    run = subprocess.run(["vvp", "-n", tmp_path / "top.vvp"], check=True, capture_output=True, text=True, timeout=600)
    got = [tuple(map(int, line.split()[1:])) for line in run.stdout.splitlines() if line.startswith("broken ")]
    assert len(got) == len(sequences) + 1
    return got[1:]


@pytest.mark.parametrize("cell", SPECS)
def test_verilog_checker_breaks_the_same_rules(tmp_path, cell):
    step = Step(SPECS[cell])
    sequences = [step.pins(), *(mutated(cell, name) for name in violations(step))]
    expected = []
    for clocks in sequences:
        checker = check(clocks, cell)
        found = {violation.rule for violation in checker.violations}
        expected.append((sum(1 << k for k, rule in enumerate(RULES) if rule in found), checker.conversions))
    assert in_icarus(tmp_path, SPECS[cell], sequences) == expected


@pytest.mark.parametrize(("counter", "clock"), [("resets", 0), ("holds", 6)])
def test_counters_do_not_wrap_around(tmp_path, counter, clock):
    """However long a reset or a hold lasts, it is not too short: as if 2**31 - 1 clocks of it had passed."""
    expected = [(0, 2)]
    assert in_icarus(tmp_path, SPEC, [Step(SPEC).pins()]) == expected
    assert in_icarus(tmp_path, SPEC, [Step(SPEC).pins()], clock, f"protocol.{counter} = 32'h7fffffff;") == expected
