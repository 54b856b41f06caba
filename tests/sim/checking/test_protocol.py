# SPDX-License-Identifier: Apache-2.0
"""Every rule of the boundary is broken once, on purpose, and the checkers say exactly which."""

import dataclasses
import shutil
import subprocess

import numpy as np
import pytest
from crossramp.golden.network.array_protocol import Window
from crossramp.golden.spec.boundary_wires import BOUNDARY
from crossramp.golden.spec.specification import Specification
from crossramp.sim.array.boundary_sequence import conversion_pins
from crossramp.sim.array.boundary_verilog import boundary_wires
from crossramp.sim.array.python_array import PIN_NAMES, Pins
from crossramp.sim.checking.protocol import RULES, ProtocolChecker, ProtocolError
from crossramp.sim.checking.protocol_verilog import CHECKER, checker_instance, checker_source

SPEC = Specification(
    inputs=3, units=2, classes=2, adc_bits=3, input_bits=3, state_pulse_bits=4, settle_clocks=2, calibration_cells=1
)
ROW_CODES = np.array([3, -2, 1, -1, 0, 3])
STATE_CODES = np.array([5, -7])

# The clocks of one step, by name: start, window, hold, ramp; then the same of the state.
START, WINDOW, HOLD, RAMP = 0, 3, 6, 8
START2 = RAMP + SPEC.ticks
WINDOW2, HOLD2 = START2 + 3, START2 + 3 + SPEC.state_pulse_max
RAMP2 = HOLD2 + 2
END = RAMP2 + SPEC.ticks


def step() -> list[list]:
    """[pins, ready] of each clock of a correct step, and two idle clocks."""
    clocks = [[pins, 1] for pins, _ in conversion_pins(SPEC, Window(ROW_CODES))]
    clocks += [[pins, 1] for pins, _ in conversion_pins(SPEC, Window(None, STATE_CODES), second=True)]
    assert len(clocks) == END
    return clocks + [[Pins(reset=1), 1] for _ in range(2)]


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


def second_first(clocks):
    clocks[:] = clocks[START2:]


def flip(clock, name, line):
    """A mutation: one line of a bus is driven on one clock where it was not, or the other way round."""

    def mutate(clocks):
        pins = clocks[clock][0]
        clocks[clock][0] = dataclasses.replace(pins, **{name: getattr(pins, name) ^ 1 << line})

    return mutate


def state_falls_in_hold(clocks):
    for clock in range(HOLD2 + 1, END):
        clocks[clock][0] = dataclasses.replace(clocks[clock][0], state=0)


VIOLATIONS = {
    "integrate_in_ramp": change(RAMP + 2, integrate=1),
    "reset_in_conversion": change(HOLD, reset=1),
    "no_phase": change(START + 1, reset=0),
    "reset_too_short": drop(START2),
    "ready_ignored": ready_low(RAMP + 3),
    "ready_ignored (window)": ready_low(WINDOW - 1),
    "ready_ignored (ramp)": ready_low(RAMP - 1),
    "conversion_order": second_first,
    "window_length": repeat(WINDOW + 2, row_pos=0, row_neg=0),
    "window_length (short)": drop(WINDOW2 + 6),
    "window_without_hold": repeat(WINDOW + 2, integrate=0, reset=1, row_pos=0, row_neg=0),
    "hold_without_window": drop(WINDOW, 3),
    "hold_dropped": lambda clocks: (ready_low(START2 - 1)(clocks), change(START2 - 1, tick=1)(clocks)),
    "state_changes": state_falls_in_hold,
    "state_changes (idle)": change(START2, state=1),
    "ramp_reset_outside_hold": change(START + 1, ramp_reset=1),
    "ramp_reset_outside_hold (ramp)": change(RAMP, ramp_reset=1),
    "ramp_reset_missing": change(HOLD + 1, ramp_reset=0),
    "tick_outside_hold": change(START + 1, tick=1, tap=1),
    "hold_too_short": drop(HOLD),
    "tick_count": drop(START2 - 1),
    "tap_not_one_hot": change(RAMP + 4, tap=0b11000),
    "tap_order": change(RAMP + 4, tap=0b01000),
    "tap_changes": lambda clocks: (ready_low(RAMP + 2)(clocks), repeat(RAMP + 2, tick=0, tap=1)(clocks)),
    "ramp_pauses": repeat(RAMP + 3, tick=0),
    "calibration_changes": change(RAMP, calibration=1),
}

# The rules of pulses on each kind of line: a line that the step drives in that polarity, one that it drives in the
# other, one that is low when it is driven late, and the clocks of all that.
for bus, own, other, (stray, late), (window, hold) in (
    ("row_pos", 5, 1, (4, WINDOW + 1), (WINDOW, HOLD)),
    ("row_neg", 1, 0, (4, WINDOW + 2), (WINDOW, HOLD)),
    ("state_pos", 0, 1, (0, WINDOW2 + 6), (WINDOW2, HOLD2)),
    ("state_neg", 1, 0, (0, WINDOW2 + 6), (WINDOW2, HOLD2)),
):
    VIOLATIONS |= {
        f"pulse_outside_window ({bus}, before)": flip(window - 1, bus, own),
        f"pulse_outside_window ({bus}, hold)": flip(hold, bus, own),
        f"pulse_outside_window ({bus}, ramp)": flip(hold + 4, bus, other),
        f"pulse_both_polarities ({bus})": flip(window, bus, other),
        f"pulse_not_from_start ({bus}, late)": flip(window, bus, own),
        f"pulse_not_from_start ({bus}, stray)": flip(late, bus, stray),
    }
VIOLATIONS |= {
    "state_pulse_in_first_conversion (state_pos)": flip(WINDOW, "state_pos", 0),
    "state_pulse_in_first_conversion (state_neg)": flip(WINDOW, "state_neg", 1),
    "row_pulse_in_second_conversion (row_pos)": flip(WINDOW2, "row_pos", 2),
    "row_pulse_in_second_conversion (row_neg)": flip(WINDOW2, "row_neg", 5),
}

# A window that opens in a ramp was not reset either.
ALSO = {"integrate_in_ramp": {"reset_too_short"}}


def mutated(name) -> list[list]:
    clocks = step()
    VIOLATIONS[name](clocks)
    for clock in clocks:
        if name.startswith("tap_changes") and clock is clocks[RAMP + 3]:
            clock[1] = 1
    return clocks


def check(clocks, strict=False) -> ProtocolChecker:
    checker = ProtocolChecker(SPEC, strict=strict)
    for pins, ready in clocks:
        checker.clock(pins, ready)
    return checker


def test_correct_step_is_accepted():
    checker = check(step() * 3, strict=True)
    checker.check_finished()
    assert checker.conversions == 6


def test_waiting_is_accepted():
    """A step with waits in start, in hold and on ticks."""
    clocks = step()
    for clock in sorted((START + 2, HOLD + 1, RAMP, RAMP + 3, START2 - 1, START2 + 2, RAMP2 + 6), reverse=True):
        clocks[clock][1] = 0
        clocks.insert(clock + 1, [dataclasses.replace(clocks[clock][0], tick=0), 1])
    check(clocks, strict=True).check_finished()


def test_every_rule_is_tried():
    assert {name.split(" ")[0] for name in VIOLATIONS} | {"unknown_value"} == set(RULES)


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation_is_named(name):
    with pytest.raises(ProtocolError) as caught:
        check(mutated(name), strict=True)
    rule = name.split(" ")[0]
    assert caught.value.violation.rule == rule
    # Nothing else is wrong on that clock but what the same wires break by themselves.
    first = caught.value.violation.clock
    collected = check(mutated(name))
    others = {violation.rule for violation in collected.violations if violation.clock == first} - {rule}
    assert others == ALSO.get(name, set())
    # Collected instead of raised, it is not forgotten.
    with pytest.raises(ProtocolError) as finished:
        collected.check_finished()
    assert finished.value.violation == caught.value.violation
    assert str(caught.value).startswith(f"{rule} on clock {caught.value.violation.clock}: {RULES[rule]}")


def test_unknown_value():
    clocks = step()
    clocks[RAMP][0].tap = "X"
    with pytest.raises(ProtocolError, match="unknown_value on clock 8"):
        check(clocks, strict=True)


def test_nothing_checked_is_an_error():
    with pytest.raises(AssertionError, match="saw no conversion in 0 clocks"):
        ProtocolChecker(SPEC).check_finished()


def in_icarus(tmp_path, sequences, clock: int = 0, assignment: str = "") -> list[tuple[int, int]]:
    """What protocol.sv in Icarus says of each sequence, after a reset: the rules broken, and the conversions.

    ``assignment`` is a statement in Verilog, executed after that ``clock`` of the first sequence.
    """
    if shutil.which("iverilog") is None:
        pytest.fail("iverilog is not on PATH; install it (apt install iverilog)")
    widths = {wire.name: wire.width(SPEC) for wire in BOUNDARY if wire.to_array}
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
{boundary_wires(SPEC).replace("wire", "reg")}
  reg rst;
  wire [31:0] broken, conversions;
  integer k;
{checker_instance(SPEC)}
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


def test_verilog_checker_breaks_the_same_rules(tmp_path):
    sequences = [step(), *(mutated(name) for name in VIOLATIONS)]
    expected = []
    for clocks in sequences:
        checker = check(clocks)
        found = {violation.rule for violation in checker.violations}
        expected.append((sum(1 << k for k, rule in enumerate(RULES) if rule in found), checker.conversions))
    assert in_icarus(tmp_path, sequences) == expected


@pytest.mark.parametrize(("counter", "clock"), [("resets", START), ("holds", HOLD)])
def test_counters_do_not_wrap_around(tmp_path, counter, clock):
    """However long a reset or a hold lasts, it is not too short: as if 2**31 - 1 clocks of it had passed."""
    expected = [(0, 2)]
    assert in_icarus(tmp_path, [step()]) == expected
    assert in_icarus(tmp_path, [step()], clock, f"protocol.{counter} = 32'h7fffffff;") == expected
