# SPDX-License-Identifier: Apache-2.0
"""Pulse codes that another macro makes: kept until the conversion that drives them has had its window."""

from amaranth import Cat, Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from crossramp.golden.spec.specification import Specification

from .pulses import PulseBank


def given_layout(spec: Specification, source: str) -> data.StructLayout:
    """Payload of a stream of values that another macro gives: its lanes of pulse codes, and the utterance's last step.

    Parameters
    ----------
    source : str
        A name in ``spec.layout.given``.
    """
    _, lanes = spec.given_sizes(source)
    bits = spec.pulse_bits(spec.layout.given[source].form)
    return data.StructLayout({"codes": data.ArrayLayout(signed(bits), lanes), "last": 1})


def given_name(source: str) -> str:
    """The member of a macro for such a stream."""
    return f"given_{source}"


class GivenCodes(wiring.Component):
    """Collects the pulse codes of one step, and keeps them until they are released.

    Throughput: ``lanes`` codes a clock while none are kept.
    Back-pressure: ``given.ready`` is low from the clock after the last codes of a step until the one after ``release``.
    Cost: the width of a pulse code in flip-flops a code, and a counter.

    Codes of the step before (``before``) that come from an utterance's last step are dropped: no step follows it.

    Parameters
    ----------
    spec : Specification
    source : str
        A name in ``spec.layout.given``.
    """

    def __init__(self, spec: Specification, source: str):
        self.before = spec.layout.given[source].before
        self.lines, self.lanes = spec.given_sizes(source)
        self.bits = spec.pulse_bits(spec.layout.given[source].form)
        super().__init__(
            {
                "given": In(stream.Signature(given_layout(spec, source))),
                "full": Out(1),  # the codes of a step are there
                "release": In(1),  # they are needed no longer; only with ``full``, or without effect
                "negative": Out(self.lines),
                "magnitude": Out(data.ArrayLayout(self.lines, self.bits - 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.bank = bank = PulseBank(self.lines, self.bits, self.lanes)
        groups = -(-self.lines // self.lanes)
        loaded = Signal(range(groups))
        beat = self.given.payload
        m.d.comb += [
            self.given.ready.eq(~self.full),
            bank.shift.eq(self.given.valid & self.given.ready & ~(beat.last if self.before else 0)),
            Cat(bank.codes).eq(Cat(beat.codes)),
            self.negative.eq(bank.negative),
            self.magnitude.eq(bank.magnitude),
        ]
        with m.If(self.release):
            m.d.sync += self.full.eq(0)
        with m.If(bank.shift):
            m.d.sync += loaded.eq(loaded + 1)
            with m.If(loaded == groups - 1):
                m.d.sync += [loaded.eq(0), self.full.eq(1)]
        return m
