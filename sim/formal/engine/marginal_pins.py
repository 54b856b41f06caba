# SPDX-License-Identifier: Apache-2.0
"""Asynchronous inputs: every flip-flop that looks at one sees a value of its own."""

from collections.abc import Callable, Sequence

from amaranth import Cat, Fragment, Signal, Value
from amaranth.hdl._ast import Assign
from amaranth.hdl._xfrm import StatementTransformer, ValueTransformer

from .proof import ProofError


class _Renamed(ValueTransformer, StatementTransformer):
    """Statements with other signals: those assigned by ``target``, those read by ``value``."""

    def __init__(self, target: Callable[[Signal], Signal], value: Callable[[Signal], Signal]):
        self._target, self._value, self._of = target, value, value

    def on_Signal(self, value):
        return self._of(value)

    def on_value(self, value):  # of both bases
        return ValueTransformer.on_value(self, value)

    def on_Assign(self, stmt):
        self._of = self._target
        left = self.on_value(stmt.lhs)
        self._of = self._value
        return Assign(left, self.on_value(stmt.rhs))


def sampled_apart(
    fragment: Fragment, pin: Signal, views: Sequence[Signal], view_of: Callable[[Signal, int], int]
) -> tuple[Fragment, list[Signal]]:
    """The design with a view of ``pin`` of its own for each group of flip-flops.

    A pin that changes at the clock edge is high for some of the flip-flops behind it and low for others. The next
    value of every bit of state is computed as the design computes it, from the view that the bit's group has;
    combinational outputs see the pin itself. Nothing else changes: with all views equal to the pin it is the design.

    Parameters
    ----------
    fragment : Fragment
        Elaborated, without submodules, in the domain ``sync``.
    pin : Signal
        The input.
    views : sequence of Signal
        Shaped as the pin.
    view_of : callable
        From a flip-flop (its signal, and the bit in it) to the index of its view.

    Returns
    -------
    (Fragment, list of Signal)
        The new design, and its signals that are state.

    Raises
    ------
    ProofError
        For a fragment with submodules, domains or instances.
    """
    if fragment.subfragments or set(fragment.statements) - {"comb", "sync"}:
        raise ProofError("a design with submodules or other clocks cannot be sampled apart")
    combinational, clocked = fragment.statements.get("comb", ()), fragment.statements.get("sync", ())
    state = _assigned(clocked)
    wires = _assigned(combinational)
    result = Fragment(src_loc=fragment.src_loc)
    result.add_statements("comb", combinational)
    following: list[dict[int, Signal]] = []
    for index, view in enumerate(views):
        copies = {id(wire): Signal.like(wire, name=f"{wire.name}_seen_{index}") for wire in wires}
        nexts = {id(one): Signal.like(one, name=f"{one.name}_next_{index}") for one in state}

        def read(signal, copies=copies, view=view):
            return view if signal is pin else copies.get(id(signal), signal)

        def assigned(signal, copies=copies, nexts=nexts):
            return nexts.get(id(signal), copies.get(id(signal), signal))

        renamed = _Renamed(assigned, read)
        result.add_statements("comb", [nexts[id(one)].eq(one) for one in state])  # what is not assigned keeps its value
        result.add_statements("comb", [renamed.on_statement(statement) for statement in (*combinational, *clocked)])
        following.append(nexts)
    for one in state:
        bits = (following[view_of(one, bit)][id(one)][bit] for bit in range(len(one)))
        result.add_statements("sync", Value.cast(one).eq(Cat(*bits)))
    return result, state


def _assigned(statements) -> list[Signal]:
    found = {}
    for statement in statements:
        for signal in statement._lhs_signals():
            found.setdefault(id(signal), signal)
    return sorted(found.values(), key=lambda signal: signal.name)
