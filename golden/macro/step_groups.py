# SPDX-License-Identifier: Apache-2.0
"""What a step of the hardware shows, as a table of groups and fields that follows from the cell.

The monitor signature, the meanings and widths of ports, the logs of the free-running bench, the vectors of the
self-checking testbench, the groups of wave files, and every bench's unpacking follow from :func:`step_groups`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from ..cell.description import FIXED, LINE, Cell
from ..layers.network_specification import AnySpecification, NetworkSpecification
from ..spec.specification import Specification


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
    place : int
        Of a code: which of its conversion's banks it belongs to; of a pulse code within the step: which of these it is.
    """

    name: str
    bits: Callable[[Specification], int]
    meaning: str
    quantity: str | None = None
    per_step: Callable[[Specification], int] | None = _units
    signed: bool = False
    place: int = 0

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
    macro : str
        In a network of several layers: the macro that shows it, with which ``name``, ``port`` and quantities begin.
    """

    name: str
    port: str
    meaning: str
    fields: tuple[Field, ...]
    beats: Callable[[Specification], int]
    waves: str
    answer: bool = False
    macro: str = ""

    @property
    def monitored(self) -> bool:
        """Whether it is on the monitor ports; otherwise it is a stream."""
        return self.port.endswith("monitor")

    @property
    def member(self) -> str:
        """Its name without that of the macro: of the strobe among the monitor's members."""
        return self.name.removeprefix(f"{self.macro}_")

    def of(self, spec: AnySpecification) -> AnySpecification:
        """The specification from which its fields' sizes follow: that of its macro, or of the whole network."""
        return spec.macros[self.macro] if self.macro else spec

    @property
    def strobe(self) -> str:
        """The port that is high with a beat. A stream's beat is taken once its ``ready`` is high too."""
        return f"{self.port}_{self.member}" if self.monitored else f"{self.port}_valid"

    def port_of(self, field: Field) -> str:
        """The name of a field's port."""
        return f"{self.port}_{field.name}"


def _beat_of(names: Sequence[str]) -> str:
    """What the strobe of monitor ports means: "a beat of monitor_i, _f and _g is there"."""
    *others, last = names
    first = f"{', _'.join(others)} and _" if others else ""
    return f"a beat of monitor_{first}{last} is there"


def answer_bits(spec: Specification) -> int:
    """Width of the answer's class index."""
    return max((spec.classes - 1).bit_length(), 1)


def _codes_read(cell: Cell, update: int) -> tuple[Field, ...]:
    """The codes that an update of a cell reads."""
    fields = []
    for code in cell.updates[update]:
        gate = cell.gate_of(code)
        first = code in cell.conversions[0].values()
        meaning = f"codes of bank {gate}"
        if not first:
            again = gate in cell.conversions[0]
            what = f"{gate}({cell.register})" if again else f"bank {gate}"
            meaning = f"codes of the second conversion, {what}"
        place = list(cell.conversions[not first].values()).index(code)
        array = "codes" if first else "state_codes"
        fields.append(Field(code, lambda s, gate=gate: s.gate_bits(gate), meaning, array, place=place))
    return tuple(fields)


def _values_stored(cell: Cell, update: int) -> tuple[Field, ...]:
    """What an update of a cell stores beside its output."""
    fields = []
    for store in cell.stores[update]:
        name, form = store.name, cell.values[store.name]
        if name == cell.output:
            continue
        if form == FIXED:
            meaning = f"new cell state {name}, signed, units of 2**-state_frac_bits"
            fields.append(Field(name, lambda s: s.state_bits, meaning, "c", signed=True))
        elif form == LINE:
            meaning = f"{store.text} as a signed pulse code"
            place = cell.inner_values.index(name)
            fields.append(Field(name, lambda s: s.state_pulse_bits, meaning, "state_pulses", signed=True, place=place))
        else:
            meaning = f"{store.text} as a signed pulse code of rows"
            place = cell.inner_values.index(name)
            fields.append(Field(name, lambda s: s.input_bits, meaning, "state_pulses", signed=True, place=place))
    return tuple(fields)


#: The groups of an update's codes and of its values: of the first update, and of the second.
_READ, _STORED = ("gates", "output"), ("state", "memory")

#: The group of a wave viewer that shows each.
_WAVES = {"gates": "codes", "state": "state", "output": "output", "memory": "state"}


def _monitored(cell: Cell) -> Iterator[Group]:
    for update in range(len(cell.updates)):
        for name, fields in (
            (_READ[update], _codes_read(cell, update)),
            (_STORED[update], _values_stored(cell, update)),
        ):
            if fields:
                meaning = _beat_of([field.name for field in fields])
                yield Group(name, "monitor", meaning, fields, lambda s: s.beats, _WAVES[name])


_STREAMS = (
    Group(
        "h",
        "h",
        "a beat of h is there",
        (
            Field(
                "codes",
                lambda s: s.output_bits,
                "signed pulse codes of h, `lanes` units a beat, the lowest unit in the lowest bits",
                "h",
                lambda s: s.streamed,
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
"""The groups of h, of the logits and of the answers."""


@cache
def groups_of(cell: Cell) -> tuple[Group, ...]:
    """:func:`step_groups` of any network with this cell."""
    return (*_monitored(cell), *_STREAMS)


def step_groups(spec: AnySpecification) -> tuple[Group, ...]:
    """Every group of a network, in the order in which a step shows them: for each update the codes that it reads and
    the values that it stores; then h, the logits and the answers.

    In a network of several layers first those of each macro, whose h is on the monitor ports too; then what the head
    sees and gives.
    """
    if not isinstance(spec, NetworkSpecification):
        return groups_of(spec.layout)
    macros = ((name, group) for name, macro in spec.macros.items() for group in groups_of(macro.layout))
    return (*(_of_macro(name, group) for name, group in macros if not group.answer), *_STREAMS)


def _of_macro(name: str, group: Group) -> Group:
    """A group of one macro of several."""
    fields = (
        replace(field, quantity=field.quantity and f"{name} {field.quantity}", meaning=f"{name}: {field.meaning}")
        for field in group.fields
    )
    names = {"name": f"{name}_{group.name}", "port": f"{name}_monitor", "meaning": f"{name}: {group.meaning}"}
    return replace(group, fields=tuple(fields), macro=name, **names)


def shown_quantities(spec: AnySpecification, *, head: bool = True) -> tuple[str, ...]:
    """The arrays of a :class:`~.trace.Trace` that hardware shows, in the order in which a difference would arise.

    Those of a macro of several begin with its name, see :meth:`~.trace.Trace.quantity`.

    Parameters
    ----------
    head : bool
        Whether there is a head: a macro alone shows no logits and answers.
    """
    groups = [group for group in step_groups(spec) if head or not group.answer]
    return tuple(dict.fromkeys(field.quantity for group in groups for field in group.fields if field.quantity))


def read_strobe(update: int) -> str:
    """The monitor's strobe of the codes that an update reads."""
    return _READ[update]


def stored_strobe(update: int) -> str:
    """The monitor's strobe of the values that an update stores."""
    return _STORED[update]
