# SPDX-License-Identifier: Apache-2.0
"""The cell update: equal to an independently written reference for all codes and cell states."""

from amaranth import Const, Fragment, Instance, Module, Signal, signed
from crossramp.golden.spec.specification import Specification
from crossramp.rtl.common.arith import decode
from crossramp.rtl.macro.update import CellUpdate

from ..engine.entry import Entry
from ..engine.proof import Proof, signal_inside
from ..engine.solver import Mode
from .update_reference import PRODUCTS, RESULTS, VALUES, product_bits, update_reference, value_bits, value_scale

GATES = "ifgo"


class UpdateProof(Proof):
    """One lane of the cell update, in three stages that together are :data:`.update_reference.MODULE`.

    Environment: any codes and any cell state on every clock, ``step`` high on any clock, and ``second`` constant. c may
    be any number of ``state_bits``.

    Claims, for any trace:

    - Each code decodes to the reference's value.
    - The product registers hold the reference's products of the last operands that came with ``step`` high.
    - ``next_c`` and ``pulses``, or ``h``, are the reference's results of what the product registers hold. For c these
      may hold anything; for h a product of two values, each of magnitude below 1, which is claimed as well.

    The results therefore belong to the last operands with ``step``, and stay until the next.

    Parameters
    ----------
    spec : Specification
        Its ``lanes`` make no difference; :class:`UpdateLanesProof` is about these.
    second : bool
        Whether h is computed, not c.
    """

    def __init__(self, spec: Specification, second: bool, **options):
        super().__init__(**options)
        self.spec, self.second = spec.replace(lanes=1), second

    def describe(self, m: Module) -> None:
        spec = self.spec
        self.sources["update_reference.v"] = update_reference(spec)
        update = CellUpdate(spec)
        m.submodules.dut = dut = Fragment.get(update, None)
        fc, gated = signal_inside(dut, "product_0_0"), signal_inside(dut, "product_1_0")
        step = self.free(m, 1, "step")
        codes = {gate: self.free(m, spec.adc_bits, f"{gate}_code") for gate in GATES}
        c = self.free(m, signed(spec.state_bits), "c")
        m.d.comb += [update.step.eq(step), update.second.eq(Const(self.second)), update.register[0].eq(c)]
        m.d.comb += [getattr(update, f"code_{gate}")[0].eq(code) for gate, code in codes.items()]

        # ---- values: the multipliers below then see the same operands as the gateware's
        values = {gate: Signal(signed(value_bits(spec)), name=f"{gate}_value") for gate in GATES}
        expected = {gate: Signal.like(value, name=f"expected_{gate}_value") for gate, value in values.items()}
        m.d.comb += [values[gate].eq(decode(code, spec.bipolar(gate))) for gate, code in codes.items()]
        m.submodules.values = Instance(
            VALUES,
            *(("i", gate, code) for gate, code in codes.items()),
            *(("o", f"{gate}_value", value) for gate, value in expected.items()),
        )
        for gate in GATES:
            self.claim(m, values[gate] == expected[gate], f"the value of a code of {gate} is the reference's")

        # ---- products
        fc_bits, gated_bits = product_bits(spec)
        products = {"fc": Signal(signed(fc_bits), name="expected_fc")}
        products |= {name: Signal(signed(gated_bits), name=f"expected_{name}") for name in ("ig", "ot")}
        m.submodules.products = Instance(
            PRODUCTS,
            *(("i", f"{gate}_value", value) for gate, value in values.items()),
            ("i", "c", c),
            *(("o", name, product) for name, product in products.items()),
        )
        kept = {name: Signal.like(product, name=f"kept_{name}") for name, product in products.items()}
        stepped = Signal()
        with m.If(step):
            m.d.sync += [stepped.eq(1), *(kept[name].eq(product) for name, product in products.items())]
        with m.If(stepped):
            if self.second:
                self.claim(m, gated == kept["ot"], "the product register holds o·t")
            else:
                self.claim(m, fc == kept["fc"], "a product register holds f·c")
                self.claim(m, gated == kept["ig"], "a product register holds i·g")

        # ---- results
        next_c, pulse = (
            Signal(signed(spec.state_bits), name="expected_c"),
            Signal(signed(spec.state_pulse_bits), name="pulse"),
        )
        h = Signal(signed(spec.input_bits), name="expected_h")
        m.submodules.results = Instance(
            RESULTS,
            *(("i", "fc", fc), ("i", "ig", gated), ("i", "ot", gated)),
            *(("o", "next_c", next_c), ("o", "pulse", pulse), ("o", "h", h)),
        )
        if self.second:
            one = value_scale(spec, "o") * value_scale(spec, "g")
            self.claim(m, (gated < one) & (gated > -one), "o·t is within ±1")
            self.claim(m, update.new_h[0] == h, "h is the reference's")
            self.cover(m, stepped & (update.new_h[0] != 0), "an h that is not zero")
        else:
            self.claim(m, update.new_c[0] == next_c, "c is the reference's")
            self.claim(m, update.new_q[0] == pulse, "the pulse code of c is the reference's")
            self.cover(m, stepped & (update.new_c[0] < 0) & (update.new_q[0] < 0), "a negative c")


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
    """The proofs of the cell update at the sizes of ``spec``."""
    found = [
        Entry(
            "update",
            "c and its pulse code are those of an independent reference, for all codes and states",
            lambda: UpdateProof(spec, second=False),
        ),
        Entry("update", "h is that of an independent reference, for all codes", lambda: UpdateProof(spec, second=True)),
    ]
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
