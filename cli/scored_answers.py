# SPDX-License-Identifier: Apache-2.0
"""Answers of hardware beside those of the golden model: rows of a report, and how many are right."""

from collections.abc import Sequence

import numpy as np
from crossramp.golden.network.model_file import Model

from .inputs.network_inputs import Utterances
from .output.tables import percent

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
            "label": None if label is None or every_step else names[label],
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


def accuracies(
    utterances: Utterances,
    answers: Sequence[int],
    golden_answers: Sequence[int],
    ideal_answers: Sequence[int] | None = None,
) -> dict:
    """How many answers are right, of each side; the accuracies are None where no label is known.

    None is known of answers with a steps axis, shape (utterances, steps).
    """
    known = np.array([label is not None for label in utterances.labels])
    labels = np.array([-1 if label is None else label for label in utterances.labels])
    if np.ndim(answers) > 1:
        known[:], labels = False, labels[:, None]
    labeled = int(known.sum())
    sides = {"": answers, "golden_": golden_answers}
    sides |= {} if ideal_answers is None else {"ideal_": ideal_answers}
    correct = {side: int((np.asarray(given) == labels)[known].sum()) for side, given in sides.items()}
    return (
        {"labeled": labeled}
        | {f"{side}correct": count for side, count in correct.items()}
        | {f"{side}accuracy": count / labeled if labeled else None for side, count in correct.items()}
    )


def cells(row: dict) -> tuple[str, ...]:
    """The first cells of a row in a table: name, label, answer, golden answer, ideal one if any, right or wrong.

    Of an answer a step, the first few, and how many there are.
    """
    right = "" if row["label"] is None else "right" if row["answer"] == row["label"] else "wrong"
    answers = [row[name] for name in ("answer", "golden_answer", "ideal_answer") if name in row]
    return row["name"], row["label"] or "-", *map(_shown, answers), right


def equal(row: dict) -> str:
    """The last cell: whether everything compared is equal, by ``mismatches`` and ``first_mismatch``."""
    return "equal" if row["mismatches"] == 0 else f"{row['mismatches']} differ: {row['first_mismatch']}"


def facts(content: dict) -> list[tuple[str, str]]:
    """The accuracies as lines of a summary."""
    labeled = content["labeled"]
    lines = [
        ("accuracy", f"hardware {percent(content['correct'], labeled)}"),
        ("", f"golden model {percent(content['golden_correct'], labeled)}"),
    ]
    if "ideal_correct" in content:
        lines.append(("", f"golden model, ideal array {percent(content['ideal_correct'], labeled)}"))
    return lines


def _class(names: tuple[str, ...], index) -> str | list[str]:
    """The class, or the number where hardware answered with one that does not exist; a list of them of an array."""
    if np.ndim(index):
        return [_class(names, one) for one in index]
    return names[index] if 0 <= index < len(names) else str(int(index))


def _shown(answer: str | list[str]) -> str:
    """A cell of a table."""
    if isinstance(answer, str):
        return answer
    more = f" ... ({len(answer)})" if len(answer) > _SHOWN else ""
    return " ".join(answer[:_SHOWN]) + more
