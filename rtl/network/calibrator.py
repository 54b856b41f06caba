# SPDX-License-Identifier: Apache-2.0
"""Calibration in gateware: drives a known MAC, counts codes, and settles the registers that select bias cells."""

import enum

from amaranth import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from crossramp.golden.analog.conversion.calibration import CalibrationPlan
from crossramp.golden.macro.step_groups import read_strobe
from crossramp.golden.spec.boundary_wires import calibration_bits
from crossramp.golden.spec.specification import Specification

from ..common.boundary import array_members, connect_arrays
from ..common.record_layout import MonitorSignature, h_layout
from ..macro.loader import x_layout
from ..macro.macro import Macro
from ..macro.state_loader import initial_layout


class CalibrateSignature(wiring.Signature):
    """How a host calibrates, seen from the hardware.

    Members
    -------
    start : 1 bit
        High on a clock begins a calibration; while ``busy`` it means nothing.
    busy : 1 bit
        From the next clock on, until the registers stand. x is taken only to end an utterance that is under way.
    failed : arrays x ramps bits
        Bit r: the last calibration found ramp r beyond the reach of its cells; those of the first array are lowest.
        Means nothing while ``busy``.
    load : 1 bit
        ``value`` becomes the registers. Between utterances, and not while ``busy``, where it means nothing.
    value : arrays x ramps x calibration_cells bits
    registers : arrays x ramps x calibration_cells bits
        Which bias cells the ramps apply, ramp 0's lowest; cell j of a ramp is its bit j. After reset, the largest cell
        of each: the middle. While ``busy``, they mean nothing.

    Parameters
    ----------
    spec : Specification
    """

    def __init__(self, spec: Specification):
        self.spec = spec
        width = calibration_bits(spec)
        super().__init__(
            {
                "start": In(1),
                "busy": Out(1),
                "failed": Out(len(spec.unit_tiles) * len(spec.ramps)),
                "load": In(1),
                "value": In(width),
                "registers": Out(width),
            }
        )


class _Phase(enum.Enum):
    IDLE = 0
    WAIT = 1  # for the utterance under way
    RUN = 2  # steps of zeros
    DECIDE = 3  # a setting has been counted
    FINISH = 4


class Calibrator(wiring.Component):
    """Stands between the macro and its streams. Its golden model is :func:`~.conversion.calibration.calibrate`.

    Idle, it passes x, h and the registers on. A calibration runs ``plan.steps`` utterances of one step, of x = 0 with
    ``quiet`` high, takes their h away, and counts the codes on the monitor ports, a beat at a time. Of each bank those
    of its first conversion in a step count; lanes beyond the last unit do not. All ramps are settled at once.
    Afterwards the next step is the first of an utterance, as before.

    Clocks: ``busy`` is high for ``plan.clocks()`` of them, and as long as the array is not ready or an
    utterance under way. Latency of x and h otherwise: none. Back-pressure: x waits while ``busy``, except for an
    utterance that has begun.
    Cost: nothing a column. For the shipped network (two ramps, 5 cells, 8 repeats) on iCE40 82 flip-flops and, with its
    16 lanes, 331 LUTs; with one lane 235.

    Parameters
    ----------
    plan : CalibrationPlan
    """

    def __init__(self, plan: CalibrationPlan):
        self.plan = plan
        spec = plan.spec
        super().__init__(
            {
                "calibrate": Out(CalibrateSignature(spec)),
                # outside
                "x": In(stream.Signature(x_layout(spec.input_bits, keeps=bool(spec.keeps_state)))),
                "h": Out(stream.Signature(h_layout(spec))),
                # the macro
                "macro_x": Out(stream.Signature(x_layout(spec.input_bits, keeps=bool(spec.keeps_state)))),
                "macro_h": In(stream.Signature(h_layout(spec))),
                "calibration": Out(calibration_bits(spec)),
                "quiet": Out(1),
                "monitor": In(MonitorSignature(spec)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        phase = Signal(_Phase)
        final = Signal()  # the step under way is the last
        ended, outstanding, under_way = self._streams(m, phase, final)

        width = self.plan.spec.calibration_cells
        repeat = Signal(self.plan.repeats_log2)
        bit = Signal(width)  # one-hot: the cell that is tried; none, at first
        over = Signal()  # the setting has been counted
        m.d.comb += [
            over.eq(ended & repeat.all()) if len(repeat) else over.eq(ended),
            final.eq(repeat.all() & bit[0]) if len(repeat) else final.eq(bit[0]),
            self.calibrate.busy.eq(phase != _Phase.IDLE),
            self.quiet.eq((phase == _Phase.RUN) | (phase == _Phase.DECIDE)),
        ]
        with m.Switch(phase):
            with m.Case(_Phase.IDLE):
                with m.If(self.calibrate.start):
                    m.d.sync += phase.eq(_Phase.WAIT)
            with m.Case(_Phase.WAIT):
                m.d.sync += [repeat.eq(0), bit.eq(0)]
                with m.If(~under_way & (outstanding == 0)):
                    m.d.sync += phase.eq(_Phase.RUN)
            with m.Case(_Phase.RUN):
                with m.If(ended):
                    m.d.sync += repeat.eq(repeat + 1)
                with m.If(over):
                    m.d.sync += phase.eq(_Phase.DECIDE)
            with m.Case(_Phase.DECIDE):
                m.d.sync += bit.eq(Mux(bit.any(), bit >> 1, 1 << (width - 1)))
                m.d.sync += phase.eq(Mux(bit[0], _Phase.FINISH, _Phase.RUN))
            with m.Case(_Phase.FINISH):
                m.d.sync += phase.eq(_Phase.IDLE)

        for number, counting in enumerate(self._counting(m)):
            for ramp in range(len(self.plan.spec.ramps)):
                self._ramp(m, number, ramp, phase, bit, counting)
        return m

    def _streams(self, m: Module, phase: Signal, final: Signal):
        """Selects the source of x and the consumer of h: the calibrator during a calibration, otherwise the host.

        Returns: a step ended; steps that are loaded whole and have not ended; an utterance of the host's is loading.
        """
        spec = self.plan.spec
        index = Signal(range(spec.inputs))  # of the code that the macro gets next
        outstanding = Signal(2)  # one runs, one more may wait in shadow registers
        under_way = Signal()
        passing = Signal()
        whole = Signal()
        loaded = Signal()
        ended = Signal()
        x, h, macro_x, macro_h = self.x, self.h, self.macro_x, self.macro_h
        idle = phase == _Phase.IDLE
        running = (phase == _Phase.RUN) & (~final | (outstanding == 0))
        m.d.comb += [
            passing.eq(idle | ((phase == _Phase.WAIT) & under_way)),
            whole.eq(index == spec.inputs - 1),
            # Zeros load while the step before is running, all but the last.
            macro_x.valid.eq(Mux(passing, x.valid, running & (~whole | (outstanding == 0)))),
            macro_x.payload.code.eq(Mux(passing, x.payload.code, 0)),
            macro_x.payload.last.eq(Mux(passing, x.payload.last, 1)),
            x.ready.eq(passing & macro_x.ready),
            loaded.eq(macro_x.valid & macro_x.ready & whole),
            # What ends while the host's last utterance does, is the host's.
            h.valid.eq(macro_h.valid & ~self.quiet),
            h.payload.eq(macro_h.payload),
            macro_h.ready.eq(h.ready | self.quiet),
            ended.eq(macro_h.valid & macro_h.ready & macro_h.payload.end),
        ]
        m.d.sync += outstanding.eq(outstanding + loaded - ended)
        over = whole & x.payload.last
        if spec.keeps_state:  # an utterance whose state is kept is not over
            m.d.comb += macro_x.payload.keep.eq(Mux(passing, x.payload.keep, 0))
            over = over & ~x.payload.keep
        with m.If(macro_x.valid & macro_x.ready):
            m.d.sync += index.eq(Mux(whole, 0, index + 1))
            m.d.sync += under_way.eq(passing & ~over)
        return ended, outstanding, under_way

    def _counting(self, m: Module) -> list[Value]:
        """For each array, which lanes of this beat count: those of its own units."""
        spec = self.plan.spec
        # Codes of the first conversion that the second update reads are shown on beats of their own.
        strobe = self._shown(0)
        if len(spec.conversions) == 2:
            strobe |= self._shown(1)
        beat = Signal(range(spec.beats))
        last = beat == spec.beats - 1
        if spec.units % spec.lanes or len(spec.unit_tiles) > 1:
            with m.If(strobe):
                m.d.sync += beat.eq(Mux(last, 0, beat + 1))

        def counts(units: range, lane: int) -> Value:
            first, end = (-(-(unit - lane) // spec.lanes) for unit in (units.start, units.stop))
            value = strobe if end >= spec.beats else strobe & (~last if end == spec.beats - 1 else beat < end)
            return value & (beat >= first) if first > 0 else value

        return [Cat(counts(units, lane) for lane in range(spec.lanes)) for units in spec.unit_tiles]

    def _shown(self, update: int) -> Value:
        """High on a beat of the codes that an update reads."""
        return getattr(self.monitor, read_strobe(update))

    def _ramp(self, m: Module, number: int, ramp: int, phase: Signal, bit: Signal, counting: Value):
        """Settle a ramp of array ``number``."""
        plan = self.plan.tiles[number]
        place = number * len(plan.spec.ramps) + ramp  # among the ramps of all arrays
        width, shift = plan.spec.calibration_cells, plan.shifts[ramp]
        whole = plan.columns[ramp] * plan.repeats
        middle, full = 1 << (width - 1), (1 << width) - 1
        name = f"ramp{ramp}" if len(self.plan.tiles) == 1 else f"array{number}_ramp{ramp}"

        # Twice the codes that reach K, less all codes: above 0 if they are more than half.
        balance = Signal(range(-whole, whole + 1), name=f"{name}_balance")
        distance = Signal(range(whole + 1), name=f"{name}_distance")
        hits = Signal(range(plan.columns[ramp] + 1), name=f"{name}_hits")
        keep = Signal(name=f"{name}_keep")
        m.d.comb += [
            hits.eq(self._hits(ramp, counting)),
            keep.eq(balance > 0),
            distance.eq(Mux(balance < 0, -balance, balance)),
        ]
        with m.If(phase == _Phase.RUN):
            m.d.sync += balance.eq(balance + (hits << 1))
        with m.Else():
            m.d.sync += balance.eq(-whole)

        # Settled in the middle of the range until somebody knows better.
        kept = Signal(width, name=f"{name}_kept")
        best = Signal(width, init=middle, name=f"{name}_best")
        nearest = Signal.like(distance, name=f"{name}_nearest")
        level = Signal(name=f"{name}_level")  # the middle, found too high, is as near as the best
        failed = Signal(name=f"{name}_failed")
        setting = Signal(width, name=f"{name}_setting")
        span = slice(place * width, (place + 1) * width)
        m.d.comb += [
            setting.eq(Mux(self.quiet, kept | bit, best)),
            self.calibration[span].eq(setting),
            self.calibrate.registers[span].eq(best),
            self.calibrate.failed[place].eq(failed),
        ]
        with m.Switch(phase):
            with m.Case(_Phase.IDLE):
                m.d.sync += kept.eq(0)
                with m.If(self.calibrate.load):
                    m.d.sync += best.eq(self.calibrate.value[span])
            with m.Case(_Phase.DECIDE):
                with m.If(keep):
                    m.d.sync += kept.eq(setting)
                with m.If(~bit.any()):
                    m.d.sync += [best.eq(0), nearest.eq(distance), failed.eq(~keep)]
                with m.Else():
                    nearer, as_near = distance < nearest, distance == nearest
                    with m.If(nearer | (keep & as_near)):
                        m.d.sync += [best.eq(setting), nearest.eq(distance)]
                    m.d.sync += level.eq(Mux(bit[-1], ~keep & (nearer | as_near), level & ~nearer))
            with m.Case(_Phase.FINISH):
                chosen = Signal(width, name=f"{name}_chosen")
                between = level & ~failed & (kept == middle - 1)
                m.d.comb += chosen.eq(Mux(between, middle, best))
                shifted = Signal(signed(max(width, shift.bit_length()) + 2), name=f"{name}_shifted")
                m.d.comb += shifted.eq(chosen + shift)
                below, above = shifted < 0, shifted > full
                m.d.sync += best.eq(Mux(below, 0, Mux(above, full, shifted)))
                m.d.sync += failed.eq(failed | (kept == full) | below | above)

    def _hits(self, ramp: int, counting: Value) -> Value:
        """How many codes of this beat, in the columns of ``ramp``, reach K."""
        level, cell = self.plan.levels[ramp], self.plan.spec.layout
        negative = self.plan.spec.turns(self.plan.gates[ramp][0]) and self.plan.spec.bipolar(self.plan.gates[ramp][0])
        codes = [self.plan.spec.conversions[self.plan.conversion_of(gate)][gate] for gate in self.plan.gates[ramp]]
        bits = []
        for lane in range(self.plan.spec.lanes):
            shown = {code: getattr(self.monitor, code)[lane] for code in codes}
            reaches = {code: (value.as_signed() if negative else value) >= level for code, value in shown.items()}
            late = [code for code in codes if code not in cell.updates[0]]
            first = [reaches[code] for code in codes if code not in late]
            for code in late:
                shared = first.pop(0) if first else Const(0)
                bits.append(counting[lane] & Mux(self._shown(1), reaches[code], shared))
            bits += [counting[lane] & self._shown(0) & reached for reached in first]
        return _sum(bits)


def _sum(bits: list[Value]) -> Value:
    """How many of ``bits`` are high; as a balanced tree."""
    while len(bits) > 1:
        pairs = zip(bits[::2], bits[1::2], strict=False)
        bits = [a + b for a, b in pairs] + (bits[-1:] if len(bits) % 2 else [])
    return bits[0]


class CalibratedMacro(wiring.Component):
    """A macro with its calibrator: a :class:`~.macro.Macro` whose ``calibration`` settles itself.

    Parameters
    ----------
    plan : CalibrationPlan
    options
        See :class:`~.macro.Macro`.
    """

    def __init__(self, plan: CalibrationPlan, **options):
        self.plan = plan
        self.spec = spec = plan.spec
        self.macro = Macro(spec, quiet=True, **options)
        self.calibrator = Calibrator(plan)
        super().__init__(
            {
                "x": In(stream.Signature(x_layout(spec.input_bits, keeps=bool(spec.keeps_state)))),
                **({"initial": In(stream.Signature(initial_layout(spec)))} if spec.initial == "stream" else {}),
                "h": Out(stream.Signature(h_layout(spec))),
                "calibrate": Out(CalibrateSignature(spec)),
                "busy": Out(1),
                **array_members(spec),
                "monitor": Out(MonitorSignature(spec)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.macro = macro = self.macro
        m.submodules.calibrator = calibrator = self.calibrator
        wiring.connect(m, wiring.flipped(self.x), calibrator.x)
        if self.spec.initial == "stream":
            wiring.connect(m, wiring.flipped(self.initial), macro.initial)
        wiring.connect(m, calibrator.h, wiring.flipped(self.h))
        wiring.connect(m, calibrator.calibrate, wiring.flipped(self.calibrate))
        wiring.connect(m, calibrator.macro_x, macro.x)
        wiring.connect(m, macro.h, calibrator.macro_h)
        connect_arrays(m, macro, self, self.spec)
        wiring.connect(m, macro.monitor, wiring.flipped(self.monitor))
        m.d.comb += [
            macro.calibration.eq(calibrator.calibration),
            macro.quiet.eq(calibrator.quiet),
            self.busy.eq(macro.busy | self.calibrate.busy),
        ]
        for name in macro.monitor.signature.members:
            m.d.comb += getattr(calibrator.monitor, name).eq(getattr(macro.monitor, name))
        return m
