# SPDX-License-Identifier: Apache-2.0
"""Answers of hardware beside those of the golden model: rows of a report, and how many are right."""

from collections.abc import Sequence

import numpy as np
from crossramp.golden.modelfile import Model
from crossramp.inputs import Utterances
from crossramp.tables import percent


def rows(model: Model, utterances: Utterances, answers: Sequence[int], golden_answers: Sequence[int]) -> list[dict]:
    """A row an utterance, with ``name``, ``label`` (or None), ``answer`` and ``golden_answer`` in words."""
    names = model.class_names
    return [
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


def accuracies(utterances: Utterances, answers: Sequence[int], golden_answers: Sequence[int]) -> dict:
    """How many answers are right, of each side; the accuracies are None where no label is known."""
    known = np.array([label is not None for label in utterances.labels])
    labels = np.array([-1 if label is None else label for label in utterances.labels])
    labeled = int(known.sum())
    correct, golden_correct = (int((np.asarray(a) == labels)[known].sum()) for a in (answers, golden_answers))
    return {
        "labeled": labeled,
        "correct": correct,
        "golden_correct": golden_correct,
        "accuracy": correct / labeled if labeled else None,
        "golden_accuracy": golden_correct / labeled if labeled else None,
    }


def cells(row: dict) -> tuple[str, ...]:
    """The first cells of a row in a table: name, label, answer, golden answer, right or wrong."""
    right = "" if row["label"] is None else "right" if row["answer"] == row["label"] else "wrong"
    return row["name"], row["label"] or "-", row["answer"], row["golden_answer"], right


def equal(row: dict) -> str:
    """The last cell: whether everything compared is equal, by ``mismatches`` and ``first_mismatch``."""
    return "equal" if row["mismatches"] == 0 else f"{row['mismatches']} differ: {row['first_mismatch']}"


def facts(content: dict) -> list[tuple[str, str]]:
    """The accuracies as lines of a summary."""
    labeled = content["labeled"]
    return [
        ("accuracy", f"hardware {percent(content['correct'], labeled)}"),
        ("", f"golden model {percent(content['golden_correct'], labeled)}"),
    ]


def _class(names: tuple[str, ...], index: int) -> str:
    """The class, or the number where hardware answered with one that does not exist."""
    return names[index] if 0 <= index < len(names) else str(int(index))
