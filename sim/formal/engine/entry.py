# SPDX-License-Identifier: Apache-2.0
"""One line of the table of proofs: what is claimed of a specification, and how it is attempted."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from .proof import Proof
from .solver import Mode, Outcome, Prover, Status, solve


@dataclass(frozen=True)
class Entry:
    """A proof of one block, at the sizes of one specification.

    Attributes
    ----------
    block : str
        What it is about, such as ``"capture"``: one word, which ``crossramp prove --only`` takes.
    claim : str
        What is claimed, in one line for the table.
    proof : callable
        Makes the :class:`Proof`, without arguments; nothing is elaborated before.
    mode : Mode
        ``PROVE``: for traces of any length. ``BOUNDED``: for all traces of ``depth`` clocks after reset; with
        ``complete`` these are all that matter.
    depth : int
    complete : bool
        A bounded check that covers everything: a circuit without state of its own behind one register.
    long : bool
        It may take minutes: ``crossramp prove`` leaves it out unless it is asked for.
    search : int
        Clocks from reset in which a counterexample is looked for where induction fails.
    of : str
        In a network of several layers: the macros that it is about, or what stands between them, the top or the head.
    """

    block: str
    claim: str
    proof: Callable[[], Proof]
    mode: Mode = Mode.PROVE
    depth: int = 2
    complete: bool = False
    long: bool = False
    search: int = 40
    of: str = ""

    @property
    def reach(self) -> str:
        """How far the result reaches, for the table."""
        if self.mode is Mode.PROVE:
            return "any trace"
        return "every input" if self.complete else f"{self.depth} clocks"

    def attempt(self, folder: Path, *, prover: Prover | None = None, timeout: int | None = None) -> Outcome:
        """Run the proof; where induction fails, tell a fault of the design from a proof that needs more.

        An induction that fails says nothing: the state that it begins with may never be reached. A bounded check of the
        claims alone follows, from reset.

        Parameters
        ----------
        folder, prover, timeout
            As those of :func:`.solver.solve`; the second run has the folder ``search`` in the first one's.
        """
        outcome = solve(self.proof(), self.mode, self.depth, prover=prover, folder=folder, timeout=timeout)
        if self.complete and outcome.status is Status.BOUNDED:
            return replace(outcome, status=Status.PROVEN)
        if self.mode is not Mode.PROVE or outcome.status is not Status.UNDECIDED or not outcome.place:
            return outcome
        proof = self.proof()
        proof.invariants = False
        found = solve(proof, Mode.BOUNDED, self.search, prover=prover, folder=folder / "search", timeout=timeout)
        seconds = outcome.seconds + found.seconds
        if found.status is Status.VIOLATED:
            return replace(found, seconds=seconds)
        how = f"no counterexample in {self.search} clocks" if found.holds else found.message
        return replace(outcome, message=f"{outcome.message}; {how}", seconds=seconds)
