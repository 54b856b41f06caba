# SPDX-License-Identifier: Apache-2.0
"""cocotb: a whole bench around a generated macro or network, and the parts it is made of."""

from collections.abc import Callable, Mapping

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from crossramp.golden.array.tiled_array import joined_columns
from crossramp.golden.common.errors import CrossrampError, ExitStatus
from crossramp.golden.common.integer_arrays import checked_integers
from crossramp.golden.layers.network_specification import AnySpecification
from crossramp.golden.layers.tile import arrays_by_macro, arrays_of, prefixed
from crossramp.golden.macro.initial_state import (
    Starts,
    State,
    initial_beats,
    initial_record,
    streaming_macros,
)
from crossramp.golden.macro.step_groups import step_groups
from crossramp.golden.macro.step_record import Record, step_records
from crossramp.golden.macro.trace import Trace
from crossramp.golden.spec.specification import Specification

from ..array.array_interface import Array, ArrayError, CheckedArray
from ..checking.protocol import ProtocolChecker
from ..checking.shown_steps import shown_traces
from .array_pins import drive_arrays_pins, integer_of
from .pauses import NEVER, StreamPauses
from .streams import StreamSink, StreamSource, stream_signals


class WatchdogError(CrossrampError, AssertionError):
    """Nothing happened for too long."""

    exit_status = ExitStatus.DIFFERENT


class Watchdog:
    """Fails the test when :meth:`kick` was not called for ``clocks`` clocks. Starts at once.

    The message quotes ``what()``, if given.
    """

    def __init__(self, clock, clocks: int, what=None):
        self._clock, self.clocks, self._what = clock, clocks, what
        self._kicked = True
        cocotb.start_soon(self._run())

    def kick(self, *_):
        """Something happened."""
        self._kicked = True

    async def _run(self):
        while True:
            self._kicked = False
            await ClockCycles(self._clock, self.clocks)
            if not self._kicked:
                detail = "" if self._what is None else f": {self._what()}"
                raise WatchdogError(f"nothing happened for {self.clocks} clocks{detail}")


async def reset(dut, clocks: int = 3):
    """Hold ``rst`` high for some clocks."""
    dut.rst.value = 1
    await ClockCycles(dut.clk, clocks)
    dut.rst.value = 0


class StepMonitor:
    """Collects the codes, c, q and t of every step from the monitor ports, of every macro. Starts at once.

    Attributes
    ----------
    on_beat : list of callables
        Called on each clock that shows something.
    """

    def __init__(self, dut, spec: AnySpecification):
        self.spec = spec
        self.on_beat: list[Callable[[], None]] = []
        self._dut = dut
        self._records = step_records(spec)
        self._groups = [group for group in step_groups(spec) if group.monitored]
        self._beats: dict[str, list[int]] = {group.name: [] for group in self._groups}
        cocotb.start_soon(self._run())

    async def _run(self):
        handles = [
            (
                self._beats[group.name],
                getattr(self._dut, group.strobe),
                [getattr(self._dut, group.port_of(field)) for field in group.fields],
            )
            for group in self._groups
        ]
        while True:
            await RisingEdge(self._dut.clk)
            if not self._dut.rst.value.is_resolvable or int(self._dut.rst.value):
                continue
            shown = [entry for entry in handles if integer_of(entry[1], "monitor strobe")]
            for beats, _, fields in shown:
                # Lanes beyond the last unit hold no meaning, not even a known value.
                beats.append(_known_bits("".join(str(field.value) for field in reversed(fields))))
            if shown:
                for call in self.on_beat:
                    call()

    def clear(self):
        """Forget all steps."""
        for beats in self._beats.values():
            beats.clear()

    def logs(self) -> dict[str, dict[str, np.ndarray]]:
        """What was shown so far: by group and field int64 arrays, shape (beats, count)."""
        return {name: self._records[name].unpack_integers(beats) for name, beats in self._beats.items()}


def _known_bits(bits: str) -> int:
    """The number, its unknown bits as 1: wrong enough to be noticed where it matters."""
    return int("".join(bit if bit in "01" else "1" for bit in bits), 2)


def stream_log(beats: list[dict[str, int]], record: Record) -> dict[str, np.ndarray]:
    """Beats that a stream's sink has collected: by field int64 arrays, shape (beats, count)."""
    words = []
    for beat in beats:
        word, offset = 0, 0
        for slot in record.slots:
            word |= beat[slot.name] << offset
            offset += slot.bits * slot.count
        words.append(word)
    return record.unpack_integers(words)


class MacroBench:
    """Clock, reset, streams, arrays, protocol checkers, monitors and watchdog around a generated macro or network.

    One bench a cocotb test: its tasks run until the test ends.

    Parameters
    ----------
    dut : handle
        A module with the ports of docs/boundary.md; with ``answer_*`` and ``logit_*`` it is a network.
    spec : Specification or NetworkSpecification
    model : Array, or mapping of str to Array
        What stands behind the boundary: :class:`.python_array.ArrayModel`, or any object with its ``clock``. Of several
        arrays one for each, by their names (:func:`~crossramp.golden.layers.tile.arrays_of`), as
        :func:`~.array_setup.array_models` makes them. Of arrays that also have ``finish``, :meth:`traces` checks and
        gives the MACs.
    pauses : StreamPauses
    watchdog_clocks : int or None
        None: ten steps' worth, and two logits'.
    strict : bool
        Stop at the first breach of the boundary's protocol.
    calibration : int, or mapping of str to int
        The calibration port from the start on, see :func:`.programming.calibration_port`. Of several macros by their
        names, as :meth:`.array_setup.ArraySetup.ports` gives them.

    Attributes
    ----------
    checkers : dict of str to ProtocolChecker
        Of each array, by its name.
    initial : dict of str to StreamSource
        Of each macro whose states come through a stream, by its name; that of the only macro is "".
    h, logits, answers : StreamSink (the latter two None for a macro)
    monitor : StepMonitor

    Raises
    ------
    ArrayError
        If a model has no ``clock``, or is an ``ArrayModel`` of another specification; for arrays other than those of
        the network.
    """

    def __init__(
        self,
        dut,
        spec: AnySpecification,
        model: Array | Mapping[str, Array],
        *,
        pauses: StreamPauses = NEVER,
        watchdog_clocks: int | None = None,
        strict: bool = True,
        calibration: int | Mapping[str, int] = 0,
    ):
        self.dut, self.spec = dut, spec
        self.models = _by_array(spec, model)
        self._arrays = {name: CheckedArray(self.models[name], of.columns) for name, of in arrays_of(spec).items()}
        for name, expected in arrays_of(spec).items():
            of = getattr(self.models[name], "spec", expected)
            if isinstance(of, Specification) and of != expected:
                raise ArrayError(
                    f"the array is for specification {of.hardware_hash}, the bench for {expected.hardware_hash}"
                )
        self._calibration = calibration if isinstance(calibration, Mapping) else dict.fromkeys(spec.macros, calibration)
        self.checkers = {name: ProtocolChecker(of, strict=strict) for name, of in arrays_of(spec).items()}
        self._pauses = pauses
        # A logit takes units + 5 clocks, in which nothing else need happen.
        patience = 10 * (spec.clocks_per_step + spec.load_clocks + spec.inputs) + 2 * (spec.hidden + 5) + 1000
        self._watchdog_clocks = watchdog_clocks or patience
        self._lengths: list[int] = []
        self._goes_on = False  # the next utterance, from the state of the one sent last

    async def start(self, period_ns: int = 10):
        """Start the clock and everything else, and reset."""
        dut = self.dut
        dut.rst.value = 1
        for name, word in self._calibration.items():
            if hasattr(dut, prefixed(name, "calibration")):  # without cells, or with a calibrator, there is no port
                getattr(dut, prefixed(name, "calibration")).value = word
        cocotb.start_soon(Clock(dut.clk, period_ns, unit="ns").start())
        flags = ("last", "keep") if self.spec.keeps_state else ("last",)
        self.x = StreamSource(**stream_signals(dut, "x", ("code", *flags)), pauses=self._pauses.x)
        self.initial = {}
        for name, macro in streaming_macros(self.spec).items():
            slots = tuple(slot.name for slot in initial_record(macro).slots)
            signals = stream_signals(dut, prefixed(name, "initial"), slots)
            self.initial[name] = StreamSource(**signals, pauses=self._pauses.initial)
        self.h = self._sink("h", ("codes", "end", "last"))
        network = hasattr(dut, "answer_valid")
        self.logits = self._sink("logit", ("value", "last")) if network else None
        self.answers = self._sink("answer", ("index", "too_long")) if network else None
        self.monitor = StepMonitor(dut, self.spec)
        for arrays in arrays_by_macro(self.spec).values():
            behind = {f"{name}_": (self.models[name], self.checkers[name]) for name in arrays}
            cocotb.start_soon(drive_arrays_pins(dut, behind))
        self.watchdog = Watchdog(dut.clk, self._watchdog_clocks, self._progress)
        self.monitor.on_beat.append(self.watchdog.kick)
        for stream in (self.x, self.h, self.logits, self.answers):
            if stream is not None:
                stream.on_beat.append(self.watchdog.kick)
        await reset(dut)

    async def restart(self, clocks: int = 1):
        """Reset again, at any time, and forget every utterance that was sent and all that was seen."""
        self.dut.rst.value = 1
        await ClockCycles(self.dut.clk, clocks)
        self.x.clear()
        for stream in self.initial.values():
            stream.clear()
        self._goes_on = False
        for sink in (self.h, self.logits, self.answers):
            if sink is not None:
                sink.beats.clear()
        self.monitor.clear()
        # With what a ramp under way has shown: it would count as a conversion later.
        for array in self._arrays.values():
            array.forget()
        self._lengths.clear()
        self.dut.rst.value = 0

    def _sink(self, name, payload) -> StreamSink:
        return StreamSink(**stream_signals(self.dut, name, payload), name=name, pauses=getattr(self._pauses, name))

    def _progress(self) -> str:
        what = "steps are answered" if self._every_step else "utterances are finished"
        return f"{self._finished()} of {self._expected()} {what}, {len(self.h.beats)} beats of h came"

    @property
    def _every_step(self) -> bool:
        return self.answers is not None and self.spec.readout == "step"

    def _finished(self) -> int:
        if self.answers is not None:
            return len(self.answers.beats)
        return sum(beat["end"] & beat["last"] for beat in self.h.beats)

    def _expected(self) -> int:
        return sum(self._lengths) if self._every_step else len(self._lengths)

    def send(self, x: np.ndarray, *, keep: bool = False, start: State | Mapping[str, State] | None = None):
        """Queue an utterance.

        Parameters
        ----------
        x : integer array, shape (steps, inputs)
            Pulse codes.
        keep : bool
            Whether the next utterance goes on from the state of this one.
        start : State, mapping of str to State, or None
            Where states come through a stream: what this one starts from, integer arrays of shapes (1, units) and
            (1, hidden); of several macros by their names. Not looked at where it goes on from the one before.

        Raises
        ------
        InvalidValue
            For arrays of a wrong shape or range; for ``keep`` or a ``start`` that the specification does not provide.
        """
        spec = self.spec
        x = checked_integers("x", x, (None, spec.inputs), spec.input_max)
        if not self._goes_on:
            self._send_state(Starts(np.array([keep]), start).checked(spec, 1))
        kept = {"keep": int(keep)} if spec.keeps_state else {}
        mask = (1 << spec.input_bits) - 1
        for step, codes in enumerate(x.tolist()):
            for code in codes:
                self.x.send(code=code & mask, last=int(step == len(x) - 1), **kept)
        self._lengths.append(len(x))
        self._goes_on = keep

    def _send_state(self, starts: Starts):
        for name, macro in streaming_macros(self.spec).items():
            for beat in initial_beats(macro, starts.of_macro(name)):
                words = {}
                for slot in initial_record(macro).slots:
                    mask = (1 << slot.bits) - 1
                    words[slot.name] = sum((value & mask) << slot.bits * k for k, value in enumerate(beat[slot.name]))
                self.initial[name].send(**words)

    async def finish(self, extra_clocks: int = 20):
        """Until every queued utterance is through, and some clocks more; then check the protocol checker's result."""
        while self._finished() < self._expected():
            await RisingEdge(self.dut.clk)
        await ClockCycles(self.dut.clk, extra_clocks)
        for checker in self.checkers.values():
            checker.check_finished()

    def traces(self) -> list[Trace]:
        """Everything the hardware computed: one trace of each utterance that was sent, all of them being through.

        A macro alone has no ``logits`` and ``answers``. ``macs`` are those that the array measured, float64 where it is
        a device instance, and None where it does not record them (see :class:`.array_interface.Array`).
        :func:`.golden_traces.expected_traces` gives the golden traces.

        Raises
        ------
        HardwareError
            If the monitors, a stream and the array saw other numbers of steps than were sent, or if a beat is framed
            otherwise than it must be.
        ArrayError
            If the array's ``finish`` gives something other than conversions.
        """
        streams = {"h": self.h, "logits": self.logits, "answers": self.answers}
        records = step_records(self.spec)
        logs = self.monitor.logs()
        logs |= {name: stream_log(sink.beats, records[name]) for name, sink in streams.items() if sink is not None}
        return shown_traces(self.spec, logs, [(1, length) for length in self._lengths], **self._macs())

    def _macs(self) -> dict[str, np.ndarray]:
        """The MACs of each macro whose arrays record them, by their quantity: shape (steps, columns latched)."""
        found = {}
        for macro, arrays in arrays_by_macro(self.spec).items():
            parts = [self._arrays[name].macs() for name in arrays]
            if all(part is not None for part in parts):
                spec = self.spec.macros[macro]
                whole = joined_columns(parts, len(spec.gate_names))
                found[f"{macro} macs".lstrip()] = whole[:, spec.converted(False)]
        return found


def _by_array(spec: AnySpecification, model: Array | Mapping[str, Array]) -> dict[str, Array]:
    """The model of each array; ArrayError for others than the network has."""
    names = tuple(arrays_of(spec))
    if not isinstance(model, Mapping):
        if len(names) > 1:
            raise ArrayError(f"one array is given, but the network has {', '.join(names)}; give a mapping with each")
        return {names[0]: model}
    if set(model) != set(names):
        raise ArrayError(f"the arrays are {', '.join(model) or 'none'}; the network has {', '.join(names)}")
    return dict(model)
