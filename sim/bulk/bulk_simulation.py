# SPDX-License-Identifier: Apache-2.0
"""Bulk simulation: the generated hardware free-runs over whole utterances, and numpy compares everything at once."""

import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.common.integer_arrays import checked_integers
from crossramp.golden.layers.network_specification import AnySpecification
from crossramp.golden.macro.initial_state import Played, Starts
from crossramp.golden.macro.trace import Trace
from crossramp.golden.network.layered_network import LayeredNetwork
from crossramp.golden.network.network import Network
from crossramp.golden.spec.boundary_wires import calibration_bits

from ..array.array_setup import IDEAL, ArraySetup
from ..checking.shown_steps import shown_traces
from ..checking.simulation_result import SimulationResult
from ..tools.growth import run_watched
from ..tools.run_options import BUILD, NO_PAUSES, BuildOptions, Pauses
from ..tools.simulators import HardwareError, SimulationError, choose_simulator
from .bulk_bench import bench_command, broken_rules, read_summary, write_arrays
from .bulk_records import CLOCKS, log_records, read_log, write_initial, write_stimulus

#: Clocks that a bench counts: x held back, h and a logit that waited for ready, the array not ready.
PAUSES = ("x_idle", "h_stalled", "logit_stalled", "array_stalled")


def simulate_bulk(
    network: Network | LayeredNetwork,
    x_batches: np.ndarray | Sequence[np.ndarray] | Played,
    simulator: str = "auto",
    *,
    array: ArraySetup = IDEAL,
    pauses: Pauses = NO_PAUSES,
    build: BuildOptions = BUILD,
    progress: Callable[[int, int], None] | None = None,
) -> SimulationResult:
    """Run utterances through the generated Verilog with the behavioral crossbar behind it.

    Nothing is compared with the golden model here, see :func:`.scoreboard.compare_traces`.

    Parameters
    ----------
    network : Network or LayeredNetwork
    x_batches : integer array, shape (batch, steps, inputs), a sequence of such, or Played
        Pulse codes; the utterances run one after the other, in order. Played also says what they start from.
    simulator : str
        ``"auto"`` (Verilator if it is installed), ``"verilator"`` or ``"icarus"``.
    array : ArraySetup
        What stands behind the boundary.
    pauses : Pauses
    build : BuildOptions
    progress : callable or None
        Called with (utterances done, utterances) some times a second.

    Raises
    ------
    SimulationError
        If the build fails, or the simulation crashes or stands still (no clock passes for ten minutes; it may be as
        slow as it is).
    HardwareError
        A SimulationError, if the hardware hangs (nothing moves for many clocks), or gives another number of records
        than it must.
    SimulatorMissing
        If the simulator is not installed.
    InvalidValue
        For stimuli of wrong shape or range, an empty batch, or starts, an array or a calibration that do not fit.
    """
    spec = network.spec
    batches, starts = checked_batches(spec, x_batches)
    calibration = calibration_word(spec, array)
    simulator = choose_simulator(simulator)
    contents = array.loaded(network)

    begin = time.perf_counter()
    command = bench_command(network, simulator, build, errs=array.errs)
    build_seconds = time.perf_counter() - begin

    utterances = sum(len(x) for x in batches)
    # Clocks that one step may take at most, on average: twice what the percentages make of it.
    slow = 2 * 100 / (100 - pauses.most) if pauses.most else 1
    silent = spec.silent_steps(max(x.shape[1] for x in batches))
    bound = int(slow * (silent * spec.clocks_per_step + spec.load_clocks + spec.inputs + spec.head_clocks)) + 1000
    with tempfile.TemporaryDirectory(prefix="crossramp-") as name:
        folder = Path(name)
        write_stimulus(folder / "x.bin", batches, starts.keep)
        write_initial(folder, spec, starts)
        write_arrays(contents, folder / "array")
        arguments = [f"+trace={folder}", f"+x={folder / 'x.bin'}", f"+array={folder / 'array'}"]
        arguments += [
            f"+initial={folder}",
            f"+utterances={utterances}",
            f"+watchdog={2 * bound}",
            f"+calibration={calibration:x}",
        ]
        arguments += [*pauses.plusargs, *build.plusargs(pauses.seed)]
        begin, begin_processor = time.perf_counter(), children_seconds()
        # How many answers there are when each utterance is through.
        ends = np.cumsum([x.shape[1] if spec.readout == "step" else 1 for x in batches for _ in x])
        log = _run([*command, *arguments], folder, ends, progress)
        wall, processor = time.perf_counter() - begin, children_seconds() - begin_processor
        summary = read_summary(folder, log)
        if summary["watchdog"]:
            raise HardwareError(
                f"{simulator}: nothing moved for {2 * bound} clocks; {summary['finished']} of {utterances} utterances "
                f"were finished\n{log[-2000:]}"
            )
        traces = _traces(spec, folder, batches, log)
    return SimulationResult(
        traces=traces,
        spec=spec,
        simulator=simulator,
        clocks=summary["clocks"],
        conversions=summary["conversions"],
        violations=broken_rules(summary),
        wall_seconds=wall,
        processor_seconds=processor,
        build_seconds=build_seconds,
        pauses={name: summary[name] for name in PAUSES},
        log=log,
    )


def calibration_word(spec: AnySpecification, array: ArraySetup) -> int:
    """The calibration port of every macro, the first one's lowest; raises what :meth:`.ArraySetup.ports` does."""
    word, offset = 0, 0
    for name, part in array.ports(spec).items():
        word |= part << offset
        offset += calibration_bits(spec.macros[name])
    return word


def children_seconds() -> float:
    """Processor time of all finished child processes, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def checked_batches(spec: AnySpecification, x_batches) -> tuple[list[np.ndarray], Starts]:
    """Stimuli as :func:`simulate_bulk` takes them: int64 arrays, and what they start from; or its InvalidValue."""
    played = Played.of(x_batches)
    batches = [checked_integers("x", x, (None, None, spec.inputs), spec.input_max) for x in played.batches]
    for x in batches:
        most = spec.most_steps
        if x.shape[1] < 1 or (most is not None and x.shape[1] > most):
            raise InvalidValue(f"x has {x.shape[1]} steps; allowed: 1 {'and up' if most is None else f'to {most}'}")
    if not batches:
        raise InvalidValue("there are no utterances; give at least 1")
    for place, x in enumerate(batches):
        if not len(x):
            raise InvalidValue(f"batch {place} holds no utterances; give at least 1, or leave it out")
    return batches, played.starts.checked(spec, sum(map(len, batches)))


def _run(command, folder: Path, ends: np.ndarray, progress) -> str:
    log, progress = folder / "log.txt", progress or (lambda done, whole: None)
    status = run_watched(
        *(command, folder, log, folder / "alive", "the simulation"),
        meanwhile=lambda: progress(_finished(folder, ends), len(ends)),
    )
    text = log.read_text(errors="replace")
    if status != 0:
        raise SimulationError(f"the simulation ended with status {status}:\n{text[-2000:]}")
    progress(len(ends), len(ends))
    return text


def _finished(folder: Path, ends: np.ndarray) -> int:
    """Number of finished utterances, from the answers received so far."""
    answers = folder / "answers.bin"
    return int(np.searchsorted(ends, answers.stat().st_size // 4, side="right")) if answers.exists() else 0


def _traces(spec: AnySpecification, folder: Path, batches: list[np.ndarray], log: str) -> list[Trace]:
    logs = {name: read_log(folder, record) for name, record in log_records(spec).items()}
    ends = logs.pop(CLOCKS.name)["clock"][:, 0]
    try:
        return shown_traces(spec, logs, [x.shape[:2] for x in batches], end_clocks=ends)
    except HardwareError as error:
        raise HardwareError(f"{error}\n{log[-2000:]}") from None
