# SPDX-License-Identifier: Apache-2.0
"""The macro: what a step of its cell makes of the codes of any array. Integers; the one function that runs a step."""

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from ..array.array_protocol import Array, IdealArray, first_conversions, latched_banks, step_window
from ..array.weights import Weights, checked_array
from ..cell.description import INPUT
from ..common.errors import InvalidValue
from ..common.integer_arrays import check_integers
from ..spec.row_tile import row_tiles_of
from ..spec.specification import Specification
from .cell_update import line_pulses, project, run_update
from .fast_lstm import FastLstm
from .initial_state import State, checked_state
from .trace import Trace


class Lstm:
    """The periphery's exact arithmetic in front of an array, vectorized over a batch.

    Conversions are numbered from the array's switching on, as many a step as the cell has, since the noise of a device
    instance depends on the number of its conversion; other arrays ignore it.

    Parameters
    ----------
    spec : Specification
    array : Array
    projection : integer array, shape (hidden, units), Lstm or None
        Within ±head_weight_max; None where the specification has no projection. Where the projection is in an array:
        its macro, of ``spec.projection_macro``.
    sums : mapping of str to Lstm, or None
        The macros of its partial sums, of :func:`.row_tile.row_tiles_of`, by their names; None without partial sums.
    initial : State or None
        What every utterance starts from, integer arrays of shapes (units,) and (hidden,), each None where the
        specification has no constant one.

    Raises
    ------
    InvalidValue
        For an array of another specification; for a projection, partial sums or an initial state that are missing, or
        of a wrong shape, type or range.
    """

    def __init__(
        self,
        spec: Specification,
        array: Array,
        projection: "np.ndarray | Lstm | None" = None,
        initial: State | None = None,
        sums: "Mapping[str, Lstm] | None" = None,
    ):
        if array.spec != spec:
            raise InvalidValue(
                f"the array is for specification {array.spec.hardware_hash}, the network for {spec.hardware_hash}; "
                "make it for the network's"
            )
        self.spec, self.array = spec, array
        #: What projects h in an array, or None.
        self.projecting = self._checked_projecting(projection) if spec.array_projects else None
        self.projection = checked_array(spec, "projection", None if spec.array_projects else projection)
        self.sums = dict(sums or {})
        if {name: macro.spec for name, macro in self.sums.items()} != row_tiles_of(spec):
            raise InvalidValue(
                f"there are partial sums of {', '.join(self.sums) or 'nothing'}; the specification has "
                f"{', '.join(row_tiles_of(spec)) or 'none'}: give an Lstm of each of row_tiles_of"
            )
        c, h = (None, None) if initial is None else initial
        c, h = checked_array(spec, "initial_register", c), checked_array(spec, "initial_h", h)
        self._initial = State(
            np.zeros(spec.units, np.int64) if c is None else c, np.zeros(spec.hidden, np.int64) if h is None else h
        )

    @classmethod
    def of(cls, spec: Specification, array: Array, weights: Weights, projecting=None, sums=None) -> "Lstm":
        """With the projection and the initial state of a network's weights.

        ``projecting`` and ``sums``: the macros of a projection in an array, and of partial sums.
        """
        projection = weights.projection if projecting is None else projecting
        return cls(spec, array, projection, State(weights.initial_register, weights.initial_h), sums)

    def _checked_projecting(self, given) -> "Lstm":
        """The macro of the projection, or the InvalidValue for anything else."""
        if not isinstance(given, Lstm) or given.spec != self.spec.projection_macro:
            raise InvalidValue(
                f"the projection to {self.spec.projection} is in an array: give an Lstm of projection_macro for it"
            )
        return given

    @cached_property
    def fast(self) -> FastLstm | None:
        """The fast path of an ideal array, or None where its ranges or its ramps allow none, and of other arrays.

        None, too, where an array projects.

        That of a device instance is :class:`crossramp.golden.analog.fast.fast_device.FastDevice`.
        """
        array = self.array
        if not isinstance(array, IdealArray) or not array.has_ideal_ramps or self.projecting is not None:
            return None  # FastLstm knows no partial sums either, whose cell is not that of the library
        return FastLstm.of(self.spec, array.weights, array.ramps, self.projection)

    def start(self, batch: int, given: State | None = None) -> State:
        """What utterances start from: zeros or the constants of the network; int64, shapes as :class:`State` has them.

        Parameters
        ----------
        given : State or None
            Where they go on from another utterance, or start from a state of their own: this one, checked.

        Raises
        ------
        InvalidValue
            For a given state of a wrong shape, type or range; for a missing one, where each utterance brings its own.
        """
        if given is not None:
            return checked_state(self.spec, given, batch)
        if self.spec.initial == "stream":
            raise InvalidValue("initial is 'stream': give the states that the utterances start from")
        return State(*(np.repeat(values[None], batch, axis=0) for values in self._initial))

    def step(
        self, x: np.ndarray, c: np.ndarray, h: np.ndarray, number: np.ndarray | int = 0, given: Mapping | None = None
    ) -> Trace:
        """One time step, on any array: the same arithmetic as the gateware's.

        Parameters
        ----------
        x : integer array, shape (batch, inputs)
            Pulse codes within ±input_max.
        c, h : integer arrays, shapes (batch, units) and (batch, hidden)
            Of the step before.
        number : int64 array, shape (batch,), or int
            Of the step's first conversion.
        given : mapping of str to integer array, or None
            What other macros give a macro of partial sums, by the names of the values.

        Returns
        -------
        Trace
            Without a steps axis. What the next step takes as h is :meth:`handed_on` of it.
        """
        spec, cell = self.spec, self.spec.layout
        numbers = np.broadcast_to(np.asarray(number, np.int64), len(x))
        values = {INPUT: x, cell.output: h, cell.register: c}
        if cell.line_value_is_state:
            values[cell.line_value] = line_pulses(spec, c)  # which a line may drive before it is stored anew
        values |= given or {}
        windows, macs, codes, macros = [], [], [], {}
        for k in range(len(spec.conversions)):
            for source in cell.sources(k) if self.sums else ():
                macros[source] = self._summed(source, values, numbers // len(spec.conversions))
                for value in cell.given[source].values:
                    part = spec.value_part(value)
                    values[value] = macros[source].h[..., part.start : part.stop]
            windows.append(step_window(spec, k, values))
            seen, found = self.array.convert(windows, numbers + k)
            macs.append(seen)
            codes.append(found)
            banks = latched_banks(spec, k).items()
            values |= {spec.conversions[k][gate]: found[..., place] for gate, place in banks}
            values |= run_update(spec, k, values)
        h = values[cell.output]
        if self.projection is not None:
            h = project(spec, self.projection, h)
        if self.projecting is not None:
            zeros = [np.zeros((len(h), self.projecting.spec.units), np.int64)] * 2
            macros["projection"] = self.projecting.step(h, *zeros, numbers // len(spec.conversions))
        inner = [values[name] for name in cell.inner_values]
        return Trace(
            codes=codes[0],
            c=None if cell.register is None else values[cell.register],
            state_pulses=np.concatenate(inner, axis=-1) if inner else None,
            state_codes=codes[1] if len(codes) > 1 else None,
            h=h,
            macs=macs[0],
            macros=macros or None,
        )

    def _summed(self, source: str, values: dict, numbers: np.ndarray) -> Trace:
        """A step of the macro of partial sums, which sees x and some of the ``values`` of this one."""
        macro = self.sums[source]
        needed = [name for one in macro.spec.layout.given.values() for name in one.values]
        nothing = np.zeros((len(values[INPUT]), 0), np.int64)
        return macro.step(values[INPUT], nothing, nothing, numbers, {name: values[name] for name in needed})

    @staticmethod
    def handed_on(trace: Trace) -> np.ndarray:
        """h of a macro's trace as it is fed back, and as it leaves: that of the projection, where an array makes it."""
        projected = (trace.macros or {}).get("projection")
        return trace.h if projected is None else projected.h

    def run(self, x: np.ndarray, first: np.ndarray | None = None, start: State | None = None) -> Trace:
        """A batch of utterances of equal length, with the whole trace.

        Parameters
        ----------
        x : integer array, shape (batch, steps, inputs)
            Pulse codes within ±input_max.
        first : int64 array, shape (batch,), or None
            The number of each utterance's first conversion; None: the utterances are played one after the other, on an
            array that has converted nothing before.
        start : State or None
            What each utterance starts from, see :meth:`start`.

        Returns
        -------
        Trace
            Each array with a steps axis: (batch, steps, ...).

        Raises
        ------
        InvalidValue
            For a wrong shape, no step at all, or a code out of range.
        """
        return Trace.stack(list(self._steps(x, first, start)))

    def end(self, trace: Trace) -> State:
        """What the last steps of a trace hand on."""
        c = np.zeros((len(trace.h), self.spec.units), np.int64) if trace.c is None else trace.c[:, -1]
        return State(c, self.handed_on(trace)[:, -1])

    def hidden(self, x: np.ndarray, first: np.ndarray | None = None, start: State | None = None) -> np.ndarray:
        """What :meth:`run` hands on without the rest of the trace, by the fast path where there is one.

        int64, shape (batch, steps, hidden); raises what :meth:`run` raises.
        """
        if self.fast is not None:
            x = self.checked_inputs(x)
            return self.fast.hidden(x, self.start(len(x), start))
        return np.stack([self.handed_on(step) for step in self._steps(x, first, start)], axis=1)

    def _steps(self, x: np.ndarray, first: np.ndarray | None, start: State | None):
        """The trace of each step of a batch, one after the other."""
        x = self.checked_inputs(x).astype(np.int64)
        batch, steps = x.shape[:2]
        number = first_conversions(self.spec, batch, steps) if first is None else np.asarray(first, np.int64)
        c, h = self.start(batch, start)
        for t in range(steps):
            step = self.step(x[:, t], c, h, number + len(self.spec.conversions) * t)
            yield step
            c, h = c if step.c is None else step.c, self.handed_on(step)

    def checked_inputs(self, x) -> np.ndarray:
        """``x`` as an integer array (its own type), or the InvalidValue of :meth:`run`."""
        x = check_integers("x", x, (None, None, self.spec.inputs), self.spec.input_max)
        if x.shape[1] == 0:
            raise InvalidValue("x has no steps; an utterance has at least 1")
        return x
