# SPDX-License-Identifier: Apache-2.0
"""What a simulated network showed of some steps: every record there and framed as it should be, then as arrays."""

from collections.abc import Mapping

import numpy as np
from crossramp.golden.network.step_record import GROUPS, step_values
from crossramp.golden.spec.specification import Specification

from ..tools.simulators import HardwareError


def shown_values(
    spec: Specification, logs: Mapping[str, Mapping[str, np.ndarray]], lasts: np.ndarray
) -> dict[str, np.ndarray]:
    """The quantities of a trace, as :func:`crossramp.golden.network.step_record.step_values` has them.

    Parameters
    ----------
    logs : mapping
        Group to its unpacked records, those of all groups.
    lasts : bool array, shape (steps,)
        Which steps are their utterances' last ones.

    Raises
    ------
    HardwareError
        For another number of records than the steps make, or the first record that is framed otherwise.
    """
    steps = len(lasts)
    answered = steps if spec.readout == "step" else int(np.count_nonzero(lasts))
    for group in GROUPS:
        expected = group.beats(spec) * (answered if group.answer else steps)
        got = len(next(iter(logs[group.name].values())))
        if got != expected:
            raise HardwareError(f"{group.name}: {got} records; expected {expected}")
    _check_framing(spec, logs, lasts)
    return step_values(spec, logs)


def _check_framing(spec: Specification, logs, lasts: np.ndarray):
    """Ends and lasts where they belong, no utterance too long, zero in the lanes beyond the last unit."""
    beat = np.arange(len(lasts) * spec.h_beats) % spec.h_beats
    last_class = np.arange(len(logs["logits"]["last"])) % spec.classes == spec.classes - 1
    for name, got, want in (
        ("h_end", logs["h"]["end"][:, 0], beat == spec.h_beats - 1),
        ("h_last", logs["h"]["last"][:, 0], np.repeat(lasts, spec.h_beats)),
        ("logit_last", logs["logits"]["last"][:, 0], last_class),
        ("answer_too_long", logs["answers"]["too_long"][:, 0], np.zeros(len(logs["answers"]["index"]), int)),
    ):
        wrong = np.flatnonzero(got != want)
        if wrong.size:
            at = wrong[0]
            raise HardwareError(f"{name} of record {at} is {got[at]}; expected {int(want[at])}")
    beyond = logs["h"]["codes"].reshape(len(lasts), -1)[:, spec.hidden :]
    if beyond.any():
        raise HardwareError(f"h_codes is {beyond[beyond != 0][0]} in a lane beyond the last unit; expected 0")
