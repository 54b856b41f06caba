# SPDX-License-Identifier: Apache-2.0
"""Utterances through the generated hardware in a simulator, every value compared with the golden model's."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from crossramp.golden.common.errors import UserError
from crossramp.golden.macro.initial_state import FROM_THE_START, Played, Starts
from crossramp.golden.macro.trace import Trace
from crossramp.golden.network.network import Network
from crossramp.sim.array.array_setup import IDEAL, ArraySetup
from crossramp.sim.checking.golden_traces import expected_traces
from crossramp.sim.checking.scoreboard import Mismatch, Scoreboard
from crossramp.sim.checking.simulation_result import SimulationResult

_LOG = logging.getLogger(__name__)

# Utterances whose golden trace is held at once.
_BLOCK = 256


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a simulation showed, against the golden model.

    Attributes
    ----------
    result : SimulationResult
        With one trace, of all utterances.
    golden : Trace
        Logits and answers of the golden model, from its own computation.
    board : Scoreboard
        Codes of all banks and conversions, c, its pulse codes, h, logits and answers, by utterance.
    seconds : float
        Of the simulation, building included.
    ideal : Trace or None
        Logits and answers of the golden model with an ideal array, where the array is a device instance.
    """

    result: SimulationResult
    golden: Trace
    board: Scoreboard
    seconds: float
    ideal: Trace | None = None

    @property
    def observed(self) -> Trace:
        """What the hardware showed."""
        return self.result.traces[0]

    @property
    def clocks_per_step(self) -> int:
        """The most common distance of two steps of an utterance; the specification's for utterances of one step."""
        clocks = self.observed.step_clocks
        return int(np.bincount(clocks).argmax()) if len(clocks) else self.result.spec.clocks_per_step

    @property
    def violations(self) -> tuple[str, ...]:
        """Rules of the analog boundary, or of the streams, that the hardware broke (Verilog simulators only)."""
        return self.result.violations


def choose(simulator: str) -> str:
    """``simulator``, or for ``"auto"`` Verilator where it is, with what it needs, and else Amaranth's own.

    Raises
    ------
    UserError
        For a simulator that is not here; says what to install.
    """
    from crossramp.sim.tools.simulators import SimulatorMissing, find_simulator

    if simulator == "amaranth":
        return simulator
    chosen = "verilator" if simulator == "auto" else simulator
    try:
        programs = find_simulator(chosen)
    except SimulatorMissing as error:
        if simulator == "auto":
            _LOG.info("simulator amaranth, since there is no other: %s", error)
            return "amaranth"
        raise UserError(f"{error}; or take --simulator amaranth, which needs nothing") from None
    _LOG.info("simulator %s: %s", chosen, next(iter(programs.values())))
    return chosen


def verify(
    network: Network,
    x: np.ndarray,
    simulator: str,
    array: ArraySetup = IDEAL,
    *,
    starts: Starts = FROM_THE_START,
    progress: Callable[[int], None] | None = None,
    checking: Callable[[int], None] | None = None,
) -> Outcome:
    """Simulate and compare.

    Parameters
    ----------
    x : int64 array, shape (utterances, steps, inputs)
        Pulse codes.
    simulator : str
        As :func:`choose` returned it.
    array : ArraySetup
        What stands behind the hardware, and in the golden model.
    starts : Starts
        What the utterances start from.
    progress : callable or None
        Called with the number of utterances done so far, where the simulator tells.
    checking : callable or None
        Called with the number of utterances compared so far.

    Raises
    ------
    MismatchError
        If the simulation gave arrays of other shapes than golden: then no values can be compared.
    InvalidValue
        For starts that do not fit.
    """
    starts = starts.checked(network.spec, len(x))
    started = time.perf_counter()
    result = _simulate(network, Played([x], starts), simulator, array, progress)
    seconds = time.perf_counter() - started
    (observed,) = result.traces
    if len(observed.answers) != len(x):
        raise RuntimeError(f"the simulation gave {len(observed.answers)} of {len(x)} utterances")
    board, golden = Scoreboard(network.spec), []
    for block in _blocks(starts.fresh):
        if checking is not None:
            checking(block.start)
        # The noise of an utterance depends on how many conversions came before it.
        played = Played([x[block]], starts.of(block))
        (trace,) = expected_traces(network, played, array, x.shape[1] * block.start)
        board.compare(trace, observed.utterances(block))
        golden.append(Trace(logits=trace.logits, answers=trace.answers))
    ideal = None
    if array.errs:
        (trace,) = network.play([x], starts)
        ideal = Trace(logits=trace.logits, answers=trace.answers)
    return Outcome(result, Trace.join(golden), board, seconds, ideal)


def _blocks(fresh: np.ndarray) -> Iterator[slice]:
    """Utterances that are compared at once: about :data:`_BLOCK`, and more where they go on from one another."""
    begin = 0
    while begin < len(fresh):
        later = np.flatnonzero(fresh[begin + _BLOCK :])
        end = begin + _BLOCK + int(later[0]) if len(later) else len(fresh)
        yield slice(begin, end)
        begin = end


def _simulate(network: Network, played: Played, simulator: str, array: ArraySetup, progress) -> SimulationResult:
    if simulator == "amaranth":
        from crossramp.sim.amaranth.amaranth_backend import simulate_amaranth

        return simulate_amaranth(network, played, array=array, progress=progress)
    from crossramp.sim.bulk.bulk_simulation import simulate_bulk

    tell = None if progress is None else (lambda done, _: progress(done))
    return simulate_bulk(network, played, simulator=simulator, array=array, progress=tell)


def in_words(mismatch: Mismatch | None) -> str | None:
    """Where an utterance first differs, as tables and JSON have it; None where it does not."""
    return None if mismatch is None else str(mismatch)
