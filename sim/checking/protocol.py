# SPDX-License-Identifier: Apache-2.0
"""The rules of the analog boundary, checked clock by clock, each with its name."""

from dataclasses import dataclass

from crossramp.golden.common.errors import CrossrampError, ExitStatus
from crossramp.golden.spec.boundary_wires import PIN_NAMES
from crossramp.golden.spec.specification import Specification

#: Every rule: its name, and what breaks it. The order is that of the bits of ``protocol.sv``, and decides which one is
#: named first where one clock breaks several.
RULES = {
    "unknown_value": "a pin is X or Z",
    "integrate_in_ramp": "integrate is high together with hold, ramp_reset or tick",
    "reset_in_conversion": "reset is high together with integrate or hold",
    "no_phase": "none of reset, integrate and hold is high: the integrators float; or a held bank's, outside its step",
    "reset_too_short": "a window opens after fewer than 3 clocks of reset",
    "held_reset": "banks that hold their charge are reset between a step's two conversions",
    "ready_ignored": "a window, a ramp or a tick begins although ready was low on the clock before",
    "conversion_order": "state is not low in each first conversion of a step and high in each second one",
    "window_length": "a window is not as long as the longest pulse of what its conversion drives",
    "window_without_hold": "a window closes and hold does not follow at once",
    "pulse_outside_window": "a row or a line is driven while integrate is low",
    "pulse_both_polarities": "a row or a line is driven with both polarities at once",
    "pulse_not_from_start": "a pulse rises after the first clock of its window",
    "pulse_too_long": "a row or a line is driven for more clocks than its largest pulse code",
    "row_not_driven": "a row is driven in a conversion that does not drive it",
    "line_not_driven": "a line is driven in a conversion that does not drive it",
    "hold_without_window": "hold rises and no window closed on that clock",
    "hold_dropped": "hold falls before the last tick's comparators are latched",
    "state_changes": "state changes within window, hold and ramp, or is high outside",
    "ramp_reset_outside_hold": "ramp_reset is high without hold, or from the first tick on",
    "ramp_reset_missing": "ramp_reset is low in hold before the first tick",
    "tick_outside_hold": "tick is high while hold is low",
    "hold_too_short": "the first tick comes before settle_clocks of hold",
    "tick_count": "a conversion has not exactly as many ticks as the longest ramp that it latches",
    "tap_not_one_hot": "on a tick, not exactly one tap is high",
    "tap_order": "tick k does not select tap k - 1",
    "tap_changes": "the tap changes between its tick and the next",
    "ramp_pauses": "after a tick's comparators are latched, neither the next tick nor the end of hold follows at once",
    "calibration_changes": "the calibration cells change within hold and ramp",
}


def driven_pins(spec: Specification, conversion: int) -> tuple[int, int]:
    """The rows and the wires of lines that a conversion may drive: bit r is row r, bit w is wire w."""
    cell = spec.layout
    rows = [spec.rows_of(group) for group in cell.row_groups if cell.driven_value(group, conversion)]
    lines = [spec.wires_of(line) for line in cell.lines if cell.driven_value(line, conversion)]
    masks = [sum((1 << part.stop) - (1 << part.start) for part in parts) for parts in (rows, lines)]
    return masks[0], masks[1]


def sum_lines(spec: Specification) -> int:
    """The wires of lines that bring partial sums, which have a longest pulse of their own: bit w is wire w."""
    parts = [spec.wires_of(line) for line in spec.layout.lines if spec.layout.source_of(line) is not None]
    return sum((1 << part.stop) - (1 << part.start) for part in parts)


def sum_pulse_max(spec: Specification) -> int:
    """Clocks of the longest pulse on those lines; 0 without partial sums."""
    return (1 << (spec.code_pulse_bits - 1)) - 1


class ProtocolError(CrossrampError, AssertionError):
    """A rule of the boundary was broken; ``violation`` says which and when."""

    exit_status = ExitStatus.DIFFERENT

    def __init__(self, violation: "Violation"):
        super().__init__(str(violation))
        self.violation = violation


@dataclass(frozen=True)
class Violation:
    """One breach: the ``rule``'s name, the ``clock`` since the reset (from 0), and the values that broke it."""

    rule: str
    clock: int
    detail: str = ""

    def __str__(self):
        return f"{self.rule} on clock {self.clock}: {RULES[self.rule]}{f' ({self.detail})' if self.detail else ''}"


class ProtocolChecker:
    """Checks every clock of a boundary; the same object in cocotb, in Amaranth's simulator and in plain loops.

    Parameters
    ----------
    spec : Specification
    strict : bool
        Raise :class:`ProtocolError` at the first breach. Otherwise collect all in :attr:`violations`.

    Attributes
    ----------
    violations : list of Violation
    clocks, conversions : int
        What was checked; a bench that checked no conversion has proved nothing, see :meth:`check_finished`.
    """

    def __init__(self, spec: Specification, *, strict: bool = True):
        self.spec = spec
        self.strict = strict
        self._driven = [driven_pins(spec, k) for k in range(len(spec.conversions))]
        self._sum_lines = sum_lines(spec)
        self.violations: list[Violation] = []
        self.clocks = 0
        self.conversions = 0
        self.reset()

    def reset(self):
        """Forget what is under way, as the periphery does in its reset."""
        self._was = dict.fromkeys(("reset", "integrate", "hold", "state", "tap", "calibration"), 0)
        self._was["ready"] = 1
        self._lines = dict.fromkeys(("row_pos", "row_neg", "state_pos", "state_neg"), 0)
        self._resets = self._window = self._holds = self._ticks = 0
        self._pending = self._keeping = False
        self._second = 0

    def clock(self, pins, ready: int):
        """Check one clock.

        Parameters
        ----------
        pins : array.Pins, or anything with its attributes
            The periphery's outputs during the clock.
        ready : int
            The array's answer during the clock.

        Raises
        ------
        ProtocolError
            If strict, and a rule is broken.
        """
        try:
            now = self._sample(pins)
        except ValueError as error:
            broken = {"unknown_value": str(error)}
            now = None
        else:
            broken = self._broken(now)
        if now is not None:
            self._advance(now, ready)
        for rule in RULES:
            if rule in broken:
                violation = Violation(rule, self.clocks, broken[rule])
                self.violations.append(violation)
                if self.strict:
                    self.clocks += 1
                    raise ProtocolError(violation)
        self.clocks += 1

    def check_finished(self):
        """AssertionError if anything was broken, or nothing was checked."""
        if self.violations:
            raise ProtocolError(self.violations[0])
        if self.conversions == 0:
            raise AssertionError(f"the protocol checker saw no conversion in {self.clocks} clocks: nothing was checked")

    def _sample(self, pins) -> dict[str, int]:
        return {name: int(getattr(pins, name)) for name in PIN_NAMES}

    def _broken(self, now: dict[str, int]) -> dict[str, str]:
        broken = {}

        def rule(name: str, is_broken, detail: str = ""):
            if is_broken:
                broken[name] = detail

        reset, integrate, hold, tick = now["reset"], now["integrate"], now["hold"], now["tick"]
        ramping = now["ramp_reset"] or tick
        rule("integrate_in_ramp", integrate and (hold or ramping))
        rule("reset_in_conversion", reset and (integrate or hold))
        # Between the conversions of a step, banks that hold have no phase: their integrators keep their value.
        keeping = self._keeping and not self._is_over(now)
        needed = 1 if keeping else (1 << self.spec.reset_groups) - 1
        rule("no_phase", reset & needed != needed and not (integrate or hold or ramping), f"reset is {reset:#b}")
        rule("held_reset", keeping and reset >> 1 and not (integrate or hold))
        self._check_window(now, rule)
        self._check_pulses(now, rule)
        self._check_hold(now, rule)
        self._check_ramp(now, rule)
        return broken

    def _is_over(self, now) -> bool:
        """Whether the second conversion of a step ended with the clock before."""
        return bool(self._was["hold"] and self._was["state"] and not now["hold"])

    def _conversion(self, state: int) -> int:
        """The number of the conversion that ``state`` shows, within its step."""
        return min(state, len(self.spec.windows) - 1)

    def _ticks_of(self, state: int) -> int:
        """Ticks of the conversion that ``state`` shows."""
        return self.spec.conversion_ticks[self._conversion(state)]

    def _check_window(self, now, rule):
        was, spec = self._was, self.spec
        if now["integrate"]:
            if not was["integrate"]:
                rule("reset_too_short", self._resets < 3, f"{self._resets} clocks")
                rule("ready_ignored", was["reset"] & 1 and not was["ready"], "window")
                rule("conversion_order", now["state"] != self._second, f"state is {now['state']}")
                self._window = 0
            self._window += 1
            longest = spec.windows[self._conversion(now["state"])]
            rule("window_length", self._window > longest, f"more than {longest} clocks")
        elif was["integrate"]:
            expected = spec.windows[self._conversion(was["state"])]
            rule("window_length", self._window != expected, f"{self._window} clocks; expected {expected}")
            rule("window_without_hold", not now["hold"])

    def _check_pulses(self, now, rule):
        spec, before = self.spec, self._lines
        rows, lines = now["row_pos"] | now["row_neg"], now["state_pos"] | now["state_neg"]
        for pos, neg in (("row_pos", "row_neg"), ("state_pos", "state_neg")):
            both = now[pos] & now[neg]
            rule("pulse_both_polarities", both, f"{pos} and {neg}, lines {both:#x}")
        if not now["integrate"]:
            rule("pulse_outside_window", rows or lines, f"rows {rows:#x}, lines {lines:#x}")
            return
        number = self._conversion(now["state"])
        driven_rows, driven_lines = self._driven[number]
        for name, idle in (("row", rows & ~driven_rows), ("line", lines & ~driven_lines)):
            rule(f"{name}_not_driven", idle, f"{name}s {idle:#x}, conversion {number + 1}")
        for name, driven, longest in (
            ("rows", rows, spec.input_max),
            ("lines", lines & ~self._sum_lines, spec.state_pulse_max),
            ("lines", lines & self._sum_lines, sum_pulse_max(spec)),
        ):
            rule("pulse_too_long", driven and self._window > longest, f"{name} {driven:#x}, clock {self._window}")
        if self._was["integrate"]:
            for name, lately in before.items():
                rises = now[name] & ~lately
                rule("pulse_not_from_start", rises, f"{name}, lines {rises:#x}, clock {self._window} of the window")

    def _check_hold(self, now, rule):
        was, hold = self._was, now["hold"]
        if hold and not was["hold"]:
            rule("hold_without_window", not was["integrate"])
            self._holds = self._ticks = 0
        if was["hold"] and not hold:
            rule("hold_dropped", self._pending)
            expected = self._ticks_of(was["state"])
            rule("tick_count", self._ticks != expected, f"{self._ticks}; expected {expected}")
        converting = hold or now["integrate"]
        rule("state_changes", now["state"] and not converting, "high outside a conversion")
        within = (hold and (was["hold"] or was["integrate"])) or (now["integrate"] and was["integrate"])
        rule("state_changes", within and now["state"] != was["state"], f"to {now['state']}")
        rule("calibration_changes", hold and was["hold"] and now["calibration"] != was["calibration"])

    def _check_ramp(self, now, rule):
        was, hold, tick, tap = self._was, now["hold"], now["tick"], now["tap"]
        rule("ramp_reset_outside_hold", now["ramp_reset"] and (not hold or self._ticks or tick))
        rule("ramp_reset_missing", hold and not self._ticks and not tick and not now["ramp_reset"])
        rule("tick_outside_hold", tick and not hold)
        if tick and hold:
            if not self._ticks:
                rule("hold_too_short", self._holds < self.spec.settle_clocks, f"{self._holds} clocks")
                rule("ready_ignored", not was["ready"], "ramp")
            rule("ready_ignored", self._pending, f"tick {self._ticks + 1}")
            self._ticks += 1
            most = self._ticks_of(now["state"])
            rule("tick_count", self._ticks > most, f"more than {most}")
            one_hot = tap != 0 and tap & (tap - 1) == 0
            rule("tap_not_one_hot", not one_hot, f"tap {tap:#x}")
            rule("tap_order", one_hot and tap != 1 << (self._ticks - 1), f"tick {self._ticks}, tap {tap:#x}")
        elif hold and was["hold"] and self._ticks:
            rule("tap_changes", tap != was["tap"], f"from {was['tap']:#x} to {tap:#x}")
            rule("ramp_pauses", not self._pending, f"after tick {self._ticks}")

    def _advance(self, now, ready):
        if now["hold"]:
            self._holds += 1
            self._pending = self._pending or bool(now["tick"])
        else:
            self._pending = False
        if self._pending and ready:
            self._pending = False
            if self._ticks == self._ticks_of(now["state"]):
                self.conversions += 1
                self._second = int(len(self.spec.conversions) == 2 and not now["state"])
        if now["integrate"] and not now["state"]:
            self._keeping = self.spec.reset_groups == 2
        elif self._is_over(now):
            self._keeping = False
        self._resets = self._resets + 1 if now["reset"] & 1 else 0
        self._was = {name: now[name] for name in self._was if name != "ready"} | {"ready": ready}
        self._lines = {name: now[name] for name in self._lines}
