# SPDX-License-Identifier: Apache-2.0
"""What the tests of proofs share: an attempt that must succeed, and one that must find the planted fault."""

import pytest
from crossramp.sim.formal.engine.entry import Entry
from crossramp.sim.formal.engine.proof import Proof
from crossramp.sim.formal.engine.solver import Mode, Outcome, Status, solve


def few(cases: list, quick: tuple[int, ...] = (0, 1)) -> list:
    """The cases of a parametrized test, tuples or single values, all but those numbered ``quick`` marked slow."""
    return [
        case if k in quick else _slow(*(case if isinstance(case, tuple) else (case,))) for k, case in enumerate(cases)
    ]


def _slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


def holds(proof: Proof, mode: Mode, depth: int, folder=None) -> Outcome:
    """Attempt a proof, and assert that it succeeds."""
    outcome = solve(proof, mode, depth, folder=folder)
    assert outcome.holds, f"{type(proof).__name__}, {mode} {depth}: {outcome}; trace: {outcome.trace}"
    return outcome


def all_hold(entries: list[Entry], folder=None) -> None:
    """Attempt all entries, and assert that each succeeds, and that there are some."""
    assert entries
    for entry in entries:
        holds(entry.proof(), entry.mode, entry.depth, folder)


def is_violated(proof: Proof, depth: int, message: str | None = None) -> Outcome:
    """Assert that a claim, not an invariant, has a counterexample within ``depth`` clocks from reset."""
    assert not proof.invariants, "an invariant that is broken proves nothing about the claims"
    outcome = solve(proof, Mode.BOUNDED, depth)
    assert outcome.status is Status.VIOLATED, f"{type(proof).__name__} does not notice the fault: {outcome}"
    assert message is None or message in outcome.message, outcome
    return outcome
