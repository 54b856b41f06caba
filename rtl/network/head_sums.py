# SPDX-License-Identifier: Apache-2.0
"""The first half of the head: sums of h, of one utterance while those of the one before are read."""

from amaranth import Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from crossramp.golden.spec.specification import Specification

from ..common.access import UNCHECKED
from ..common.record_layout import h_layout


def _groups(spec: Specification) -> int:
    """Words of one half of the memory: a power of two."""
    return 1 << (spec.h_beats - 1).bit_length()


class SumsSignature(wiring.Signature):
    """The sums of the utterance that was finished last, seen from what reads them.

    Members
    -------
    group : range(h_beats), rounded up to a power of two
        Of which ``lanes`` units.
    enable : 1 bit
        Low keeps ``data`` as it is.
    data : array of ``lanes`` signed numbers
        The sums of ``group``, one clock later.

    Parameters
    ----------
    spec : Specification
    """

    def __init__(self, spec: Specification):
        sums = data.ArrayLayout(signed(spec.sum_max.bit_length() + 1), spec.lanes)
        super().__init__({"group": Out(range(_groups(spec))), "enable": Out(1), "data": In(sums)})


class HeadSums(wiring.Component):
    """Adds up h over the steps of an utterance; with the readouts ``"last"`` and ``"step"`` it keeps the last h.

    Its golden model is ``sums`` of :meth:`~.network.Network.with_head`.

    Latency: the sums can be read on the clock after ``finished``.
    Throughput: one beat of h a clock. The next utterance is added up in the other half of the memory.
    Back-pressure: the last beat of an utterance (with ``"step"``, of a step) waits (``h.ready`` low) while ``hold`` is
    high; no other beat does.
    Cost: a memory of 2 x ``h_beats`` words of ``lanes`` sums, with one write and two read ports, and an adder a lane.

    Parameters
    ----------
    spec : Specification

    Members
    -------
    h : stream
        Of the macro.
    hold : 1 bit
        The sums of the utterance before are still being read.
    finished : 1 bit
        High on the clock that takes the last beat of an utterance.
    count : range(max_steps + 1)
        Of the utterance that was finished last: what its biases are multiplied with.
    too_long : 1 bit
        Of the same: it had more than ``max_steps`` steps. Never with ``"step"``.
    sums : SumsSignature
    """

    def __init__(self, spec: Specification):
        self.spec = spec
        super().__init__(
            {
                "h": In(stream.Signature(h_layout(spec))),
                "hold": In(1),
                "finished": Out(1),
                "count": Out(range(spec.max_steps + 1)),
                "too_long": Out(1),
                "sums": In(SumsSignature(spec)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        spec, h, sums = self.spec, self.h, self.sums
        groups = _groups(spec)
        m.submodules.memory = memory = Memory(
            shape=sums.data.shape(), depth=2 * groups, init=[], attrs={} if spec.h_beats == 1 else UNCHECKED
        )
        write = memory.write_port()
        # With one word a step, it may be read on the clock it is written.
        before = memory.read_port(transparent_for=(write,) if spec.h_beats == 1 else ())
        read = memory.read_port()

        half = Signal()  # of the memory: the one being added to
        group = Signal(range(groups))
        following = Signal.like(group)
        taken = Signal()
        every_step = spec.readout == "step"
        finishing = h.payload.end if every_step else h.payload.end & h.payload.last
        m.d.comb += [
            taken.eq(h.valid & h.ready),
            self.finished.eq(taken & finishing),
            h.ready.eq(~(self.hold & finishing)),
            following.eq(Mux(taken, Mux(h.payload.end, 0, group + 1), group)),
            before.addr.eq(following + Mux(half, groups, 0)),
            write.addr.eq(group + Mux(half, groups, 0)),
            write.en.eq(taken),
            read.addr.eq(sums.group + Mux(half, 0, groups)),
            read.en.eq(sums.enable),
            sums.data.eq(read.data),
        ]
        m.d.sync += [group.eq(following), half.eq(half ^ self.finished)]

        steps, overlong = self._steps(m, taken & h.payload.end)
        with m.If(self.finished):
            m.d.sync += [
                self.count.eq(steps + 1 if spec.readout == "mean" else 1),
                self.too_long.eq(0 if every_step else overlong | (steps == spec.max_steps)),
            ]
        for lane in range(spec.lanes):
            so_far = Mux(steps == 0, 0, before.data[lane]) if spec.readout == "mean" else Const(0)
            m.d.comb += write.data[lane].eq(so_far + h.payload.codes[lane])
        return m

    def _steps(self, m: Module, ended) -> tuple[Signal, Signal]:
        """Steps of the utterance under way, those complete, up to max_steps; and whether it had more than those."""
        steps = Signal(range(self.spec.max_steps + 1))
        overlong = Signal()
        with m.If(self.finished):
            m.d.sync += [steps.eq(0), overlong.eq(0)]
        with m.Elif(ended & (steps == self.spec.max_steps)):
            m.d.sync += overlong.eq(1)
        with m.Elif(ended):
            m.d.sync += steps.eq(steps + 1)
        return steps, overlong
