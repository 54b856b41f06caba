# SPDX-License-Identifier: Apache-2.0
"""The cell update: equal to an independently written reference for all codes and cell states."""

from amaranth import Cat, Const, Fragment, Instance, Module, Signal, Value, signed
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.common.arith import decode
from crossramp.rtl.macro.update import CellUpdate
from crossramp.rtl.macro.update_lane import UpdateLane

from ..engine.entry import Entry
from ..engine.proof import Proof, ProofError, signal_inside
from ..engine.solver import Mode
from .cell_equations import EQUATIONS
from .update_reference import DIFFERENCES, PRODUCTS, RESULTS, VALUES, UpdateReference


class UpdateProof(Proof):
    """One lane of an update of the cell, in stages that together are :class:`.update_reference.UpdateReference`.

    Environment: any codes on every clock, ``step`` high on any clock, and ``second`` constant. The register is within
    ±(2**(state_bits - 1) - 1) on every clock, which is claimed of what an update stores in it.

    Claims, for any trace:

    - Each code that the update reads decodes to the reference's value.
    - The product registers hold the reference's products of the last operands that came with ``step`` high, and the
      registers beside them hold these operands.
    - Every value that the update stores is the reference's result of what these registers hold. They may hold anything
      within the bounds of :class:`.cell_equations.Equations`, which are claimed as well.

    The results therefore belong to the last operands with ``step``, and stay until the next.

    Parameters
    ----------
    spec : Specification
        Its ``lanes`` make no difference; :class:`UpdateLanesProof` is about these.
    update : int
        Its number in the step.
    """

    def __init__(self, spec: Specification, update: int, **options):
        super().__init__(**options)
        self.spec, self.number = spec.replace(lanes=1), update

    def describe(self, m: Module) -> None:
        spec, cell = self.spec, self.spec.layout
        self.reference = reference = UpdateReference(spec, self.number)
        self.sources["update_reference.v"] = reference.source()
        self.component = update = CellUpdate(spec)
        m.submodules.dut = self.fragment = Fragment.get(update, None)
        step = self.free(m, 1, "step")
        m.d.comb += [update.step.eq(step), update.second.eq(Const(self.number, 1))]
        self.codes = {gate: self.free(m, spec.gate_bits(gate), f"{gate}_code") for gate in cell.gates}
        for gate, code in self.codes.items():
            self.assume_count(m, gate, code)
        m.d.comb += [getattr(update, f"code_{gate}")[0].eq(code) for gate, code in self.codes.items()]
        operands = self._values(m)
        if cell.register:
            register = self.free(m, signed(spec.state_bits), "register")
            self.assume(m, register != -(1 << (spec.state_bits - 1)))
            m.d.comb += update.register[0].eq(register)
            operands |= {cell.register: register} if reference.reads_register else {}
        self._results(m, self._registers(m, step, operands))

    def assume_count(self, m: Module, gate: str, code: Value) -> None:
        """A ramp that turns does not count all codes that its bits have."""
        if self.spec.turns(gate):
            counts = sorted(set(self.spec.ramp_walks[self.spec.ramp_of(gate)].codes))
            self.assume(m, Cat(code == count for count in counts).any())

    def _stage(self, m: Module, name: str, inputs: dict[str, Value], outputs: dict[str, int]) -> dict[str, Signal]:
        """The outputs of a stage of the reference."""
        made = {one: Signal(signed(bits), name=f"expected_{one}") for one, bits in outputs.items()}
        if made:
            ports = [*(("i", one, value) for one, value in inputs.items()), *(("o", one, s) for one, s in made.items())]
            m.submodules[name] = Instance(self.reference.stage(name), *ports)
        return made

    def _values(self, m: Module) -> dict[str, Signal]:
        """The odd integers of the codes, as the gateware has them: the reference's multipliers then see the same."""
        spec, gates = self.spec, self.reference.gates
        values = {gate: Signal(signed(spec.gate_bits(gate) + 2), name=f"{gate}_value") for gate in gates}
        m.d.comb += [values[gate].eq(decode(self.codes[gate], spec.bipolar(gate), spec.turns(gate))) for gate in gates]
        codes = {f"{gate}_code": self.codes[gate] for gate in gates}
        expected = self._stage(m, VALUES, codes, {gate: spec.gate_bits(gate) + 2 for gate in gates})
        for gate in gates:
            self.claim(m, values[gate] == expected[gate], f"the value of a code of {gate} is the reference's")
        return values

    def _registers(self, m: Module, step: Value, operands: dict[str, Signal]) -> dict[str, Signal]:
        """What the registers hold: what the reference says of the last operands that came with ``step``."""
        reference = self.reference
        apart = self._stage(m, DIFFERENCES, operands, reference.differences)
        products = self._stage(m, PRODUCTS, operands | apart, reference.products)
        held = {name: self._product(place) for place, name in enumerate(products)}
        kept = {name: self._kept(name) for name in operands}
        held |= {name: signal for name, signal in kept.items() if signal is not None}
        self.stepped = Signal()
        with m.If(step):
            m.d.sync += self.stepped.eq(1)
        for name, signal in held.items():
            now = products[name] if name in products else operands[name]
            last = Signal.like(now, name=f"last_{name}")
            with m.If(step):
                m.d.sync += last.eq(now)
            with m.If(self.stepped):
                what = " · ".join(reference.equations.products[name]) if name in products else name
                self.claim(m, signal == last, f"a register holds {what}")
        return held

    def _product(self, place: int) -> Signal:
        """The register of the product that stands at this place of the update."""
        spec, cell = self.spec, self.spec.layout
        codes = {gate: Signal(spec.gate_bits(gate)) for gate in cell.gates}
        register = Signal(signed(spec.state_bits)) if cell.register else None
        lane = UpdateLane(Module(), spec, "", Const(0), Const(0), codes, register)  # which multipliers there are
        slots = [slot for (update, _), slot in lane.place.items() if update == self.number]
        return signal_inside(self.fragment, f"product_{slots[place]}_0")

    def _kept(self, name: str) -> Signal | None:
        """The register of an operand beside the products; None if no sum needs it."""
        try:
            return signal_inside(self.fragment, f"kept_{name}_0")
        except ProofError:
            return None

    def _results(self, m: Module, held: dict[str, Signal]) -> None:
        reference = self.reference
        inputs = {name: held[name] for name in (*reference.values, *reference.products) if name in held}
        made = self._stage(m, RESULTS, inputs, reference.results | {"bounded": 1})
        if reference.equations.bounds:
            with m.If(self.stepped):
                self.claim(m, made["bounded"] != 0, "products and means are within their bounds")
        for name in reference.results:
            result = getattr(self.component, name)[0]
            self.claim(m, result == made[name], f"{name} is the reference's")
        self.cover(m, self.stepped & (result != 0), f"{name} is not zero")
        self.cover(m, self.stepped & (result < 0), f"{name} is negative")


class UpdateLanesProof(Proof):
    """Every lane of the cell update is a lane of its own, alike.

    Environment: any codes and cell states in every lane, any ``step``, and ``second`` constant.

    Claims: the results of each lane are those of an update that has one lane, for the same operands. No lane therefore
    depends on another, and :class:`UpdateProof` is about every lane. Three clocks are all there is to look at, since
    the registers hold products alone: they take them on the first clock, and keep or exchange them on the second.

    Parameters
    ----------
    spec : Specification
    """

    def __init__(self, spec: Specification, **options):
        super().__init__(**options)
        self.spec = spec

    def describe(self, m: Module) -> None:
        spec = self.spec
        m.submodules.dut = update = CellUpdate(spec)
        lanes = [CellUpdate(spec.replace(lanes=1)) for _ in range(spec.lanes)]
        step, second = self.free(m, 1, "step"), self.constant(m, 1, "second")
        m.d.comb += [update.step.eq(step), update.second.eq(second)]
        cell = spec.layout
        ports = [*(f"code_{gate}" for gate in cell.gates), *(["register"] if cell.register else [])]
        operands = {name: self.free(m, getattr(update, name).shape(), name) for name in ports}
        m.d.comb += [getattr(update, name).eq(value) for name, value in operands.items()]
        for lane, alone in enumerate(lanes):
            m.submodules[f"lane_{lane}"] = alone
            m.d.comb += [alone.step.eq(step), alone.second.eq(second)]
            m.d.comb += [getattr(alone, name)[0].eq(value[lane]) for name, value in operands.items()]
            for name in cell.values:
                same = getattr(update, f"new_{name}")[lane] == getattr(alone, f"new_{name}")[0]
                self.claim(m, same, f"the {name} of a lane is that of an update with one lane")
        self.cover(m, getattr(update, f"new_{cell.output}")[-1] != 0, "the last lane gives something")


def proofs(spec: Specification) -> list[Entry]:
    """The proofs of the cell update at the sizes of ``spec``; without a reference, only that lanes are alike."""
    found = []
    for update, stores in enumerate(spec.layout.stores if spec.layout.name in EQUATIONS else ()):
        names = " and ".join(store.name for store in stores)
        claim = f"{names} {'are' if len(stores) > 1 else 'is'} what an independent reference says, for all operands"
        found.append(Entry("update", claim, lambda update=update: UpdateProof(spec, update)))
    if spec.lanes > 1:
        found.append(
            Entry(
                "update",
                "every lane is alike, and independent of the others",
                lambda: UpdateLanesProof(spec),
                Mode.BOUNDED,
                3,
                True,
            )
        )
    return found
