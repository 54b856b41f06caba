# SPDX-License-Identifier: Apache-2.0
"""Loading x: a stream of pulse codes into shadow registers, while the step before still runs."""

from amaranth import Cat, Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from crossramp.golden.common.checks import integer

from .pulses import PulseBank


def x_layout(bits: int, *, keeps: bool = False, lanes: int = 1) -> data.StructLayout:
    """Payload of the x stream: a pulse code, and whether its step is the utterance's last; ``keeps``: with ``keep``.

    ``lanes``: with so many ``codes`` in place of ``code``.
    """
    codes = {"code": signed(bits)} if lanes == 1 else {"codes": data.ArrayLayout(signed(bits), lanes)}
    return data.StructLayout(codes | {"last": 1} | ({"keep": 1} if keeps else {}))


class Loader(wiring.Component):
    """Collects the pulse codes of one step in shadow registers, and hands them over all at once.

    ``last`` is read with the last code of a step; on others it means nothing.

    Throughput: ``lanes`` codes per clock; the step after a ``take`` may begin to load in the same clock.
    Back-pressure: ``x.ready`` is low from the clock after a step is complete until it is taken.
    Cost: 2 x ``bits`` flip-flops an input, and a counter.

    Without shadow registers, half as many: then ``x.ready`` stays low until the codes taken are needed no longer.

    Parameters
    ----------
    inputs, bits : int
        Codes a step, and their width with the sign.
    shadow : bool
        Whether a step loads into registers of its own.
    keeps : bool
        With ``keep``: what ends the utterance keeps its state. It is read together with ``last``.
    lanes : int
        Codes of x in a clock, input 0 in the lowest lane of the first; those beyond the last input are dropped.
    """

    def __init__(self, inputs: int, bits: int, *, shadow: bool = True, keeps: bool = False, lanes: int = 1):
        inputs, bits = integer("inputs", inputs), integer("bits", bits)
        self.lanes = integer("lanes", lanes)
        self.inputs = inputs
        self.bits = bits
        self.lines = inputs
        self.shadow = shadow
        self.flags = ("last", "keep") if keeps else ("last",)
        super().__init__(
            {
                "x": In(stream.Signature(x_layout(bits, keeps=keeps, lanes=self.lanes))),
                "full": Out(1),  # a whole step is waiting
                "take": In(1),  # hand it over; only with ``full``
                "release": In(1),  # without shadow registers: the step taken is needed no longer
                # the step taken is the utterance's last, and keeps the state; from the clock after ``take``
                **{flag: Out(1) for flag in self.flags},
                "negative": Out(inputs),  # the step taken; from the clock after ``take``
                "magnitude": Out(data.ArrayLayout(inputs, bits - 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.bank = bank = PulseBank(self.inputs, self.bits, self.lanes)

        groups = -(-self.inputs // self.lanes)
        loaded = Signal(range(groups))
        flags = {flag: Signal(name=f"bank_{flag}", reset_less=True) for flag in self.flags}
        m.d.comb += [
            bank.shift.eq(self.x.valid & self.x.ready),
            Cat(bank.codes).eq(Cat(self.x.payload.code if self.lanes == 1 else self.x.payload.codes)),
        ]
        with m.If(self.take):
            m.d.sync += [self.full.eq(0), *(getattr(self, name).eq(flag) for name, flag in flags.items())]
        with m.If(bank.shift):
            m.d.sync += loaded.eq(loaded + 1)
            with m.If(loaded == groups - 1):
                m.d.sync += [loaded.eq(0), self.full.eq(1)]
                m.d.sync += [flag.eq(getattr(self.x.payload, name)) for name, flag in flags.items()]

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
