# SPDX-License-Identifier: Apache-2.0
"""An utterance through any cell, its projection and the head."""

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from .exact_numbers import Columns, Numbers, rounded, saturated
from .gru_references import gru, gru_reset_after
from .lstm_references import lstm, lstm_coupled, lstm_peephole
from .partial_sums import SplitColumns
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
    steps = macro_steps(spec, weights, utterance, projection, lines, start)
    return (*answered(spec, [step["h"] for step in steps], head_weights, head_biases), steps)


def macro_steps(spec: dict, weights, utterance, projection=None, lines=None, start=None) -> list[dict]:
    """The steps of one utterance through a macro, each a dict of lists.

    A projection in an array has weights of levels, and a dict of its own in each step. With rows in several arrays,
    ``weights`` is a dict of those of each array, and each other array has a dict of its own in each step.
    """
    reference, n = REFERENCES[spec["cell"]], Numbers(spec)
    hidden = spec.get("projection") or n.units
    sizes = {"x": spec["inputs"], "h": hidden, "k": n.units, "bias": spec["bias_rows"]}
    groups = {group: sizes[group] for group in reference.groups}
    split = spec.get("partial_rows") and isinstance(weights, dict)
    array = SplitColumns(spec, weights, reference.banks, groups) if split else Columns(weights, reference.banks, groups)
    c, h = ([0] * n.units, [0] * hidden) if start is None else start
    steps = []
    for x in utterance:
        step = reference.step(n, array, lines, x, h, c)
        c, h = step.get("c"), step["h"]
        if split:
            step["sums"], array.taken = array.taken, {}
        if spec.get("projection_in") == "array":
            (step["projection"],) = macro_steps(projecting(spec), projection, [h])
            h = step["projection"]["h"]
        elif spec.get("projection"):
            one = 2 ** (spec["head_weight_bits"] - 1)
            sums = [sum(w * code for w, code in zip(row, step["h"], strict=True)) for row in projection]
            step["h"] = h = [saturated(rounded(Fraction(total, one)), n.row_full) for total in sums]
        steps.append(step)
    return steps


def projecting(spec: dict) -> dict:
    """What the macro computes that projects in an array: a dense layer of all codes, without a bias."""
    gate = {"activation": "identity", "weight_range": spec.get("projection_range", 1.0)}
    return {
        "cell": "dense",
        "inputs": spec["units"],
        "units": spec["projection"],
        "bias_rows": 0,
        "adc_bits": spec.get("projection_bits", spec["adc_bits"]),
        "input_bits": spec["input_bits"],
        "weight_bits": spec["weight_bits"],
        "gates": {"a": gate},
    }


def answered(spec: dict, seen, head_weights, head_biases):
    """(answer, logits) of the codes that a head sees, a list for each step."""
    if spec["readout"] == "step":
        logits = [head(codes, 1, head_weights, head_biases) for codes in seen]
        return [row.index(max(row)) for row in logits], logits
    mean = spec["readout"] == "mean"
    sums = [sum(codes) for codes in zip(*seen, strict=True)] if mean else seen[-1]
    logits = head(sums, len(seen) if mean else 1, head_weights, head_biases)
    return logits.index(max(logits)), logits


def layered(spec: dict, arrays: dict, utterance, starts=None):
    """One utterance through a network of several layers: (answer, logits, steps of each macro by its name).

    The steps of a backward macro stand in the order in which it takes them.

    Parameters
    ----------
    spec : dict
        Of ``to_dict``.
    arrays : dict of str to lists of int
        Of a model file, by their names there.
    starts : dict of str to (c, h), lists of int, or None
        What the utterance starts from, by the names of macros that do not start as the arrays say.
    """
    macros, seen, starts = {}, utterance, starts or {}
    for number, table in enumerate(spec["layers"]):
        macro = {"classes": 0, "readout": "mean", **table}
        ways = {f"layer{number}": seen}
        if table.get("bidirectional"):
            ways = {f"layer{number}_forward": seen, f"layer{number}_backward": list(reversed(seen))}
        made = []
        for name, codes in ways.items():
            extra = [arrays.get(f"{name}.{kind}_weights") for kind in ("projection", "line")]
            behind = f"{name}_projection"
            extra[0] = arrays.get(f"{behind}.weights", extra[0])
            zeros = {"c": [0] * macro["units"], "h": [0] * (macro.get("projection") or macro["units"])}
            start = [arrays.get(f"{name}.initial_register", zeros["c"]), arrays.get(f"{name}.initial_h", zeros["h"])]
            start = starts.get(name, start)
            weights = arrays[f"{name}.weights"]
            parts = {key.removeprefix(f"{name}_").removesuffix(".weights"): rows for key, rows in arrays.items()}
            parts = {part: rows for part, rows in parts.items() if part.startswith("partial")}
            weights = {"": weights, **parts} if parts else weights
            steps = last_made = macros[name] = macro_steps(macro, weights, codes, *extra, start)
            sums = [step.pop("sums", {}) for step in steps]
            macros |= {f"{name}_{part}": [step[part] for step in sums] for part in parts}
            if macro.get("projection_in") == "array":
                last_made = macros[behind] = [step.pop("projection") for step in steps]
            h = [step["h"] for step in last_made]
            last = number == len(spec["layers"]) - 1
            in_time = not name.endswith("_backward") or (last and spec["readout"] != "step")
            made.append(h if in_time else list(reversed(h)))
        seen = [[code for part in codes for code in part] for codes in zip(*made, strict=True)]
    if spec.get("head") == "array":  # each class is one code of the last layer
        ones = [[int(row == column) for column in range(spec["classes"])] for row in range(spec["classes"])]
        return (*answered(spec, seen, ones, [0] * spec["classes"]), macros)
    return (*answered(spec, seen, arrays["head_weights"], arrays["head_biases"]), macros)


def head(sums, count, weights, biases):
    """Logits of what the head sees, over ``count`` steps."""
    return [
        sum(w * s for w, s in zip(row, sums, strict=True)) + bias * count
        for row, bias in zip(weights, biases, strict=True)
    ]
