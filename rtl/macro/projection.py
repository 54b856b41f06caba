# SPDX-License-Identifier: Apache-2.0
"""The projection of h: a digital unit between the cell update and the rows of the next step."""

import numpy as np
from amaranth import Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from crossramp.golden.array.weights import checked_array
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.link.board_memory import projection_words
from crossramp.golden.spec.specification import Specification

from ..common.access import UNCHECKED, AccessSignature
from ..common.arith import balanced_sum, round_shift, saturate


def projection_signature(spec: Specification) -> AccessSignature:
    """Access to the weights of a projection that is programmed at run time."""
    weights = data.ArrayLayout(signed(spec.head_weight_bits), spec.lanes)
    return AccessSignature(spec.projection * spec.beats, weights)


class Projection(wiring.Component):
    """Keeps the codes of one cell update, then multiplies them with its weights: r ← sat(round(W·h / 2**shift)).

    Its golden model is :func:`~.cell_update.project`. The codes come out in groups of ``lanes``, code 0 in the lowest
    lane of the first; lanes beyond the last code are zero. The whole unit stands still while a group waits.

    Latency: from the first clock of ``run`` to the last group, ``spec.projection_clocks`` if every group is taken at
    once; ``done`` is high on its last one.
    Throughput: ``lanes`` products per clock, hence ``beats`` clocks per code.
    Cost: ``lanes`` multipliers of head_weight_bits x input_bits, an adder tree; a ROM of projection x ``beats`` words
    of ``lanes`` weights, and a memory of ``beats`` words of ``lanes`` codes.

    Parameters
    ----------
    spec : Specification
        With a projection.
    weights : integer array, shape (hidden, units), or None
        Given, they are in a ROM. None: the member ``program`` writes them; the order of the words is that of
        :func:`.board_memory.projection_words`.

    Members
    -------
    program : AccessSignature
        Without weights only: writes and reads them while ``run`` is low.
    write, codes :
        A group of codes of the cell update, in order; not while ``run`` is high.
    run : 1 bit
        From the clock after the last ``write``, or any later one, up to ``done``.
    valid, ready, r, end :
        A group of projected codes, and whether it is the last.
    done : 1 bit
        The last group is taken; ``run`` falls with the next clock.

    Raises
    ------
    InvalidValue
        For a specification without a projection, or weights of another shape or out of range.
    """

    def __init__(self, spec: Specification, weights):
        self.spec = spec
        if not spec.projection:
            raise InvalidValue("projection is 0: there is nothing to project; give a specification with a projection")
        self.programmable = weights is None
        if self.programmable:
            weights = np.zeros((spec.hidden, spec.units), int)
        self.words = projection_words(spec, checked_array(spec, "projection", weights)).tolist()
        codes = data.ArrayLayout(signed(spec.input_bits), spec.lanes)
        super().__init__(
            ({"program": In(projection_signature(spec))} if self.programmable else {})
            | {
                "write": In(1),
                "codes": In(codes),
                "run": In(1),
                "valid": Out(1),
                "ready": In(1),
                "r": Out(codes),
                "end": Out(1),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        spec, lanes = self.spec, self.spec.lanes
        words = self.words
        m.submodules.weights = weights = Memory(
            shape=data.ArrayLayout(signed(spec.head_weight_bits), lanes), depth=len(words), init=words, attrs=UNCHECKED
        )
        m.submodules.kept = kept = Memory(shape=self.codes.shape(), depth=spec.beats, init=[], attrs=UNCHECKED)
        write = kept.write_port()
        kept_read = kept.read_port()
        weight_read = weights.read_port()

        written = Signal(range(spec.beats))
        with m.If(self.write):
            m.d.sync += written.eq(Mux(written == spec.beats - 1, 0, written + 1))
        m.d.comb += [write.addr.eq(written), write.data.eq(self.codes), write.en.eq(self.write)]

        # A group that waits holds everything.
        go = Signal()
        m.d.comb += go.eq(self.run & (~self.valid | self.ready))

        # Address, operands, products, sum: each with its place in the sums, as far as the ones behind need it.
        word = Signal(range(len(words) + 1))
        group = Signal(range(spec.beats))
        addressed = Signal()
        m.d.comb += [
            addressed.eq(go & (word != len(words))),
            weight_read.addr.eq(word),
            kept_read.addr.eq(group),
            weight_read.en.eq(go),
            kept_read.en.eq(go),
        ]
        if self.programmable:
            program = self.program
            program_write = weights.write_port()
            with m.If(~self.run):
                m.d.comb += [weight_read.addr.eq(program.address), weight_read.en.eq(1)]
            m.d.comb += [
                program_write.addr.eq(program.address),
                program_write.data.eq(program.value),
                program_write.en.eq(program.write),
                program.data.eq(weight_read.data),
            ]
        with m.If(addressed):
            m.d.sync += [word.eq(word + 1), group.eq(Mux(group == spec.beats - 1, 0, group + 1))]
        stages = [
            {name: Signal(name=f"{stage}_{name}") for name in ("valid", "first", "last")}
            for stage in ("operand", "product", "total")
        ]
        place = [addressed, group == 0, group == spec.beats - 1]
        values = [weight_read.data[k] * kept_read.data[k] for k in range(lanes)]
        products = [Signal(value.shape(), name=f"product_{k}", reset_less=True) for k, value in enumerate(values)]
        largest = spec.units * spec.head_weight_max * spec.input_max
        total = Signal(range(-largest, largest + 1), reset_less=True)
        with m.If(go):
            for stage in stages:
                m.d.sync += [signal.eq(value) for signal, value in zip(stage.values(), place, strict=True)]
                place = list(stage.values())
            m.d.sync += [product.eq(value) for product, value in zip(products, values, strict=True)]
            m.d.sync += total.eq(Mux(stages[1]["first"], 0, total) + balanced_sum(products))

        # A code is complete: it enters the group.
        complete = Signal()
        lane = Signal(range(lanes))
        code = Signal(range(spec.projection))
        final = code == spec.projection - 1
        m.d.comb += complete.eq(go & stages[2]["valid"] & stages[2]["last"])
        with m.If(self.valid & self.ready):
            m.d.sync += self.valid.eq(0)
        with m.If(complete):
            for k in range(lanes):
                with m.If(lane == k):
                    m.d.sync += self.r[k].eq(saturate(round_shift(total, spec.projection_shift), spec.input_max))
                with m.Elif(lane == 0):
                    m.d.sync += self.r[k].eq(0)
            m.d.sync += [lane.eq(lane + 1), code.eq(code + 1), self.end.eq(final)]
            with m.If(final | (lane == lanes - 1)):
                m.d.sync += [lane.eq(0), self.valid.eq(1)]
        m.d.comb += self.done.eq(self.valid & self.ready & self.end)
        with m.If(self.done):
            m.d.sync += [word.eq(0), code.eq(0)]
        return m
