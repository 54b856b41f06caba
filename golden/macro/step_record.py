# SPDX-License-Identifier: Apache-2.0
"""What a step of the hardware shows, as bits: the way from records of :mod:`.step_groups` to arrays and back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..layers.network_specification import AnySpecification
from ..spec.specification import Specification
from .step_groups import Field, Group, shown_quantities, step_groups
from .trace import Trace


@dataclass(frozen=True)
class Slot:
    """Where a field lies in a record: ``count`` numbers of ``bits`` bits each, the first in the lowest bits."""

    name: str
    bits: int
    count: int = 1
    signed: bool = False


@dataclass(frozen=True)
class Record:
    """One beat of a group as bits: its slots, the first in the lowest bits; ``beats`` of them make a step."""

    name: str
    slots: tuple[Slot, ...]
    beats: int = 1

    @property
    def bits(self) -> int:
        """Bits of a record: all slots side by side."""
        return sum(slot.bits * slot.count for slot in self.slots)

    def unpack(self, words: np.ndarray) -> dict[str, np.ndarray]:
        """Records as arrays.

        Parameters
        ----------
        words : uint32 array, shape (records, ceil(bits / 32))
            The lowest bits first.

        Returns
        -------
        dict of int64 arrays
            By field, shape (records, count).
        """
        values = {slot.name: np.empty((len(words), slot.count), np.int64) for slot in self.slots}
        # Each number is cut from two neighboring words, so that nothing is ever spread into single bits.
        wide = np.concatenate([words, np.zeros((len(words), 1), np.uint32)], axis=1).astype(np.int64)
        offset = 0
        for slot in self.slots:
            for k in range(slot.count):
                word, shift = divmod(offset, 32)
                number = (wide[:, word] | wide[:, word + 1] << 32) >> shift & ((1 << slot.bits) - 1)
                if slot.signed:
                    number -= (number >> (slot.bits - 1)) << slot.bits
                values[slot.name][:, k] = number
                offset += slot.bits
        return values

    def unpack_integers(self, records: Sequence[int]) -> dict[str, np.ndarray]:
        """:meth:`unpack` of records that are Python integers."""
        return self.unpack(as_words(records, self.bits))

    def pack(self, values: Mapping[str, np.ndarray]) -> list[int]:
        """Records of ``values``, integer arrays of shape (records, count) by field: the reverse of unpacking."""
        records = []
        columns = [np.asarray(values[slot.name], np.int64).tolist() for slot in self.slots]
        for row in zip(*columns, strict=True):
            record, offset = 0, 0
            for slot, numbers in zip(self.slots, row, strict=True):
                for number in numbers:
                    record |= (number & ((1 << slot.bits) - 1)) << offset
                    offset += slot.bits
            records.append(record)
        return records


def as_words(records: Sequence[int], bits: int) -> np.ndarray:
    """Unsigned integers of up to ``bits`` bits as uint32, shape (records, ceil(bits / 32)), the lowest bits first."""
    words = -(-bits // 32)
    data = b"".join(int(record).to_bytes(4 * words, "little") for record in records)
    return np.frombuffer(data, "<u4").reshape(len(records), words)


def step_records(spec: AnySpecification) -> dict[str, Record]:
    """The record of each group of :func:`.step_groups.step_groups` by its name."""
    records = {}
    for group in step_groups(spec):
        part = group.of(spec)
        slots = (Slot(field.name, field.bits(part), field.count(part), field.signed) for field in group.fields)
        records[group.name] = Record(group.name, tuple(slots), group.beats(part))
    return records


def units_of(beats: np.ndarray, spec: Specification, count: int | None = None) -> np.ndarray:
    """Beats of ``lanes`` numbers as steps of ``count`` (None: units) of them; an incomplete last step is left out."""
    count = spec.units if count is None else count
    each = -(-count // spec.lanes)
    steps = len(beats) // each
    return beats[: steps * each].reshape(steps, each * spec.lanes)[:, :count]


def step_values(spec: Specification, groups: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Unpacked groups as the quantities of a trace: int64 arrays, steps first; incomplete last steps are left out.

    Parameters
    ----------
    groups : mapping
        Group to its unpacked records. Without the groups of the head there are no ``logits`` and ``answers``.

    Returns
    -------
    dict
        Name of :func:`~.step_groups.shown_quantities` to its array: ``codes`` and ``state_codes`` (steps, columns that
        the conversion latches), ``c`` (steps, units), ``state_pulses`` (steps, units for each value), ``h`` (steps,
        hidden), ``logits`` (answers, classes), ``answers`` (answers,).
    """
    parts: dict[str, list[np.ndarray]] = {}
    for group, field in _shown(spec, groups):
        beats, part = groups[group.name][field.name], group.of(spec)
        if field.per_lane:
            numbers = units_of(beats, part, field.per_step(part))
        else:
            each = group.beats(part)
            logits = field.quantity == "logits"
            numbers = beats[: len(beats) // each * each, 0].reshape(-1, *([each] if logits else []))
        parts.setdefault(field.quantity, []).append(numbers)
    complete = {name: min(map(len, banks)) for name, banks in parts.items()}
    return {
        name: np.concatenate([bank[: complete[name]] for bank in parts[name]], axis=-1)
        for name in shown_quantities(spec)
        if name in parts
    }


def framing(spec: Specification, lasts: np.ndarray) -> dict[tuple[str, str], np.ndarray]:
    """What the fields that only frame a record must show: by (group, field) int64 arrays, shape (records,).

    Parameters
    ----------
    lasts : bool array, shape (steps,)
        Which steps are their utterances' last ones.
    """
    steps = len(lasts)
    answers = steps if spec.readout == "step" else int(np.count_nonzero(lasts))
    of_h = {}
    for group in (group for group in step_groups(spec) if group.member == "h"):
        beats = group.beats(group.of(spec))
        of_h[group.name, "end"] = (np.arange(steps * beats) % beats == beats - 1).astype(np.int64)
        of_h[group.name, "last"] = np.repeat(lasts, beats).astype(np.int64)
    last_class = np.arange(answers * spec.classes) % spec.classes == spec.classes - 1
    return {
        **of_h,
        ("logits", "last"): last_class.astype(np.int64),
        ("answers", "too_long"): np.zeros(answers, np.int64),
    }


def expected_records(spec: Specification, trace: Trace) -> dict[str, dict[str, np.ndarray]]:
    """What the hardware shows of a network's trace: by group and field int64 arrays, shape (records, count).

    The lanes beyond the last unit are zero, as a bench sees them. The trace of a macro alone has no logits and answers.
    """
    batch, steps = trace.h.shape[:2]
    head = trace.answers is not None
    records: dict[str, dict[str, np.ndarray]] = {g.name: {} for g in step_groups(spec) if head or not g.answer}
    for group, field in _shown(spec, records):
        values, part = trace.quantity(field.quantity), group.of(spec)
        if field.per_lane:
            count = field.per_step(part)
            banks = slice(field.place * count, (field.place + 1) * count)
            records[group.name][field.name] = _beats(values[..., banks], part.lanes)
        else:
            records[group.name][field.name] = values.reshape(-1, 1)
    lasts = np.tile(np.arange(steps) == steps - 1, batch)
    for (group, field), values in framing(spec, lasts).items():
        if group in records:
            records[group][field] = values[:, None]
    return records


def _shown(spec: Specification, groups) -> list[tuple[Group, Field]]:
    """The fields of ``groups`` that are parts of a trace; those of one quantity in the order in which they stand."""
    found = [
        (group, field)
        for group in step_groups(spec)
        if group.name in groups
        for field in group.fields
        if field.quantity
    ]
    return sorted(found, key=lambda pair: pair[1].place)


def _beats(values: np.ndarray, lanes: int) -> np.ndarray:
    """(batch, steps, numbers) as (records, lanes), the lanes beyond the last number zero."""
    count = values.shape[-1]
    spread = np.zeros((*values.shape[:-1], -(-count // lanes) * lanes), np.int64)
    spread[..., :count] = values
    return spread.reshape(-1, lanes)
