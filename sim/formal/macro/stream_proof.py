# SPDX-License-Identifier: Apache-2.0
"""Streams of the macro: what waits stays, and one step of h comes out for each step of x that went in."""

from amaranth import Cat, Module, Mux, Signal, Value
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.sequencer import Phase

from ..engine.entry import Entry
from ..engine.proof import implies
from .macro_proof import MacroProof


class StreamProof(MacroProof):
    """The streams of x and h at the ports of the macro.

    Environment: that of :class:`MacroProof`, with the arithmetic of the cell update, whose result is what waits.

    Claims:

    - A beat of h that is not taken stays, with the same payload, in a lane that stands for all of them.
    - ``end`` is high with the last of ``h_beats`` beats of a step, and with no other.
    - ``last`` of all beats of the n-th step out is the ``x_last`` that came with the last code of the n-th step in;
      where states are kept, ``x_keep`` of that code says whether the next step begins from nothing.
    - As many steps come out as went in: one that left had gone in whole, and no more than two are inside, of which one
      may be loading.
    - A code of x is taken whenever no whole step waits, and on the clock on which one is handed over. With
      ``compact``, it is taken whenever no whole step waits and the first window of the one before has closed.
    """

    def __init__(self, spec: Specification, **options):
        super().__init__(spec, values=True, **options)

    def properties(self, m: Module) -> None:
        self._waiting(m)
        self._steps(m)

    def _pulses(self, m: Module) -> None:
        """Not needed here."""

    def _waiting(self, m: Module) -> None:
        """A beat that waits, stays."""
        h, lane = self.dut.h, self.choice(m, self.spec.lanes, "lane")
        payload = Cat(h.payload.codes.as_value().word_select(lane, self.spec.input_bits), h.payload.end, h.payload.last)
        waits, before = Signal(name="h_waits"), Signal(len(payload), name="h_before")
        m.d.sync += [waits.eq(h.valid & ~h.ready), before.eq(payload)]
        with m.If(waits):
            self.claim(m, h.valid, "h: a beat that waits stays")
            self.claim(m, payload == before, "h: the payload of a beat that waits stays")
            self.cover(m, h.ready, "h: a beat that waited is taken")

    def _steps(self, m: Module) -> None:
        """Steps in and out, and what belongs to them."""
        spec, x, h = self.spec, self.dut.x, self.dut.h
        taken, left = Signal(name="code_taken"), Signal(name="step_left")
        groups = self.x_groups
        place, beat = Signal(range(groups)), Signal(range(spec.h_beats), name="h_beat")
        goes_in, goes_out = Signal(name="goes_in"), Signal(name="goes_out")  # which of two steps
        lasts, inside = Signal(2), Signal(range(2 * groups + 2), name="codes_inside")
        keeps = Signal(2)
        m.d.comb += [
            taken.eq(x.valid & x.ready),
            left.eq(h.valid & h.ready & (beat == spec.h_beats - 1)),
        ]
        m.d.sync += inside.eq(inside + taken - Mux(left, groups, 0))
        with m.If(taken):
            m.d.sync += place.eq(Mux(place == groups - 1, 0, place + 1))
            with m.If(place == groups - 1):
                m.d.sync += goes_in.eq(~goes_in)
                for k in range(2):
                    with m.If(goes_in == k):
                        m.d.sync += lasts[k].eq(x.payload.last)
                        if spec.keeps_state:
                            m.d.sync += keeps[k].eq(x.payload.keep)
        with m.If(h.valid & h.ready):
            m.d.sync += beat.eq(Mux(left, 0, beat + 1))
        with m.If(left):
            m.d.sync += goes_out.eq(~goes_out)

        if spec.keeps_state:
            self._kept(m, left, lasts.bit_select(goes_out, 1) & ~keeps.bit_select(goes_out, 1))
        with m.If(h.valid):
            self.claim(m, inside >= groups, "h: a step comes out only after its x")
            self.claim(m, h.payload.end == (beat == spec.h_beats - 1), "h: end is high with the last beat of a step")
            self.claim(m, h.payload.last == lasts.bit_select(goes_out, 1), "h: last is that of the step's x")
        self.claim(m, inside <= 2 * groups, "x: no more than two steps are inside")
        loads = ~self.full & ~self.inside("loader.needed") if self.compact else ~self.full | self.take
        self.claim(m, implies(loads, x.ready), "x: a code is taken unless a whole step waits")
        with m.If(left):
            self.cover(m, h.payload.last, "the last step of an utterance leaves")
            self.cover(m, ~h.payload.last, "another step leaves")
        if not self.compact:
            self.cover(m, inside == 2 * groups, "two steps are inside")
        self.cover(m, left & (goes_out == 1), "two steps have left")

        active = Signal(name="active")
        # Of what an array projects, all h has left.
        over = () if self.dense is None else (Phase.PROJECT,)
        m.d.comb += active.eq(~self.in_phase(Phase.FLUSH, Phase.IDLE, *over))
        self.invariant(m, place == self.loaded, "x: codes of the step that loads")
        waiting = Mux(self.full, groups, 0) + Mux(active, groups, 0)
        self.invariant(m, inside == self.loaded + waiting, "x: codes inside")
        self.invariant(m, (goes_in ^ goes_out) == (self.full ^ active), "x: steps inside")
        for name, sent in {"last": lasts, **({"keep": keeps} if spec.keeps_state else {})}.items():
            taken_one, waits = self.inside(f"loader.{name}"), self.inside(f"loader.bank_{name}")
            self.invariant(m, implies(active, taken_one == sent.bit_select(goes_out, 1)), f"{name}: of the step taken")
            self.invariant(
                m, implies(self.full, waits == sent.bit_select(~goes_in, 1)), f"{name}: of the step that waits"
            )
        self.beats_of_h(m, beat)

    def _kept(self, m: Module, left: Signal, ends: Value) -> None:
        """A step begins from nothing after a reset, and after an utterance that does not keep its state."""
        begins = Signal(init=1, name="begins_anew")
        with m.If(left):
            m.d.sync += begins.eq(ends)
        going = self.in_phase(Phase.START, Phase.INTEGRATE) & ~self.second
        self.claim(m, implies(going, self.first_step == begins), "keep: of the step before")
        self.invariant(m, self.first_step == begins, "keep: of the step before")
        self.cover(m, going & ~begins & (self.first_step == 0), "a state that was kept")


def proofs(spec: Specification, x_lanes: int = 1) -> list[Entry]:
    """The proofs of the macro's streams at the sizes of ``spec``, in the two kinds of hardware."""
    claim = "a beat of h stays while it waits; one step out for each step in; end and last"
    return [
        Entry("streams", claim, lambda: StreamProof(spec, x_lanes=x_lanes)),
        Entry("streams", f"{claim}; compact hardware", lambda: StreamProof(spec, compact=True, x_lanes=x_lanes)),
    ]
