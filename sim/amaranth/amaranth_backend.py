# SPDX-License-Identifier: Apache-2.0
"""The network in Amaranth's own simulator, with the Python array behind it: needs no compiler and no other tool."""

import multiprocessing
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import fields
from signal import SIG_DFL, SIGINT
from signal import signal as handle_signal

import numpy as np
from crossramp.golden.layers.network_specification import AnySpecification, specification_from
from crossramp.golden.macro.initial_state import Played, Starts, initial_words
from crossramp.golden.macro.trace import Trace
from crossramp.golden.network.layered_network import LayeredNetwork, network_of
from crossramp.golden.network.layered_weights import weights_from
from crossramp.golden.network.network import Network

from ..array.array_interface import Array
from ..array.array_setup import IDEAL, ArraySetup
from ..checking.shown_steps import shown_traces
from ..checking.simulation_result import SimulationResult
from .amaranth_bench import Bench, unpacked

#: Clocks that are worth a process.
_PORTION_CLOCKS = 5_000


def simulate_amaranth(
    network: Network | LayeredNetwork,
    x: np.ndarray | Played,
    *,
    array: ArraySetup = IDEAL,
    jobs: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> SimulationResult:
    """Run utterances of equal length through the gateware, one after another.

    Parameters
    ----------
    network : Network or LayeredNetwork
        What the hardware is generated from and an ideal array is programmed with.
    x : integer array, shape (utterances, steps, inputs), or Played of one batch
        Pulse codes. Played also says what the utterances start from; those that go on from one another share a process.
    array : ArraySetup
        What stands behind the boundary. The noise of a device instance is the same however the utterances are shared.
        An :class:`.array_interface.Array` is one object: then one process simulates all utterances in order.
    jobs : int or None
        Most processes to share the utterances; None: as many as there are processors.
    progress : callable or None
        Called with the number of utterances done so far.

    Returns
    -------
    SimulationResult
        With one trace; ``end_clocks`` count from where each process began, ``clocks`` are those of all.

    Raises
    ------
    HardwareError
        If the gateware stops before the last answer, or a stream's beats are not framed as they must be.
    InvalidValue
        For starts, an array or a calibration that do not fit; ArrayError for an answer of an Array that does not fit.
    """
    begin = time.perf_counter()
    played = Played.of(x)
    (x,) = played.batches
    starts = played.starts.checked(network.spec, len(x))
    parts = _simulate_shared(network, x, starts, array, jobs, progress or (lambda done: None))
    return SimulationResult(
        traces=[Trace.join([trace for trace, _ in parts])],
        spec=network.spec,
        simulator="amaranth",
        clocks=sum(clocks for _, clocks in parts),
        wall_seconds=time.perf_counter() - begin,
    )


#: What one process simulated: the trace of some utterances, and the clocks of all of them.
Part = tuple[Trace, int]


def _simulate_shared(
    network: Network | LayeredNetwork,
    x: np.ndarray,
    starts: Starts,
    array: ArraySetup,
    jobs: int | None,
    progress,
) -> list[Part]:
    spec = network.spec
    array.ports(spec)  # raises InvalidValue before any process starts
    clocks = len(x) * x.shape[1] * spec.clocks_per_step
    # A further process pays only if it does more than build the simulation.
    jobs = min(jobs or os.cpu_count() or 1, len(x), max(clocks // _PORTION_CLOCKS, 1))
    if isinstance(array.content, Array | Mapping):
        jobs = 1  # the caller's own object: it cannot be in several processes
    # Small portions, so that no process waits long for the last one, and progress moves. Each array goes on with the
    # number of steps that those before it have done.
    parts = np.array_split(np.arange(len(x)), min(len(x), 4 * jobs))
    if starts.keep.any():
        jobs, parts = 1, [np.arange(len(x))]
    portions = [(x[part], starts.of(part), x.shape[1] * int(part[0])) for part in parts]
    if jobs == 1:
        parts = []
        for portion in portions:
            parts.append(_simulate(network, array, *portion))
            progress(_utterances(parts))
        return parts
    # Plain arrays and dicts travel; the worker builds its own objects.
    plain = spec.to_dict(), network.weights.arrays()
    content = array.content
    if content is not None:
        names = [field.name for field in fields(content) if field.name != "spec"]
        content = type(content), {name: getattr(content, name) for name in names}
    parts, running = {}, {}
    # A fresh interpreter: nothing of the caller's threads or open files comes along.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_die_quietly) as pool:
        try:
            while True:
                while (k := len(parts) + len(running)) < len(portions) and len(running) < jobs:
                    future = pool.submit(_simulate_plain, plain, content, array.calibration, *portions[k])
                    running[future] = k
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    parts[running.pop(future)] = future.result()
                progress(_utterances(parts.values()))
        except BaseException:
            for child in multiprocessing.active_children():
                child.terminate()
            raise
    return [parts[k] for k in sorted(parts)]


def _utterances(parts) -> int:
    return sum(len(trace.h) for trace, _ in parts)


def _die_quietly():
    # On Ctrl-C the caller says what is to be said.
    handle_signal(SIGINT, SIG_DFL)


def _simulate_plain(plain: tuple[dict, dict], content, calibration, *portion) -> Part:
    spec = specification_from(plain[0])
    if content is not None:
        kind, values = content
        content = kind(spec, **values)
    return _simulate(network_of(spec, weights_from(spec, plain[1])), ArraySetup(content, calibration), *portion)


def _simulate(network: Network | LayeredNetwork, array: ArraySetup, x: np.ndarray, starts: Starts, before: int) -> Part:
    """One simulation in this process; ``before``: the steps that the arrays did before."""
    spec = network.spec
    bench = Bench(network, array, before)
    code_bits = (1 << spec.input_bits) - 1
    payloads = (x & code_bits).reshape(len(x), -1)
    # `last` and `keep`, with the utterance's last code
    payloads[:, -1] |= (1 + 2 * starts.keep) << spec.input_bits
    bench.payloads += payloads.ravel().tolist()
    for name, words in bench.initial.items():
        words += initial_words(spec.macros[name], starts.of_macro(name))
    bench.run_to(len(x) * (x.shape[1] if spec.readout == "step" else 1))
    return _trace(spec, x.shape, bench.beats, bench.ends), bench.clock


def _trace(spec: AnySpecification, shape: tuple, beats: dict[str, list[int]], ends: list[int]) -> Trace:
    (trace,) = shown_traces(spec, unpacked(spec, beats), [shape[:2]], end_clocks=np.array(ends, np.int64))
    return trace
