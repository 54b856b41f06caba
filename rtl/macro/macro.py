# SPDX-License-Identifier: Apache-2.0
"""The macro: the whole digital periphery of one crossbar, for any cell."""

from amaranth import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from crossramp.golden.array.weights import checked_array
from crossramp.golden.cell.description import BIAS, FIXED, INPUT, LINE
from crossramp.golden.macro.initial_state import State
from crossramp.golden.macro.step_groups import read_strobe, stored_strobe
from crossramp.golden.spec.boundary_wires import PHASES, calibration_bits
from crossramp.golden.spec.specification import Specification

from ..common.boundary import ArraySignature, array_members, split_array
from ..common.record_layout import MonitorSignature, h_layout
from .capture import CaptureBank
from .comparator_register import ComparatorRegister
from .given_codes import GivenCodes, given_layout, given_name
from .loader import Loader, x_layout
from .projection import Projection, projection_signature
from .pulses import PulseBank, PulseDriver
from .ramp_counter import RampCounter, count_name, early_end
from .sequencer import Sequencer
from .state_loader import StateLoader, initial_layout
from .update import CellUpdate, StateMemory, StateRing, value_bits


class Macro(wiring.Component):
    """Everything digital around one crossbar: x codes in, h codes out, the array on the other side.

    Where an array projects h (``spec.array_projects``), another macro does it: h leaves as the cell makes it, and the
    stream ``projected`` brings back what is driven in the next step, which waits for it.

    Values that other macros give (``spec.layout.given``), such as partial sums of its rows or what a macro of partial
    sums needs, come in streams ``given_NAME``; a conversion waits for those that it drives.

    Columns that are in several arrays (:mod:`crossramp.golden.layers.tile`) have a member for each, ``array0``,
    ``array1``, ..., which are driven alike.

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
        utterance is a MAC of 0. If a bank is latched in the second conversion alone, nothing is driven in that one
        either, so that it is a MAC of 0 there. Without it, no hardware.
    projection_weights : integer array, shape (hidden, units), or None
        Of the projection, see :class:`.projection.Projection`; None where the specification has none.
    programmable : bool
        A projection's weights are written at run time, through the member ``program``.
    initial : State or None
        The constants that utterances start from, see :class:`.state_loader.StateLoader`; None where the specification
        has none. Where its ``initial`` is ``"stream"`` there is the member ``initial``.
    x_lanes : int
        Codes of x in a clock, see :class:`.loader.Loader`.

    Raises
    ------
    InvalidValue
        For weights of the projection or an initial state that do not fit the specification, or are missing.
    """

    def __init__(
        self,
        spec: Specification,
        *,
        compact: bool = False,
        quiet: bool = False,
        projection_weights=None,
        programmable: bool = False,
        initial: State | None = None,
        x_lanes: int = 1,
    ):
        self.spec = spec
        self.x_lanes = x_lanes
        c, h = (None, None) if initial is None else initial
        self.initial_constants = State(checked_array(spec, "initial_register", c), checked_array(spec, "initial_h", h))
        self.programmable = programmable and bool(spec.digital_projection)
        if not self.programmable:
            projection_weights = checked_array(spec, "projection", projection_weights)
        self.projection_weights = projection_weights
        self.compact = compact
        dense = spec.projection_macro
        projected = {} if dense is None else {"projected": In(stream.Signature(h_layout(dense)))}
        super().__init__(
            ({"quiet": In(1)} if quiet else {})
            | ({"program": In(projection_signature(spec))} if self.programmable else {})
            | ({"initial": In(stream.Signature(initial_layout(spec)))} if spec.initial == "stream" else {})
            | {
                "x": In(stream.Signature(x_layout(spec.input_bits, keeps=bool(spec.keeps_state), lanes=x_lanes))),
                "h": Out(stream.Signature(h_layout(spec))),
                **projected,
                **{
                    given_name(source): In(stream.Signature(given_layout(spec, source))) for source in spec.layout.given
                },
                "calibration": In(calibration_bits(spec)),
                "busy": Out(1),
                **array_members(spec),
                "monitor": Out(MonitorSignature(spec)),
            }
        )
        #: The arrays of a tiled macro; one alone is the boundary itself.
        self.tiles = [getattr(self, name) for name in array_members(spec) if name != "array"]
        self.boundary = ArraySignature(spec).create(path=("boundary",)) if self.tiles else self.array

    def elaborate(self, platform):
        m = Module()
        spec, array = self.spec, self.boundary
        if self.tiles:
            split_array(m, array, self.tiles, spec)

        m.submodules.sequencer = sequencer = Sequencer(spec)
        for name in PHASES:
            m.d.comb += getattr(array, name).eq(getattr(sequencer, name))
        m.d.comb += [sequencer.ready.eq(array.ready), self.busy.eq(sequencer.busy)]
        m.d.sync += array.calibration.eq(self.calibration)

        initial = self._initial(m, sequencer) if spec.loads_state else None
        banks, latch = self._conversion(m, sequencer)
        update, leaving = self._update(m, sequencer, banks, latch, initial)
        if spec.digital_projection:
            self._project(m, sequencer, update, leaving)
        elif spec.array_projects:
            beat = self.projected
            m.d.comb += [beat.ready.eq(1), sequencer.project_done.eq(beat.valid & beat.payload.end)]
        m.d.comb += self.h.payload.last.eq(sequencer.x_last)
        self._rows(m, sequencer, update, leaving, initial)
        return m

    def _initial(self, m: Module, sequencer: Sequencer) -> StateLoader:
        """What loads the state before the first step of an utterance; a quiet one starts from zero."""
        constants = None if self.spec.initial == "stream" else self.initial_constants
        m.submodules.state_loader = initial = StateLoader(self.spec, constants)
        if constants is None:
            wiring.connect(m, wiring.flipped(self.initial), initial.initial)
        quiet = self.quiet if "quiet" in self.signature.members else Const(0)
        m.d.comb += [initial.load.eq(sequencer.load & ~quiet), sequencer.loaded.eq(initial.loaded | quiet)]
        return initial

    def _from_zero(self, sequencer: Sequencer) -> Value | None:
        """High in a step that starts from a state of zero; None if no step does."""
        if not self.spec.loads_state:
            return sequencer.first_step
        return sequencer.first_step & self.quiet if "quiet" in self.signature.members else None

    def _conversion(self, m: Module, sequencer: Sequencer) -> tuple[dict[str, CaptureBank], Signal]:
        """The ramp, and the bank of each gate, which latches its count; with the signal on whose clocks it does."""
        spec, array = self.spec, self.boundary
        m.submodules.ramp = ramp = RampCounter.of(spec)
        m.d.comb += [
            ramp.start.eq(sequencer.ramp_start),
            ramp.step.eq(sequencer.ramp_step),
            sequencer.ramp_last.eq(ramp.last),
            array.tap.eq(ramp.tap),
        ]
        if "of_second" in ramp.signature.members:
            m.d.comb += ramp.of_second.eq(sequencer.second)
        comparators, latch = array.comparators, sequencer.latch
        counts = {name: getattr(ramp, name) for name in (count_name(spec, gate) for gate in spec.gate_names)}
        over = {end: getattr(ramp, f"over_{end}") for end in ramp.early}
        if spec.comparator_registers:
            comparators, latch, counts, over = self._registered(m, latch, counts, over)
        banks = {}
        for gate in spec.gate_names:
            bank = CaptureBank(spec.units, spec.gate_bits(gate), lanes=spec.lanes, latch=spec.latch)
            m.submodules[f"capture_{gate}"] = banks[gate] = bank
            # Banks that a conversion does not latch keep their codes for its update, or stay cleared.
            latched = tuple(gate in codes for codes in spec.conversions)
            enable = {(True, False): latch & ~sequencer.second, (False, True): latch & sequencer.second}.get(
                latched, latch
            )
            if end := early_end(spec, gate):
                enable = enable & ~over[end]
            m.d.comb += [
                bank.comparators.eq(comparators[spec.bank(gate)]),
                bank.arm.eq(sequencer.ramp_start),
                bank.enable.eq(enable),
                bank.count.eq(counts[count_name(spec, gate)][: bank.bits]),
            ]
        return banks, latch

    def _registered(self, m: Module, latch: Signal, counts: dict[str, Signal], over: dict[int, Signal]):
        """The comparators, and what their latches need, a clock later."""
        bits = sum(map(len, counts.values()))
        m.submodules.comparator_register = register = ComparatorRegister(self.spec.columns, bits)
        m.d.comb += [
            register.comparators.eq(self.boundary.comparators),
            register.latch.eq(latch),
            register.count.eq(Cat(counts.values())),
        ]
        later, start = {}, 0
        for name, count in counts.items():
            later[name] = register.count_sampled[start : start + len(count)]
            start += len(count)
        ended = {end: Signal(name=f"over_{end}_sampled") for end in over}
        m.d.sync += [ended[end].eq(signal) for end, signal in over.items()]
        return register.sampled, register.latch_sampled, later, ended

    def _update(
        self,
        m: Module,
        sequencer: Sequencer,
        banks: dict[str, CaptureBank],
        latch: Signal,
        initial: StateLoader | None,
    ):
        """The update pipeline: groups of units leave the capture banks, and their results come one clock later.

        Returns the cell update, and a signal that is high on each clock its results are taken.
        """
        spec, cell = self.spec, self.spec.layout
        m.submodules.update = update = CellUpdate(spec)

        beat = Signal(range(spec.beats + 1))  # groups that have entered
        entering = Signal()  # a group enters the product register
        occupied = Signal()  # the product register holds a group
        leaving = Signal()  # its results are taken
        final = Signal()  # it is the last group
        # Codes that pass a register land on the first clock of the update, and are taken from the next on.
        update_begins = sequencer.update & ~latch if spec.comparator_registers else sequencer.update
        emits = self._during(sequencer, [cell.update_of(cell.output)])
        taken = Const(1) if spec.digital_projection else ~emits | self.h.ready
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
            used = self._during(sequencer, [k for k, read in enumerate(cell.reads(gate)) if read])
            m.d.comb += bank.shift.eq(sequencer.flush | (entering & used))
            m.d.comb += getattr(update, f"code_{gate}").eq(bank.codes)
        m.d.comb += [update.step.eq(entering), update.second.eq(sequencer.second)]
        if cell.register:
            state = StateMemory if self.compact and spec.beats > 1 else StateRing
            m.submodules.state = ring = state(spec.units, spec.state_bits, spec.lanes)
            stored = cell.update_of(cell.register)
            # The ring turns as it is read: also in the update that writes, if nothing is computed from it there.
            turns = [k for k, read in enumerate(cell.register_reads) if read or k == stored]
            before, kept = self._from_zero(sequencer), ring.bottom.as_value()
            if before is not None and any(cell.register_reads[stored + 1 :]):
                before = before & self._during(sequencer, list(range(stored + 1)))
            read, write = entering & self._during(sequencer, turns), leaving & self._during(sequencer, [stored])
            top = getattr(update, f"new_{cell.register}")
            if initial is not None:
                read, write = read | initial.turn, write | initial.store
                top = Mux(initial.load, getattr(initial, cell.register).as_value(), top.as_value())
            m.d.comb += [
                update.register.eq(kept if before is None else Mux(before, 0, kept)),
                ring.read.eq(read),
                ring.write.eq(write),
                ring.top.eq(top),
            ]

        monitor = self.monitor
        for number, (codes, stores) in enumerate(zip(cell.updates, cell.stores, strict=True)):
            now = self._during(sequencer, [number])
            if codes:
                m.d.comb += getattr(monitor, read_strobe(number)).eq(entering & now)
            m.d.comb += [getattr(monitor, code).eq(banks[cell.gate_of(code)].codes) for code in codes]
            stored = [store.name for store in stores if store.name != cell.output]
            if stored:
                m.d.comb += getattr(monitor, stored_strobe(number)).eq(leaving & now)
                m.d.comb += [getattr(monitor, name).eq(getattr(update, f"new_{name}")) for name in stored]
        m.d.comb += monitor.stalled.eq(sequencer.stalled)
        out = getattr(update, f"new_{cell.output}")
        if not spec.digital_projection:
            # h leaves as it is made; lanes beyond the last unit show zero.
            present = spec.units - (spec.beats - 1) * spec.lanes
            for lane in range(spec.lanes):
                code = out[lane]
                m.d.comb += self.h.payload.codes[lane].eq(code if lane < present else Mux(final, 0, code))
            m.d.comb += [self.h.valid.eq(occupied & emits), self.h.payload.end.eq(final)]
        return update, leaving

    def _during(self, sequencer: Sequencer, numbers: list[int]) -> Value:
        """High in the conversions with these numbers, and in their updates."""
        if len(numbers) == len(self.spec.conversions):
            return Const(1)
        return {(): Const(0), (0,): ~sequencer.second, (1,): sequencer.second}[tuple(numbers)]

    def _project(self, m: Module, sequencer: Sequencer, update: CellUpdate, leaving: Signal):
        """The projection takes h from the update, and what it makes leaves."""
        m.submodules.projection = projection = Projection(self.spec, self.projection_weights)
        if self.programmable:
            wiring.connect(m, wiring.flipped(self.program), projection.program)
        m.d.comb += [
            projection.write.eq(leaving & self._during(sequencer, [len(self.spec.conversions) - 1])),
            projection.codes.eq(getattr(update, f"new_{self.spec.layout.output}")),
            projection.run.eq(sequencer.project),
            projection.ready.eq(self.h.ready),
            sequencer.project_done.eq(projection.done),
            self.h.valid.eq(projection.valid),
            self.h.payload.codes.eq(projection.r),
            self.h.payload.end.eq(projection.end),
        ]

    def _rows(self, m: Module, sequencer: Sequencer, update: CellUpdate, leaving: Signal, initial: StateLoader | None):
        """Pulse codes and drivers of the rows and of the lines."""
        spec, array, cell = self.spec, self.boundary, self.spec.layout
        m.submodules.loader = loader = Loader(
            *(spec.inputs, spec.input_bits),
            shadow=not self.compact,
            keeps=bool(spec.keeps_state),
            lanes=self.x_lanes,
        )
        wiring.connect(m, wiring.flipped(self.x), loader.x)
        m.d.comb += [
            sequencer.x_full.eq(loader.full),
            sequencer.x_last.eq(loader.last),
            loader.take.eq(sequencer.take),
            loader.release.eq(sequencer.hold & self._during(sequencer, [0])),
        ]
        if spec.keeps_state:
            m.d.comb += sequencer.x_keep.eq(loader.keep)
        codes = {INPUT: loader}
        codes |= self._given(m, sequencer)
        for name, form in cell.values.items():
            lines, bits = (spec.hidden if name == cell.output else spec.units), value_bits(spec, form)
            if form == FIXED or (form != LINE and name not in cell.row_groups):
                continue
            projects = name == cell.output and spec.projection
            lanes = spec.projection_macro.lanes if projects and spec.array_projects else spec.lanes
            m.submodules[self._bank_name(name)] = codes[name] = bank = PulseBank(lines, bits, lanes)
            if projects and spec.array_projects:
                shift, entering = self.projected.valid, self.projected.payload.codes
            elif projects:
                shift, entering = self.h.valid & self.h.ready, self.h.payload.codes
            else:
                stored = self._during(sequencer, [cell.update_of(name)])
                shift, entering = leaving & stored, getattr(update, f"new_{name}")
            if initial is not None and name in cell.driven_before:
                shift = shift | (initial.codes if name == cell.output else initial.group)
                entering = Mux(initial.load, getattr(initial, name).as_value(), entering.as_value())
            m.d.comb += [bank.shift.eq(shift), bank.codes.eq(entering)]

        rows = {group: self._driver(m, sequencer, group, codes) for group in cell.row_groups if group != BIAS}
        lines = [self._driver(m, sequencer, line, codes) for line in cell.lines]
        bias = Signal()  # full scale: high for as long as the longest pulse of a row
        biased = [k for k in range(len(cell.steps)) if cell.driven_value(BIAS, k)]
        driving = self._during(sequencer, biased)
        driven = sequencer.drive & driving & self._within(sequencer, spec.input_bits)
        if all(spec.windows[k] == spec.input_max for k in biased):
            driven = sequencer.drive & driving & (sequencer.count != spec.input_max)
        m.d.sync += bias.eq(driven & ~self.quiet if "quiet" in self.signature.members else driven)
        m.d.comb += [
            array.row_pos.eq(
                Cat(
                    bias.replicate(spec.row_sizes[BIAS]) if group == BIAS else rows[group].pos
                    for group in cell.row_groups
                )
            ),
            array.row_neg.eq(
                Cat(Const(0, spec.row_sizes[BIAS]) if group == BIAS else rows[group].neg for group in cell.row_groups)
            ),
            array.state_pos.eq(Cat(line.pos for line in lines)),
            array.state_neg.eq(Cat(line.neg for line in lines)),
        ]

    def _given(self, m: Module, sequencer: Sequencer) -> dict[str, GivenCodes]:
        """The codes of other macros, by the values that they are; each is kept up to the hold in which it is driven."""
        cell, codes, fed = self.spec.layout, {}, Const(1)
        for source, given in cell.given.items():
            m.submodules[given_name(source)] = bank = GivenCodes(self.spec, source)
            wiring.connect(m, wiring.flipped(getattr(self, given_name(source))), bank.given)
            driven = self._during(sequencer, [k for k in range(len(cell.steps)) if source in cell.sources(k)])
            m.d.comb += bank.release.eq(sequencer.ramp_start & driven)
            fed = fed & (bank.full | (sequencer.first_step if bank.before else 0) | ~driven)
            codes |= dict.fromkeys(given.values, bank)
        if codes:
            m.d.comb += sequencer.fed.eq(fed)
        return codes

    def _bank_name(self, value: str) -> str:
        """The submodule that holds the pulse codes of a value."""
        return "state_codes" if value == self.spec.layout.line_value else f"{value}_codes"

    def _driver(self, m: Module, sequencer: Sequencer, group: str, codes: dict) -> PulseDriver:
        """The driver of a group of rows or of a line."""
        spec, cell = self.spec, self.spec.layout
        numbers = [k for k in range(len(cell.steps)) if cell.driven_value(group, k)]
        value = cell.driven_value(group, numbers[0])
        bank = codes[value]
        name = "state" if cell.lines == (group,) else group
        part = spec.driven_part(group)
        m.submodules[f"{name}_driver"] = driver = PulseDriver(len(part), bank.bits)
        drive = sequencer.drive & self._during(sequencer, numbers)
        late = len(cell.conversions) == 2 and any(gate not in cell.conversions[0] for gate in cell.gates)
        if "quiet" in self.signature.members and late and 1 in numbers:
            drive = drive & ~self.quiet
        before = [k for k in numbers if cell.is_before(value, k)]
        from_zero = self._from_zero(sequencer)
        if before == numbers and from_zero is not None:
            drive = drive & ~from_zero  # the value is that of the step before
        elif before and from_zero is not None:
            drive = drive & ~(from_zero & self._during(sequencer, before))
        if max(spec.windows[k] for k in numbers) > (1 << (bank.bits - 1)) - 1:
            drive = drive & self._within(sequencer, bank.bits)
        m.d.comb += [
            driver.drive.eq(drive),
            driver.count.eq(sequencer.count),
        ]
        if len(part) == bank.lines:
            m.d.comb += [driver.negative.eq(bank.negative), driver.magnitude.eq(bank.magnitude)]
        else:
            own = slice(part.start, part.stop)
            m.d.comb += driver.negative.eq(bank.negative[own])
            m.d.comb += [driver.magnitude[bit].eq(bank.magnitude[bit][own]) for bit in range(bank.bits - 1)]
        return driver

    def _within(self, sequencer: Sequencer, bits: int) -> Value:
        """Low on the clocks of a window on which no pulse code of ``bits`` is driven any more."""
        return ~sequencer.count[bits - 1 :].any() & (sequencer.count[: bits - 1] != (1 << (bits - 1)) - 1)
