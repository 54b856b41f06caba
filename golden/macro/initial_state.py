# SPDX-License-Identifier: Apache-2.0
"""The state that utterances start from, and utterances that go on from one another."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..common.errors import InvalidValue
from ..common.integer_arrays import checked_integers
from ..layers.network_specification import AnySpecification
from ..spec.specification import Specification
from .step_record import Record, Slot


class State(NamedTuple):
    """What a step hands on to the next one.

    Parameters
    ----------
    c : integer array, shape (batch, units)
        The register of the cell (s of a GRU), in units of 2**-state_frac_bits, within ±state_max. Nothing reads it
        where the cell has none.
    h : integer array, shape (batch, hidden)
        Pulse codes within ±input_max.
    """

    c: np.ndarray
    h: np.ndarray

    def of(self, part) -> "State":
        """That of some utterances of the batch."""
        return State(self.c[part], self.h[part])


def checked_state(spec: Specification, state: State, batch: int) -> State:
    """``state`` as int64 arrays; InvalidValue for a wrong shape, type or range."""
    c, h = state
    limit = spec.state_max if spec.layout.register else 0
    return State(
        checked_integers("c", c, (batch, spec.units), limit),
        checked_integers("h", h, (batch, spec.hidden), spec.input_max),
    )


def streaming_macros(spec: AnySpecification) -> dict[str, Specification]:
    """The macros whose utterances start from states that come through a stream, by their names; "" of one alone."""
    return {name: macro for name, macro in spec.macros.items() if macro.initial == "stream"}


@dataclass(frozen=True, eq=False)
class Starts:
    """What each of a number of utterances starts from, in the order in which they are played.

    Parameters
    ----------
    keep : bool array, shape (utterances,), or None
        The utterance keeps its state: the next one goes on from it. None: none does. The specification has
        ``keeps_state``.
    given : State, mapping of str to State, or None
        Of every utterance, where the specification's ``initial`` is ``"stream"``; what goes on from another utterance
        takes nothing from it. In a network of several layers by the name of each macro of which that is true
        (:func:`streaming_macros`). None for any other.
    """

    keep: np.ndarray | None = None
    given: State | Mapping[str, State] | None = None

    def checked(self, spec: AnySpecification, utterances: int) -> "Starts":
        """The same with all arrays there.

        Raises
        ------
        InvalidValue
            For arrays of a wrong shape, type or range, or that do not belong to the specification.
        """
        keep = np.zeros(utterances, bool) if self.keep is None else np.asarray(self.keep)
        if keep.dtype != bool or keep.shape != (utterances,):
            raise InvalidValue(f"keep is of {keep.dtype} and the shape {keep.shape}; expected bool, ({utterances},)")
        if keep.any() and not spec.keeps_state:
            raise InvalidValue("keep is set, but keeps_state of the specification is 0; write 1 there")
        return Starts(keep, self._checked_states(spec, utterances))

    def _checked_states(self, spec: AnySpecification, utterances: int) -> State | dict[str, State] | None:
        """The states that are given, as int64 arrays; InvalidValue for others than the specification wants."""
        macros = streaming_macros(spec)
        if isinstance(spec, Specification):
            if (self.given is not None) != bool(macros):
                what = "missing" if self.given is None else "given"
                raise InvalidValue(f"initial states are {what}, but initial of the specification is {spec.initial!r}")
            return None if self.given is None else checked_state(spec, self.given, utterances)
        given = {} if self.given is None else self.given
        if isinstance(given, State) or set(given) != set(macros):
            found = "one macro" if isinstance(given, State) else ", ".join(given) or "no macro"
            raise InvalidValue(f"initial states are those of {found}; expected {', '.join(macros) or 'no macro'}")
        states = {}
        for name, macro in macros.items():
            try:
                states[name] = checked_state(macro, given[name], utterances)
            except InvalidValue as error:
                raise InvalidValue(f"{name}: {error}") from None
        return states or None

    def of(self, part: np.ndarray | slice) -> "Starts":
        """Those of some utterances, of which none goes on from one that is left out."""
        given = self.given
        if given is not None:
            given = given.of(part) if isinstance(given, State) else {name: one.of(part) for name, one in given.items()}
        return Starts(None if self.keep is None else self.keep[part], given)

    def of_macro(self, name: str) -> "Starts":
        """Those of a macro; of one alone, which has the name "", the same."""
        given = self.given if isinstance(self.given, State) else (self.given or {}).get(name)
        return Starts(self.keep, given)

    @property
    def fresh(self) -> np.ndarray:
        """Which utterances do not go on from the one before; bool, shape (utterances,). Of checked ones."""
        return ~np.concatenate([[False], self.keep[:-1]])


FROM_THE_START = Starts()
"""Every utterance starts from the state of the specification."""


@dataclass(frozen=True, eq=False)
class Played:
    """Utterances in the order in which they are played, and what they start from.

    Parameters
    ----------
    batches : sequence of integer arrays, shape (batch, steps, inputs)
    starts : Starts
        Of all of them.
    """

    batches: Sequence[np.ndarray]
    starts: Starts = FROM_THE_START

    @classmethod
    def of(cls, utterances) -> "Played":
        """What a simulation is given: this, or batches or one batch of utterances that start as the network does."""
        if isinstance(utterances, Played):
            return utterances
        return cls([utterances] if isinstance(utterances, np.ndarray) else list(utterances))


def random_starts(spec: AnySpecification, utterances: int, rng: np.random.Generator) -> Starts:
    """Starts over their whole range: every other utterance keeps its state, where the specification can do that."""
    keep = np.arange(utterances) % 2 == 0 if spec.keeps_state else None
    given = {}
    for name, macro in streaming_macros(spec).items():
        limit = macro.state_max if macro.layout.register else 0
        c = rng.integers(-limit, limit, (utterances, macro.units), endpoint=True)
        h = rng.integers(-macro.input_max, macro.input_max, (utterances, macro.hidden), endpoint=True)
        given[name] = State(c, h)
    return Starts(keep, given.get("") if isinstance(spec, Specification) else given or None)


def joined(batches: Sequence[np.ndarray]) -> list[slice]:
    """The place of each batch among the utterances of all of them."""
    ends = np.cumsum([0, *map(len, batches)]).tolist()
    return [slice(*pair) for pair in itertools.pairwise(ends)]


def initial_record(spec: Specification) -> Record:
    """A beat of the stream of initial states: ``lanes`` values of the register, and as many pulse codes of h.

    Slots have the names of the cell, such as c and h, and what a cell lacks is not there. Beat k of a state carries
    group k of both; where a projection leaves h fewer groups than the register has, later ones mean nothing.
    """
    cell, slots = spec.layout, []
    if cell.register:
        slots.append(Slot(cell.register, spec.state_bits, spec.lanes, signed=True))
    if spec.output_is_state:
        slots.append(Slot(cell.output, spec.input_bits, spec.lanes, signed=True))
    return Record("initial", tuple(slots), spec.initial_beats)


def initial_beats(spec: Specification, starts: Starts) -> list[dict[str, list[int]]]:
    """The beats of that stream, by slot, for utterances that start as ``starts`` says, which is checked.

    Empty where no state comes through a stream. What goes on from another utterance has no beats.
    """
    if starts.given is None:
        return []
    cell, lanes, beats = spec.layout, spec.lanes, []
    slots = [slot.name for slot in initial_record(spec).slots]
    for c, h in zip(*starts.given.of(starts.fresh), strict=True):
        values = {cell.register: c.tolist(), cell.output: h.tolist()}
        for beat in range(spec.initial_beats):
            groups = {name: values[name][beat * lanes : (beat + 1) * lanes] for name in slots}
            beats.append({name: group + [0] * (lanes - len(group)) for name, group in groups.items()})
    return beats


def initial_words(spec: Specification, starts: Starts) -> list[int]:
    """:func:`initial_beats` as integers, the first slot in the lowest bits."""
    beats = initial_beats(spec, starts)
    if not beats:
        return []
    record = initial_record(spec)
    return record.pack({slot.name: np.array([beat[slot.name] for beat in beats]) for slot in record.slots})
