# SPDX-License-Identifier: Apache-2.0
"""The head's multiplier: which products are made, which of them are added up, and when a logit leaves."""

from amaranth import Array, Cat, Const, Fragment, Module, Mux, Signal, signed
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.common.arith import balanced_sum
from crossramp.rtl.network.head_multiplier import HeadMultiplier

from ..engine.entry import Entry
from ..engine.inspection import States, memory_reads, memory_word, named
from ..engine.proof import Proof, implies, signal_inside


class HeadMultiplierProof(Proof):
    """The multiplier from ``start`` to its last logit, beside a reference that counts classes and parts of a class.

    A part is what is multiplied at once: ``head_lanes`` codes of h, and at last the bias.

    Environment: ``start`` comes while the multiplier is not busy, and weights are written then only. Everything else is
    free: sums, ``count``, the logit's ``ready``. A memory of weights holds any values.

    Claims, for any trace; a clock flows unless a logit waits:

    - A part is asked for on each clock that flows, class by class, beginning on the clock after ``start``: the word
      class * parts + part of the weights, and the sums of the units that belong to it.
    - The products are those of that word with the lanes of these sums; for the bias with ``count`` (with the readout
      ``"step"`` with 1), and nothing else.
    - The first part of a class replaces the total, every other one is added to it.
    - A logit is valid three clocks that flow after its class's bias was asked for: the total, with its class, and
      ``last`` with the last class only. It waits unchanged. ``busy`` lasts from ``start`` to the last logit's transfer.
    - What is written to a weight is what is read of it.

    Parameters
    ----------
    spec : Specification
    """

    def __init__(self, spec: Specification, **options):
        super().__init__(**options)
        self.spec = spec
        self.parts = -(-spec.hidden // spec.head_lanes) + 1

    def describe(self, m: Module) -> None:
        spec, parts, classes = self.spec, self.parts, self.spec.classes
        rom = spec.readout == "step"
        given = ([[0] * spec.hidden] * classes, [0] * classes) if rom else (None, None)
        self.dut = dut = HeadMultiplier(spec, *given)
        m.submodules.dut = self.fragment = Fragment.get(dut, None)
        sums, logit = dut.sums, dut.logit
        busy, start = Signal(), self.free(m, 1, "start")
        m.d.comb += [
            dut.start.eq(start),
            dut.count.eq(self.free(m, len(dut.count), "count")),
            sums.data.eq(self.free(m, len(sums.data.as_value()), "sums")),
            logit.ready.eq(self.free(m, 1, "ready")),
        ]
        self.assume(m, ~(start & busy))

        # ---- reference: asked for, operands, products, total, each with its class and part
        flows = named(m, "reference_flows", ~logit.valid | logit.ready)
        asking, at_class, at_part = Signal(), Signal(range(max(classes, 2))), Signal(range(parts))
        last_part = named(m, "last_part", at_part == parts - 1)
        with m.If(start):
            m.d.sync += [asking.eq(1), busy.eq(1), at_class.eq(0), at_part.eq(0)]
        with m.Elif(asking & flows):
            m.d.sync += at_part.eq(Mux(last_part, 0, at_part + 1))
            with m.If(last_part):
                m.d.sync += at_class.eq(Mux(at_class == classes - 1, 0, at_class + 1))
                m.d.sync += asking.eq(at_class != classes - 1)
        stages = [(asking, at_class, at_part)]
        for name in ("operand", "product", "total"):
            stage = Signal(name=f"{name}_present"), Signal.like(at_class, name=f"{name}_class")
            stage += (Signal.like(at_part, name=f"{name}_part"),)
            with m.If(flows):
                m.d.sync += [now.eq(before) for now, before in zip(stage, stages[-1], strict=True)]
            stages.append(stage)
        (operand, _, operand_part), (product, _, product_part), (total, of_class, part) = stages[1:]
        due = named(m, "logit_due", total & (part == parts - 1))
        leaves = named(m, "last_logit_leaves", due & logit.ready & (of_class == classes - 1))
        with m.If(leaves):
            m.d.sync += busy.eq(0)

        # ---- claims
        self._operands(m, flows, asking, at_class, at_part, operand, operand_part)
        products = self._products(m, flows, product)
        exact = Signal(signed(spec.logit_bits), name="expected_total")
        with m.If(flows & product):
            m.d.sync += exact.eq(Mux(product_part == 0, 0, logit.payload.value) + balanced_sum(products))
        with m.If(total):
            self.claim(
                m, logit.payload.value == exact, "a part of a class is added to its total, the first replaces it"
            )
        self.claim(m, dut.busy == busy, "busy from the start to the last logit's transfer")
        self.claim(m, logit.valid == due, "a logit behind every class's bias")
        with m.If(due):
            self.claim(m, logit.payload.index == of_class, "the logit's class")
            self.claim(m, logit.payload.last == (of_class == classes - 1), "last with the last class")
        waited, before = Signal(), Signal(len(logit.payload.as_value()), name="logit_before")
        m.d.sync += [waited.eq(logit.valid & ~logit.ready), before.eq(logit.payload)]
        with m.If(waited):
            self.claim(m, logit.valid & (logit.payload.as_value() == before), "a logit that waits does not change")
        if not rom:
            self._program(m, busy)
        again = Signal()
        m.d.sync += again.eq(again | leaves)
        self.cover(m, again & due & waited & (of_class == classes - 1), "a second run")
        self._invariants(m, stages, busy, due)

    def _operands(self, m: Module, flows, asking, at_class, at_part, operand, operand_part) -> None:
        """The operand's registers belong to the part that was asked for a clock before."""
        spec, parts, sums = self.spec, self.parts, self.dut.sums
        word, lane, is_bias = (self.inside(name) for name in ("word", "operand_lane", "operand_is_bias"))
        address = named(m, "expected_word", at_class * parts + at_part)
        (self.weights, *_) = memory_reads(self.fragment, "weights")
        content = memory_word(self.fragment, "weights", address[: len(self.memory_address)], "expected_weights")
        kept, group = Signal.like(content, name="kept_weights"), Signal(range(spec.h_beats + 1), name="asked_group")
        with m.If(flows):
            m.d.sync += [kept.eq(content), group.eq(sums.group)]
        self.claim(m, sums.enable == flows, "sums are read on clocks that flow")
        with m.If(asking):
            self.claim(m, word == address, "the weights of each part in turn")
            if spec.head_lanes > 1:
                self.claim(m, implies(at_part != parts - 1, sums.group == at_part), "the group of each part in turn")
        with m.If(operand):
            self.claim(m, self.weights == kept, "the weights that were asked for")
            self.claim(m, is_bias == (operand_part == parts - 1), "the last part of a class is its bias")
            if spec.head_lanes == 1:
                unit = group * spec.lanes + lane
                self.claim(m, is_bias | (operand_part == unit), "the sum of each unit in turn")

    def _products(self, m: Module, flows, product) -> list:
        """The product registers of the gateware, which are the products of the operands before."""
        spec, sums = self.spec, self.dut.sums.data
        lane, is_bias = self.inside("operand_lane"), self.inside("operand_is_bias")
        if spec.head_lanes == 1:
            operands = [Mux(is_bias, self.dut.count, Array(sums[k] for k in range(spec.lanes))[lane])]
        else:
            operands = [Mux(is_bias, Const(int(k == 0)), sums[k]) for k in range(spec.lanes)]
        found = []
        for k, operand in enumerate(operands):
            bits = spec.head_bias_bits
            weight = self.weights[k * bits : (k + 1) * bits].as_signed()
            register = self.inside(f"product_{k}")
            expected = Signal.like(register, name=f"expected_product_{k}")
            with m.If(flows):
                m.d.sync += expected.eq(weight * operand)
            with m.If(product):
                self.claim(m, register == expected, "a product of a weight with its sum, or of the bias with the count")
            found.append(register)
        return found

    def _program(self, m: Module, busy) -> None:
        program, spec = self.dut.program, self.spec
        place = self.choice(m, spec.classes * (spec.hidden + 1), "place")
        address, write = self.free(m, len(program.address), "address"), self.free(m, 1, "write")
        m.d.comb += [program.address.eq(address), program.write.eq(write)]
        m.d.comb += program.value.eq(self.free(m, len(program.value), "value"))
        self.assume(m, ~(write & busy))
        self.assume(m, address < spec.classes * (spec.hidden + 1))
        written, stored = Signal(), Signal(signed(spec.head_bias_bits), name="stored")
        with m.If(write & (address == place)):
            m.d.sync += [written.eq(1), stored.eq(program.value)]
        known, expected = Signal(), Signal.like(stored, name="read_back")
        m.d.sync += [known.eq(written & ~busy & (address == place)), expected.eq(stored)]
        with m.If(known):
            self.claim(m, program.data == expected, "a weight is read as it was written")
        content = memory_word(self.fragment, "weights", place[: len(self.memory_address)], "stored_word")
        with m.If(written):
            self.invariant(m, content.as_signed() == stored, "a weight is kept")
        self.cover(m, known & (expected == -1), "a weight is read")

    def _invariants(self, m: Module, stages, busy, due) -> None:
        parts, classes = self.parts, self.spec.classes
        asking, _, at_part = stages[0]
        states = States(self.fragment)
        self.invariant(m, states.known, "state")
        self.invariant(m, states.within("idle") == ~busy, "idle while not busy")
        self.invariant(m, states.within("multiply") == asking, "multiplies while parts are asked for")
        self.invariant(m, ~asking | busy, "asks while busy")
        for name, (present, of_class, part) in zip(("asked", "operand", "product", "total"), stages, strict=True):
            self.invariant(m, (of_class < classes) & (part < parts), f"{name}: bounds")
            self.invariant(m, ~present | busy, f"{name}: while busy")
        self.invariant(m, self.inside("operand_valid") == stages[1][0], "operands")
        self.invariant(m, self.inside("product_valid") == stages[2][0], "products")
        with m.If(stages[2][0]):
            self.invariant(m, self.inside("product_is_last") == (stages[2][2] == parts - 1), "last product of a class")
        # Parts follow one another: each stage is one part ahead of the next.
        for k, (behind, of_class, part) in enumerate(stages):
            wraps = part == parts - 1
            end, first = wraps & (of_class == classes - 1), (part == 0) & (of_class == 0)
            with m.If(behind & end):
                self.invariant(m, ~any_of(stages[:k]), "nothing behind the last part")
            with m.If(behind & first):
                self.invariant(m, ~any_of(stages[k + 1 :]), "nothing before the first part")
            with m.If(behind & ~first):
                self.invariant(m, any_of(stages[k + 1 : k + 2], 1), "no gap between parts")
            if k > 0:
                ahead, ahead_class, ahead_part = stages[k - 1]
                same = (ahead_part == Mux(wraps, 0, part + 1)) & (ahead_class == of_class + wraps)
                with m.If(behind & ~end):
                    self.invariant(m, ahead & same, "one part after the other")
        complete, index = self.inside("complete"), self.inside("index")
        product, product_class, product_part = stages[2]
        with m.If(product):
            self.invariant(m, complete == (product_part == 0), "the first part of a class replaces")
            self.invariant(m, index + due == product_class, "the class of the next logit")
        with m.Elif(due):
            self.invariant(m, complete & (index == stages[3][1]), "the last logit waits")
        with m.Elif(busy):
            self.invariant(m, complete & (index == 0), "before the first product")
        with m.Else():
            self.invariant(m, complete, "nothing to add to")
        with m.If(busy & ~asking):
            left = stages[1][0] | stages[2][0] | due
            self.invariant(m, left, "the last logit is on its way")
        self._places(m, asking, at_part, busy)

    def _places(self, m: Module, asking, at_part, busy) -> None:
        """Where the gateware's walk over units is."""
        spec, parts, group = self.spec, self.parts, self.dut.sums.group
        part, lane = self.inside("part"), self.inside("lane")
        with m.If(asking):
            self.invariant(m, part == at_part, "part")
        with m.If(asking & (at_part != parts - 1)):
            if spec.head_lanes == 1:
                unit = group * spec.lanes + lane
                self.invariant(m, (lane < spec.lanes) & (unit == at_part), "group and lane")
            else:
                self.invariant(m, (lane == 0) & (group == at_part[: len(group)]), "group")

    @property
    def memory_address(self):
        (memory,) = (part for part, name, *_ in self.fragment.subfragments if name == "weights")
        return memory._read_ports[0]._addr

    def inside(self, name: str) -> Signal:
        return signal_inside(self.fragment, name)


def any_of(stages, default: int = 0):
    """Whether any of ``stages`` is present; ``default`` for an empty list."""
    return Cat(present for present, *_ in stages).any() if stages else Const(default, 1)


def proofs(spec: Specification) -> list[Entry]:
    """The proof of the head's multiplier at the sizes of ``spec``."""
    claim = "every product of a class is made and added once; a logit a class, in order; none changes while it waits"
    return [Entry("head", claim, lambda: HeadMultiplierProof(spec))]
