# SPDX-License-Identifier: Apache-2.0
"""A design under proof: its clock and reset, what is free, what is assumed and what is claimed."""

import enum

from amaranth import ClockDomain, Elaboratable, Fragment, Module, Signal, Value
from amaranth.asserts import AnyConst, AnySeq, Initial
from amaranth.back import rtlil
from amaranth.hdl import Assert, Assume, Cover, ShapeLike
from crossramp.golden.common.errors import CrossrampError, ExitStatus

from .clock_nets import undriven_clocks

#: How the message of an invariant begins, which is asserted for the sake of induction alone.
INVARIANT = "invariant: "


class ProofError(CrossrampError, RuntimeError):
    """A proof is stated wrongly, and would pass or fail for no reason of the design's."""

    exit_status = ExitStatus.INTERNAL


class Reset(enum.Enum):
    """What the design's reset does in a proof."""

    NEVER = "flip-flops begin with their initial values, and reset stays low"
    ANY_TIME = "flip-flops begin with their initial values, and reset is free on every clock"
    FIRST = "flip-flops begin with any value; reset is high on the first clock alone"


class Proof(Elaboratable):
    """A design with properties. A subclass describes both in :meth:`describe`.

    Properties are written with the methods of this class, inside the ``m.If`` under which they hold:

    - :meth:`claim`: what is proven.
    - :meth:`invariant`: asserted too, but only so that induction succeeds; left out if ``invariants`` is False, so that
      a counterexample of a bounded check always breaks a claim.
    - :meth:`assume`: what the environment guarantees. docs/formal.md lists all assumptions.
    - :meth:`cover`: what must be reachable, so that the claims are not vacuous.

    Parameters
    ----------
    reset : Reset
        With ``Reset.FIRST``, the initial values of all flip-flops of the submodule ``dut`` are dropped; claims
        count from the second clock on.
    invariants : bool
        Whether invariants are asserted.

    Attributes
    ----------
    sources : dict
        Verilog that the design instantiates: file name to text. :meth:`describe` may add to it.
    judged_later : bool
        Claims about a clock, those of the Verilog sources included, are judged on the next one: for an assumption that
        shows only then whether a clock was legal.
    """

    judged_later = False

    def __init__(self, *, reset: Reset = Reset.NEVER, invariants: bool = True):
        self.reset, self.invariants = reset, invariants
        self.sources: dict[str, str] = {}
        self.clk, self.rst = Signal(name="clk"), Signal(name="rst")
        self._claims = self._covers = 0

    def describe(self, m: Module) -> None:
        """Add the design as the submodule ``dut``, its environment and its properties to ``m``."""
        raise NotImplementedError

    def elaborate(self, platform) -> Module:
        m = Module()
        domain = ClockDomain("sync", reset_less=self.reset is Reset.NEVER)
        domain.clk = self.clk
        if self.reset is not Reset.NEVER:
            domain.rst = self.rst
        m.domains.sync = domain
        self.initial = Signal(name="initial")
        m.d.comb += self.initial.eq(Initial())
        if self.reset is Reset.FIRST:
            m.d.comb += Assume(self.rst == self.initial)
        self.describe(m)
        return m

    # ---- values  ----------------------------------------------------------------------------------------------------

    def free(self, m: Module, shape: ShapeLike, name: str) -> Signal:
        """A signal that has any value on every clock."""
        signal = Signal(shape, name=name)
        m.d.comb += Value.cast(signal).eq(AnySeq(len(Value.cast(signal))))
        return signal

    def constant(self, m: Module, shape: ShapeLike, name: str) -> Signal:
        """A signal that has any value, the same on every clock."""
        signal = Signal(shape, name=name)
        m.d.comb += Value.cast(signal).eq(AnyConst(len(Value.cast(signal))))
        return signal

    def choice(self, m: Module, most: int, name: str) -> Signal:
        """A constant below ``most``: the column, line or class that a proof looks at, which stands for all of them."""
        signal = self.constant(m, range(max(most, 2)), name)
        m.d.comb += Assume(signal < most)
        return signal

    # ---- properties  ------------------------------------------------------------------------------------------------

    def claim(self, m: Module, condition: Value, message: str) -> None:
        """Claim that ``condition`` holds."""
        self._claims += 1
        m.d.comb += Assert(self._counting(condition), message, src_loc_at=1)

    def invariant(self, m: Module, condition: Value, message: str) -> None:
        """Help induction: ``condition`` holds in every state that the design reaches."""
        if self.invariants:
            m.d.comb += Assert(self._counting(condition), INVARIANT + message, src_loc_at=1)

    def assume(self, m: Module, condition: Value) -> None:
        """Rely on ``condition``."""
        m.d.comb += Assume(condition, src_loc_at=1)

    def cover(self, m: Module, condition: Value, message: str) -> None:
        """Demand that ``condition`` is reached."""
        self._covers += 1
        m.d.comb += Cover(self._counting(condition) & ~self.initial, message, src_loc_at=1)

    def _counting(self, condition: Value) -> Value:
        condition = Value.cast(condition)
        if len(condition) != 1:  # ~ of a wide value is never zero, and any bit of it is true
            raise ProofError(f"a property of {len(condition)} bits: {condition!r}; compare it with something")
        return condition | self.initial if self.reset is Reset.FIRST else condition

    # ---- what the tools read  ---------------------------------------------------------------------------------------

    def rtlil(self) -> str:
        """The design in yosys's language, with the module ``top``.

        Raises
        ------
        ProofError
            If it claims nothing, or if a clock is not an input: yosys then removes the flip-flops behind it, and
            every claim about their outputs holds.
        """
        ports = [self.clk, *([] if self.reset is Reset.NEVER else [self.rst])]
        text = rtlil.convert(Fragment.get(self, "formal"), name="top", ports=ports, emit_src=True)
        if not self._claims:
            raise ProofError(f"{type(self).__name__} claims nothing")
        if undriven := undriven_clocks(text):
            raise ProofError(f"{type(self).__name__}: nothing drives the clock {', '.join(undriven)}")
        return text


def implies(condition: Value, consequence: Value) -> Value:
    """Whether ``consequence`` holds or ``condition`` does not; both one bit wide."""
    condition, consequence = Value.cast(condition), Value.cast(consequence)
    for value in (condition, consequence):
        if len(value) != 1:
            raise ProofError(f"an implication of {len(value)} bits: {value!r}; compare it with something")
    return ~condition | consequence


def signal_inside(fragment: Fragment, path: str, domain: str | None = None) -> Signal:
    """A signal of an elaborated design, by the names of the submodules and its own: ``"sequencer.phase"``.

    Parts without a handle are found so, and nothing in the design has to name them.

    Parameters
    ----------
    domain : str or None
        Only a signal that this clock domain drives, such as ``"sync"``, where a flip-flop and a port share a name.

    Raises
    ------
    ProofError
        If there is no such signal, or more than one.
    """
    *modules, name = path.split(".")
    for module in modules:
        inner = [part for part, own, *_ in fragment.subfragments if own == module]
        if len(inner) != 1:
            raise ProofError(f"the design has {len(inner)} submodules called {module!r} ({path})")
        fragment = inner[0]
    driven: dict[int, Signal] = {}
    used: dict[int, Signal] = {}
    for name_of_domain, statements in fragment.statements.items():
        for statement in statements if domain in (None, name_of_domain) else ():
            driven |= {id(signal): signal for signal in statement._lhs_signals() if signal.name == name}
            used |= {id(signal): signal for signal in statement._rhs_signals() if signal.name == name}
    found = driven or used
    if len(found) != 1:
        raise ProofError(f"the design has {len(found)} signals {path!r}")
    return next(iter(found.values()))
