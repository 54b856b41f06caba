# SPDX-License-Identifier: Apache-2.0
"""The cell update: what a cell stores of ``lanes`` units per clock, and the memory of its register."""

from amaranth import Module, Mux, Shape, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from crossramp.golden.cell.description import FIXED
from crossramp.golden.common.checks import integer
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.spec.specification import Specification

from ..common.access import UNCHECKED
from ..common.shared_modules import SHARED_FROM, SharedModules
from .capture import SEGMENT
from .update_lane import UpdateLane


class CellUpdate(wiring.Component):
    """One product register, then sums: the program of the cell, such as c ← sat(round(f·c + i·g)) and h ← round(o·t·P).

    The arithmetic is that of :func:`~.cell_update.run_update`, and each lane is an :class:`.update_lane.UpdateLane`.
    The two updates never run at once, so they share multipliers.

    Latency: one clock; the results belong to the operands of the last clock with ``step`` high, and stay until the
    next.
    Throughput: ``lanes`` units per clock; all units take ``spec.update_clocks``. Back-pressure is the caller's: it
    withholds ``step``.
    Cost per lane, of an LSTM: two multipliers, (n+1)x(n+1) and (n+1) x state_bits bits; of a GRU one, of a plain
    recurrent network none; adders, rounding, and saturation where a value can leave its range.

    Parameters
    ----------
    spec : Specification

    Members
    -------
    step, second :
        Take operands; of the second update, constant from the first operands to the last result.
    code_i, code_f, ... :
        The codes of each bank, of either conversion.
    register :
        The fixed value of the step before, such as c; absent in cells without one.
    new_c, new_q, new_h, ... :
        Each value that the program stores.
    """

    def __init__(self, spec: Specification):
        self.spec = spec
        cell, lanes = spec.layout, spec.lanes
        ports = {"step": In(1), "second": In(1)}
        ports |= {f"code_{gate}": In(data.ArrayLayout(spec.gate_bits(gate), lanes)) for gate in cell.gates}
        if cell.register:
            ports["register"] = In(data.ArrayLayout(signed(spec.state_bits), lanes))
        for name, form in cell.values.items():
            ports[f"new_{name}"] = Out(data.ArrayLayout(signed(value_bits(spec, form)), lanes))
        super().__init__(ports)

    def elaborate(self, platform):
        m = Module()
        cell = self.spec.layout
        if isinstance(platform, SharedModules) and self.spec.lanes >= SHARED_FROM:
            self._share(m, platform)
            return m
        for lane in range(self.spec.lanes):
            codes = {gate: getattr(self, f"code_{gate}")[lane] for gate in cell.gates}
            register = self.register[lane] if cell.register else None
            made = UpdateLane(m, self.spec, f"_{lane}", self.step, self.second, codes, register)
            m.d.comb += [getattr(self, f"new_{name}")[lane].eq(value) for name, value in made.stored.items()]
        return m

    def _share(self, m: Module, platform: SharedModules):
        """All lanes as instances of one module. In segments: taking bits of a wide value costs its width."""
        shared = LaneModule(self.spec)
        lanes = [{"step": self.step, "second": self.second} for _ in range(self.spec.lanes)]
        for name, member in shared.signature.members.items():
            if name in lanes[0]:
                continue
            whole, bits = getattr(self, name).as_value(), Shape.cast(member.shape).width
            parts = [whole[start : start + SEGMENT * bits] for start in range(0, len(whole), SEGMENT * bits)]
            if member.flow == Out:
                made = [Signal(len(part), name=f"{name}_{k * SEGMENT}") for k, part in enumerate(parts)]
                m.d.comb += [part.eq(segment) for part, segment in zip(parts, made, strict=True)]
                parts = made
            for number, values in enumerate(lanes):
                segment, place = divmod(number, SEGMENT)
                values[name] = parts[segment][place * bits : (place + 1) * bits]
        for number, values in enumerate(lanes):
            m.submodules[f"lane_{number}"] = platform.instance(shared, "lane", values)


class LaneModule(wiring.Component):
    """One lane as a component: what :class:`CellUpdate` does for one unit.

    Members are those of :class:`CellUpdate`, of one unit each. Latency: one clock. Throughput: one unit a clock.

    Parameters
    ----------
    spec : Specification
    """

    def __init__(self, spec: Specification):
        self.spec = spec
        super().__init__(lane_ports(spec))

    def elaborate(self, platform):
        m = Module()
        cell = self.spec.layout
        codes = {gate: getattr(self, f"code_{gate}") for gate in cell.gates}
        register = self.register if cell.register else None
        made = UpdateLane(m, self.spec, "", self.step, self.second, codes, register)
        m.d.comb += [getattr(self, f"new_{name}").eq(value) for name, value in made.stored.items()]
        return m


def lane_ports(spec: Specification) -> dict[str, wiring.Member]:
    """Members of a lane."""
    cell = spec.layout
    ports = {"step": In(1), "second": In(1)} | {f"code_{gate}": In(spec.gate_bits(gate)) for gate in cell.gates}
    if cell.register:
        ports["register"] = In(signed(spec.state_bits))
    return ports | {f"new_{name}": Out(signed(value_bits(spec, form))) for name, form in cell.values.items()}


def value_bits(spec: Specification, form: str) -> int:
    """Width of a stored value of a format."""
    return spec.state_bits if form == FIXED else spec.pulse_bits(form)


class StateRing(wiring.Component):
    """The cell states c of a bank, ``lanes`` at a time at its bottom, new ones written back at its top.

    In an update of b = ceil(units / lanes) groups, ``read`` is high b times and ``write`` b times, each write one read
    later, or with nothing read between. Afterwards every unit stands where it was. One group is always on its way
    through the product register, so the ring is one group short while it turns.

    Latency: ``bottom`` shows the next group the clock after ``read``.
    Cost: ``bits`` flip-flops per unit (up to lanes - 1 units more where lanes do not divide units). No reset: the first
    step of an utterance takes c as zero.

    Parameters
    ----------
    units, bits, lanes : int
        Cell states, their width, and how many move at a time.
    """

    def __init__(self, units: int, bits: int, lanes: int):
        units, bits, lanes = integer("units", units), integer("bits", bits), integer("lanes", lanes)
        self.bits = bits
        self.lanes = lanes
        self.groups = -(-units // lanes)
        group = data.ArrayLayout(signed(bits), lanes)
        super().__init__({"read": In(1), "write": In(1), "top": In(group), "bottom": Out(group)})

    def elaborate(self, platform):
        m = Module()

        width = self.lanes * self.bits
        ring = Signal(self.groups * width, reset_less=True)
        written = Signal.like(ring, name="written")
        m.d.comb += [self.bottom.as_value().eq(ring[:width]), written.eq(ring)]
        with m.If(self.write):
            m.d.comb += written[-width:].eq(self.top)
        with m.If(self.read):
            m.d.sync += ring.eq(written.rotate_right(width))
        with m.Elif(self.write):
            m.d.sync += ring.eq(written)

        return m


class StateMemory(wiring.Component):
    """The same as :class:`StateRing` in a memory, for FPGAs: no flip-flop per unit, but one block of memory.

    A word read is not the one written last, so there must be two groups or more.

    Cost: a memory of ceil(units / lanes) words, one write and one read port, and two counters.

    Parameters
    ----------
    units, bits, lanes : int
        Cell states, their width, and how many move at a time; ``lanes`` less than ``units``.
    """

    def __init__(self, units: int, bits: int, lanes: int):
        units, bits, lanes = integer("units", units), integer("bits", bits), integer("lanes", lanes)
        self.groups = -(-units // lanes)
        if self.groups < 2:
            raise InvalidValue(f"lanes is {lanes} of {units} units: a state memory has at least two groups")
        self.group = data.ArrayLayout(signed(bits), lanes)
        super().__init__({"read": In(1), "write": In(1), "top": In(self.group), "bottom": Out(self.group)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=self.group, depth=self.groups, init=[], attrs=UNCHECKED)
        write = memory.write_port()
        read = memory.read_port()

        read_group = Signal(range(self.groups))
        write_group = Signal(range(self.groups))
        following = Signal.like(read_group, name="following")
        m.d.comb += [
            following.eq(read_group),
            read.addr.eq(following),
            write.addr.eq(write_group),
            write.data.eq(self.top),
            write.en.eq(self.write),
            self.bottom.eq(read.data),
        ]
        m.d.sync += read_group.eq(following)
        with m.If(self.read):
            m.d.comb += following.eq(Mux(read_group == self.groups - 1, 0, read_group + 1))
        with m.If(self.write):
            m.d.sync += write_group.eq(Mux(write_group == self.groups - 1, 0, write_group + 1))
        return m
