# SPDX-License-Identifier: Apache-2.0
"""Loading x: a stream of pulse codes into shadow registers, while the step before still runs."""

from amaranth import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from crossramp.golden.common.checks import integer

from .pulses import PulseBank


def x_layout(bits: int) -> data.StructLayout:
    """Payload of the x stream: a pulse code, and whether its step is the utterance's last."""
    return data.StructLayout({"code": signed(bits), "last": 1})


class Loader(wiring.Component):
    """Collects the pulse codes of one step in shadow registers, and hands them over all at once.

    ``last`` is read with the last code of a step; on others it means nothing.

    Throughput: one code per clock; the step after a ``take`` may begin to load in the same clock.
    Back-pressure: ``x.ready`` is low from the clock after a step is complete until it is taken.
    Cost: 2 x ``bits`` flip-flops an input, and a counter.

    Without shadow registers, half as many: then ``x.ready`` stays low until the codes taken are needed no longer.

    Parameters
    ----------
    inputs, bits : int
        Codes a step, and their width with the sign.
    shadow : bool
        Whether a step loads into registers of its own.
    """

    def __init__(self, inputs: int, bits: int, *, shadow: bool = True):
        inputs, bits = integer("inputs", inputs), integer("bits", bits)
        self.inputs = inputs
        self.bits = bits
        self.lines = inputs
        self.shadow = shadow
        super().__init__(
            {
                "x": In(stream.Signature(x_layout(bits))),
                "full": Out(1),  # a whole step is waiting
                "take": In(1),  # hand it over; only with ``full``
                "release": In(1),  # without shadow registers: the step taken is needed no longer
                "last": Out(1),  # the step taken is the utterance's last; from the clock after ``take``
                "negative": Out(inputs),  # the step taken; from the clock after ``take``
                "magnitude": Out(data.ArrayLayout(inputs, bits - 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.bank = bank = PulseBank(self.inputs, self.bits)

        loaded = Signal(range(self.inputs))
        bank_last = Signal(reset_less=True)
        m.d.comb += [
            bank.shift.eq(self.x.valid & self.x.ready),
            bank.codes[0].eq(self.x.payload.code),
        ]
        with m.If(self.take):
            m.d.sync += [self.full.eq(0), self.last.eq(bank_last)]
        with m.If(bank.shift):
            m.d.sync += loaded.eq(loaded + 1)
            with m.If(loaded == self.inputs - 1):
                m.d.sync += [loaded.eq(0), self.full.eq(1), bank_last.eq(self.x.payload.last)]

        if self.shadow:
            m.d.comb += self.x.ready.eq(~self.full | self.take)
            negative = Signal(self.inputs, reset_less=True)
            magnitude = Signal(data.ArrayLayout(self.inputs, self.bits - 1), reset_less=True)
            with m.If(self.take):
                m.d.sync += [negative.eq(bank.negative), magnitude.eq(bank.magnitude)]
        else:
            needed = Signal()
            m.d.comb += self.x.ready.eq(~self.full & ~needed)
            with m.If(self.take):
                m.d.sync += needed.eq(1)
            with m.Elif(self.release):
                m.d.sync += needed.eq(0)
            negative, magnitude = bank.negative, bank.magnitude
        m.d.comb += [self.negative.eq(negative), self.magnitude.eq(magnitude)]
        return m
