# SPDX-License-Identifier: Apache-2.0
"""What a step of the hardware shows: one table of groups and fields, and the way from bits to arrays and back.

The monitor signature, the meanings and widths of ports, the logs of the free-running bench, the vectors of the
self-checking testbench, the groups of wave files, and every bench's unpacking follow from :data:`GROUPS`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..spec.cells import Cell
from ..spec.lstm_cell import LSTM
from ..spec.specification import Specification
from .trace import QUANTITIES, Trace


def _one(spec: Specification) -> int:
    return 1


def _units(spec: Specification) -> int:
    return spec.units


@dataclass(frozen=True)
class Field:
    """Numbers of one kind in a beat.

    Attributes
    ----------
    name : str
    bits : callable
        From a Specification to the bits of one number.
    meaning : str
        One line for port tables.
    quantity : str or None
        The field of a :class:`~.trace.Trace` that it is a part of; None for what only frames a record.
    per_step : callable or None
        From a Specification to how many of them a step has: each beat carries ``lanes`` of them, the lowest unit in the
        lowest bits. None: a beat carries one.
    signed : bool
    """

    name: str
    bits: Callable[[Specification], int]
    meaning: str
    quantity: str | None = None
    per_step: Callable[[Specification], int] | None = _units
    signed: bool = False

    @property
    def per_lane(self) -> bool:
        """Whether a beat carries ``lanes`` of them."""
        return self.per_step is not None

    def count(self, spec: Specification) -> int:
        """Numbers in a beat."""
        return spec.lanes if self.per_lane else 1


@dataclass(frozen=True)
class Group:
    """Fields that appear together on one clock, a beat.

    Attributes
    ----------
    name : str
        Of its log, and of its vectors.
    port : str
        What the names of its ports begin with: ``"monitor"``, or the name of a stream.
    meaning : str
        Of the strobe.
    fields : tuple of Field
        The first in the lowest bits of a record.
    beats : callable
        From a Specification to the beats of a step; of logits and answers: of one answer.
    waves : str
        The group of a wave viewer that shows it.
    answer : bool
        Whether it comes with an answer, from the head, and not with each step.
    """

    name: str
    port: str
    meaning: str
    fields: tuple[Field, ...]
    beats: Callable[[Specification], int]
    waves: str
    answer: bool = False

    @property
    def monitored(self) -> bool:
        """Whether it is on the monitor ports; otherwise it is a stream."""
        return self.port == "monitor"

    @property
    def strobe(self) -> str:
        """The port that is high with a beat. A stream's beat is taken once its ``ready`` is high too."""
        return f"monitor_{self.name}" if self.monitored else f"{self.port}_valid"

    def port_of(self, field: Field) -> str:
        """The name of a field's port."""
        return f"{self.port}_{field.name}"


def _codes_read(cell: Cell, update: int) -> tuple[Field, ...]:
    """The codes that an update of a cell reads."""
    fields = []
    for code in cell.updates[update]:
        gate = cell.gate_of(code)
        first = code in cell.conversions[0].values()
        meaning = f"codes of bank {gate}" if first else f"codes of the second conversion, {gate}(c)"
        fields.append(Field(code, lambda s: s.adc_bits, meaning, "codes" if first else "state_codes"))
    return tuple(fields)


def _beat_of(names: Sequence[str]) -> str:
    """What the strobe of monitor ports means: "a beat of monitor_i, _f and _g is there"."""
    *others, last = names
    return f"a beat of monitor_{', _'.join(others)} and _{last} is there"


def answer_bits(spec: Specification) -> int:
    """Width of the answer's class index."""
    return max((spec.classes - 1).bit_length(), 1)


GROUPS = (
    Group(
        "gates",
        "monitor",
        _beat_of(LSTM.updates[0]),
        _codes_read(LSTM, 0),
        lambda s: s.beats,
        "codes",
    ),
    Group(
        "state",
        "monitor",
        _beat_of("cq"),
        (
            Field(
                "c", lambda s: s.state_bits, "new cell state c, signed, units of 2**-state_frac_bits", "c", signed=True
            ),
            Field("q", lambda s: s.state_pulse_bits, "c as a signed pulse code", "state_pulses", signed=True),
        ),
        lambda s: s.beats,
        "state",
    ),
    Group(
        "output",
        "monitor",
        _beat_of(LSTM.updates[1]),
        _codes_read(LSTM, 1),
        lambda s: s.beats,
        "output",
    ),
    Group(
        "h",
        "h",
        "a beat of h is there",
        (
            Field(
                "codes",
                lambda s: s.input_bits,
                "signed pulse codes of h, `lanes` units a beat, the lowest unit in the lowest bits",
                "h",
                lambda s: s.hidden,
                signed=True,
            ),
            Field("end", _one, "last beat of a step", per_step=None),
            Field("last", _one, "this step is the utterance's last", per_step=None),
        ),
        lambda s: s.h_beats,
        "h stream",
    ),
    Group(
        "logits",
        "logit",
        "a logit is there",
        (
            Field("value", lambda s: s.logit_bits, "signed logit, class 0 first", "logits", per_step=None, signed=True),
            Field("last", _one, "logit of the last class", per_step=None),
        ),
        lambda s: s.classes,
        "head",
        answer=True,
    ),
    Group(
        "answers",
        "answer",
        "an answer is there",
        (
            Field(
                "index", answer_bits, "the class with the largest logit, the lowest on a tie", "answers", per_step=None
            ),
            Field(
                "too_long",
                _one,
                "the utterance had more steps than max_steps: the answer means nothing",
                per_step=None,
            ),
        ),
        _one,
        "head",
        answer=True,
    ),
)
"""Every group of a network, in the order in which a step shows them."""


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


def step_records(spec: Specification) -> dict[str, Record]:
    """The record of each group of :data:`GROUPS` by its name."""
    return {
        group.name: Record(
            group.name,
            tuple(Slot(field.name, field.bits(spec), field.count(spec), field.signed) for field in group.fields),
            group.beats(spec),
        )
        for group in GROUPS
    }


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
        Name in :data:`~.trace.QUANTITIES` to its array: ``codes`` (steps, columns), ``c``, ``state_pulses`` and
        ``state_codes`` (steps, units), ``h`` (steps, hidden), ``logits`` (answers, classes), ``answers`` (answers,).
    """
    parts: dict[str, list[np.ndarray]] = {}
    for group, field in _shown(groups):
        beats = groups[group.name][field.name]
        if field.per_lane:
            numbers = units_of(beats, spec, field.per_step(spec))
        else:
            each = group.beats(spec)
            numbers = beats[: len(beats) // each * each, 0].reshape(-1, *([each] if field.quantity == "logits" else []))
        parts.setdefault(field.quantity, []).append(numbers)
    complete = {name: min(map(len, banks)) for name, banks in parts.items()}
    return {
        name: np.concatenate([bank[: complete[name]] for bank in parts[name]], axis=-1)
        for name in QUANTITIES
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
    ends = np.arange(steps * spec.h_beats) % spec.h_beats == spec.h_beats - 1
    last_class = np.arange(answers * spec.classes) % spec.classes == spec.classes - 1
    return {
        ("h", "end"): ends.astype(np.int64),
        ("h", "last"): np.repeat(lasts, spec.h_beats).astype(np.int64),
        ("logits", "last"): last_class.astype(np.int64),
        ("answers", "too_long"): np.zeros(answers, np.int64),
    }


def expected_records(spec: Specification, trace: Trace) -> dict[str, dict[str, np.ndarray]]:
    """What the hardware shows of a network's trace: by group and field int64 arrays, shape (records, count).

    The lanes beyond the last unit are zero, as a bench sees them.
    """
    batch, steps = trace.h.shape[:2]
    records: dict[str, dict[str, np.ndarray]] = {group.name: {} for group in GROUPS}
    taken = dict.fromkeys(QUANTITIES, 0)  # of a quantity's last axis: banks lie side by side
    for group, field in _shown(records):
        values = getattr(trace, field.quantity)
        if field.per_lane:
            start, taken[field.quantity] = taken[field.quantity], taken[field.quantity] + field.per_step(spec)
            records[group.name][field.name] = _beats(values[..., start : taken[field.quantity]], spec.lanes)
        else:
            records[group.name][field.name] = values.reshape(-1, 1)
    lasts = np.tile(np.arange(steps) == steps - 1, batch)
    for (group, field), values in framing(spec, lasts).items():
        records[group][field] = values[:, None]
    return records


def _shown(groups) -> list[tuple[Group, Field]]:
    """The fields of ``groups`` that are parts of a trace, in the order of the table."""
    return [(group, field) for group in GROUPS if group.name in groups for field in group.fields if field.quantity]


def _beats(values: np.ndarray, lanes: int) -> np.ndarray:
    """(batch, steps, numbers) as (records, lanes), the lanes beyond the last number zero."""
    count = values.shape[-1]
    spread = np.zeros((*values.shape[:-1], -(-count // lanes) * lanes), np.int64)
    spread[..., :count] = values
    return spread.reshape(-1, lanes)
