# SPDX-License-Identifier: Apache-2.0
"""What a simulated network showed of some steps: every record there and framed as it should be, then as arrays."""

from collections.abc import Mapping, Sequence

import numpy as np
from crossramp.golden.macro.step_groups import step_groups
from crossramp.golden.macro.step_record import framing, step_values
from crossramp.golden.macro.trace import Trace
from crossramp.golden.spec.specification import Specification

from ..tools.simulators import HardwareError


def shown_traces(
    spec: Specification,
    logs: Mapping[str, Mapping[str, np.ndarray]],
    shapes: Sequence[tuple[int, int]],
    **others: np.ndarray,
) -> list[Trace]:
    """What was shown of batches of utterances that were played one after the other; one trace a batch.

    Parameters
    ----------
    logs : mapping
        Group to its unpacked records; a macro alone has those of the steps.
    shapes : sequence of (utterances, steps)
        Of each batch.
    others : arrays, shape (steps of all batches, ...)
        Further fields of a Trace: ``macs``, ``end_clocks``.

    Raises
    ------
    HardwareError
        As :func:`shown_values` does; or for another number of ``others`` than there were steps.
    """
    lasts = np.concatenate([np.tile(np.arange(steps) == steps - 1, count) for count, steps in shapes])
    values = shown_values(spec, logs, lasts) | others
    for name, array in others.items():
        if len(array) != len(lasts):
            raise HardwareError(f"{name}: {len(array)} of them were seen; expected {len(lasts)}, one a step")
    every_step, traces, step, answer = spec.readout == "step", [], 0, 0
    for count, steps in shapes:
        answers = count * steps if every_step else count
        parts = {
            name: array[answer : answer + answers]
            if name in ("logits", "answers")
            else array[step : step + count * steps]
            for name, array in values.items()
        }
        traces.append(Trace.of_steps(parts, count, steps, answer_each_step=every_step))
        step, answer = step + count * steps, answer + answers
    return traces


def shown_values(
    spec: Specification, logs: Mapping[str, Mapping[str, np.ndarray]], lasts: np.ndarray
) -> dict[str, np.ndarray]:
    """The quantities of a trace, as :func:`crossramp.golden.macro.step_record.step_values` has them.

    Parameters
    ----------
    logs : mapping
        Group to its unpacked records; a macro alone has those of the steps.
    lasts : bool array, shape (steps,)
        Which steps are their utterances' last ones.

    Raises
    ------
    HardwareError
        For another number of records than the steps make, or the first record that is framed otherwise.
    """
    steps = len(lasts)
    answered = steps if spec.readout == "step" else int(np.count_nonzero(lasts))
    for group in step_groups(spec):
        if group.name not in logs:
            continue
        expected = group.beats(group.of(spec)) * (answered if group.answer else steps)
        got = len(next(iter(logs[group.name].values())))
        if got != expected:
            raise HardwareError(f"{group.name}: {got} records; expected {expected}")
    _check_framing(spec, logs, lasts)
    return step_values(spec, logs)


def _check_framing(spec: Specification, logs, lasts: np.ndarray):
    """Ends and lasts where they belong, no utterance too long, zero in the lanes beyond the last unit."""
    streams = {group.name: group.port for group in step_groups(spec)}
    for (group, field), want in framing(spec, lasts).items():
        if group not in logs:
            continue
        got = logs[group][field][:, 0]
        wrong = np.flatnonzero(got != want)
        if wrong.size:
            at = wrong[0]
            raise HardwareError(f"{streams[group]}_{field} of record {at} is {got[at]}; expected {want[at]}")
    for group in (group for group in step_groups(spec) if group.member == "h" and group.name in logs):
        beyond = logs[group.name]["codes"].reshape(len(lasts), -1)[:, group.of(spec).streamed :]
        if beyond.any():
            name = f"{group.port}_codes"
            raise HardwareError(f"{name} is {beyond[beyond != 0][0]} in a lane beyond the last unit; expected 0")
