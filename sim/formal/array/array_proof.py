# SPDX-License-Identifier: Apache-2.0
"""A user's array: it does its part for everything that the periphery may do within the boundary's rules."""

from amaranth import Const, Instance, Module, Mux, Signal
from crossramp.golden.spec.boundary_wires import BOUNDARY
from crossramp.golden.spec.specification import Specification

from ...checking.protocol_verilog import CHECKER, STATE, checker_parameters, checker_source
from ..engine.entry import Entry
from ..engine.proof import Proof
from ..engine.solver import Mode, Prover
from .array_module import CLOCK, RESET, ArrayModule, array_module


class ArrayProof(Proof):
    """A user's array behind pins that keep to every rule of the boundary, and do anything else.

    Environment: the checker of the simulations, ``sim/checking/protocol.sv``, never finds a broken rule; which pulses
    come, how long, and how long the periphery idles, is free. ``calibration`` is constant. ``rst``, if the array has
    it, is high on the first clock. That the periphery keeps to these rules is proven of the macro.

    Claims:

    - ``ready`` is low for at most ``ready_within`` clocks in a row while the periphery may be waiting for it: while
      ``hold`` or the first wire of ``reset`` is high.
    - A column's comparator that was low on a tick does not rise again in the same ramp, on the clocks on which the
      periphery latches it: the array's ramp rises, and its columns hold their values. Of each conversion, the
      columns that it latches.
    - Every assertion of the array's own sources.

    Covers: a conversion ends.

    Parameters
    ----------
    ready_within : int
        Clocks, 1 or more.
    """

    judged_later = True  # the checker tells of a clock on the next one

    def __init__(self, spec: Specification, array: ArrayModule, ready_within: int, **options):
        super().__init__(**options)
        self.spec, self.array, self.ready_within = spec, array, ready_within
        self.sources = array.sources | {CHECKER: checker_source()}

    def describe(self, m: Module) -> None:
        spec = self.spec
        pins = {}
        for wire in BOUNDARY:
            width = max(wire.width(spec), 1)
            if not wire.to_array:
                pins[wire.name] = Signal(width, name=wire.name)
            elif wire.name == "calibration":
                pins[wire.name] = self.constant(m, width, wire.name)
            else:
                pins[wire.name] = self.free(m, width, wire.name)
        inputs = {
            f"i_{wire.name}": pins[wire.name] for wire in BOUNDARY if wire.to_array and wire.name in self.array.ports
        }
        resets = {f"i_{RESET}": self.initial} if RESET in self.array.ports else {}
        m.submodules.dut = Instance(
            self.array.top,
            **{f"p_{name}": value for name, value in self.array.parameters.items()},
            **{f"i_{CLOCK}": self.clk},
            **(inputs | resets),
            o_comparators=pins["comparators"],
            o_ready=pins["ready"],
        )
        broken, conversions = Signal(32), Signal(32)
        state = {name: Signal(bits, name=f"checker_{name}") for name, bits in STATE.items()}
        m.submodules.rules = Instance(
            "crossramp_protocol",
            **{f"p_{name}": value for name, value in checker_parameters(spec).items()},
            i_clk=self.clk,
            i_rst=Const(0, 1),
            o_broken=broken,
            o_conversions=conversions,
            **{f"o_state_{name}": signal for name, signal in state.items()},
            **{f"i_{name}": signal for name, signal in pins.items()},
        )
        self.assume(m, broken == 0)

        hold, ready = pins["hold"], pins["ready"]
        waited = Signal(range(self.ready_within + 2))
        with m.If(ready | ~(hold | pins["reset"][0]) | self.initial):
            m.d.sync += waited.eq(0)
        with m.Elif(waited <= self.ready_within):
            m.d.sync += waited.eq(waited + 1)
        self.claim(m, waited <= self.ready_within, f"ready rises within {self.ready_within} clocks")

        column = self.choice(m, spec.columns, "column")
        of_conversion = [Signal(name=f"converts_{k}") for k in range(2)]  # whether it latches the column
        for second, concerned in enumerate(of_conversion[: len(spec.conversions)]):
            banks = spec.converted(bool(second))
            m.d.comb += concerned.eq((column >= banks.start) & (column < banks.stop))
        latched, high = Signal(), Signal()
        m.d.comb += [
            latched.eq(
                hold
                & ready
                & (pins["tick"] | state["pending"])
                & Mux(pins["state"], of_conversion[1], of_conversion[0])
            ),
            high.eq(pins["comparators"].bit_select(column, 1)),
        ]
        fell = Signal()
        with m.If(~hold):
            m.d.sync += fell.eq(0)
        with m.Elif(latched & ~high):
            m.d.sync += fell.eq(1)
        self.claim(
            m, ~(latched & fell & high), "a comparator that was low on a tick is low on every later tick of its ramp"
        )

        self.cover(m, conversions == 1, "a whole conversion; give more --clocks")


def clocks_of_a_conversion(spec: Specification) -> int:
    """Clocks from power-up to the end of the first conversion, with an array that is always ready."""
    return 3 + spec.windows[0] + spec.settle_clocks + spec.ticks + 2


def proofs(
    spec: Specification,
    sources: list[tuple[str, str]],
    top: str,
    prover: Prover,
    *,
    ready_within: int,
    clocks: int | None = None,
    induction: int | None = None,
) -> list[Entry]:
    """The proofs of the module ``top`` as the array of ``spec``.

    Parameters
    ----------
    sources, top
        As those of :func:`.array_module.array_module`.
    clocks : int or None
        How far the bounded checks look. None: one conversion of an array that is always ready.
    induction : int or None
        The k of an induction, which needs no limit; None: the claims are checked for ``clocks`` clocks.
    """
    module = array_module(spec, sources, top, prover)
    clocks = clocks_of_a_conversion(spec) if clocks is None else clocks

    def proof() -> ArrayProof:
        return ArrayProof(spec, module, ready_within)

    mode, depth = (Mode.BOUNDED, clocks) if induction is None else (Mode.PROVE, induction)
    return [
        Entry("array", f"a whole conversion is reached within {clocks} clocks", proof, Mode.COVER, clocks),
        Entry(
            "array",
            f"ready rises within {ready_within} clocks; comparators fall once in a ramp; its own assertions hold",
            proof,
            mode,
            depth,
            search=clocks,
        ),
    ]
