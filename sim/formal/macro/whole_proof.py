# SPDX-License-Identifier: Apache-2.0
"""The whole macro behind an ideal array, against golden's arithmetic: any weights, any inputs, some steps."""

from amaranth import Cat, Instance, Module, Mux, Signal, signed
from crossramp.golden.array.ramps import Ramp
from crossramp.golden.macro.step_groups import step_groups
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.macro.macro import Macro

from ..engine.proof import Proof
from .step_reference import NAME, step_reference


class WholeProof(Proof):
    """Some steps of the macro with an array behind it, compared with an independent reference where they are shown.

    Environment: an ideal array with any weights within ±weight_max and golden's thresholds. Its integrators follow the
    pins clock by clock: what drives a row too long, too late or with the wrong sign changes its MACs. Codes of x are
    any, in every step. On as many clocks as ``stalls`` says, whichever these are, any of x's ``valid``, the array's
    ``ready`` and h's ``ready`` are low; otherwise they are high. Any of the steps may be its utterance's last.

    Claims: every code of the gates, c and its pulse code, every code of the second conversion, and h are those of
    :func:`.step_reference.step_reference`, beat by beat and unit by unit; lanes beyond the last code of h are zero;
    ``end`` marks the last beat of a step, ``last`` shows what was sent with the step's x. The first step of an
    utterance takes h and c as zero.

    The check is bounded: it covers as many steps as fit the depth that it is run with, see :meth:`clocks`.

    Parameters
    ----------
    spec : Specification
        A small one: weights are symbolic.
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
        for weight in (weight for row in weights for weight in row):
            self.assume(m, weight >= -spec.weight_max)

        # ---- clocks on which something is waited for
        low = [Signal(name=f"{name}_low") for name in ("x", "array", "h")]
        self._x_low, self._array_low, self._h_low = low
        if self.stalls:
            m.d.comb += [one.eq(self.free(m, 1, f"free_{one.name}")) for one in low]
            stalled = Signal(range(self.stalls + 1))
            with m.If(Cat(low).any()):
                self.assume(m, stalled != self.stalls)
                m.d.sync += stalled.eq(stalled + 1)
        self._array(m, dut.array, weights)

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

        # ---- golden: the step that is under way, and c and h of the one before
        step, first = Signal(range(self.steps + 1)), Signal(init=1)
        now = Signal(spec.inputs * spec.input_bits)
        for k, codes in enumerate(x):
            with m.If(step == k):
                m.d.comb += now.eq(Cat(codes))
        sizes = {"i": spec.adc_bits, "c": spec.state_bits, "q": spec.state_pulse_bits, "h": spec.input_bits}
        c, h = Signal(spec.units * sizes["c"]), Signal(spec.hidden * sizes["h"])
        expected = {
            "codes": Signal(spec.columns * spec.adc_bits, name="expected_codes"),
            "next_c": Signal.like(c, name="expected_c"),
            "q": Signal(spec.units * spec.state_pulse_bits, name="expected_q"),
            "t": Signal(spec.units * spec.adc_bits, name="expected_t"),
            "next_h": Signal.like(h, name="expected_h"),
        }
        self.sources |= step_reference(spec, self.projection)
        m.submodules.golden = Instance(
            NAME,
            i_w=Cat(weight for row in weights for weight in row),
            i_x=now,
            i_h=Mux(first, 0, h),
            i_c=Mux(first, 0, c),
            **{f"o_{name}": value for name, value in expected.items()},
        )
        bank = spec.units * spec.adc_bits
        shown = {
            **{gate: expected["codes"][k * bank : (k + 1) * bank] for k, gate in enumerate(spec.gate_names)},
            **{"c": expected["next_c"], "q": expected["q"], "t": expected["t"]},
        }

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
                c.eq(expected["next_c"]),
                h.eq(expected["next_h"]),
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

    def _array(self, m: Module, array, weights) -> None:
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
            if gate == "g":
                cell = spec.state_cell
                flow = flow + Mux(array.state_pos[unit], cell, 0) - Mux(array.state_neg[unit], cell, 0)
            with m.If(array.reset):
                m.d.sync += held.eq(0)
            with m.Elif(array.integrate):
                m.d.sync += held.eq(held + flow)
            floors = Ramp.of_gate(spec, gate).clipped_floors(spec.mac_max).tolist()
            m.d.comb += array.comparators[column].eq(
                Cat(array.tap[k] & (held > floor) for k, floor in enumerate(floors)).any()
            )
