# SPDX-License-Identifier: Apache-2.0
"""An utterance through any cell, its projection and the head."""

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from .exact_numbers import Columns, Numbers, rounded, saturated
from .gru_references import gru, gru_reset_after
from .lstm_references import lstm, lstm_coupled, lstm_peephole
from .plain_references import dense, recurrent


class Reference(NamedTuple):
    """A step of a cell, the order of its banks, and that of its groups of rows."""

    step: Callable
    banks: str
    groups: tuple[str, ...] = ("x", "h", "bias")


REFERENCES = {
    "lstm": Reference(lstm, "ifgo"),
    "lstm_peephole": Reference(lstm_peephole, "ifgo"),
    "lstm_coupled": Reference(lstm_coupled, "igo"),
    "gru": Reference(gru, "rzn", ("x", "h", "k", "bias")),
    "gru_reset_after": Reference(gru_reset_after, "rzmn"),
    "rnn_tanh": Reference(recurrent, "a"),
    "rnn_relu": Reference(recurrent, "a"),
    "dense": Reference(dense, "a", ("x", "bias")),
}


def run(spec: dict, weights, head_weights, head_biases, utterance, projection=None, lines=None, start=None):
    """One utterance: a list of steps of codes. Returns (answer, logits, steps), each step a dict of lists.

    With the readout "step", answer and logits are lists with an entry a step.

    Parameters
    ----------
    spec : dict
        Of ``to_dict``.
    weights, head_weights, head_biases, projection, lines : lists of int
        The arrays of a model file.
    start : (c, h), lists of int, or None
        What the utterance starts from; None: zeros.
    """
    reference, n = REFERENCES[spec["cell"]], Numbers(spec)
    hidden = spec.get("projection") or n.units
    sizes = {"x": spec["inputs"], "h": hidden, "k": n.units, "bias": spec["bias_rows"]}
    array = Columns(weights, reference.banks, {group: sizes[group] for group in reference.groups})
    c, h = ([0] * n.units, [0] * hidden) if start is None else start
    steps = []
    for x in utterance:
        step = reference.step(n, array, lines, x, h, c)
        if spec.get("projection"):
            one = 2 ** (spec["head_weight_bits"] - 1)
            sums = [sum(w * code for w, code in zip(row, step["h"], strict=True)) for row in projection]
            step["h"] = [saturated(rounded(Fraction(total, one)), n.row_full) for total in sums]
        c, h = step.get("c"), step["h"]
        steps.append(step)

    if spec["readout"] == "step":
        logits = [head(step["h"], 1, head_weights, head_biases) for step in steps]
        return [row.index(max(row)) for row in logits], logits, steps
    mean = spec["readout"] == "mean"
    sums = [sum(codes) for codes in zip(*(step["h"] for step in steps), strict=True)] if mean else h
    logits = head(sums, len(steps) if mean else 1, head_weights, head_biases)
    return logits.index(max(logits)), logits, steps


def head(sums, count, weights, biases):
    """Logits of what the head sees, over ``count`` steps."""
    return [
        sum(w * s for w, s in zip(row, sums, strict=True)) + bias * count
        for row, bias in zip(weights, biases, strict=True)
    ]
