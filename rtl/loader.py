# SPDX-License-Identifier: Apache-2.0
"""Loading x: a stream of pulse codes into shadow registers, while the step before still runs."""

from amaranth import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .pulses import PulseBank


def x_layout(bits: int) -> data.StructLayout:
    """Payload of the x stream: a pulse code, and whether its step is the utterance's last."""
    return data.StructLayout({"code": signed(bits), "last": 1})


class Loader(wiring.Component):
    """Collects the pulse codes of one step in shadow registers, and hands them over all at once.

    ``last`` is read with the last code of a step; on others it means nothing.

    Throughput: one code a clock; the step after a ``take`` may begin to load in the same clock.
    Back-pressure: ``x.ready`` is low from the clock after a step is complete until it is taken.
    Cost: 2 x ``bits`` flip-flops an input, and a counter.

    Parameters
    ----------
    inputs, bits : int
        Codes a step, and their width with the sign.
    """

    def __init__(self, inputs: int, bits: int):
        self.inputs = inputs
        self.bits = bits
        super().__init__(
            {
                "x": In(stream.Signature(x_layout(bits))),
                "full": Out(1),  # a whole step is waiting
                "take": In(1),  # hand it over; only with ``full``
                "last": Out(1),  # the step taken is the utterance's last; from the clock after ``take``
                "negative": Out(inputs),  # the step taken; from the clock after ``take``
                "magnitude": Out(data.ArrayLayout(inputs, bits - 1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.shadow = shadow = PulseBank(self.inputs, self.bits)

        loaded = Signal(range(self.inputs))
        shadow_last = Signal(reset_less=True)
        m.d.comb += [
            self.x.ready.eq(~self.full | self.take),
            shadow.shift.eq(self.x.valid & self.x.ready),
            shadow.codes[0].eq(self.x.payload.code),
        ]
        with m.If(self.take):
            m.d.sync += self.full.eq(0)
        with m.If(shadow.shift):
            m.d.sync += loaded.eq(loaded + 1)
            with m.If(loaded == self.inputs - 1):
                m.d.sync += [loaded.eq(0), self.full.eq(1), shadow_last.eq(self.x.payload.last)]

        negative = Signal(self.inputs, reset_less=True)
        magnitude = Signal(data.ArrayLayout(self.inputs, self.bits - 1), reset_less=True)
        last = Signal(reset_less=True)
        with m.If(self.take):
            m.d.sync += [negative.eq(shadow.negative), magnitude.eq(shadow.magnitude), last.eq(shadow_last)]
        m.d.comb += [self.negative.eq(negative), self.magnitude.eq(magnitude), self.last.eq(last)]
        return m
