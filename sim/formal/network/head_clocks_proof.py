# SPDX-License-Identifier: Apache-2.0
"""The clocks of the head: when logits and the answer leave, and how long the next last beat of h waits for them."""

from amaranth import Const, Fragment, Module, Mux, Signal
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.network.head import Head

from ..engine.entry import Entry
from ..engine.inspection import States, named
from ..engine.proof import Proof, signal_inside


class HeadClocksProof(Proof):
    """The head beside a counter of clocks.

    Environment: everything is free on every clock: h, even a stream that breaks its own rule, ``ready`` of logits and
    of answers, and writes to the weights. The weights have any values.

    Claims, for any trace. The clock behind the last beat of an utterance (with the readout ``"step"``, of a step) is
    number 1; a clock on which a logit or the answer waits does not count:

    - The logit of class k leaves on clock (k + 1) * (ceil(hidden / head_lanes) + 1) + 3, and no logit on any other.
    - The answer leaves on clock ``spec.head_clocks`` - 1, behind the last logit, and on no other.
    - The last beat of the next utterance (or step) is taken as soon as it is there, but not before clock
      ``spec.head_clocks``. No other beat ever waits.
    - ``busy`` is high from clock 1 to clock ``spec.head_clocks`` - 1.

    So while logits and answers are taken at once, and the next last beat waits, ``spec.head_clocks`` clocks pass from
    one last beat to the next.

    Parameters
    ----------
    spec : Specification
    """

    def __init__(self, spec: Specification, **options):
        super().__init__(**options)
        self.spec = spec

    def describe(self, m: Module) -> None:
        head, fragment = head_of(self.spec)
        m.submodules.dut = fragment
        h = head.h
        free = [(h.valid, "h_valid"), (h.payload.as_value(), "h_payload"), (head.logit.ready, "logit_ready")]
        free.append((head.answer.ready, "answer_ready"))
        if head.programmable:
            program = head.program
            free += [(program.address, "address"), (program.write, "write"), (program.value, "value")]
        for signal, name in free:
            m.d.comb += signal.eq(self.free(m, len(signal), name))
        head_clocks(self, m, head, fragment)
        waited = Signal()
        waits = (head.logit.valid & ~head.logit.ready) | (head.answer.valid & ~head.answer.ready)
        m.d.sync += waited.eq(waited | waits)
        final = h.payload.end if self.spec.readout == "step" else h.payload.end & h.payload.last
        held = Signal()
        m.d.sync += held.eq(h.valid & final & ~h.ready)
        self.cover(m, held & h.ready & ~waited, "a last beat that has waited for the head")
        self.cover(m, waited & head.answer.valid, "an answer behind a logit that has waited")


def head_of(spec: Specification) -> tuple[Head, Fragment]:
    """A head with weights that are zeros, if they have to be in a ROM, and its fragment."""
    zeros = ([[0] * spec.hidden] * spec.classes, [0] * spec.classes) if spec.readout == "step" else ()
    head = Head(spec, *zeros)
    return head, Fragment.get(head, None)


def head_clocks(proof: Proof, m: Module, head: Head, fragment: Fragment, *, claimed: bool = True) -> Signal:
    """Claim the clocks of a head, with the invariants that these need.

    Parameters
    ----------
    claimed : bool
        False: they are invariants themselves, of a proof that claims something else.

    Returns
    -------
    Signal
        The number of the present clock, as :class:`HeadClocksProof` counts them; ``spec.head_clocks`` for the clock
        with that number, all later ones, and before the first utterance.
    """
    spec, h, logit, answer = head.spec, head.h, head.logit, head.answer
    parts = -(-spec.hidden // spec.head_lanes) + 1
    every = spec.readout == "step"
    clock = Signal(range(spec.head_clocks + 1), init=spec.head_clocks, name="clock_of_head")
    of_class, of_part = Signal(range(spec.classes + 3)), Signal(range(parts))  # of the clocks since clock 1
    waits = named(m, "head_waits", (logit.valid & ~logit.ready) | (answer.valid & ~answer.ready))
    final = named(m, "final_beat", h.payload.end if every else h.payload.end & h.payload.last)
    free = named(m, "head_is_free", clock == spec.head_clocks)
    with m.If(h.valid & h.ready & final):
        m.d.sync += [clock.eq(1), of_class.eq(0), of_part.eq(0)]
    with m.Elif(~waits & ~free):
        wraps = of_part == parts - 1
        m.d.sync += [clock.eq(clock + 1), of_part.eq(Mux(wraps, 0, of_part + 1)), of_class.eq(of_class + wraps)]

    claim = proof.claim if claimed else proof.invariant
    # The logit of class k is due parts * (k + 1) + 2 clocks after clock 1.
    asked = spec.classes * parts
    due = named(m, "logit_due", (of_part == 2 % parts) & (clock >= parts + 3) & (clock <= asked + 3))
    claim(m, h.ready == ~(final & ~free), "the last beat of an utterance waits for head_clocks, no other beat")
    claim(m, logit.valid == due, "a logit on its clock, and on no other")
    claim(m, ~due | (logit.payload.last == (clock == asked + 3)), "the last logit behind those of all classes")
    claim(m, answer.valid == (clock == spec.head_clocks - 1), "the answer on its clock, and until it is taken")
    claim(m, head.busy == ~free, "busy until the answer is taken")

    # ---- invariants: the multiplier's place follows from the clock
    passed = named(m, "passed", clock - 1)
    proof.invariant(m, (clock != 0) & (clock <= spec.head_clocks), "clock of the head")
    proof.invariant(m, free | ((of_class * parts + of_part == passed) & (of_part < parts)), "class and part")
    states = States(fragment.find_subfragment("multiplier"))
    word, part, index, operand, bias, product, complete = (
        signal_inside(fragment, f"multiplier.{name}")
        for name in (
            *("word", "part", "index", "operand_valid", "operand_is_bias"),
            *("product_valid", "product_is_last"),
        )
    )
    over = named(m, "multiplied", clock >= spec.head_clocks - 1)
    multiplies = named(m, "multiplies", ~free & (passed < asked))
    proof.invariant(m, states.known, "state of the multiplier")
    proof.invariant(m, states.within("idle") == over, "the multiplier is idle when the answer is due")
    proof.invariant(m, states.within("multiply") == multiplies, "the multiplier asks for a part on every clock")
    with m.If(multiplies):
        proof.invariant(m, (word == passed) & (part == of_part), "the multiplier's word and part")
    for valid, last, behind in ((operand, bias, 1), (product, complete, 2)):
        within = (passed >= behind) & (passed < asked + behind) & ~free
        proof.invariant(m, valid == within, f"what is in the pipeline {behind} clocks later")
        with m.If(within):
            proof.invariant(m, last == (of_part == (behind - 1) % parts), f"the last part {behind} clocks later")
    with m.If(free):
        proof.invariant(m, index == 0, "class of the next logit")
    with m.Elif(~over):
        # Logits that have left: one for each whole class but the one whose logit is not yet due.
        late = Const(1) + (of_part == 0) if parts == 2 else Const(1) - (of_part > 2)
        left = Mux(of_class >= late, of_class - late, 0)
        proof.invariant(m, index == left, "class of the next logit")
    return clock


def proofs(spec: Specification) -> list[Entry]:
    """The proof of the head's clocks at the sizes of ``spec``."""
    claim = "logits and the answer leave on their clocks, and the next last h waits for no more than head_clocks"
    return [Entry("head", claim, lambda: HeadClocksProof(spec))]
