# SPDX-License-Identifier: Apache-2.0
"""Codes between layers: h in groups to one code a clock, two directions side by side, and back to what a head takes."""

from collections.abc import Sequence

from amaranth import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFOBuffered
from amaranth.lib.wiring import In, Out
from crossramp.golden.layers.network_specification import NetworkSpecification
from crossramp.golden.spec.specification import Specification

from ..common.record_layout import h_layout
from ..macro.loader import x_layout


class Serializer(wiring.Component):
    """The h stream of a macro as an x stream: one code a clock, in the order of the units.

    It keeps a whole step, so that the macro's update does not wait for it while the step before has left.

    Latency: two clocks from a group of codes to the first of them.
    Throughput: one code a clock.
    Back-pressure: ``h`` waits while a whole step is kept; a code that is not taken stays.
    Cost: a memory of ``h_beats`` words of ``lanes`` codes and two bits, one word in flip-flops, and counters.

    Parameters
    ----------
    spec : Specification
        Of the macro.
    """

    def __init__(self, spec: Specification):
        self.spec = spec
        super().__init__(
            {
                "h": In(stream.Signature(h_layout(spec))),
                "codes": Out(stream.Signature(x_layout(spec.input_bits))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        spec, codes = self.spec, self.codes
        word = self.h.payload.as_value()
        m.submodules.fifo = fifo = SyncFIFOBuffered(width=len(word), depth=spec.h_beats + 1)  # its last place is late
        beat = Signal(h_layout(spec))
        lane = Signal(range(spec.lanes))
        final = Signal()  # the group's last code
        in_last = spec.hidden - (spec.h_beats - 1) * spec.lanes
        m.d.comb += [
            fifo.w_data.eq(word),
            fifo.w_en.eq(self.h.valid),
            self.h.ready.eq(fifo.w_rdy),
            beat.as_value().eq(fifo.r_data),
            final.eq(lane == Mux(beat.end, in_last - 1, spec.lanes - 1)),
            codes.valid.eq(fifo.r_rdy),
            codes.payload.code.eq(Array(beat.codes[k] for k in range(spec.lanes))[lane]),
            codes.payload.last.eq(beat.last),
            fifo.r_en.eq(codes.ready & final),
        ]
        with m.If(codes.valid & codes.ready):
            m.d.sync += lane.eq(Mux(final, 0, lane + 1))
        return m


class SideBySide(wiring.Component):
    """Two streams of codes as one: a step of the first, then the same step of the second.

    Latency: none. Throughput: one code a clock. Back-pressure: the one whose turn it is not waits.
    Cost: a counter.

    Parameters
    ----------
    first, second : int
        Codes of each in a step.
    bits : int
        Of a code.
    """

    def __init__(self, first: int, second: int, bits: int):
        self.counts = (first, second)
        codes = stream.Signature(x_layout(bits))
        super().__init__({"first": In(codes), "second": In(codes), "codes": Out(codes)})

    def elaborate(self, platform):
        m = Module()
        self.left = left = Signal(range(max(self.counts)))  # codes of this stream's step that have passed
        self.turn = turn = Signal()
        for number, source in enumerate((self.first, self.second)):
            with m.If(turn == number):
                m.d.comb += [
                    self.codes.valid.eq(source.valid),
                    self.codes.payload.eq(source.payload),
                    source.ready.eq(self.codes.ready),
                ]
                with m.If(source.valid & self.codes.ready):
                    m.d.sync += left.eq(left + 1)
                    with m.If(left == self.counts[number] - 1):
                        m.d.sync += [left.eq(0), turn.eq(1 - number)]
        return m


class KeepFlags(wiring.Component):
    """Tells each further layer of a stack whether the utterance that it finishes keeps its state.

    ``keep`` comes with x alone; layers work on different utterances at the same time. So there is a queue for each.

    Latency: two clocks from ``enters`` to ``keep_k``; h of a step is made later.
    Throughput: an utterance a clock. Back-pressure: ``full``, while a queue has no place; it empties by itself, since
    the utterances in it have entered as a whole.
    Cost: for each further layer a memory of 4 bits for each layer before it, and its counters.

    Parameters
    ----------
    layers : sequence of int
        Numbers of the layers, 1 and up, that keep a state.

    Members
    -------
    enters, keep : 1 bit
        The last code of an utterance enters the network; whether the utterance keeps its state.
    full : 1 bit
        Nothing may enter.
    keep_1, keep_2, ... : 1 bit
        The same of the utterance that is in a layer.
    leaves_1, leaves_2, ... : 1 bit
        A layer takes its last code.
    """

    def __init__(self, layers: Sequence[int]):
        self.layers = tuple(layers)
        super().__init__(
            {"enters": In(1), "keep": In(1), "full": Out(1)}
            | {f"keep_{number}": Out(1) for number in self.layers}
            | {f"leaves_{number}": In(1) for number in self.layers}
        )

    def elaborate(self, platform):
        m = Module()
        room = []
        for number in self.layers:
            m.submodules[f"queue_{number}"] = queue = SyncFIFOBuffered(width=1, depth=4 * number)
            m.d.comb += [
                queue.w_data.eq(self.keep),
                queue.w_en.eq(self.enters),
                getattr(self, f"keep_{number}").eq(queue.r_data),
                queue.r_en.eq(getattr(self, f"leaves_{number}")),
            ]
            room.append(queue.w_rdy)
        m.d.comb += self.full.eq(~Cat(room).all())
        return m


class HeadCodes(wiring.Component):
    """A stream of codes as the h stream of a head of one lane: the step's last code is marked.

    Latency: none. Throughput: one code a clock. Cost: a counter.

    Parameters
    ----------
    spec : NetworkSpecification
        Whose last layer has two directions.
    """

    def __init__(self, spec: NetworkSpecification):
        self.spec = spec
        super().__init__(
            {
                "codes": In(stream.Signature(x_layout(spec.input_bits))),
                "h": Out(stream.Signature(h_layout(spec))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        self.passed = passed = Signal(range(self.spec.hidden))  # codes of the step
        m.d.comb += [
            self.h.valid.eq(self.codes.valid),
            self.codes.ready.eq(self.h.ready),
            Cat(self.h.payload.codes).eq(self.codes.payload.code),
            self.h.payload.end.eq(passed == self.spec.hidden - 1),
            self.h.payload.last.eq(self.codes.payload.last),
        ]
        with m.If(self.h.valid & self.h.ready):
            m.d.sync += passed.eq(Mux(self.h.payload.end, 0, passed + 1))
        return m
