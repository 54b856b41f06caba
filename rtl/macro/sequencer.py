# SPDX-License-Identifier: Apache-2.0
"""The sequencer: the phase of a step, and every control line of the array."""

import enum

from amaranth import Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from crossramp.golden.spec.specification import Specification


class Phase(enum.Enum):
    """What the macro is doing. START to UPDATE occur once for each conversion of a step."""

    FLUSH = 0  # after reset: shift the capture banks empty
    IDLE = 1  # wait for x
    START = 2  # the pulse registers see count 0
    INTEGRATE = 3
    HOLD = 4
    RAMP = 5
    UPDATE = 6
    PROJECT = 7  # a digital unit projects h, or another macro; once a step, if there is one


class Sequencer(wiring.Component):
    """Orders one step: integrate, hold, ramp and update for each conversion of the cell, one or two; project h.

    Of an LSTM the first update stores c, and the second h.

    The control lines of the array are flip-flops, set together with the phase, so they change with it and without
    glitches. The array's ``ready`` is waited for in START, in HOLD and on every tick.

    Clocks of a step, if nothing waits: ``Specification.macro_clocks``. For each conversion one in START, a window,
    ``settle_clocks`` in HOLD, a ramp, and ``update_clocks`` in UPDATE. A conversion that drives values of other macros
    waits for them in START. Where the state is loaded, the first step of an utterance waits in IDLE until it is.

    Parameters
    ----------
    spec : Specification
    """

    def __init__(self, spec: Specification):
        self.spec = spec
        window = max(spec.windows)
        super().__init__(
            {
                # the array's control lines, see boundary.ArraySignature
                "state": Out(1),
                "integrate": Out(1),
                "reset": Out(spec.reset_groups, init=(1 << spec.reset_groups) - 1),
                "hold": Out(1),
                "ramp_reset": Out(1),
                "tick": Out(1),
                "ready": In(1),
                # x
                "x_full": In(1),
                "x_last": In(1),  # of the step taken last
                **({"x_keep": In(1)} if spec.keeps_state else {}),  # with x_last: the next utterance goes on from it
                "take": Out(1),
                # the state that an utterance starts from, where it is loaded
                **({"load": Out(1), "loaded": In(1)} if spec.loads_state else {}),
                # what other macros give and this conversion drives is there
                **({"fed": In(1)} if spec.layout.given else {}),
                # pulses
                "drive": Out(1),  # pulse registers compare on this clock
                "count": Out(range(window + 1)),  # clock of the window that they prepare
                # ramp and capture
                "ramp_start": Out(1),
                "ramp_step": Out(1),
                "ramp_last": In(1),
                "latch": Out(1),
                # update
                "flush": Out(1),
                "update": Out(1),  # phase UPDATE
                "update_done": In(1),  # its last clock
                "project": Out(1),  # phase PROJECT
                "project_done": In(1),  # its last clock
                "second": Out(1),  # the second conversion's half of the step; low where there is one
                "first_step": Out(1),  # of an utterance: the state and h count as zero
                "busy": Out(1),
                "stalled": Out(1),  # only the array's ready is missing
            }
        )

    def elaborate(self, platform):
        m = Module()
        spec = self.spec

        phase = Signal(Phase)
        following = Signal(Phase)
        following_second = Signal()
        first_step = Signal(init=1)
        fresh = self.x_last & ~self.x_keep if spec.keeps_state else self.x_last  # the next step begins an utterance
        starts = follows = self.x_full  # a step may begin: after a pause, or as soon as one is over
        if spec.loads_state:
            starts, follows = self.x_full & (~first_step | self.loaded), self.x_full & (~fresh | self.loaded)
        waited = Signal(range(max(spec.settle_clocks, spec.beats) + 1))  # clocks spent in FLUSH or HOLD

        m.d.comb += following.eq(phase)
        m.d.sync += [phase.eq(following), waited.eq(0)]
        twice = len(spec.conversions) == 2
        final = Const(1)
        if twice:
            m.d.comb += following_second.eq(self.second)
            m.d.sync += self.second.eq(following_second)
            final = self.second

        window_over = self.count == spec.windows[0]
        if spec.windows[-1] != spec.windows[0]:
            window_over = Signal()
            m.d.comb += window_over.eq(self.count == spec.windows[0])
            with m.If(self.second):
                m.d.comb += window_over.eq(self.count == spec.windows[1])

        with m.Switch(phase):
            with m.Case(Phase.FLUSH):
                m.d.comb += self.flush.eq(1)
                m.d.sync += waited.eq(waited + 1)
                with m.If(waited == spec.beats - 1):
                    m.d.comb += following.eq(Phase.IDLE)
                    m.d.sync += waited.eq(0)
            with m.Case(Phase.IDLE):
                if spec.loads_state:
                    m.d.comb += self.load.eq(self.x_full & first_step)
                with m.If(starts):
                    m.d.comb += [self.take.eq(1), following.eq(Phase.START)]
            with m.Case(Phase.START):
                stalled, ready = ~self.ready, self.ready
                if spec.layout.given:
                    stalled, ready = stalled & self.fed, ready & self.fed
                m.d.comb += self.stalled.eq(stalled)
                with m.If(ready):
                    m.d.comb += [self.drive.eq(1), following.eq(Phase.INTEGRATE)]
                    m.d.sync += self.count.eq(1)
            with m.Case(Phase.INTEGRATE):
                m.d.comb += self.drive.eq(1)
                m.d.sync += self.count.eq(self.count + 1)
                with m.If(window_over):
                    m.d.comb += following.eq(Phase.HOLD)
                    m.d.sync += self.count.eq(0)
            with m.Case(Phase.HOLD):
                m.d.sync += waited.eq(waited)
                with m.If(waited != spec.settle_clocks - 1):
                    m.d.sync += waited.eq(waited + 1)
                with m.Elif(~self.ready):
                    m.d.comb += self.stalled.eq(1)
                with m.Else():
                    m.d.comb += [self.ramp_start.eq(1), following.eq(Phase.RAMP)]
                    m.d.sync += waited.eq(0)
            with m.Case(Phase.RAMP):
                m.d.comb += self.stalled.eq(~self.ready)
                with m.If(self.ready):
                    m.d.comb += [self.latch.eq(1), self.ramp_step.eq(1)]
                    with m.If(self.ramp_last):
                        m.d.comb += following.eq(Phase.UPDATE)
            with m.Case(Phase.UPDATE):
                m.d.comb += self.update.eq(1)
                with m.If(self.update_done):
                    if twice:
                        with m.If(~self.second):
                            m.d.comb += [following.eq(Phase.START), following_second.eq(1)]
                    if spec.projection:
                        with m.If(final):
                            m.d.comb += following.eq(Phase.PROJECT)
            if spec.projection:
                with m.Case(Phase.PROJECT):
                    m.d.comb += self.project.eq(1)
        with m.If(self.project_done if spec.projection else self.update_done & final):  # the step is over
            if twice:
                m.d.comb += following_second.eq(0)
            m.d.sync += first_step.eq(fresh)
            with m.If(follows):
                m.d.comb += [self.take.eq(1), following.eq(Phase.START)]
            with m.Else():
                m.d.comb += following.eq(Phase.IDLE)

        converting = (following == Phase.INTEGRATE) | (following == Phase.HOLD) | (following == Phase.RAMP)
        holding = (following == Phase.HOLD) | (following == Phase.RAMP)
        m.d.sync += [
            self.state.eq(following_second & converting),
            self.integrate.eq(following == Phase.INTEGRATE),
            self.reset[0].eq(~converting),
            self.hold.eq(holding),
            self.ramp_reset.eq(following == Phase.HOLD),
            self.tick.eq(self.ramp_start | (self.ramp_step & ~self.ramp_last)),
        ]
        if spec.layout.held:
            # From the first window up to the end of the second conversion these banks keep what they have.
            between = Mux(following_second, following == Phase.START, following == Phase.UPDATE)
            m.d.sync += self.reset[1].eq(~(converting | between))
        m.d.comb += [
            self.first_step.eq(first_step),
            self.busy.eq(~(first_step & ((phase == Phase.IDLE) | (phase == Phase.FLUSH)))),
        ]
        return m
