# SPDX-License-Identifier: Apache-2.0
"""The whole macro behind an ideal array, against golden's arithmetic: any weights, any inputs, some steps."""

import itertools

from amaranth import Cat, Const, Instance, Module, Mux, Signal, signed
from crossramp.golden.array.ramps import Ramp
from crossramp.golden.macro.step_groups import step_groups
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.macro import Macro

from ..engine.entry import Entry
from ..engine.proof import Proof
from ..engine.solver import Mode
from .cell_steps import STEPS
from .step_reference import StepReference


class WholeProof(Proof):
    """Some steps of the macro with an array behind it, compared with an independent reference where they are shown.

    Environment: an ideal array with any weights and levels of trained cells within ±weight_max, and golden's
    thresholds. Its integrators follow the pins clock by clock: what drives a row or a line too long, too late or with
    the wrong sign changes its MACs, and so does a reset of a bank that holds its charge.
    Codes of x are any, in every step. On as many clocks as ``stalls`` says, whichever these are, any of x's ``valid``,
    the array's ``ready`` and h's ``ready`` are low; otherwise they are high. Any of the steps may be its utterance's
    last.

    Claims: every code, every value that an update stores, and h are those of :class:`.step_reference.StepReference`,
    beat by beat and unit by unit; lanes beyond the last code of h are zero; ``end`` marks the last beat of a step,
    ``last`` shows what was sent with the step's x. The first step of an utterance takes h, the register, and what
    drives lines in its place, as zero.

    The check is bounded: it covers as many steps as fit the depth that it is run with, see :meth:`clocks`.

    Parameters
    ----------
    spec : Specification
        A small one of any cell, since weights are symbolic; without ramps whose counts turn.
    steps : int
    stalls : int
    compact : bool
    projection : integer array, shape (hidden, units), or None
        Weights of the projection: given ones, since they are in a ROM.
    """

    def __init__(
        self, spec: Specification, steps: int = 1, *, stalls: int = 0, compact=False, projection=None, **options
    ):
        super().__init__(**options)
        self.spec, self.steps, self.stalls, self.compact = spec, steps, stalls, compact
        self.projection = projection

    @property
    def clocks(self) -> int:
        """Depth in which the last step's h has left."""
        spec = self.spec
        load = max(spec.beats, spec.inputs) + 1
        late = spec.inputs if self.compact else 0
        return load + self.steps * max(spec.macro_clocks, spec.inputs) + (self.steps - 1) * late + 1 + self.stalls

    def describe(self, m: Module) -> None:
        spec = self.spec
        m.submodules.dut = dut = Macro(spec, compact=self.compact, projection_weights=self.projection)
        weights = [
            [self.constant(m, signed(spec.weight_bits), f"weight_{row}_{column}") for column in range(spec.columns)]
            for row in range(spec.rows)
        ]
        for row, column in itertools.product(range(spec.rows), range(spec.columns)):
            if spec.placed[row, column]:
                self.assume(m, weights[row][column] >= -spec.weight_max)
            else:
                weights[row][column] = Const(0, signed(spec.weight_bits))
        levels = []  # of the cells on lines, a list for each bank that a line has them on
        for cell in spec.line_cells:
            levels.append([Const(spec.state_cell or 0, signed(spec.weight_bits))] * spec.units)
            if cell.trained:
                shape, where = signed(spec.weight_bits), f"{cell.line}_{cell.bank}"
                levels[-1] = [self.constant(m, shape, f"level_{where}_{unit}") for unit in range(spec.units)]
                for level in levels[-1]:
                    self.assume(m, level >= -spec.weight_max)

        # ---- clocks on which something is waited for
        low = [Signal(name=f"{name}_low") for name in ("x", "array", "h")]
        self._x_low, self._array_low, self._h_low = low
        if self.stalls:
            m.d.comb += [one.eq(self.free(m, 1, f"free_{one.name}")) for one in low]
            stalled = Signal(range(self.stalls + 1))
            with m.If(Cat(low).any()):
                self.assume(m, stalled != self.stalls)
                m.d.sync += stalled.eq(stalled + 1)
        self._array(m, dut.array, weights, levels)

        # ---- x: the codes of each step, and whether it is the utterance's last
        x = [
            [self.constant(m, signed(spec.input_bits), f"x_{step}_{row}") for row in range(spec.inputs)]
            for step in range(self.steps)
        ]
        last = self.constant(m, self.steps, "last")
        sent = Signal(range(self.steps * spec.inputs + 1))
        m.d.comb += dut.x.valid.eq(~self._x_low & (sent != self.steps * spec.inputs))
        with m.If(dut.x.valid & dut.x.ready):
            m.d.sync += sent.eq(sent + 1)
        for step, codes in enumerate(x):
            for row, code in enumerate(codes):
                with m.If(sent == step * spec.inputs + row):
                    m.d.comb += dut.x.payload.code.eq(code)
                    if row == spec.inputs - 1:
                        m.d.comb += dut.x.payload.last.eq(last[step])
                    else:
                        m.d.comb += dut.x.payload.last.eq(self.free(m, 1, f"no_last_{step}_{row}"))

        # ---- golden: the step that is under way, and what the step before has left
        step, first = Signal(range(self.steps + 1)), Signal(init=1)
        now = Signal(spec.inputs * spec.input_bits)
        for k, codes in enumerate(x):
            with m.If(step == k):
                m.d.comb += now.eq(Cat(codes))
        reference = StepReference(spec, self.projection)
        self.sources |= reference.sources
        expected = {name: Signal(bits, name=f"expected_{name}") for name, bits in reference.outputs.items()}
        trained = [levels[place] for place, cell in enumerate(spec.line_cells) if cell.trained]
        inputs = {"w": Cat(*itertools.chain(*weights)), "levels": Cat(*itertools.chain(*trained)), "x": now}
        after = {"h": "next_h", "before": "new_q", spec.layout.register: f"new_{spec.layout.register}"}
        kept = {name: Signal(bits, name=f"kept_{name}") for name, bits in reference.inputs.items() if name in after}
        inputs |= {name: Mux(first, 0, value) for name, value in kept.items()}
        m.submodules.golden = Instance(
            reference.module,
            *(("i", name, inputs[name]) for name in reference.inputs),
            *(("o", name, value) for name, value in expected.items()),
        )
        shown = {name.removeprefix("new_"): value for name, value in expected.items()}

        # ---- claims
        for group in step_groups(spec):
            if group.monitored:
                strobe = getattr(dut.monitor, group.name)
                beat = self._beats(m, strobe, spec.beats, group.name)
                fields = [(field.name, getattr(dut.monitor, field.name), shown[field.name]) for field in group.fields]
                self._compare(m, strobe, beat, fields, spec.units)
        leaves = Signal()
        m.d.comb += [
            dut.h.ready.eq(~self._h_low),
            leaves.eq(dut.h.valid & dut.h.ready),
        ]
        beat = self._beats(m, leaves, spec.h_beats, "h")
        self._compare(m, dut.h.valid, beat, [("h", dut.h.payload.codes, expected["next_h"])], spec.hidden, zeros=True)
        ends = Signal()
        m.d.comb += ends.eq(leaves & (beat == spec.h_beats - 1))
        with m.If(dut.h.valid):
            self.claim(m, dut.h.payload.end == (beat == spec.h_beats - 1), "end marks the last beat of a step")
            self.claim(m, dut.h.payload.last == last.bit_select(step, 1), "last is that of the step's x")
            self.claim(m, step != self.steps, "no step out without a step in")
        with m.If(ends):
            m.d.sync += [
                step.eq(step + 1),
                first.eq(dut.h.payload.last),
                *(value.eq(expected[after[name]]) for name, value in kept.items()),
            ]
            self.cover(m, (step == self.steps - 1) & (expected["next_h"] != 0) & ~first, "the last step")

    def _beats(self, m: Module, strobe, beats: int, name: str) -> Signal:
        beat = Signal(range(beats), name=f"{name}_beat")
        with m.If(strobe):
            m.d.sync += beat.eq(Mux(beat == beats - 1, 0, beat + 1))
        return beat

    def _compare(self, m: Module, strobe, beat, fields, count: int, zeros: bool = False) -> None:
        lanes = self.spec.lanes
        for group in range(-(-count // lanes)):
            with m.If(strobe & (beat == group)):
                for name, codes, expected in fields:
                    bits = len(expected) // count
                    for lane in range(lanes):
                        unit, code = group * lanes + lane, codes[lane].as_unsigned()
                        if unit < count:
                            self.claim(
                                m,
                                code == expected[unit * bits : (unit + 1) * bits],
                                f"{name} is golden's in every step",
                            )
                        elif zeros:
                            self.claim(m, code == 0, f"lanes beyond the last code of {name} are zero")

    def _array(self, m: Module, array, weights, levels) -> None:
        """Integrators that follow the pins, and comparators that see golden's thresholds."""
        spec = self.spec
        shape = signed(spec.mac_bits + 2)
        m.d.comb += array.ready.eq(~self._array_low)
        for column in range(spec.columns):
            gate, unit = spec.bank_of_column(column), spec.unit_of_column(column)
            held = Signal(shape, name=f"held_{column}")
            flow = sum(
                Mux(array.row_pos[row], weights[row][column], 0) - Mux(array.row_neg[row], weights[row][column], 0)
                for row in range(spec.rows)
            )
            for cell, of_cell in zip(spec.line_cells, levels, strict=True):
                if cell.bank == gate:
                    wire, level = spec.wires_of(cell.line).start + unit, of_cell[unit]
                    flow = flow + Mux(array.state_pos[wire], level, 0) - Mux(array.state_neg[wire], level, 0)
            with m.If(array.reset[1] if gate in spec.layout.held else array.reset[0]):
                m.d.sync += held.eq(0)
            with m.Elif(array.integrate):
                m.d.sync += held.eq(held + flow)
            floors = Ramp.of_gate(spec, gate).clipped_floors(spec.mac_max).tolist()
            m.d.comb += array.comparators[column].eq(
                Cat(array.tap[k] & (held > floor) for k, floor in enumerate(floors)).any()
            )


def proofs(spec: Specification) -> list[Entry]:
    """Two steps of the least macro with the cell and the latches of ``spec``; none for a cell without a reference."""
    if spec.cell not in STEPS:
        return []
    least = {"inputs": 1, "units": 1, "classes": 2, "adc_bits": 2, "input_bits": 3, "weight_bits": 3}
    if spec.layout.register:
        least |= {"state_bits": 5, "state_frac_bits": 3}
    if spec.layout.line_value_is_state:
        least |= {"state_pulse_bits": 3}  # with less, a cell state would never be long enough for a pulse in two steps
    small = Specification(cell=spec.cell, latch=spec.latch, settle_clocks=1, **least)
    claim = "two steps are golden's, code by code, for any weights and inputs (one input, one unit, three bits)"
    return [Entry("whole", claim, lambda: WholeProof(small, 2), Mode.BOUNDED, WholeProof(small, 2).clocks)]
