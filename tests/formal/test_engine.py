# SPDX-License-Identifier: Apache-2.0
"""The harness of proofs: what it refuses, and that each outcome is told apart, on designs of a few lines."""

import dataclasses
import stat

import pytest
from amaranth import ClockDomain, Fragment, Module, Signal
from crossramp.golden.common.errors import InvalidValue
from crossramp.sim.formal.engine import solver
from crossramp.sim.formal.engine.entry import Entry
from crossramp.sim.formal.engine.marginal_pins import sampled_apart
from crossramp.sim.formal.engine.proof import Proof, ProofError, Reset, implies, signal_inside
from crossramp.sim.formal.engine.solver import Mode, ProverFailed, ProverMissing, Status, find_prover, solve

from tests.support.proving import is_violated


class Counter(Proof):
    """Counts up while a free input is high, and stops at 5."""

    def __init__(self, limit=5, most=5, reset_less=False, **options):
        super().__init__(**options)
        self.limit, self.most, self.reset_less = limit, most, reset_less

    def describe(self, m):
        m.submodules.dut = dut = Module()
        count, up = Signal(4, reset_less=self.reset_less), self.free(m, 1, "up")
        with dut.If(up & (count != self.limit)):
            dut.d.sync += count.eq(count + 1)
        self.claim(m, count <= self.most, "the counter stops")
        self.cover(m, count == 5, "five")


class Parity(Proof):
    """Two flip-flops that are always equal; induction over one clock does not see why they stay within their claim."""

    def describe(self, m):
        m.submodules.dut = dut = Module()
        a, b = Signal(4), Signal(4)
        dut.d.sync += [a.eq(a + 2), b.eq(a + 2)]
        self.claim(m, b != 3, "b is even")
        self.invariant(m, ~a[0] & ~b[0], "both are even")


def test_outcomes():
    assert solve(Counter(), Mode.PROVE, 1).status is Status.PROVEN
    assert solve(Counter(), Mode.BOUNDED, 9).status is Status.BOUNDED
    assert solve(Counter(), Mode.COVER, 9).status is Status.REACHED
    unreached = solve(Counter(limit=4), Mode.COVER, 9)
    assert (unreached.status, unreached.message, unreached.holds) == (Status.UNREACHED, "five", False)


def test_a_violation_has_its_message_place_clock_and_trace(tmp_path):
    outcome = solve(Counter(limit=6), Mode.BOUNDED, 12, folder=tmp_path / "proof")
    assert (outcome.status, outcome.message, outcome.clock) == (Status.VIOLATED, "the counter stops", 6)
    assert outcome.place.startswith("tests/formal/test_engine.py:")
    assert "$var" in outcome.trace.read_text()
    assert "violated on clock 6: the counter stops (tests/formal/test_engine.py:" in str(outcome)
    # The base case of an induction finds it too, if it lies that near.
    assert solve(Counter(limit=6, most=0), Mode.PROVE, 3).status is Status.VIOLATED


def test_an_induction_that_fails_is_undecided_and_a_search_decides(tmp_path):
    assert solve(Parity(), Mode.PROVE, 1).status is Status.PROVEN
    undecided = solve(Parity(invariants=False), Mode.PROVE, 1)
    assert undecided.status is Status.UNDECIDED
    assert undecided.message == "induction needs more: b is even"
    attempt = Entry("x", "y", lambda: Parity(invariants=False), depth=1, search=7).attempt(tmp_path / "a")
    assert attempt.message == "induction needs more: b is even; no counterexample in 7 clocks"
    faulty = Entry("x", "y", lambda: Counter(limit=6), depth=1, search=9).attempt(tmp_path / "b")
    assert (faulty.status, faulty.clock) == (Status.VIOLATED, 6)


def test_reset():
    """A free reset, and flip-flops that begin with any value: then the claim holds behind the first clock alone."""
    assert solve(Counter(reset=Reset.ANY_TIME), Mode.PROVE, 1).status is Status.PROVEN
    assert solve(Counter(reset=Reset.FIRST), Mode.PROVE, 2).status is Status.PROVEN

    is_violated(Counter(reset=Reset.FIRST, reset_less=True, invariants=False), 3, "the counter stops")


# ---- what would pass, or fail, whatever the design does --------------------------------------------------------------


def test_a_clock_that_nothing_drives_is_refused():
    class Undriven(Counter):
        """Its clock is a signal of its own."""

        def elaborate(self, platform):
            m = Module()
            self.initial = Signal()
            m.domains.sync = ClockDomain("sync", reset_less=True)
            self.describe(m)
            return m

    with pytest.raises(ProofError, match=r"^Undriven: nothing drives the clock \\top.dut 1'0$"):
        solve(Undriven(), Mode.PROVE, 1)


def test_a_proof_without_claims_is_refused():
    class Empty(Proof):
        """A cover alone."""

        def describe(self, m):
            self.cover(m, self.free(m, 1, "anything"), "anything")

    with pytest.raises(ProofError, match="Empty claims nothing"):
        solve(Empty(), Mode.BOUNDED, 2)


@pytest.mark.parametrize("kind", ["claim", "invariant", "cover"])
def test_a_property_is_one_bit_wide(kind):
    class Wide(Proof):
        """~ of a wide value is hardly ever zero."""

        def describe(self, m):
            getattr(self, kind)(m, ~self.free(m, 4, "value"), "wide")

    with pytest.raises(ProofError, match="a property of 4 bits"):
        Wide().rtlil()
    with pytest.raises(ProofError, match="an implication of 4 bits"):
        implies(Signal(4), Signal())


def test_signals_inside_are_found_by_unique_names():
    outer, inner = Module(), Module()
    twice = [Signal(name="twice"), Signal(name="twice")]
    inner.d.comb += [twice[0].eq(1), twice[1].eq(0)]
    inner.d.sync += Signal(name="once").eq(1)
    outer.submodules.inner = inner
    fragment = Fragment.get(outer, None)
    assert signal_inside(fragment, "inner.once").name == "once"
    for path, message in (("inner.twice", "2 signals"), ("inner.none", "0 signals"), ("other.once", "0 submodules")):
        with pytest.raises(ProofError, match=message):
            signal_inside(fragment, path)


def test_marginal_pins_need_a_design_without_submodules():
    outer = Module()
    outer.submodules.inner = Module()
    with pytest.raises(ProofError, match="cannot be sampled apart"):
        sampled_apart(Fragment.get(outer, None), Signal(), [], lambda one, bit: 0)


# ---- tools -----------------------------------------------------------------------------------------------------------


def test_missing_tools_and_wrong_solvers(monkeypatch, tmp_path):
    with pytest.raises(InvalidValue, match="solver is 'cvc'; allowed: auto, yices, z3"):
        find_prover("cvc")
    monkeypatch.setattr(solver.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProverMissing, match="neither yowasp-sby nor sby was found; type: pip install"):
        find_prover()
    for program in ("sby", "z3"):
        (tmp_path / program).write_text("#!/bin/sh\necho nonsense\n")
        (tmp_path / program).chmod(stat.S_IRWXU)
    assert (find_prover().sby, find_prover().solver) == (("sby",), "z3")
    with pytest.raises(ProverMissing, match="yices-smt2 was not found"):
        find_prover("yices")
    (tmp_path / "z3").unlink()
    with pytest.raises(ProverMissing, match="neither yices-smt2 nor z3 was found"):
        find_prover()


def test_tools_that_give_no_answer(tmp_path):
    program = tmp_path / "sby"
    program.write_text("#!/bin/sh\necho 'ERROR: the disk is full'\nexit 1\n")
    program.chmod(stat.S_IRWXU)
    prover = dataclasses.replace(find_prover(), sby=(str(program),))
    with pytest.raises(ProverFailed, match="SymbiYosys stopped: ERROR: the disk is full"):
        solve(Counter(), Mode.BOUNDED, 2, prover=prover)
