# SPDX-License-Identifier: Apache-2.0
"""What a step of the hardware shows: one table of groups and fields, and the way from bits to arrays and back.

The monitor signature, the meanings and widths of ports, the logs of the free-running bench, the vectors of the
self-checking testbench, the groups of wave files, and every bench's unpacking follow from :data:`GROUPS`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..spec.lstm_cell import GATES
from ..spec.specification import Specification
from .network import NetworkTrace


def _one(spec: Specification) -> int:
    return 1


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
    per_lane : bool
        ``lanes`` numbers, the lowest unit in the lowest bits; otherwise one.
    signed : bool
    """

    name: str
    bits: Callable[[Specification], int]
    meaning: str
    per_lane: bool = True
    signed: bool = False

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


def _codes(name: str, meaning: str) -> Field:
    return Field(name, lambda s: s.adc_bits, meaning)


def answer_bits(spec: Specification) -> int:
    """Width of the answer's class index."""
    return max((spec.classes - 1).bit_length(), 1)


GROUPS = (
    Group(
        "gates",
        "monitor",
        "a beat of monitor_i, _f and _g is there",
        tuple(_codes(gate, f"codes of bank {gate}") for gate in "ifg"),
        lambda s: s.beats,
        "codes",
    ),
    Group(
        "state",
        "monitor",
        "a beat of monitor_c and _q is there",
        (
            Field("c", lambda s: s.state_bits, "new cell state c, signed, units of 2**-state_frac_bits", signed=True),
            Field("q", lambda s: s.state_pulse_bits, "c as a signed pulse code", signed=True),
        ),
        lambda s: s.beats,
        "state",
    ),
    Group(
        "output",
        "monitor",
        "a beat of monitor_o and _t is there",
        (_codes("o", "codes of bank o"), _codes("t", "codes of the second conversion, g(c)")),
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
                signed=True,
            ),
            Field("end", _one, "last beat of a step", per_lane=False),
            Field("last", _one, "this step is the utterance's last", per_lane=False),
        ),
        lambda s: s.h_beats,
        "h stream",
    ),
    Group(
        "logits",
        "logit",
        "a logit is there",
        (
            Field("value", lambda s: s.logit_bits, "signed logit, class 0 first", per_lane=False, signed=True),
            Field("last", _one, "logit of the last class", per_lane=False),
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
            Field("index", answer_bits, "the class with the largest logit, the lowest on a tie", per_lane=False),
            Field(
                "too_long",
                _one,
                "the utterance had more steps than max_steps: the answer means nothing",
                per_lane=False,
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

    ``codes`` (steps, columns), ``c``, ``state_pulses`` and ``state_codes`` (steps, units), ``h`` (steps, hidden); of
    the groups that are given, also ``logits`` (answers, classes) and ``answers`` (answers,).
    """
    banks = {**groups["gates"], **groups["output"]}
    codes = [units_of(banks[gate], spec) for gate in GATES]
    complete = min(map(len, codes))
    values = {
        "codes": np.concatenate([bank[:complete] for bank in codes], axis=1),
        "c": units_of(groups["state"]["c"], spec),
        "state_pulses": units_of(groups["state"]["q"], spec),
        "state_codes": units_of(groups["output"]["t"], spec),
        "h": units_of(groups["h"]["codes"], spec, spec.hidden),
    }
    if "logits" in groups:
        logits = groups["logits"]["value"][:, 0]
        values["logits"] = logits[: len(logits) // spec.classes * spec.classes].reshape(-1, spec.classes)
        values["answers"] = groups["answers"]["index"][:, 0]
    return values


def expected_records(spec: Specification, trace: NetworkTrace) -> dict[str, dict[str, np.ndarray]]:
    """What the hardware shows of a golden trace: by group and field int64 arrays, shape (records, count).

    The lanes beyond the last unit are zero, as a bench sees them.
    """
    steps = trace.steps
    batch, count = steps.h.shape[:2]
    bank = {gate: _beats(spec.of_bank(steps.codes, gate), spec.lanes) for gate in GATES}
    ends = np.tile(np.arange(spec.h_beats) == spec.h_beats - 1, batch * count)
    lasts = np.tile(np.repeat(np.arange(count) == count - 1, spec.h_beats), batch)
    last_class = np.tile(np.arange(spec.classes) == spec.classes - 1, trace.answers.size)
    return {
        "gates": {gate: bank[gate] for gate in "ifg"},
        "state": {"c": _beats(steps.c, spec.lanes), "q": _beats(steps.state_pulses, spec.lanes)},
        "output": {"o": bank["o"], "t": _beats(steps.state_codes, spec.lanes)},
        "h": {"codes": _beats(steps.h, spec.lanes), "end": ends[:, None], "last": lasts[:, None]},
        "logits": {"value": trace.logits.reshape(-1, 1), "last": last_class[:, None]},
        "answers": {
            "index": trace.answers.reshape(-1, 1),
            "too_long": np.zeros((trace.answers.size, 1), np.int64),
        },
    }


def _beats(values: np.ndarray, lanes: int) -> np.ndarray:
    """(batch, steps, numbers) as (records, lanes), the lanes beyond the last number zero."""
    count = values.shape[-1]
    spread = np.zeros((*values.shape[:-1], -(-count // lanes) * lanes), np.int64)
    spread[..., :count] = values
    return spread.reshape(-1, lanes)
