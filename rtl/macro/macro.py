# SPDX-License-Identifier: Apache-2.0
"""The LSTM macro: the whole digital periphery of one crossbar."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from crossramp.golden.network.weights import checked_array
from crossramp.golden.spec.boundary_wires import PHASES, calibration_bits
from crossramp.golden.spec.specification import Specification

from ..common.boundary import ArraySignature
from ..common.record_layout import MonitorSignature, h_layout
from .capture import CaptureBank
from .comparator_register import ComparatorRegister
from .loader import Loader, x_layout
from .projection import Projection
from .pulses import PulseBank, PulseDriver
from .ramp_counter import RampCounter
from .sequencer import Sequencer
from .update import CellUpdate, StateMemory, StateRing


class Macro(wiring.Component):
    """Everything digital around one crossbar: x codes in, h codes out, the array on the other side.

    Its golden model is :class:`~.lstm.Lstm`: every code, c and h is equal to it, in every step.

    Latency and throughput: a step takes ``spec.macro_clocks`` clocks (``spec.inputs`` where x takes longer to load)
    while x arrives in time, the array is ready and h is taken at once; h leaves in the last ``spec.beats`` of them, or
    as the projection makes it. x of the next step loads meanwhile.
    Back-pressure: an h beat that is not taken stalls the update of h, where no analog value is held. While x is
    missing, the macro idles with the integrators in reset.
    Reset: one clock; then ceil(units / lanes) clocks pass before the first step may start.

    Parameters
    ----------
    spec : Specification
    compact : bool
        For small FPGAs, ``state_bits`` flip-flops per unit and ``input_bits`` per input less: c is kept in a memory (if
        there are two groups of units or more), and x of the next step loads no earlier than in the hold of this one: a
        step then takes at least ``input_max`` + 3 + ``inputs`` clocks. Nothing else differs.
    quiet : bool
        Adds the input ``quiet``: while it is high, no bias row is driven, so that x = 0 in the first step of an
        utterance is a MAC of 0. Without it, no hardware.
    projection_weights : integer array, shape (hidden, units), or None
        Of the projection, see :class:`.projection.Projection`; None where the specification has none.

    Raises
    ------
    InvalidValue
        For weights of the projection that do not fit the specification, or are missing.
    """

    def __init__(self, spec: Specification, *, compact: bool = False, quiet: bool = False, projection_weights=None):
        self.spec = spec
        self.projection_weights = checked_array(spec, "projection", projection_weights)
        self.compact = compact
        super().__init__(
            ({"quiet": In(1)} if quiet else {})
            | {
                "x": In(stream.Signature(x_layout(spec.input_bits))),
                "h": Out(stream.Signature(h_layout(spec))),
                "calibration": In(calibration_bits(spec)),
                "busy": Out(1),
                "array": Out(ArraySignature(spec)),
                "monitor": Out(MonitorSignature(spec)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        spec, array = self.spec, self.array

        m.submodules.sequencer = sequencer = Sequencer(spec)
        for name in PHASES:
            m.d.comb += getattr(array, name).eq(getattr(sequencer, name))
        m.d.comb += [sequencer.ready.eq(array.ready), self.busy.eq(sequencer.busy)]
        m.d.sync += array.calibration.eq(self.calibration)

        banks, latch = self._conversion(m, sequencer)
        update, leaving = self._update(m, sequencer, banks, latch)
        if self.spec.projection:
            self._project(m, sequencer, update, leaving)
        m.d.comb += self.h.payload.last.eq(sequencer.x_last)
        self._rows(m, sequencer, update, leaving)
        return m

    def _conversion(self, m: Module, sequencer: Sequencer) -> tuple[dict[str, CaptureBank], Signal]:
        """The ramp, and the bank of each gate, which latches its count; with the signal on whose clocks it does."""
        spec, array = self.spec, self.array
        m.submodules.ramp = ramp = RampCounter(spec.adc_bits)
        m.d.comb += [
            ramp.start.eq(sequencer.ramp_start),
            ramp.step.eq(sequencer.ramp_step),
            sequencer.ramp_last.eq(ramp.last),
            array.tap.eq(ramp.tap),
        ]
        comparators, latch, count = array.comparators, sequencer.latch, ramp.count
        if spec.comparator_registers:
            m.submodules.comparator_register = register = ComparatorRegister(spec.columns, spec.adc_bits)
            m.d.comb += [register.comparators.eq(comparators), register.latch.eq(latch), register.count.eq(count)]
            comparators, latch, count = register.sampled, register.latch_sampled, register.count_sampled
        banks = {}
        for gate in spec.gate_names:
            bank = CaptureBank(spec.units, spec.adc_bits, lanes=spec.lanes, latch=spec.latch)
            m.submodules[f"capture_{gate}"] = banks[gate] = bank
            # Banks that the second conversion does not latch keep their codes for its update, or stay cleared.
            enable = latch if gate in spec.conversions[1] else latch & ~sequencer.second
            m.d.comb += [
                bank.comparators.eq(comparators[spec.bank(gate)]),
                bank.arm.eq(sequencer.ramp_start),
                bank.enable.eq(enable),
                bank.count.eq(count),
            ]
        return banks, latch

    def _update(self, m: Module, sequencer: Sequencer, banks: dict[str, CaptureBank], latch: Signal):
        """The update pipeline: groups of units leave the capture banks, and come out as c or h one clock later.

        Returns the cell update, and a signal that is high on each clock its results are taken.
        """
        spec, second = self.spec, sequencer.second
        m.submodules.update = update = CellUpdate(spec)
        state = StateMemory if self.compact and spec.beats > 1 else StateRing
        m.submodules.state = ring = state(spec.units, spec.state_bits, spec.lanes)

        beat = Signal(range(spec.beats + 1))  # groups that have entered
        entering = Signal()  # a group enters the product register
        occupied = Signal()  # the product register holds a group
        leaving = Signal()  # its results are taken
        final = Signal()  # it is the last group
        # Codes that pass a register land on the first clock of the update, and are taken from the next on.
        update_begins = sequencer.update & ~latch if spec.comparator_registers else sequencer.update
        taken = Const(1) if spec.projection else ~second | self.h.ready
        m.d.comb += [
            leaving.eq(occupied & taken),
            entering.eq(update_begins & (beat != spec.beats) & (~occupied | leaving)),
            final.eq(beat == spec.beats),
            sequencer.update_done.eq(leaving & final),
        ]
        with m.If(entering):
            m.d.sync += [beat.eq(beat + 1), occupied.eq(1)]
        with m.Elif(leaving):
            m.d.sync += occupied.eq(0)
        with m.If(sequencer.update_done):
            m.d.sync += beat.eq(0)

        for gate, bank in banks.items():
            used = {(True, False): ~second, (False, True): second, (True, True): 1}[spec.layout.reads(gate)]
            m.d.comb += bank.shift.eq(sequencer.flush | (entering & used))
            m.d.comb += getattr(update, gate).eq(bank.codes)
        m.d.comb += [
            update.step.eq(entering),
            update.second.eq(second),
            update.c.eq(Mux(sequencer.first_step, 0, ring.bottom.as_value())),
            ring.read.eq(entering & ~second),
            ring.write.eq(leaving & ~second),
            ring.top.eq(update.next_c),
        ]

        monitor = self.monitor
        codes = [
            [getattr(monitor, code).eq(banks[spec.layout.gate_of(code)].codes) for code in read]
            for read in spec.layout.updates
        ]
        m.d.comb += [
            monitor.gates.eq(entering & ~second),
            *codes[0],
            monitor.state.eq(leaving & ~second),
            monitor.c.eq(update.next_c),
            monitor.q.eq(update.pulses),
            monitor.output.eq(entering & second),
            *codes[1],
            monitor.stalled.eq(sequencer.stalled),
        ]
        if not spec.projection:
            # h leaves as it is made; lanes beyond the last unit show zero.
            present = spec.units - (spec.beats - 1) * spec.lanes
            for lane in range(spec.lanes):
                code = update.h[lane]
                m.d.comb += self.h.payload.codes[lane].eq(code if lane < present else Mux(final, 0, code))
            m.d.comb += [self.h.valid.eq(occupied & second), self.h.payload.end.eq(final)]
        return update, leaving

    def _project(self, m: Module, sequencer: Sequencer, update: CellUpdate, leaving: Signal):
        """The projection takes h from the update, and what it makes leaves."""
        m.submodules.projection = projection = Projection(self.spec, self.projection_weights)
        m.d.comb += [
            projection.write.eq(leaving & sequencer.second),
            projection.codes.eq(update.h),
            projection.run.eq(sequencer.project),
            projection.ready.eq(self.h.ready),
            sequencer.project_done.eq(projection.done),
            self.h.valid.eq(projection.valid),
            self.h.payload.codes.eq(projection.r),
            self.h.payload.end.eq(projection.end),
        ]

    def _rows(self, m: Module, sequencer: Sequencer, update: CellUpdate, leaving: Signal):
        """Pulse codes and drivers of the rows (x, h, bias) and of the state cells."""
        spec, array, second = self.spec, self.array, sequencer.second
        m.submodules.loader = loader = Loader(spec.inputs, spec.input_bits, shadow=not self.compact)
        wiring.connect(m, wiring.flipped(self.x), loader.x)
        m.d.comb += [
            sequencer.x_full.eq(loader.full),
            sequencer.x_last.eq(loader.last),
            loader.take.eq(sequencer.take),
            loader.release.eq(sequencer.hold & ~second),
        ]
        m.submodules.h_codes = h_codes = PulseBank(spec.hidden, spec.input_bits, spec.lanes)
        m.submodules.state_codes = state_codes = PulseBank(spec.units, spec.state_pulse_bits, spec.lanes)
        m.d.comb += [
            h_codes.shift.eq(self.h.valid & self.h.ready if spec.projection else leaving & second),
            h_codes.codes.eq(self.h.payload.codes if spec.projection else update.h),
            state_codes.shift.eq(leaving & ~second),
            state_codes.codes.eq(update.pulses),
        ]

        drive_rows = sequencer.drive & ~second
        m.submodules.x_driver = x_driver = PulseDriver(spec.inputs, spec.input_bits)
        m.submodules.h_driver = h_driver = PulseDriver(spec.hidden, spec.input_bits)
        m.submodules.state_driver = state_driver = PulseDriver(spec.units, spec.state_pulse_bits)
        for driver, codes, drive in (
            (x_driver, loader, drive_rows),
            (h_driver, h_codes, drive_rows & ~sequencer.first_step),
            (state_driver, state_codes, sequencer.drive & second),
        ):
            m.d.comb += [
                driver.drive.eq(drive),
                driver.count.eq(sequencer.count),
                driver.negative.eq(codes.negative),
                driver.magnitude.eq(codes.magnitude),
            ]
        bias = Signal()  # full scale: high for the whole window
        driven = drive_rows & (sequencer.count != spec.input_max)
        m.d.sync += bias.eq(driven & ~self.quiet if "quiet" in self.signature.members else driven)
        m.d.comb += [
            array.row_pos.eq(Cat(x_driver.pos, h_driver.pos, bias.replicate(spec.bias_rows))),
            array.row_neg.eq(Cat(x_driver.neg, h_driver.neg)),
            array.state_pos.eq(state_driver.pos),
            array.state_neg.eq(state_driver.neg),
        ]
