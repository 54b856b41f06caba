# SPDX-License-Identifier: Apache-2.0
"""The recorder of pulses: what was recorded of each line is counted for it, clock by clock, line by line."""

from amaranth import Fragment, Module, Mux, Signal, signed
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.emulation.recorder import PulseRecorder

from ..engine.entry import Entry
from ..engine.inspection import memory_word, named
from ..engine.proof import Proof, implies, signal_inside


class RecorderProof(Proof):
    """The recorder, for a line and a clock of the window that stand for all of them.

    Environment: ``record`` is high for no more clocks than the longest pulse has, with gaps or without, and for any
    number of them with ``stops``, where the recorder itself has to end. ``count`` is high only behind them, and
    neither of them with ``clear``, which comes at any time. The pulses are free.

    Claims, for any trace:

    - Each clock with ``count`` brings one clock of the window of one line: all clocks of line 0, then of line 1, and so
      on, until the last line is through.
    - One clock later, ``value`` is that of the clock before (for the window's first clock 0) and what was recorded for
      this line on that clock of the window: 1 for a positive pulse, -1 for a negative one. So behind the
      last clock it is the line's signed length.
    - ``valid`` is high exactly behind the last clock of a line, and ``last`` with it for the last line alone.

    Parameters
    ----------
    lines, bits : int
    stops : bool
        As those of :class:`PulseRecorder`.
    """

    def __init__(self, lines: int, bits: int, stops: bool = False, **options):
        super().__init__(**options)
        self.lines, self.bits, self.stops = lines, bits, stops

    def describe(self, m: Module) -> None:
        dut = PulseRecorder(self.lines, self.bits, stops=self.stops)
        m.submodules.dut = fragment = Fragment.get(dut, None)
        lines, window = self.lines, dut.window
        names = ("clear", "record", "count", "pos", "neg")
        clear, record, count, pos, neg = (self.free(m, len(getattr(dut, name)), name) for name in names)
        m.d.comb += [
            getattr(dut, name).eq(value) for name, value in zip(names, (clear, record, count, pos, neg), strict=True)
        ]

        # ---- reference: what is recorded, and which clock of which line is counted
        line, place = self.choice(m, lines, "line"), self.choice(m, window, "place")
        recorded = Signal(range(window + 1), name="clocks_recorded")
        at, of_line = Signal(range(max(window, 2)), name="clock_counted"), Signal(range(lines + 1), name="line_counted")
        whole = named(m, "window_is_recorded", recorded == window)
        self.assume(m, ~(count & ~whole) & ~(clear & (record | count)))
        if not self.stops:
            self.assume(m, ~(record & whole))
        held = Signal(2, name="held")
        counts = named(m, "counts", count & (of_line != lines))
        final = named(m, "final_clock", at == window - 1)
        with m.If(record & (recorded == place)):
            m.d.sync += held.eq(pos.bit_select(line, 1) | (neg.bit_select(line, 1) << 1))
        with m.If(clear):
            m.d.sync += [recorded.eq(0), at.eq(0), of_line.eq(0)]
        with m.Else():
            m.d.sync += recorded.eq(recorded + (record & ~whole))
            with m.If(counts):
                m.d.sync += [at.eq(Mux(final, 0, at + 1)), of_line.eq(of_line + final)]

        # ---- claims
        shows, is_first, is_last, ours = (Signal(name=name) for name in ("shows", "is_first", "is_last", "ours"))
        ends, total = Signal(name="ends"), Signal(signed(self.bits), name="total_so_far")
        driven = Signal(2, name="driven")
        m.d.sync += [
            shows.eq(counts),
            is_first.eq(at == 0),
            ends.eq(final),
            is_last.eq(of_line == lines - 1),
            ours.eq((of_line == line) & (at == place)),
            driven.eq(held),
        ]
        with m.If(shows):
            m.d.sync += total.eq(dut.value)
        step = driven[0] - driven[1]
        self.claim(m, dut.valid == (shows & ends), "valid behind the last clock of a line")
        with m.If(dut.valid):
            self.claim(m, dut.last == is_last, "last with the last line")
        with m.If(shows & ours):
            expected = Signal(signed(self.bits + 2), name="expected")
            m.d.comb += expected.eq(Mux(is_first, 0, total) + step)
            self.claim(m, dut.value == expected[: self.bits].as_signed(), "a clock of a line adds what was recorded")
        most = dut.valid & ours & (dut.value == window)
        self.cover(m, most & dut.last, "the longest pulse, on the last line")
        self.cover(m, dut.valid & (dut.value == -1), "a short negative pulse")

        # ---- invariants
        clock, own_line, finished, kept = (
            signal_inside(fragment, name) for name in ("clock", "line", "finished", "total")
        )
        over = of_line == lines
        if self.stops:
            self.invariant(m, signal_inside(fragment, "recorded") == whole, "all is recorded")
        self.invariant(m, (recorded <= window) & (at < window) & (of_line <= lines), "counters")
        self.invariant(m, implies(~whole, (at == 0) & (of_line == 0)), "nothing is counted before it is recorded")
        self.invariant(m, clock == Mux(whole, at, recorded), "clock of the window")
        self.invariant(m, (own_line == Mux(over, 0, of_line)) & (finished == over), "line")
        self.invariant(m, implies(over, at == 0), "nothing is counted behind the last line")
        self.invariant(m, signal_inside(fragment, "seen") == shows, "whether something is shown")
        with m.If(shows):
            for name, expected in (("first", is_first), ("final", ends)):
                self.invariant(m, signal_inside(fragment, name) == expected, f"what is shown: {name}")
            self.invariant(m, dut.last == is_last, "what is shown: last")
        self.invariant(m, kept == total, "the length so far")
        word = memory_word(fragment, "memory", place[: (window - 1).bit_length()], "recorded_word")
        both = named(m, "of_line_recorded", word.bit_select(line, 1) | (word[lines:].bit_select(line, 1) << 1))
        with m.If(recorded > place):
            self.invariant(m, both == held, "what the memory holds")


def proofs(spec: Specification) -> list[Entry]:
    """The proofs of the recorders of a board for ``spec``, of rows and of state cells, as far as it has them.

    Where a window is longer than the pulses, the recorder stops earlier.
    """
    cell, windows = spec.layout, list(enumerate(spec.windows))
    of_rows = max(clocks for k, clocks in windows if cell.drives_rows(k))
    recorders = [("row", (spec.rows, spec.input_bits, of_rows > spec.input_max))]
    if spec.state_lines:
        of_lines = max(clocks for k, clocks in windows if cell.drives_lines(k))
        recorders.append(("state cell", (spec.state_lines, spec.state_pulse_bits, of_lines > spec.state_pulse_max)))
    return [
        Entry(
            "recorder",
            f"the length of every {what}'s pulse is what was recorded of it, line after line",
            lambda sizes=sizes: RecorderProof(*sizes),
        )
        for what, sizes in recorders
    ]
