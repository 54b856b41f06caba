# SPDX-License-Identifier: Apache-2.0
"""The dense head: sums of h, logits, argmax."""

import numpy as np
from amaranth import Array, Const, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.spec.specification import Specification

from ..common.access import UNCHECKED, AccessSignature
from ..common.arith import balanced_sum
from ..common.record_layout import answer_layout, h_layout, logit_layout


def program_signature(spec: Specification) -> AccessSignature:
    """Access to the weights and biases of a head that is programmed at run time."""
    return AccessSignature(spec.classes * (spec.hidden + 1), signed(spec.head_bias_bits))


class Head(wiring.Component):
    """Adds up h, and after the last step of an utterance multiplies the sums with the head's weights.

    Its golden model is :meth:`~.network.Network.logits`, with the sums of h. Logits leave in the order of the classes,
    then the answer: the class of the largest, the first of equals. With the readout ``"step"`` every step counts as an
    utterance: its h is kept, not added to anything, and multiplied while the next step runs; nothing is ever too long.

    Latency: ``spec.head_clocks`` - 1 clocks from the last beat of h to the answer, if every logit is taken at once.
    Throughput: one beat of h a clock. The next utterance is added up meanwhile, in the other half of the sums.
    Back-pressure: the last beat of an utterance (with ``"step"``, of a step) waits (``h.ready`` low) until the head is
    through with the one before. A logit that is not taken holds the head.
    Cost: ``spec.head_lanes`` multipliers; two memories: the weights (classes x (hidden / head_lanes + 1) words of
    ``head_lanes`` times ``head_bias_bits``) and the sums (2 x ``h_beats`` words of ``lanes`` sums, one write and two
    read ports).

    Parameters
    ----------
    spec : Specification
    weights : integer array, shape (classes, hidden), or None
    biases : integer array, shape (classes,), or None
        Given, they are in a ROM. None for both: the member ``program`` writes them, while the head is not busy; the
        order of the words is that of :func:`.board_memory.head_image`.

    Raises
    ------
    InvalidValue
        For weights of another shape, or none with the readout ``"step"``.
    """

    def __init__(self, spec: Specification, weights=None, biases=None):
        self.spec = spec
        self.programmable = weights is None and biases is None
        self.every_step = spec.readout == "step"
        if self.programmable and self.every_step:
            raise InvalidValue("the readout is 'step': its head's weights are in a ROM; give weights and biases")
        if self.programmable:
            weights, biases = np.zeros((spec.classes, spec.hidden), int), np.zeros(spec.classes, int)
        rows = [[*map(int, row), int(bias)] for row, bias in zip(weights, biases, strict=True)]
        if len(rows) != spec.classes or any(len(row) != spec.hidden + 1 for row in rows):
            raise InvalidValue(
                f"the head's weights must have the shape {(spec.classes, spec.hidden)}, and a bias a class"
            )
        #: Words of the weights: for each class groups of ``head_lanes`` weights, then the bias with zeros.
        self.words = [
            word for *row, bias in rows for word in (*_groups(row, spec.head_lanes), *_groups([bias], spec.head_lanes))
        ]
        members = {
            "h": In(stream.Signature(h_layout(spec))),
            "logit": Out(stream.Signature(logit_layout(spec))),
            "answer": Out(stream.Signature(answer_layout(spec))),
            "busy": Out(1),
        }
        if self.programmable:
            members["program"] = In(program_signature(spec))
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        spec = self.spec

        groups = 1 << (spec.h_beats - 1).bit_length()  # words of one half
        layout = data.ArrayLayout(signed(spec.sum_max.bit_length() + 1), spec.lanes)
        m.submodules.sums = sums = Memory(
            shape=layout, depth=2 * groups, init=[], attrs={} if spec.h_beats == 1 else UNCHECKED
        )
        weight = signed(spec.head_bias_bits)
        alone = spec.head_lanes == 1
        m.submodules.weights = weights = Memory(
            shape=weight if alone else data.ArrayLayout(weight, spec.head_lanes),
            depth=len(self.words),
            init=[word[0] for word in self.words] if alone else self.words,
            attrs=UNCHECKED,
        )
        half = Signal()  # of the sums: the one being added to
        steps = Signal(range(spec.max_steps + 1))  # of the utterance being added up, those complete
        too_long = Signal()  # it had more than max_steps

        finished = self._accumulate(m, sums, half, groups, steps, too_long)
        self._multiply(m, sums, weights, half, groups, finished, steps, too_long)
        return m

    def _accumulate(self, m: Module, sums: Memory, half, groups: int, steps, too_long) -> Signal:
        """Adds each beat of h to its word; returns a signal that is high with the last beat of an utterance."""
        spec = self.spec
        write = sums.write_port()
        # With one word a step, it may be read on the clock it is written.
        read = sums.read_port(transparent_for=(write,) if spec.h_beats == 1 else ())

        group = Signal(range(groups))
        following = Signal.like(group)
        first = Signal()
        taken = Signal()
        finished = Signal()
        finishing = self.h.payload.end if self.every_step else self.h.payload.end & self.h.payload.last
        m.d.comb += [
            first.eq(steps == 0),
            taken.eq(self.h.valid & self.h.ready),
            finished.eq(taken & finishing),
            # A finished utterance needs the multiplier: only its last beat waits for that.
            self.h.ready.eq(~(self.busy & finishing)),
            following.eq(group),
        ]
        with m.If(taken):
            m.d.comb += following.eq(Mux(self.h.payload.end, 0, group + 1))
            with m.If(self.h.payload.end):
                with m.If(steps == spec.max_steps):
                    m.d.sync += too_long.eq(1)
                with m.Else():
                    m.d.sync += steps.eq(steps + 1)
            with m.If(finished):
                m.d.sync += [steps.eq(0), too_long.eq(0), half.eq(~half)]
        m.d.sync += group.eq(following)

        m.d.comb += [
            read.addr.eq(following + Mux(half, groups, 0)),
            write.addr.eq(group + Mux(half, groups, 0)),
            write.en.eq(taken),
        ]
        for lane in range(spec.lanes):
            so_far = Mux(first, 0, read.data[lane]) if spec.readout == "mean" else Const(0)
            m.d.comb += write.data[lane].eq(so_far + self.h.payload.codes[lane])
        return finished

    def _multiply(self, m: Module, sums: Memory, weights: Memory, half, groups: int, finished, steps, too_long):
        """Goes through all words of the weights, one a clock: address, operands, products, sum, logit.

        A logit that waits holds all of it.
        """
        spec = self.spec
        sum_read = sums.read_port()
        weight_read = weights.read_port()

        parts = -(-spec.hidden // spec.head_lanes)  # of a class, before its bias
        word = Signal(range(len(self.words)))  # of the weights
        unit = Signal(range(parts + 1))  # the part of its class; parts: the bias
        group = Signal(range(groups))
        lane = Signal(range(spec.lanes))
        kind = Signal(answer_layout(spec)["index"].shape)  # the class whose logit is next
        count = Signal(range(spec.max_steps + 1), reset_less=True)  # what the biases are multiplied with
        count_invalid = Signal(reset_less=True)
        flows = Signal()
        m.d.comb += [
            flows.eq(~self.logit.valid | self.logit.ready),
            sum_read.addr.eq(group + Mux(half, 0, groups)),
            sum_read.en.eq(flows),
            weight_read.addr.eq(word),
            weight_read.en.eq(flows),
        ]
        if self.programmable:
            weight_write = weights.write_port()
            with m.If(~self.busy):
                m.d.comb += weight_read.addr.eq(self.program.address)
            m.d.comb += [
                weight_write.addr.eq(self.program.address),
                weight_write.data.eq(self.program.value),
                weight_write.en.eq(self.program.write),
                self.program.data.eq(weight_read.data),
            ]

        # One clock later: both operands. Then the product, then the sum; each knows whether it is its class's last.
        operand_lane = Signal(range(spec.lanes))
        operand_is_bias = Signal()
        operand_valid = Signal()
        if spec.head_lanes == 1:
            operand = Mux(operand_is_bias, count, Array(sum_read.data[k] for k in range(spec.lanes))[operand_lane])
            values = [weight_read.data * operand]
        else:  # a whole word of h at once, and of the bias's word only the first lane
            values = [
                weight_read.data[k] * Mux(operand_is_bias, Const(int(k == 0)), sum_read.data[k])
                for k in range(spec.lanes)
            ]
        names = ["product"] if len(values) == 1 else [f"product_{k}" for k in range(len(values))]
        products = [
            Signal(value.shape(), name=name, reset_less=True) for value, name in zip(values, names, strict=True)
        ]
        product_is_last = Signal(reset_less=True)
        product_valid = Signal()
        total = Signal(signed(spec.logit_bits), reset_less=True)
        complete = Signal(init=1)  # nothing is to be added to what total holds
        with m.If(flows):
            m.d.sync += [
                operand_lane.eq(lane),
                operand_is_bias.eq(unit == parts),
                operand_valid.eq(0),
                product_is_last.eq(operand_is_bias),
                product_valid.eq(operand_valid),
                *(product.eq(value) for product, value in zip(products, values, strict=True)),
                self.logit.valid.eq(product_valid & product_is_last),
            ]
            with m.If(product_valid):
                m.d.sync += [total.eq(Mux(complete, 0, total) + balanced_sum(products)), complete.eq(product_is_last)]

        best = Signal(signed(spec.logit_bits), reset_less=True)
        index = Signal(answer_layout(spec)["index"].shape, reset_less=True)
        m.d.comb += [
            self.logit.payload.value.eq(total),
            self.logit.payload.last.eq(kind == spec.classes - 1),
            self.answer.payload.index.eq(index),
            self.answer.payload.too_long.eq(count_invalid),
        ]

        with m.If(self.logit.valid & self.logit.ready):
            m.d.sync += kind.eq(kind + 1)
            with m.If((kind == 0) | (total > best)):
                m.d.sync += [best.eq(total), index.eq(kind)]
        m.d.comb += self.busy.eq(1)
        with m.FSM():
            with m.State("idle"):
                m.d.comb += self.busy.eq(0)
                m.d.sync += [word.eq(0), kind.eq(0), unit.eq(0), group.eq(0), lane.eq(0)]
                with m.If(finished):
                    m.d.sync += [
                        count.eq(steps + 1 if spec.readout == "mean" else 1),
                        count_invalid.eq(0 if self.every_step else too_long | (steps == spec.max_steps)),
                    ]
                    m.next = "multiply"
            with m.State("multiply"), m.If(flows):
                m.d.sync += [operand_valid.eq(1), word.eq(word + 1), unit.eq(unit + 1)]
                if spec.head_lanes == 1:
                    m.d.sync += lane.eq(lane + 1)
                    with m.If(lane == spec.lanes - 1):
                        m.d.sync += [lane.eq(0), group.eq(group + 1)]
                else:
                    m.d.sync += group.eq(group + 1)
                with m.If(unit == parts):
                    m.d.sync += [unit.eq(0), group.eq(0), lane.eq(0)]
                with m.If(word == len(self.words) - 1):
                    m.next = "drain"
            with m.State("drain"), m.If(self.logit.valid & self.logit.ready & self.logit.payload.last):
                m.next = "answer"
            with m.State("answer"):
                m.d.comb += self.answer.valid.eq(1)
                with m.If(self.answer.ready):
                    m.next = "idle"


def _groups(values: list[int], size: int) -> list[list[int]]:
    """``values`` in groups of ``size``, the last one filled up with zeros."""
    padded = [*values, *[0] * (-len(values) % size)]
    return [padded[k : k + size] for k in range(0, len(padded), size)]
