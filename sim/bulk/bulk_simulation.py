# SPDX-License-Identifier: Apache-2.0
"""Bulk simulation: the generated hardware free-runs over whole utterances, and numpy compares everything at once."""

import math
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from crossramp.golden.analog.conversion.device import DeviceInstance
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.network.lstm import checked_integers
from crossramp.golden.network.network import Network
from crossramp.golden.spec.specification import Specification

from ..array.programming import Programming, calibration_port
from ..checking.shown_steps import shown_values
from ..tools.growth import run_watched
from ..tools.simulators import HardwareError, SimulationError, choose_simulator
from .bulk_bench import bench_command, broken_rules, read_summary, write_array
from .bulk_records import log_records, read_log, write_stimulus

#: Clocks that a bench counts: x held back, h and a logit that waited for ready, the array not ready.
PAUSES = ("x_idle", "h_stalled", "logit_stalled", "array_stalled")


@dataclass(frozen=True, eq=False)
class BulkTrace:
    """What the hardware computed for one batch; int64, the names and shapes of the golden traces.

    ``codes``: (batch, steps, columns). ``c``, ``state_pulses``, ``state_codes``: (batch, steps, units). ``h``:
    (batch, steps, hidden). ``logits``: (batch, classes). ``answers``: (batch,); both with a steps axis after the
    batch's with the readout ``"step"``. ``end_clocks``: (batch, steps), the clock on which the last beat of h left.
    """

    codes: np.ndarray
    c: np.ndarray
    state_pulses: np.ndarray
    state_codes: np.ndarray
    h: np.ndarray
    logits: np.ndarray
    answers: np.ndarray
    end_clocks: np.ndarray


@dataclass(frozen=True, eq=False)
class BulkResult:
    """Result of :func:`simulate_bulk`.

    Attributes
    ----------
    traces : list of BulkTrace
        One a batch.
    spec : Specification
    simulator : str
    clocks : int
        Simulated, reset and drain included.
    conversions : int
        Ramps that the boundary's protocol checker saw complete.
    violations : tuple of str
        Rules of the boundary that were broken (:data:`.protocol.RULES`), and ``"streams"`` for an output that was
        unknown, or changed while it waited.
    wall_seconds : float
        Of the simulation alone, without building it.
    processor_seconds : float
        The same in processor time, which a busy machine changes less.
    build_seconds : float
    pauses : dict of str to int
        Clocks that the bench made wait (:data:`PAUSES`); all 0 without ``idle``, ``stall`` and ``array_stall``.
    """

    traces: list[BulkTrace]
    spec: Specification
    simulator: str
    clocks: int
    conversions: int
    violations: tuple[str, ...]
    wall_seconds: float
    processor_seconds: float
    build_seconds: float
    pauses: dict[str, int]
    log: str = field(default="", repr=False)

    @property
    def clocks_per_step(self) -> float:
        """Median of the clocks from one step's last h to the next one's; nan if no utterance has two steps."""
        gaps = [np.diff(trace.end_clocks, axis=1).ravel() for trace in self.traces]
        gaps = np.concatenate(gaps)
        return float(np.median(gaps)) if gaps.size else float("nan")

    @property
    def answers(self) -> np.ndarray:
        """Of all utterances, in order, with the readout ``"step"`` of all their steps; int64, shape (answers,)."""
        return np.concatenate([trace.answers.ravel() for trace in self.traces])


def simulate_bulk(
    network: Network,
    x_batches: np.ndarray | Sequence[np.ndarray],
    *,
    simulator: str = "auto",
    workdir: Path | str | None = None,
    progress: Callable[[int, int], None] | None = None,
    idle: int = 0,
    stall: int = 0,
    array_stall: int = 0,
    seed: int = 1,
    programming: Programming | DeviceInstance | None = None,
    calibration: int | None = None,
    change_verilog: Callable[[str], str] | None = None,
    random_start: bool = False,
    optimize: bool = True,
) -> BulkResult:
    """Run utterances through the generated Verilog with the behavioral crossbar behind it.

    Nothing is compared with the golden model here, see :func:`.scoreboard.compare_bulk`.

    Parameters
    ----------
    network : Network
    x_batches : integer array, shape (batch, steps, inputs), or a sequence of such
        Pulse codes; the utterances run one after the other, in order.
    simulator : str
        ``"auto"`` (Verilator if it is there), ``"verilator"`` or ``"icarus"``.
    workdir : path or None
        Where models are built and kept, see :func:`.build_cache.cache_folder`.
    progress : callable or None
        Called with (utterances done, utterances) some times a second.
    idle, stall, array_stall : int
        Percent of the clocks without x, without ready on the outputs, without the array's ready; 0 to 90.
    seed : int
        Of idle, stalls and random start.
    programming : Programming, DeviceInstance or None
        What the crossbar holds; None: the ideal array of ``network``. Of a device instance, every value is that of
        :class:`~crossramp.golden.analog.conversion.device_lstm.DeviceLstm`, see :func:`.scoreboard.expected_traces`.
    calibration : int or None
        The calibration port throughout: bit k * calibration_cells + n chooses cell n of ramp k. None: the cells that a
        device instance has chosen where nobody has calibrated, and none of any other array.
    change_verilog : callable or None
        Applied to the generated Verilog: a planted fault, stripped initial values, another netlist.
    random_start : bool
        Verilator: registers without initial value start at random.
    optimize : bool
        Verilator: compile for speed. False builds sooner, for short runs.

    Raises
    ------
    SimulationError
        If the build fails, or the simulation crashes or stands still (no clock passes for ten minutes; it may be as
        slow as it is).
    HardwareError
        A SimulationError, if the hardware hangs (nothing moves for many clocks), or gives another number of records
        than it must.
    SimulatorMissing
        If the simulator is not there.
    InvalidValue
        For stimuli of wrong shape or range, an empty batch, or a percentage or calibration out of range.
    """
    spec = network.spec
    batches = checked_batches(spec, x_batches)
    for name, percent in {"idle": idle, "stall": stall, "array_stall": array_stall}.items():
        if not 0 <= percent <= 90:
            raise InvalidValue(f"{name} is {percent}; allowed: 0 to 90 percent")
    calibration = calibration_port(spec, calibration, programming)
    simulator = choose_simulator(simulator)
    programming = Programming.ideal(spec, network.weights) if programming is None else programming
    errs = isinstance(programming, DeviceInstance)
    if programming.spec != spec:
        raise InvalidValue(
            f"the programming is for specification {programming.spec.content_hash}, the network for "
            f"{spec.content_hash}; write the programming anew"
        )

    begin = time.perf_counter()
    command = bench_command(
        network,
        simulator,
        errs=errs,
        change_verilog=change_verilog,
        random_start=random_start,
        optimize=optimize,
        folder=workdir,
    )
    build_seconds = time.perf_counter() - begin

    utterances = sum(len(x) for x in batches)
    # Clocks that one step may take at most, on average: twice what the percentages make of it.
    slow = 2 * 100 / (100 - max(idle, stall, array_stall)) if max(idle, stall, array_stall) else 1
    bound = int(slow * (spec.clocks_per_step + spec.inputs + spec.head_clocks)) + 1000
    with tempfile.TemporaryDirectory(prefix="crossramp-") as name:
        folder = Path(name)
        write_stimulus(folder / "x.bin", batches)
        write_array(programming, folder / "array")
        arguments = [f"+trace={folder}", f"+x={folder / 'x.bin'}", f"+array={folder / 'array'}"]
        arguments += [f"+utterances={utterances}", f"+idle={idle}", f"+stall={stall}", f"+array_stall={array_stall}"]
        arguments += [f"+seed={seed}", f"+watchdog={2 * bound}", f"+calibration={calibration:x}"]
        if random_start:
            arguments += ["+verilator+rand+reset+2", f"+verilator+seed+{seed}"]
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
    return BulkResult(
        traces,
        spec,
        simulator,
        summary["clocks"],
        summary["conversions"],
        broken_rules(summary),
        wall,
        processor,
        build_seconds,
        {name: summary[name] for name in PAUSES},
        log,
    )


def children_seconds() -> float:
    """Processor time of all finished child processes, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def checked_batches(spec: Specification, x_batches) -> list[np.ndarray]:
    """Stimuli as :func:`simulate_bulk` takes them, as a list of int64 arrays, or its InvalidValue."""
    batches = [x_batches] if isinstance(x_batches, np.ndarray) else list(x_batches)
    batches = [checked_integers("x", x, (None, None, spec.inputs), spec.input_max) for x in batches]
    for x in batches:
        if x.shape[1] < 1 or (x.shape[1] > spec.max_steps and spec.readout != "step"):
            raise InvalidValue(
                f"x has {x.shape[1]} steps; allowed: 1 {'and up' if spec.readout == 'step' else f'to {spec.max_steps}'}"
            )
    if not batches:
        raise InvalidValue("there are no utterances; give at least 1")
    for place, x in enumerate(batches):
        if not len(x):
            raise InvalidValue(f"batch {place} holds no utterances; give at least 1, or leave it out")
    return batches


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
    """Utterances that are through, by the answers that are there."""
    answers = folder / "answers.bin"
    return int(np.searchsorted(ends, answers.stat().st_size // 4, side="right")) if answers.exists() else 0


def _traces(spec: Specification, folder: Path, batches: list[np.ndarray], log: str) -> list[BulkTrace]:
    logs = {name: read_log(folder, record) for name, record in log_records(spec).items()}
    lasts = np.concatenate([np.tile(np.arange(x.shape[1]) == x.shape[1] - 1, len(x)) for x in batches])
    try:
        units = shown_values(spec, logs, lasts)
        ends = logs["clocks"]["clock"]
        if len(ends) != len(lasts):
            raise HardwareError(f"clocks: {len(ends)} records; expected {len(lasts)}")
    except HardwareError as error:
        raise HardwareError(f"{error}\n{log[-2000:]}") from None
    logits, answers = units.pop("logits"), units.pop("answers")
    units["end_clocks"] = ends
    traces, step, answer = [], 0, 0
    for x in batches:
        batch, count = x.shape[:2]
        parts = {name: values[step : step + batch * count].reshape(batch, count, -1) for name, values in units.items()}
        parts["end_clocks"] = parts["end_clocks"][:, :, 0]
        shape = (batch, count) if spec.readout == "step" else (batch,)
        whole = slice(answer, answer + math.prod(shape))
        parts |= {"logits": logits[whole].reshape(*shape, -1), "answers": answers[whole].reshape(shape)}
        traces.append(BulkTrace(**parts))
        step, answer = step + batch * count, whole.stop
    return traces
