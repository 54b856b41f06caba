# SPDX-License-Identifier: Apache-2.0
"""The ramp counter: the number of the tick, in Gray code for the columns and one-hot for the ramp."""

from collections.abc import Sequence
from itertools import pairwise

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.spec.specification import Specification

from ..common.arith import gray_to_binary


class RampCounter(wiring.Component):
    """Counts the ticks of a ramp, 1 to 2**bits - 1, and what other ramps count on the same ticks.

    Latency: the clock after ``start``, ``count`` and ``tap`` show tick 1; the clock after each ``step``, the next one.
    After the step that follows the last tick, ``tap`` is all zeros again.
    Cost: ``bits`` + 2**bits - 1 flip-flops; with other ramps, one for each tap and each bit of a count, one for each
    count that turns, and one for each ramp that ends early.

    Consecutive counts differ in one bit, so a column that samples it while it changes stores one of both
    (docs/boundary.md). That holds for counts that turn, and for one that passes from 0 to -1, whose Gray code is
    100...0.

    Parameters
    ----------
    bits : int
        Resolution of the ramp, 2 to 9: of the finest one that counts upward.
    ticks : sequence of int or None
        Ticks of the first conversion and of the second; None: 2**bits - 1 of either.
    turning : sequence of (int, tuple of int)
        Bits and codes of each other count (:class:`~.ramp_walk.RampWalk`), which begins at 0.
    early : sequence of int
        Ramps that end before the conversion does, by their ticks.

    Raises
    ------
    InvalidValue
        For bits out of range.
    """

    def __init__(self, bits: int, *, ticks: Sequence[int] | None = None, turning: Sequence = (), early=()):
        bits = integer("bits", bits)
        if not 2 <= bits <= 9:
            raise InvalidValue(f"bits is {bits}: a ramp has 2 to 9")
        self.bits = bits
        self.ticks = tuple(dict.fromkeys(((1 << bits) - 1,) if ticks is None else ticks))
        self.turning, self.early = tuple(turning), tuple(early)
        ports = {
            "start": In(1),  # tick 1 comes next
            "step": In(1),  # the next tick comes next
            "count": Out(bits),  # number of the tick, Gray-coded
            "tap": Out(max(self.ticks)),  # one-hot: bit k - 1 on tick k
            "last": Out(1),  # this is the last tick
        }
        if len(self.ticks) > 1:
            ports["of_second"] = In(1)  # of the second conversion
        ports |= {f"turning_{k}": Out(width) for k, (width, _) in enumerate(self.turning)}  # Gray-coded too
        ports |= {f"over_{end}": Out(1) for end in self.early}  # this is a tick behind the last one of such a ramp
        super().__init__(ports)
        self.falling = [Signal(name=f"falling_{number}") for number in range(len(self.turning))]  # for proofs

    @classmethod
    def of(cls, spec: Specification) -> "RampCounter":
        """The counter of a macro."""
        upward = [spec.adc_bits, *(spec.gate_bits(gate) for gate in spec.gate_names if not spec.turns(gate))]
        early = sorted({end for gate in spec.gate_names if (end := early_end(spec, gate))})
        return cls(max(upward), ticks=spec.conversion_ticks, turning=_turning_counts(spec), early=early)

    def elaborate(self, platform):
        m = Module()

        binary = Signal(self.bits)
        following = Signal(self.bits)
        tap = self.tap[:-1]
        if len(self.ticks) == 1:
            m.d.comb += self.last.eq(self.tap[-1])
        else:
            m.d.comb += self.last.eq(Mux(self.of_second, *(self.tap[end - 1] for end in reversed(self.ticks))))
            tap = Mux(self.last, 0, tap)
        m.d.comb += [
            binary.eq(Cat(*gray_to_binary(self.count))),
            following.eq(Mux(self.start, 1, binary + 1)),
        ]
        turning = [self._turning(m, number, bits, codes) for number, (bits, codes) in enumerate(self.turning)]
        with m.If(self.start | self.step):
            m.d.sync += [
                self.count.eq(following ^ (following >> 1)),
                self.tap.eq(Cat(self.start, tap)),
                *turning,
            ]
        for end in self.early:
            over = getattr(self, f"over_{end}")
            with m.If(self.start):
                m.d.sync += over.eq(0)
            with m.Elif(self.step & self.tap[end - 1]):
                m.d.sync += over.eq(1)

        return m

    def _turning(self, m: Module, number: int, bits: int, codes: Sequence[int]):
        """A count that goes by one with every tick, up or down: what it becomes with the next one."""
        count = getattr(self, f"turning_{number}")
        down = [(after - before) % (1 << bits) != 1 for before, after in pairwise(codes)]
        binary = Signal(bits, name=f"binary_{number}")
        following = Signal(bits, name=f"following_{number}")
        falling = self.falling[number]  # the next tick counts down
        m.d.comb += [
            binary.eq(Cat(*gray_to_binary(count))),
            following.eq(Mux(self.start, codes[1], binary + Mux(falling, (1 << bits) - 1, 1))),
        ]
        with m.If(self.start):
            m.d.sync += falling.eq(down[1] if len(down) > 1 else 0)
        # On tick k the direction of tick k + 1 is known; behind it follows that of tick k + 2.
        turns = [k for k in range(1, len(down) - 1) if down[k + 1] != down[k]]
        if turns:
            with m.Elif(self.step & Cat(self.tap[k - 1] for k in turns).any()):
                m.d.sync += falling.eq(~falling)
        return count.eq(following ^ (following >> 1))


def count_name(spec: Specification, gate: str) -> str:
    """The port of a macro's counter whose lowest bits a gate's columns latch."""
    return f"turning_{_turning_counts(spec).index(_count_of(spec, gate))}" if spec.turns(gate) else "count"


def _turning_counts(spec: Specification) -> list[tuple[int, tuple[int, ...]]]:
    """The counts that turn: each once, in the order of the gates."""
    return list(dict.fromkeys(_count_of(spec, gate) for gate in spec.gate_names if spec.turns(gate)))


def _count_of(spec: Specification, gate: str) -> tuple[int, tuple[int, ...]]:
    """Bits and codes of what a gate's columns latch."""
    return spec.gate_bits(gate), spec.ramp_walks[spec.ramp_of(gate)].codes


def early_end(spec: Specification, gate: str) -> int:
    """Ticks of a gate's ramp where a conversion that latches its columns goes on behind the last one; else 0."""
    longest = max(n for n, codes in zip(spec.conversion_ticks, spec.conversions, strict=True) if gate in codes)
    return spec.gate_ticks(gate) if spec.gate_ticks(gate) < longest else 0
