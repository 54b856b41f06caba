# SPDX-License-Identifier: Apache-2.0
"""Utterances through the generated hardware in a simulator, every value compared with the golden model's."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from crossramp.golden.analog.conversion.device import DeviceInstance
from crossramp.golden.common.errors import UserError
from crossramp.golden.network.network import Network

# Utterances whose golden trace is held at once.
_BLOCK = 256

# In the order in which a difference would arise.
_COMPARED = ("codes", "c", "state_pulses", "state_codes", "h", "logits", "answers")


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a simulation showed, against the golden model; arrays have one entry an utterance.

    Attributes
    ----------
    simulator : str
    answers, golden_answers : int64 arrays
        Class indices, each from its own computation; with the readout "step" one a step.
    ideal_answers : int64 array or None
        Of the golden model with an ideal array, where the array is a device instance.
    compared, mismatches : int64 arrays
        Values compared (codes of all banks and conversions, c, its pulse codes, h, logits, answer); those that differ.
    first : list of str or None
        Where an utterance first differs, in words; None where it does not.
    clocks_per_step : int
        Measured: the most common distance of two steps of an utterance; the specification's for utterances of one step.
    violations : tuple of str
        Rules of the analog boundary, or of the streams, that the hardware broke (Verilog simulators only).
    h : int64 array, shape (utterances, steps, units)
        Pulse codes that the hardware gave.
    logits, golden_logits : int64 arrays, shape (utterances, classes)
        Each from its own computation; with the readout "step" of shape (utterances, steps, classes).
    seconds : float
        Of the simulation, building included.
    """

    simulator: str
    answers: np.ndarray
    golden_answers: np.ndarray
    compared: np.ndarray
    mismatches: np.ndarray
    first: list[str | None]
    clocks_per_step: int
    violations: tuple[str, ...]
    h: np.ndarray
    logits: np.ndarray
    golden_logits: np.ndarray
    seconds: float
    ideal_answers: np.ndarray | None = None


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
    try:
        find_simulator("verilator" if simulator == "auto" else simulator)
    except SimulatorMissing as error:
        if simulator == "auto":
            return "amaranth"
        raise UserError(f"{error}; or take --simulator amaranth, which needs nothing") from None
    return "verilator" if simulator == "auto" else simulator


def verify(
    network: Network,
    x: np.ndarray,
    simulator: str,
    *,
    progress: Callable[[int], None] | None = None,
    device: DeviceInstance | None = None,
    calibration: int | None = None,
    checking: Callable[[int], None] | None = None,
) -> Outcome:
    """Simulate and compare.

    Parameters
    ----------
    x : int64 array, shape (utterances, steps, inputs)
        Pulse codes.
    simulator : str
        As :func:`choose` returned it.
    progress : callable or None
        Called with the number of utterances done so far, where the simulator tells.
    device : DeviceInstance or None
        The array behind the hardware, and in the golden model; None: an ideal one.
    calibration : int or None
        What its calibration port is driven with; None: its nominal cells.
    checking : callable or None
        Called with the number of utterances compared so far.
    """
    from crossramp.sim.checking.scoreboard import expected_traces
    from crossramp.sim.tools.simulators import HardwareError

    started = time.perf_counter()
    array = {} if device is None else {"programming": device, "calibration": calibration}
    observed, step_clocks, violations = _observe(network, x, simulator, progress, array)
    seconds = time.perf_counter() - started
    count = len(observed["answers"])
    if count != len(x):
        raise RuntimeError(f"the simulation gave {count} of {len(x)} utterances")
    compared, mismatches = np.zeros(count, np.int64), np.zeros(count, np.int64)
    golden_answers, golden_logits = np.zeros_like(observed["answers"]), np.zeros_like(observed["logits"])
    first: list[str | None] = [None] * count
    for begin in range(0, count, _BLOCK):
        block = slice(begin, min(begin + _BLOCK, count))
        if checking is not None:
            checking(begin)
        # The noise of an utterance depends on how many conversions came before it.
        (trace,) = expected_traces(network, x[block], device, calibration, 2 * x.shape[1] * begin)
        golden = {name: getattr(trace.steps, name, None) for name in _COMPARED}
        golden |= {"logits": trace.logits, "answers": trace.answers}
        for name, values in golden.items():
            have = observed[name][block]
            if have.shape != values.shape:
                raise HardwareError(f"the simulation gave {name} of shape {have.shape}; expected {values.shape}")
            wrong = (have != values).reshape(len(values), -1)
            compared[block] += wrong.shape[1]
            mismatches[block] += wrong.sum(axis=1)
            for k in np.flatnonzero(wrong.any(axis=1)):
                first[begin + k] = first[begin + k] or difference(name, have[k], values[k])
        golden_answers[block], golden_logits[block] = trace.answers, trace.logits
    return Outcome(
        simulator=simulator,
        answers=observed["answers"],
        golden_answers=golden_answers,
        compared=compared,
        mismatches=mismatches,
        first=first,
        clocks_per_step=int(np.bincount(step_clocks).argmax()) if len(step_clocks) else network.spec.clocks_per_step,
        violations=violations,
        h=observed["h"],
        logits=observed["logits"],
        golden_logits=golden_logits,
        seconds=seconds,
        ideal_answers=None if device is None else network.answers(x),
    )


def difference(name: str, have: np.ndarray, values: np.ndarray) -> str:
    """Where one utterance's ``have`` first differs from the golden ``values``."""
    at = np.unravel_index((have != values).argmax(), values.shape)
    return f"{name}{[int(i) for i in at] or ''} is {have[at]}, golden {values[at]}"


def _observe(network, x, simulator, progress, array: dict) -> tuple[dict[str, np.ndarray], np.ndarray, tuple[str, ...]]:
    """What the hardware showed, by name; the clocks of its steps; the rules that it broke."""
    if simulator == "amaranth":
        from crossramp.sim.amaranth.amaranth_backend import simulate_amaranth

        observed = simulate_amaranth(network, x, progress=progress, **array)
        return {name: getattr(observed, name) for name in _COMPARED}, observed.step_clocks, ()
    from crossramp.sim.bulk.bulk_simulation import simulate_bulk

    tell = None if progress is None else (lambda done, _: progress(done))
    result = simulate_bulk(network, x, simulator=simulator, progress=tell, **array)
    (trace,) = result.traces
    observed = {name: getattr(trace, name) for name in _COMPARED}
    return observed, np.diff(trace.end_clocks, axis=1).ravel(), result.violations
