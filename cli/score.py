# SPDX-License-Identifier: Apache-2.0
"""Answers of hardware beside those of the golden model: rows of a report, and how many are right."""

from collections.abc import Sequence

import numpy as np
from crossramp.golden.modelfile import Model
from crossramp.inputs import Utterances
from crossramp.tables import percent


def rows(
    model: Model,
    utterances: Utterances,
    answers: Sequence[int],
    golden_answers: Sequence[int],
    ideal_answers: Sequence[int] | None = None,
) -> list[dict]:
    """A row an utterance, with ``name``, ``label`` (or None), ``answer`` and ``golden_answer`` in words.

    With ``ideal_answers``, those of the golden model with an ideal array, also ``ideal_answer``.
    """
    names = model.class_names
    found = [
        {
            "name": name,
            "label": None if label is None else names[label],
            "answer": _class(names, answer),
            "golden_answer": names[golden],
        }
        for name, label, answer, golden in zip(
            utterances.names, utterances.labels, answers, golden_answers, strict=True
        )
    ]
    if ideal_answers is not None:
        for row, ideal in zip(found, ideal_answers, strict=True):
            row["ideal_answer"] = names[ideal]
    return found


def accuracies(
    utterances: Utterances,
    answers: Sequence[int],
    golden_answers: Sequence[int],
    ideal_answers: Sequence[int] | None = None,
) -> dict:
    """How many answers are right, of each side; the accuracies are None where no label is known."""
    known = np.array([label is not None for label in utterances.labels])
    labels = np.array([-1 if label is None else label for label in utterances.labels])
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
    """The first cells of a row in a table: name, label, answer, golden answer, ideal one if any, right or wrong."""
    right = "" if row["label"] is None else "right" if row["answer"] == row["label"] else "wrong"
    ideal = (row["ideal_answer"],) if "ideal_answer" in row else ()
    return row["name"], row["label"] or "-", row["answer"], row["golden_answer"], *ideal, right


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


def _class(names: tuple[str, ...], index: int) -> str:
    """The class, or the number where hardware answered with one that does not exist."""
    return names[index] if 0 <= index < len(names) else str(int(index))
