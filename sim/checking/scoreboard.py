# SPDX-License-Identifier: Apache-2.0
"""The one comparison: traces of hardware against golden traces, exactly, and never empty."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from crossramp.golden.common.errors import CrossrampError, ExitStatus
from crossramp.golden.layers.network_specification import AnySpecification
from crossramp.golden.macro.step_groups import shown_quantities
from crossramp.golden.macro.trace import Trace

#: Mismatches that a message lists.
LISTED = 5

#: Mismatches that a scoreboard keeps.
_KEPT = 100

#: What the last axis of a quantity counts; answers have no such axis.
_AXES = {"codes": "first", "macs": "first", "state_codes": "second", "logits": "class", "answers": None}
_CONVERSION = {"first": False, "second": True}


class MismatchError(CrossrampError, AssertionError):
    """The hardware differs from the golden model, or nothing was compared; the message says where."""

    exit_status = ExitStatus.DIFFERENT


@dataclass(frozen=True)
class Mismatch:
    """One value that differs: which, where, what was expected and what came."""

    quantity: str
    utterance: int
    step: int | None
    bank: str | None
    unit: int | None
    expected: int
    got: int

    @property
    def without_step(self) -> str:
        """What differs, where the reader knows the step already."""
        return self._told([self.quantity])

    def __str__(self):
        """What differs, where the reader knows the utterance already."""
        return self._told([self.quantity] + ([] if self.step is None else [f"step {self.step}"]))

    def _told(self, where: list[str]) -> str:
        where += [] if self.bank is None else [f"bank {self.bank}"]
        where += [] if self.unit is None else [f"{'class' if self.quantity == 'logits' else 'unit'} {self.unit}"]
        return f"{', '.join(where)}: expected {self.expected}, got {self.got}"


class Scoreboard:
    """Counts comparisons by quantity and by utterance, and keeps where they failed.

    Utterances are numbered from 0 in the order in which they are compared.

    Parameters
    ----------
    spec : Specification or NetworkSpecification

    Attributes
    ----------
    compared, mismatched : dict of str to int
        Values compared and values that differ, by quantity.
    mismatches : list of Mismatch
        The first ones: by utterance and step, then in the order in which a difference arises.
    """

    def __init__(self, spec: AnySpecification):
        self.spec = spec
        self.compared: dict[str, int] = {}
        self.mismatched: dict[str, int] = {}
        self.mismatches: list[Mismatch] = []
        self._by_utterance: list[np.ndarray] = []  # (compared, mismatched, too) of each call
        self._first: list[Mismatch | None] = []

    def compare(self, expected: Trace, got: Trace, quantities: Sequence[str] | None = None) -> None:
        """Compare the traces of one or more utterances; values that differ are kept, for :meth:`check`.

        Parameters
        ----------
        expected, got : Trace
            The golden trace, and that of the hardware.
        quantities : sequence of str, or None
            Names of :meth:`~.trace.Trace.quantity`; None: all that a network of the specification shows
            (:func:`~crossramp.golden.macro.step_groups.shown_quantities`). With ``"macs"`` also what the comparators
            saw, where the array records it.

        Raises
        ------
        MismatchError
            If a trace lacks one of the quantities, shapes differ, or no quantity is named.
        """
        quantities = shown_quantities(self.spec) if quantities is None else quantities
        if not quantities:
            raise MismatchError("no quantity was named: nothing would be compared")
        pairs = {name: self._checked(name, expected.quantity(name), got.quantity(name)) for name in quantities}
        lengths = {name: len(want) for name, (want, _) in pairs.items()}
        if len(set(lengths.values())) > 1:
            raise MismatchError(f"the quantities are of different numbers of utterances: {lengths}")
        utterances, begin = next(iter(lengths.values())), len(self._first)
        counts, found = np.zeros((2, utterances), np.int64), []
        for name, (want, have) in pairs.items():
            wrong = want != have
            by_utterance = wrong.sum(axis=tuple(range(1, wrong.ndim)))
            counts += np.stack([np.full(utterances, math.prod(want.shape[1:])), by_utterance])
            self.compared[name] = self.compared.get(name, 0) + want.size
            self.mismatched[name] = self.mismatched.get(name, 0) + int(by_utterance.sum())
            for at in np.flatnonzero(by_utterance):
                places = np.argwhere(wrong[at])[: LISTED if len(self.mismatches) < _KEPT else 1]
                found += [self._mismatch(name, want, have, (int(at), *map(int, place)), begin) for place in places]
        self._by_utterance.append(counts)
        order = {name: place for place, name in enumerate(quantities)}
        # Logits and answers of a whole utterance come behind its last step.
        found.sort(key=lambda one: (one.utterance, np.inf if one.step is None else one.step, order[one.quantity]))
        self.mismatches = (self.mismatches + found)[:_KEPT]
        first = {one.utterance: one for one in reversed(found)}
        self._first += [first.get(begin + k) for k in range(utterances)]

    @staticmethod
    def _checked(name: str, expected, got) -> tuple[np.ndarray, np.ndarray]:
        if got is None:
            hint = "; an array behind the boundary gives MACs only if it has finish()" if name == "macs" else ""
            raise MismatchError(f"{name}: nothing was observed{hint}")
        if expected is None:
            raise MismatchError(f"{name}: the golden trace has no such value to compare with")
        expected, got = np.asarray(expected), np.asarray(got)
        if expected.shape != got.shape or not expected.ndim:
            raise MismatchError(f"{name}: expected the shape {expected.shape}, got {got.shape}")
        return expected, got

    def _mismatch(self, quantity, expected, got, index, begin) -> Mismatch:
        values = expected[index].item(), got[index].item()
        macro, _, field = quantity.rpartition(" ")
        spec = self.spec.macros[macro] if macro else self.spec
        axis, inner, unit, bank = _AXES.get(field, "unit"), index[1:], None, None
        if axis is not None:
            inner, unit = inner[:-1], inner[-1]
        if axis in _CONVERSION:
            column = spec.converted(_CONVERSION[axis]).start + unit
            unit = spec.unit_of_column(column)
            if len(spec.conversions[_CONVERSION[axis]]) > 1:  # a single bank goes without saying
                bank = spec.bank_of_column(column)
        step = inner[0] if inner else None
        return Mismatch(quantity, begin + index[0], step, bank, unit, *values)

    @property
    def total(self) -> int:
        """Values compared."""
        return sum(self.compared.values())

    @property
    def wrong(self) -> int:
        """Values that differ."""
        return sum(self.mismatched.values())

    @property
    def compared_by_utterance(self) -> np.ndarray:
        """Values compared; int64, shape (utterances,)."""
        return self._counts(0)

    @property
    def mismatched_by_utterance(self) -> np.ndarray:
        """Values that differ; int64, shape (utterances,)."""
        return self._counts(1)

    def _counts(self, row: int) -> np.ndarray:
        return np.concatenate([np.zeros(0, np.int64), *(counts[row] for counts in self._by_utterance)])

    @property
    def first_by_utterance(self) -> list[Mismatch | None]:
        """Where each utterance first differs; None where it does not."""
        return list(self._first)

    def check(self) -> None:
        """MismatchError unless some values of every quantity named were compared, and all were equal."""
        for quantity, count in self.compared.items():
            if not count:
                raise MismatchError(f"no {quantity} was compared: the scoreboard saw no transaction")
        if not self.total:
            raise MismatchError("nothing was compared: the scoreboard saw no transaction")
        if self.wrong:
            raise MismatchError(self.report())

    def report(self) -> str:
        """Counts, and the first mismatches."""
        lines = [f"{self.wrong} of {self.total} values differ from the golden model"]
        lines += [f"  utterance {one.utterance}, {one}" for one in self.mismatches[:LISTED]]
        return "\n".join(lines)


def compare_traces(
    spec: AnySpecification,
    expected: Sequence[Trace],
    got: Sequence[Trace],
    quantities: Sequence[str] | None = None,
) -> Scoreboard:
    """Several batches: ``got``, as a simulator has them, against golden, see :func:`.golden_traces.expected_traces`.

    Returns
    -------
    Scoreboard
        Not checked yet: call its ``check()``, or read its counts.

    Raises
    ------
    MismatchError
        For different numbers of traces, or what :meth:`Scoreboard.compare` refuses.
    """
    if len(expected) != len(got):
        raise MismatchError(f"expected traces of {len(expected)} batches, got {len(got)}")
    board = Scoreboard(spec)
    for one, other in zip(expected, got, strict=True):
        board.compare(one, other, quantities)
    return board
