# SPDX-License-Identifier: Apache-2.0
"""The network in Amaranth's own simulator, with the Python array behind it: needs no compiler and no other tool."""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, fields
from signal import SIG_DFL, SIGINT
from signal import signal as handle_signal

import numpy as np
from crossramp.golden.analog.conversion.device import DeviceInstance
from crossramp.golden.network.network import Network, NetworkTrace
from crossramp.golden.spec.specification import Specification

from ..array.array_interface import Array
from ..array.programming import Programming, calibration_port
from .amaranth_bench import Bench, beat_values

#: Clocks that are worth a process.
_PORTION_CLOCKS = 5_000


@dataclass(frozen=True, eq=False)
class Observed:
    """What the gateware computed, as its ports showed it; int64 arrays.

    Attributes
    ----------
    codes : shape (utterances, steps, columns)
        Banks i, f, g, o.
    c, state_pulses, state_codes : shape (utterances, steps, units)
    h : shape (utterances, steps, hidden)
    logits : shape (utterances, classes)
    answers : shape (utterances,)
        Both with a steps axis after the utterances' with the readout ``"step"``.
    clocks : int
        From the first clock to the last answer.
    steps_clocks : shape (any,)
        Clocks between the last beats of h of consecutive steps of one utterance.
    """

    codes: np.ndarray
    c: np.ndarray
    state_pulses: np.ndarray
    state_codes: np.ndarray
    h: np.ndarray
    logits: np.ndarray
    answers: np.ndarray
    clocks: int
    step_clocks: np.ndarray

    #: The fields that :func:`differences` compares.
    COMPARED = ("codes", "c", "state_pulses", "state_codes", "h", "logits", "answers")

    @classmethod
    def join(cls, parts: list["Observed"]) -> "Observed":
        """Several simulations as one, in the order given."""
        arrays = {name: np.concatenate([getattr(p, name) for p in parts]) for name in (*cls.COMPARED, "step_clocks")}
        return cls(clocks=sum(part.clocks for part in parts), **arrays)


def differences(observed: Observed, trace: NetworkTrace) -> dict[str, np.ndarray]:
    """Where the gateware and the golden trace differ: a bool array for each of ``Observed.COMPARED``."""
    golden = {"logits": trace.logits, "answers": trace.answers}
    golden |= {name: getattr(trace.steps, name) for name in ("codes", "c", "state_pulses", "state_codes", "h")}
    return {name: getattr(observed, name) != golden[name] for name in Observed.COMPARED}


def simulate_amaranth(
    network: Network,
    x: np.ndarray,
    *,
    jobs: int | None = None,
    progress: Callable[[int], None] | None = None,
    programming: np.ndarray | Programming | DeviceInstance | Array | None = None,
    calibration: int | None = None,
) -> Observed:
    """Run utterances through the gateware, one after another.

    Parameters
    ----------
    network : Network
        What the hardware is generated from and the array is programmed with.
    x : integer array, shape (utterances, steps, inputs)
        Pulse codes.
    jobs : int or None
        Most processes to share the utterances; None: as many as there are processors.
    progress : callable or None
        Called with the number of utterances done so far.
    programming : integer array of shape (rows, columns), Programming, DeviceInstance, Array or None
        What the array holds, as :class:`.python_array.ArrayModel` takes it; None: the network's weights. The noise of
        a device
        instance is the same however the utterances are shared. An :class:`.array_interface.Array` stands behind the
        boundary itself: then one process simulates all utterances in order.
    calibration : int or None
        The calibration port, as :func:`.bulk_simulation.simulate_bulk` takes it.

    Raises
    ------
    HardwareError
        If the gateware stops before the last answer, or a stream's beats are not framed as they must be.
    InvalidValue
        For a calibration out of range, or a programming of another specification; ArrayError for an answer of an
        Array that does not fit.
    """
    spec = network.spec
    programming = network.weights if programming is None else programming
    calibration = calibration_port(spec, calibration, programming)
    clocks = len(x) * x.shape[1] * spec.clocks_per_step
    # A process of its own pays only where it has more to do than to build the simulation.
    jobs = min(jobs or os.cpu_count() or 1, len(x), max(clocks // _PORTION_CLOCKS, 1))
    if isinstance(programming, Array):
        jobs = 1  # the caller's own object: it cannot be in several processes
    progress = progress or (lambda done: None)
    # Small portions, so that no process waits long for the last one, and progress moves. Each array goes on with the
    # number of conversions that those before it have done.
    parts = np.array_split(np.arange(len(x)), min(len(x), 4 * jobs))
    portions = [(x[part], 2 * x.shape[1] * int(part[0])) for part in parts]
    if jobs == 1:
        parts = []
        for portion in portions:
            parts.append(_simulate(network, programming, calibration, *portion))
            progress(sum(len(part.answers) for part in parts))
        return Observed.join(parts)
    # Plain arrays and dicts travel; the worker builds its own objects.
    arrays = (spec.to_dict(), network.weights, network.head_weights, network.head_biases, network.projection_weights)
    content = programming
    if not isinstance(programming, np.ndarray):
        names = [field.name for field in fields(programming) if field.name != "spec"]
        content = type(programming), {name: getattr(programming, name) for name in names}
    parts, running = {}, {}
    # A fresh interpreter: nothing of the caller's threads or open files comes along.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_die_quietly) as pool:
        try:
            while True:
                while (k := len(parts) + len(running)) < len(portions) and len(running) < jobs:
                    future = pool.submit(_simulate_plain, arrays, content, calibration, *portions[k])
                    running[future] = k
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    parts[running.pop(future)] = future.result()
                progress(sum(len(part.answers) for part in parts.values()))
        except BaseException:
            for child in multiprocessing.active_children():
                child.terminate()
            raise
    return Observed.join([parts[k] for k in sorted(parts)])


def _die_quietly():
    # On Ctrl-C the caller says what is to be said.
    handle_signal(SIGINT, SIG_DFL)


def _simulate_plain(arrays: tuple, content, calibration: int, x: np.ndarray, first: int) -> Observed:
    spec = Specification.from_dict(arrays[0])
    if isinstance(content, tuple):
        kind, values = content
        content = kind(spec, **values)
    return _simulate(Network(spec, *arrays[1:]), content, calibration, x, first)


def _simulate(network: Network, programming, calibration: int, x: np.ndarray, first: int) -> Observed:
    """One simulation in this process; ``first``: the number of its first conversion."""
    spec = network.spec
    bench = Bench(network, programming, calibration, first)
    code_bits = (1 << spec.input_bits) - 1
    payloads = (x & code_bits).reshape(len(x), -1)
    payloads[:, -1] |= code_bits + 1  # `last`, with the utterance's last code
    bench.payloads += payloads.ravel().tolist()
    bench.run_to(len(x) * (x.shape[1] if spec.readout == "step" else 1))
    return _observed(spec, x.shape, bench.beats, bench.ends, bench.clock)


def _observed(spec: Specification, shape: tuple, beats: dict[str, list[int]], ends: list[int], clocks: int) -> Observed:
    utterances, steps, _ = shape
    lasts = np.arange(utterances * steps) % steps == steps - 1
    found = beat_values(spec, beats, lasts)
    answers = (utterances, steps) if spec.readout == "step" else (utterances,)
    logits = {"logits": found.pop("logits").reshape(*answers, -1), "answers": found.pop("answers").reshape(answers)}
    parts = {name: values.reshape(utterances, steps, -1) for name, values in found.items()} | logits
    clock_of = np.array(ends).reshape(utterances, steps)
    return Observed(**parts, clocks=clocks, step_clocks=np.diff(clock_of, axis=1).ravel())
