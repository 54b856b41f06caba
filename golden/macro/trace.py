# SPDX-License-Identifier: Apache-2.0
"""What a network computed: one type for the golden model, every simulator and every board, so that any two compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

STEP_QUANTITIES = ("codes", "c", "state_pulses", "state_codes", "h")
"""What a macro may show of every step, in the order in which a difference in an LSTM would arise."""

QUANTITIES = (*STEP_QUANTITIES, "logits", "answers")
"""What a network may show, in the same order; each is a field of :class:`Trace`."""


@dataclass(frozen=True, eq=False)
class Trace:
    """What a network or a macro computed for a batch of utterances of equal length; integers, None where unknown.

    Shapes are those of a whole run. The trace of a single step has no steps axis.

    Attributes
    ----------
    codes : shape (batch, steps, columns that the first conversion latches)
        All columns of an LSTM.
    c : shape (batch, steps, units)
        Cell state (s of a GRU), in units of 2**-state_frac_bits; None in cells without one.
    state_pulses : shape (batch, steps, units for each value)
        Pulse codes that drive lines or rows within the step, in the order in which it stores them: c of an LSTM, r·s or
        r·m of a GRU; None in cells without one.
    state_codes : shape (batch, steps, columns that the second conversion latches)
        One for each unit of an LSTM; None in cells with one conversion.
    h : shape (batch, steps, hidden)
        Pulse codes, projected where there is a projection. Of a macro whose projection is in an array, those of its
        cell, since the projection has a trace of its own; shape (batch, steps, units) then.
    logits : shape (batch, classes); with the readout ``"step"`` (batch, steps, classes)
        None for a macro alone.
    answers : shape (batch,); with the readout ``"step"`` (batch, steps)
        Class indices. None for a macro alone.
    macs : shape of codes
        What the comparators saw of the first conversion; float64 where the array is a device instance. Known to
        golden, and to simulators whose array records it.
    sums : shape (batch, hidden); with the readout ``"step"`` (batch, steps, hidden)
        What the head saw. Known to golden alone.
    end_clocks : shape (batch, steps)
        The clock on which the last beat of h left. Known to hardware alone.
    macros : mapping of str to Trace, or None
        Of a network of several layers: the trace of each macro by its name, steps in the order in which the macro takes
        them: a backward macro begins with the last one. Its own ``h`` is what the head sees, and fields of macros are
        None.
    """

    codes: np.ndarray | None = None
    c: np.ndarray | None = None
    state_pulses: np.ndarray | None = None
    state_codes: np.ndarray | None = None
    h: np.ndarray | None = None
    logits: np.ndarray | None = None
    answers: np.ndarray | None = None
    macs: np.ndarray | None = None
    sums: np.ndarray | None = None
    end_clocks: np.ndarray | None = None
    macros: Mapping[str, "Trace"] | None = None

    @classmethod
    def stack(cls, steps: Sequence["Trace"]) -> "Trace":
        """The traces of single steps as one, with a steps axis after the batch's; all know the same quantities."""
        stacked = cls(**{name: np.stack([getattr(step, name) for step in steps], axis=1) for name in steps[0].known()})
        if steps[0].macros is None:
            return stacked
        macros = {name: cls.stack([step.macros[name] for step in steps]) for name in steps[0].macros}
        return stacked.replace(macros=macros)

    @classmethod
    def join(cls, parts: Sequence["Trace"]) -> "Trace":
        """Traces of utterances of one length as one, in the order given; all know the same quantities."""
        joined = cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in parts[0].known()})
        if parts[0].macros is None:
            return joined
        macros = {name: cls.join([part.macros[name] for part in parts]) for name in parts[0].macros}
        return joined.replace(macros=macros)

    @classmethod
    def of_steps(
        cls, values: Mapping[str, np.ndarray], batch: int, steps: int, *, answer_each_step: bool = False
    ) -> "Trace":
        """Values as hardware shows them, one step after the other, as a trace of ``batch`` utterances.

        Parameters
        ----------
        values : mapping
            Name of :meth:`quantity` to its array, shape (batch * steps, ...); of ``logits`` and ``answers``, shape
            (batch, ...), or with ``answer_each_step`` as the others.
        """
        answered = (batch, steps) if answer_each_step else (batch,)
        shapes = {"logits": answered, "answers": answered, "sums": answered}
        own, macros = {}, {}
        for name, array in values.items():
            macro, space, field = name.rpartition(" ")
            part = macros.setdefault(macro, {}) if space else own
            part[field] = array.reshape(*shapes.get(name, (batch, steps)), *array.shape[1:])
        return cls(**own, macros={name: cls(**part) for name, part in macros.items()} or None)

    def known(self) -> list[str]:
        """The names of the arrays that are not None."""
        names = (field.name for field in fields(self) if field.name != "macros")
        return [name for name in names if getattr(self, name) is not None]

    def quantity(self, name: str) -> np.ndarray | None:
        """An array by its name; of a network of several layers also one of a macro: ``"layer0 codes"``."""
        macro, space, field = name.rpartition(" ")
        trace = self if not space else (self.macros or {}).get(macro)
        return None if trace is None else getattr(trace, field)

    def utterances(self, part: slice) -> "Trace":
        """Some utterances of the batch."""
        macros = None if self.macros is None else {name: one.utterances(part) for name, one in self.macros.items()}
        return Trace(**{name: getattr(self, name)[part] for name in self.known()}, macros=macros)

    def replace(self, **changes) -> "Trace":
        """A copy with some fields changed."""
        return replace(self, **changes)

    @property
    def step_clocks(self) -> np.ndarray:
        """Clocks from the last beat of h of one step to that of the next, within utterances; int64, shape (any,)."""
        return np.diff(self.end_clocks, axis=1).ravel()
