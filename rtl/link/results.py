# SPDX-License-Identifier: Apache-2.0
"""What a host may ask about a network: the h of its last step, logits, answer, and how far it is."""

from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from crossramp.golden.layers.network_specification import AnySpecification

from ..common.access import UNCHECKED, AccessSignature
from ..common.record_layout import answer_layout, h_layout, logit_layout


class ProgressSignature(wiring.Signature):
    """How far a network is, seen from what keeps its results.

    Members
    -------
    accepted : 1 bit
        A step was handed to the network; ``last``: the utterance's last one.
    accepted_steps, done_steps : range(max_steps + 1)
        Steps handed over, steps whose h is there.
    complete : 1 bit
        The last step was handed over.
    computing : 1 bit
        A step or, after the last one, the answer is not there yet; with the readout ``"step"``, that of any step. A
        layer of two directions waits for the last step: until then, only what the layers in front of it have not passed
        on counts.
    answered, index, too_long :
        The answer; with the readout ``"step"``, that of the last step, which ``answered`` waits for.
    clocks, waiting : 32 bits
        Clocks of ``computing``, and those of them on which the network waited for its array.

    Parameters
    ----------
    spec : Specification or NetworkSpecification
    """

    def __init__(self, spec: AnySpecification):
        steps = range(spec.max_steps + 1)
        super().__init__(
            {
                "accepted": In(1),
                "last": In(1),
                "accepted_steps": Out(steps),
                "done_steps": Out(steps),
                "complete": Out(1),
                "computing": Out(1),
                "answered": Out(1),
                "index": Out(answer_layout(spec)["index"].shape),
                "too_long": Out(1),
                "clocks": Out(32),
                "waiting": Out(32),
            }
        )


def counts_leading(spec: AnySpecification) -> bool:
    """Whether layers that take each step as it comes are in front of one of two directions."""
    return spec.bidirectional and spec.leading > 0


class Results(wiring.Component):
    """Takes everything that leaves a network, at once, and keeps it until the next step or utterance.

    Latency: ``done`` counts a step, and ``answered`` rises, on the clock after the last beat.
    Cost: two memories, of ``h_beats`` words of h and of ``classes`` logits; two counters of 32 bits. With the readout
    ``"step"`` a counter of answers.

    Parameters
    ----------
    spec : Specification or NetworkSpecification

    Members
    -------
    clear : 1 bit
        For another utterance: ``done``, ``answered`` and the counters go to 0.
    stalled : 1 bit
        The network waits for its array.
    passed_on : 1 bit
        Of a network with a layer of two directions behind other ones: h of a step is on its way from these to that one.
    progress : ProgressSignature
    hidden, logits : AccessSignature
        To read them; writes are ignored.
    """

    def __init__(self, spec: AnySpecification):
        self.spec = spec
        super().__init__(
            {
                "h": In(stream.Signature(h_layout(spec))),
                "logit": In(stream.Signature(logit_layout(spec))),
                "answer": In(stream.Signature(answer_layout(spec))),
                "stalled": In(1),
                **({"passed_on": In(1)} if counts_leading(spec) else {}),
                "clear": In(1),
                "progress": Out(ProgressSignature(spec)),
                "hidden": In(AccessSignature(spec.h_beats, h_layout(spec)["codes"].shape)),
                "logits": In(AccessSignature(spec.classes, logit_layout(spec)["value"].shape)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        spec, progress = self.spec, self.progress

        steps, answered = self._answers(m)
        if spec.bidirectional:
            steps = self._leading_steps(m)
        m.d.comb += [
            self.h.ready.eq(1),
            self.logit.ready.eq(1),
            self.answer.ready.eq(1),
            progress.computing.eq((progress.accepted_steps != steps) | (progress.complete & ~progress.answered)),
        ]
        self._keep(m, "hidden", self.h, self.h.payload.codes, spec.h_beats, self.h.payload.end)
        self._keep(m, "logits", self.logit, self.logit.payload.value, spec.classes, self.logit.payload.last)

        with m.If(progress.accepted):
            m.d.sync += [progress.accepted_steps.eq(progress.accepted_steps + 1), progress.complete.eq(progress.last)]
        with m.If(self.h.valid & self.h.payload.end):
            m.d.sync += progress.done_steps.eq(progress.done_steps + 1)
        with m.If(self.answer.valid):
            m.d.sync += [
                progress.answered.eq(answered),
                progress.index.eq(self.answer.payload.index),
                progress.too_long.eq(self.answer.payload.too_long),
            ]
        with m.If(progress.computing):
            m.d.sync += [progress.clocks.eq(progress.clocks + 1), progress.waiting.eq(progress.waiting + self.stalled)]
        with m.If(self.clear):
            m.d.sync += [
                register.eq(0)
                for register in (
                    progress.accepted_steps,
                    progress.done_steps,
                    progress.complete,
                    progress.answered,
                    progress.index,
                    progress.too_long,
                    progress.clocks,
                    progress.waiting,
                )
            ]
        return m

    def _answers(self, m: Module):
        """Steps that nothing is missing of, and whether an answer that comes now is the utterance's last one."""
        progress = self.progress
        if self.spec.readout != "step":
            return progress.done_steps, 1
        count = Signal.like(progress.done_steps, name="answered_steps")
        with m.If(self.clear):
            m.d.sync += count.eq(0)
        with m.Elif(self.answer.valid):
            m.d.sync += count.eq(count + 1)
        return count, progress.complete & (count + 1 == progress.accepted_steps)

    def _leading_steps(self, m: Module):
        """Steps of which nothing is missing until the last one has come."""
        progress = self.progress
        if not counts_leading(self.spec):
            return progress.accepted_steps
        count = Signal.like(progress.done_steps, name="leading_steps")
        with m.If(self.clear):
            m.d.sync += count.eq(0)
        with m.Elif(self.passed_on):
            m.d.sync += count.eq(count + 1)
        return count

    def _keep(self, m: Module, name: str, source, value, words: int, end):
        """Writes the stream's beats to words 0, 1, ... of a memory that ``name`` reads."""
        access = getattr(self, name)
        memory = Memory(shape=access.data.shape(), depth=words, init=[], attrs=UNCHECKED)
        m.submodules[name] = memory
        write = memory.write_port()
        read = memory.read_port()
        word = Signal(range(words))
        m.d.comb += [
            write.addr.eq(word),
            write.data.eq(value),
            write.en.eq(source.valid),
            read.addr.eq(access.address),
            access.data.eq(read.data),
        ]
        with m.If(source.valid):
            m.d.sync += word.eq(word + 1)
            with m.If(end):
                m.d.sync += word.eq(0)
        with m.If(self.clear):
            m.d.sync += word.eq(0)
