# SPDX-License-Identifier: Apache-2.0
"""Loading the state that an utterance starts from: constants in a ROM, or beats of a stream."""

from amaranth import Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from crossramp.golden.macro.cell_update import line_pulses
from crossramp.golden.macro.initial_state import State, initial_record
from crossramp.golden.spec.specification import Specification

from ..common.access import UNCHECKED
from ..common.arith import round_shift, saturate


def initial_layout(spec: Specification) -> data.StructLayout:
    """Payload of the stream of initial states, see :func:`~.initial_state.initial_record`."""
    slots = initial_record(spec).slots
    return data.StructLayout({slot.name: data.ArrayLayout(signed(slot.bits), slot.count) for slot in slots})


class StateLoader(wiring.Component):
    """Writes a state into the registers of a macro, a group of ``lanes`` units on a clock.

    Its golden counterpart is the ``start`` of :meth:`~.lstm.Lstm.run`.

    Latency: ``loaded`` is high ``spec.initial_beats`` + 1 clocks after ``load`` has risen, if each beat of the stream
    is there; it falls with ``load``.
    Back-pressure: beats of the stream are taken while ``load`` is high, and at no other time.
    Cost: a counter; of constants a ROM of ``spec.initial_beats`` words; of a stream, in cells whose lines are driven by
    the register before it is stored anew (peepholes), ``lanes`` multiplications with a constant.

    Parameters
    ----------
    spec : Specification
        Whose ``initial`` is ``"constant"`` or ``"stream"``.
    constant : State or None
        The constants, integer arrays of shapes (units,) and (hidden,); None for a stream.

    Members
    -------
    initial : stream of :func:`initial_layout`
        Without constants only.
    load : 1 bit
        High until ``loaded`` has been seen, while no step runs.
    loaded : 1 bit
    turn, store : 1 bit
        ``read`` and ``write`` of the memory of the register.
    c, q, h, ... :
        A group of the register, of the pulse codes of its lines, and of h, by their names in the cell.
    group : 1 bit
        Such a group of the register and its lines is there on this clock.
    codes : 1 bit
        A group of h is there.
    """

    def __init__(self, spec: Specification, constant: State | None = None):
        self.spec, self.constant = spec, constant
        members = {} if constant is not None else {"initial": In(stream.Signature(initial_layout(spec)))}
        self.line = spec.layout.line_value if spec.layout.line_value in spec.layout.driven_before else None
        members |= {name: Out(shape) for name, shape in initial_layout(spec).members.items()}
        if self.line:
            members[self.line] = Out(data.ArrayLayout(signed(spec.state_pulse_bits), spec.lanes))
        outputs = {name: Out(1) for name in ("loaded", "turn", "store", "group", "codes")}
        super().__init__(members | {"load": In(1)} | outputs)

    def elaborate(self, platform):
        m = Module()
        spec = self.spec
        beats = spec.initial_beats
        number = Signal(range(beats + 2))  # 0: the memory of the register turns once before its first group is written
        beat = Signal()  # a group is written on this clock
        there = self._constants(m, number) if self.constant is not None else self._stream(m, beat)
        begun = number != 0
        m.d.comb += [
            self.loaded.eq(number == beats + 1),
            beat.eq(self.load & begun & ~self.loaded & there),
            self.store.eq(beat),
            self.turn.eq((self.load & ~begun) | (beat & (number != beats))),
            self.group.eq(beat),
            self.codes.eq(beat & (number <= spec.h_beats)),
        ]
        with m.If(~self.load):
            m.d.sync += number.eq(0)
        with m.Elif(beat | ~begun):
            m.d.sync += number.eq(number + 1)
        return m

    def _constants(self, m: Module, number: Signal) -> Value:
        """Words of a ROM, which shows each group one clock after its address: it is there on every clock."""
        spec, words = self.spec, {}
        shapes = dict(initial_layout(spec).members)
        if self.line:
            shapes[self.line] = data.ArrayLayout(signed(spec.state_pulse_bits), spec.lanes)
            words[self.line] = line_pulses(spec, self.constant.c).tolist()
        if spec.layout.register:
            words[spec.layout.register] = self.constant.c.tolist()
        if spec.output_is_state:
            words[spec.layout.output] = self.constant.h.tolist()
        layout, lanes = data.StructLayout(shapes), spec.lanes
        init = []
        for beat in range(spec.initial_beats):
            groups = {name: values[beat * lanes : (beat + 1) * lanes] for name, values in words.items()}
            init.append({name: group + [0] * (lanes - len(group)) for name, group in groups.items()})
        m.submodules.constants = memory = Memory(shape=layout, depth=len(init), init=init, attrs=UNCHECKED)
        read = memory.read_port()
        m.d.comb += read.addr.eq(number)
        m.d.comb += [getattr(self, name).eq(getattr(read.data, name)) for name in shapes]
        return Value.cast(1)

    def _stream(self, m: Module, beat: Signal) -> Value:
        """A beat of the stream."""
        spec, register = self.spec, self.spec.layout.register
        payload = self.initial.payload
        m.d.comb += self.initial.ready.eq(beat)
        for name in initial_layout(spec).members:
            for lane in range(spec.lanes):
                value = getattr(payload, name)[lane]
                if name == register:
                    # The lowest number has no counterpart: it counts as the one above it, as everywhere.
                    lowest = value[-1] & ~value[:-1].any()
                    value = Mux(lowest, -spec.state_max, value)
                m.d.comb += getattr(self, name)[lane].eq(value)
        if self.line:
            multiplier, shift = spec.state_gain
            for lane in range(spec.lanes):
                scaled = Signal.like(getattr(self, register)[lane] * multiplier, name=f"scaled_{lane}")
                m.d.comb += scaled.eq(getattr(self, register)[lane] * multiplier)
                pulse = saturate(round_shift(scaled, shift), spec.state_pulse_max)
                m.d.comb += getattr(self, self.line)[lane].eq(pulse)
        return self.initial.valid
