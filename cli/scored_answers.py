# SPDX-License-Identifier: Apache-2.0
"""Answers of hardware beside those of the golden model: rows of a report, and how many are right.

Where a model's outputs are numbers, they take the place of answers: float arrays, shape (utterances, outputs).
"""

from collections.abc import Sequence

import numpy as np
from crossramp.golden.network.model_file import Model
from crossramp.sim.montecarlo.scores import NumberScore

from .inputs.network_inputs import Utterances
from .output.tables import error_text, percent

# Answers of one utterance that a table shows, where every step has one.
_SHOWN = 6


def rows(
    model: Model,
    utterances: Utterances,
    answers: Sequence[int],
    golden_answers: Sequence[int],
    ideal_answers: Sequence[int] | None = None,
) -> list[dict]:
    """A row an utterance, with ``name``, ``label`` (or None), ``answer`` and ``golden_answer`` in words.

    With ``ideal_answers``, those of the golden model with an ideal array, also ``ideal_answer``. With the readout
    ``"step"`` an answer is the list of the steps' classes, and a label, which is an utterance's, does not apply.
    """
    names = model.class_names
    every_step = model.spec.readout == "step"
    found = [
        {
            "name": name,
            "label": None if label is None or every_step else _said(names, label),
            "answer": _class(names, answer),
            "golden_answer": _class(names, golden),
        }
        for name, label, answer, golden in zip(
            utterances.names, utterances.labels, answers, golden_answers, strict=True
        )
    ]
    if ideal_answers is not None:
        for row, ideal in zip(found, ideal_answers, strict=True):
            row["ideal_answer"] = _class(names, ideal)
    return found


def _said(names: tuple[str, ...], label) -> str | list[float]:
    """A label as JSON has it: the name of a class, or numbers."""
    return names[label] if np.ndim(label) == 0 else np.asarray(label).tolist()


def accuracies(
    utterances: Utterances,
    answers: Sequence[int],
    golden_answers: Sequence[int],
    ideal_answers: Sequence[int] | None = None,
) -> dict:
    """How many answers are right, of each side; the accuracies are None where no label is known.

    None is known of answers with a steps axis, shape (utterances, steps). Of outputs that are numbers it is the root of
    the mean squared error, R², and a 95 % interval of that.
    """
    sides = {"": answers, "golden_": golden_answers}
    sides |= {} if ideal_answers is None else {"ideal_": ideal_answers}
    if np.asarray(answers).dtype.kind == "f":
        return _errors(utterances, sides)
    known = np.array([label is not None for label in utterances.labels])
    labels = np.array([-1 if label is None else label for label in utterances.labels])
    if np.ndim(answers) > 1:
        known[:], labels = False, labels[:, None]
    labeled = int(known.sum())
    correct = {side: int((np.asarray(given) == labels)[known].sum()) for side, given in sides.items()}
    return (
        {"labeled": labeled}
        | {f"{side}correct": count for side, count in correct.items()}
        | {f"{side}accuracy": count / labeled if labeled else None for side, count in correct.items()}
    )


def _errors(utterances: Utterances, sides: dict[str, np.ndarray]) -> dict:
    """What :func:`accuracies` gives of numbers."""
    known = [k for k, label in enumerate(utterances.labels) if label is not None]
    if np.ndim(sides[""]) > 2:  # an utterance has one label, and outputs after every step
        known = []
    found: dict = {"labeled": len(known)}
    for side, outputs in sides.items():
        score = None
        if known:
            score = NumberScore(np.asarray(outputs)[known], np.array([utterances.labels[k] for k in known], float))
        found[f"{side}rmse"] = score and score.rmse
        found[f"{side}r2"] = score and score.r2
        found[f"{side}r2_interval"] = score and score.interval and list(score.interval)
    return found


def cells(row: dict) -> tuple[str, ...]:
    """The first cells of a row in a table: name, label, answer, golden answer, ideal one if any, right or wrong.

    Of an answer a step, the first few, and how many there are.
    """
    answers = [row[name] for name in ("answer", "golden_answer", "ideal_answer") if name in row]
    label = row["label"]
    if label is None:
        right = ""
    elif isinstance(label, str):
        right = "right" if row["answer"] == label else "wrong"
    else:
        right = f"error {np.sqrt(np.square(np.subtract(row['answer'], label)).mean()):.3g}"
    return row["name"], "-" if label is None else _shown(label), *map(_shown, answers), right


def equal(row: dict) -> str:
    """The last cell: whether everything compared is equal, by ``mismatches`` and ``first_mismatch``."""
    return "equal" if row["mismatches"] == 0 else f"{row['mismatches']} differ: {row['first_mismatch']}"


def facts(content: dict) -> list[tuple[str, str]]:
    """The accuracies, or the errors of numbers, as lines of a summary."""
    labeled = content["labeled"]
    if "rmse" in content:
        return _number_facts(content)
    lines = [
        ("accuracy", f"hardware {percent(content['correct'], labeled)}"),
        ("", f"golden model {percent(content['golden_correct'], labeled)}"),
    ]
    if "ideal_correct" in content:
        lines.append(("", f"golden model, ideal array {percent(content['ideal_correct'], labeled)}"))
    return lines


def _number_facts(content: dict) -> list[tuple[str, str]]:
    lines = []
    for side, name in (("", "hardware"), ("golden_", "golden model"), ("ideal_", "golden model, ideal array")):
        if f"{side}rmse" in content:
            lines.append(("" if lines else "error", f"{name} {error_text(content, side)}"))
    return lines


def _class(names: tuple[str, ...], index) -> str | float | list:
    """The class, or the number where hardware answered with one that does not exist; a list of them of an array.

    A real number is itself.
    """
    if isinstance(index, float):
        return float(index)
    if np.ndim(index):
        return [_class(names, one) for one in index]
    return names[index] if 0 <= index < len(names) else str(int(index))


def _shown(answer: str | float | list) -> str:
    """A cell of a table."""
    if isinstance(answer, str):
        return answer
    if isinstance(answer, float):
        return f"{answer:.4g}"
    answer = [_shown(one) for one in answer]
    more = f" ... ({len(answer)})" if len(answer) > _SHOWN else ""
    return " ".join(answer[:_SHOWN]) + more
