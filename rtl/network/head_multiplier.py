# SPDX-License-Identifier: Apache-2.0
"""The second half of the head: its weights, and what they make of the sums."""

from amaranth import Array, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from crossramp.golden.spec.specification import Specification

from ..common.access import UNCHECKED, AccessSignature
from ..common.arith import balanced_sum
from ..common.record_layout import answer_layout, logit_layout
from .head_sums import SumsSignature


def program_signature(spec: Specification) -> AccessSignature:
    """Access to the weights and biases of a head that is programmed at run time.

    A word is a number; with ``head_lanes`` above 1 as many numbers.
    """
    weight = signed(spec.head_bias_bits)
    words = spec.classes * (-(-spec.hidden // spec.head_lanes) + 1)
    return AccessSignature(words, weight if spec.head_lanes == 1 else data.ArrayLayout(weight, spec.head_lanes))


def class_logit_layout(spec: Specification) -> data.StructLayout:
    """A logit with the class that it belongs to."""
    return data.StructLayout({"index": answer_layout(spec)["index"].shape, **logit_layout(spec).members})


class HeadMultiplier(wiring.Component):
    """Multiplies sums of h with the weights of each class, and adds the class's bias, ``count`` times.

    Its golden model is :meth:`~.network.Network.logits`. It goes through the words of the weights, one per clock, in
    a pipeline of address, operands, products, sum and logit that does not stop between classes.

    Latency: ceil(hidden / head_lanes) + 4 clocks from ``start`` to the first logit.
    Throughput: a logit every ceil(hidden / head_lanes) + 1 clocks, if each is taken at once.
    Back-pressure: a logit that is not taken holds the whole pipeline.
    Cost: ``spec.head_lanes`` multipliers and a memory of classes x (ceil(hidden / head_lanes) + 1) words of
    ``head_lanes`` times ``head_bias_bits``.

    Parameters
    ----------
    spec : Specification
    weights : integer array, shape (classes, hidden), or None
    biases : integer array, shape (classes,), or None
        See :class:`.head.Head`.

    Members
    -------
    start : 1 bit
        Begin on the next clock; only while not ``busy``.
    count : range(max_steps + 1)
        What biases are multiplied with, from the clock after ``start`` on while ``busy``.
    sums : SumsSignature
        Read while ``busy``.
    logit : stream
        An exact logit, its class, and whether that is the last one; class 0 first.
    busy : 1 bit
        From the clock after ``start`` to the transfer of the last logit.
    program : AccessSignature
        Without weights only: writes and reads them while not ``busy``.
    """

    def __init__(self, spec: Specification, weights=None, biases=None):
        self.spec = spec
        self.programmable = weights is None
        if self.programmable:
            weights, biases = [[0] * spec.hidden] * spec.classes, [0] * spec.classes
        #: Words of the weights: for each class groups of ``head_lanes`` weights, then the bias with zeros.
        self.words = [
            word
            for row, bias in zip(weights, biases, strict=True)
            for word in (*_groups(row, spec.head_lanes), *_groups([bias], spec.head_lanes))
        ]
        members = {
            "start": In(1),
            "count": In(range(spec.max_steps + 1)),
            "sums": Out(SumsSignature(spec)),
            "logit": Out(stream.Signature(class_logit_layout(spec))),
            "busy": Out(1),
        }
        if self.programmable:
            members["program"] = In(program_signature(spec))
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        flows = Signal()
        m.d.comb += flows.eq(~self.logit.valid | self.logit.ready)
        word, lane, is_bias, issued = self._walk(m, flows)
        weights = self._weights(m, flows, word)
        self._add(m, flows, weights, lane, is_bias, issued)
        return m

    def _walk(self, m: Module, flows):
        """The addresses, a word of the weights on each clock that flows.

        Returns the word, and those that belong to it one clock later, with its data: the lane of the sums, whether it
        is a bias, whether there is one at all.
        """
        spec = self.spec
        parts = -(-spec.hidden // spec.head_lanes)  # of a class, before its bias
        word = Signal(range(len(self.words)))
        part = Signal(range(parts + 1))  # of its class; parts: the bias
        lane = Signal(range(spec.lanes))
        m.d.comb += [self.sums.enable.eq(flows), self.busy.eq(1)]

        operand_lane = Signal(range(spec.lanes))
        operand_is_bias = Signal()
        operand_valid = Signal()
        with m.If(flows):
            m.d.sync += [operand_lane.eq(lane), operand_is_bias.eq(part == parts), operand_valid.eq(0)]
        group = Signal.like(self.sums.group)
        m.d.comb += self.sums.group.eq(group)
        with m.FSM():
            with m.State("idle"):
                m.d.comb += self.busy.eq(0)
                m.d.sync += [word.eq(0), part.eq(0), group.eq(0), lane.eq(0)]
                with m.If(self.start):
                    m.next = "multiply"
            with m.State("multiply"), m.If(flows):
                m.d.sync += [operand_valid.eq(1), word.eq(word + 1), part.eq(part + 1)]
                if spec.head_lanes == 1:
                    m.d.sync += lane.eq(lane + 1)
                    with m.If(lane == spec.lanes - 1):
                        m.d.sync += [lane.eq(0), group.eq(group + 1)]
                else:
                    m.d.sync += group.eq(group + 1)
                with m.If(part == parts):
                    m.d.sync += [part.eq(0), group.eq(0), lane.eq(0)]
                with m.If(word == len(self.words) - 1):
                    m.next = "drain"
            with m.State("drain"), m.If(self.logit.valid & self.logit.ready & self.logit.payload.last):
                m.next = "idle"
        return word, operand_lane, operand_is_bias, operand_valid

    def _weights(self, m: Module, flows, word) -> list:
        """The memory of the weights; returns those of ``word``, one clock later."""
        spec = self.spec
        weight = signed(spec.head_bias_bits)
        alone = spec.head_lanes == 1
        m.submodules.weights = memory = Memory(
            shape=weight if alone else data.ArrayLayout(weight, spec.head_lanes),
            depth=len(self.words),
            init=[values[0] for values in self.words] if alone else self.words,
            attrs=UNCHECKED,
        )
        read = memory.read_port()
        m.d.comb += [read.addr.eq(word), read.en.eq(flows)]
        if self.programmable:
            program = self.program
            write = memory.write_port()
            with m.If(~self.busy):
                m.d.comb += read.addr.eq(program.address)
            m.d.comb += [
                write.addr.eq(program.address),
                write.data.eq(program.value),
                write.en.eq(program.write),
                program.data.eq(read.data),
            ]
        return [read.data] if alone else [read.data[lane] for lane in range(spec.head_lanes)]

    def _add(self, m: Module, flows, weights: list, lane, is_bias, valid):
        """Products of the operands that are there, their sum over a class, and its logit."""
        spec, sums = self.spec, self.sums.data
        if spec.head_lanes == 1:
            operands = [Mux(is_bias, self.count, Array(sums[k] for k in range(spec.lanes))[lane])]
        else:  # a whole word of h at once, and of the bias's word only the first lane
            operands = [Mux(is_bias, Const(int(k == 0)), sums[k]) for k in range(spec.lanes)]
        values = [weight * operand for weight, operand in zip(weights, operands, strict=True)]
        products = [Signal(value.shape(), name=f"product_{k}", reset_less=True) for k, value in enumerate(values)]
        product_is_last = Signal(reset_less=True)  # of its class
        product_valid = Signal()
        total = Signal(signed(spec.logit_bits), reset_less=True)
        complete = Signal(init=1)  # nothing is to be added to what total holds
        with m.If(flows):
            m.d.sync += [
                *(product.eq(value) for product, value in zip(products, values, strict=True)),
                product_is_last.eq(is_bias),
                product_valid.eq(valid),
                self.logit.valid.eq(product_valid & product_is_last),
            ]
            with m.If(product_valid):
                m.d.sync += [total.eq(Mux(complete, 0, total) + balanced_sum(products)), complete.eq(product_is_last)]

        index = Signal(self.logit.payload.index.shape())  # the class whose logit is next
        m.d.comb += [
            self.logit.payload.index.eq(index),
            self.logit.payload.value.eq(total),
            self.logit.payload.last.eq(index == spec.classes - 1),
        ]
        with m.If(~self.busy):
            m.d.sync += index.eq(0)
        with m.Elif(self.logit.valid & self.logit.ready):
            m.d.sync += index.eq(index + 1)


def _groups(values, size: int) -> list[list[int]]:
    """``values`` as integers in groups of ``size``, the last one filled up with zeros."""
    padded = [*map(int, values), *[0] * (-len(values) % size)]
    return [padded[k : k + size] for k in range(0, len(padded), size)]
