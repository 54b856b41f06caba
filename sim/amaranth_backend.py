# SPDX-License-Identifier: Apache-2.0
"""The network in Amaranth's own simulator, with the Python array behind it: needs no compiler and no other tool."""

import multiprocessing
import os
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, fields
from signal import SIG_DFL, SIGINT
from signal import signal as handle_signal

import numpy as np
from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out
from amaranth.sim import Simulator
from crossramp.golden.analog.device import DeviceInstance
from crossramp.golden.network import Network, NetworkTrace
from crossramp.golden.specification import Specification
from crossramp.rtl.network import NetworkTop

from .array import PIN_NAMES, ArrayModel
from .programming import Programming, calibration_port
from .simulators import SimulationError

#: Clocks that are worth a process.
_PORTION_CLOCKS = 5_000

#: Steps (load, conversion, and the sum of one logit) without any event after which a simulation is given up.
_PATIENCE = 4


@dataclass(frozen=True, eq=False)
class Observed:
    """What the gateware computed, as its ports showed it; int64 arrays.

    Attributes
    ----------
    codes : shape (utterances, steps, 4 * units)
        Banks i, f, g, o.
    c, state_pulses, state_codes : shape (utterances, steps, units)
    h : shape (utterances, steps, hidden)
    logits : shape (utterances, classes)
    answers : shape (utterances,)
        Both with a steps axis after the utterances' with the readout ``"step"``.
    clocks : int
        From the first clock to the last answer.
    steps_clocks : shape (any,)
        Clocks between the last beats of h of consecutive steps of one utterance.
    """

    codes: np.ndarray
    c: np.ndarray
    state_pulses: np.ndarray
    state_codes: np.ndarray
    h: np.ndarray
    logits: np.ndarray
    answers: np.ndarray
    clocks: int
    step_clocks: np.ndarray

    #: The fields that :func:`differences` compares.
    COMPARED = ("codes", "c", "state_pulses", "state_codes", "h", "logits", "answers")

    @classmethod
    def join(cls, parts: list["Observed"]) -> "Observed":
        """Several simulations as one, in the order given."""
        arrays = {name: np.concatenate([getattr(p, name) for p in parts]) for name in (*cls.COMPARED, "step_clocks")}
        return cls(clocks=sum(part.clocks for part in parts), **arrays)


def differences(observed: Observed, trace: NetworkTrace) -> dict[str, np.ndarray]:
    """Where the gateware and the golden trace differ: a bool array for each of ``Observed.COMPARED``."""
    golden = {"logits": trace.logits, "answers": trace.answers}
    golden |= {name: getattr(trace.steps, name) for name in ("codes", "c", "state_pulses", "state_codes", "h")}
    return {name: getattr(observed, name) != golden[name] for name in Observed.COMPARED}


def simulate_amaranth(
    network: Network,
    x: np.ndarray,
    *,
    jobs: int | None = None,
    progress: Callable[[int], None] | None = None,
    seconds: float | None = None,
    programming: np.ndarray | Programming | DeviceInstance | None = None,
    calibration: int | None = None,
) -> Observed:
    """Run utterances through the gateware, one after another.

    Parameters
    ----------
    network : Network
        What the hardware is generated from and the array is programmed with.
    x : integer array, shape (utterances, steps, inputs)
        Pulse codes.
    jobs : int or None
        Most processes to share the utterances; None: as many as there are processors.
    progress : callable or None
        Called with the number of utterances done so far.
    seconds : float or None
        Start nothing that would not be done by then: of more utterances than that, the first ones are simulated,
        and the result holds only those (at least one).
    programming : integer array of shape (rows, columns), Programming, DeviceInstance or None
        What the array holds, as :class:`.array.ArrayModel` takes it; None: the network's weights. The noise of a device
        instance is the same however the utterances are shared.
    calibration : int or None
        The calibration port, as :func:`.bulk.simulate_bulk` takes it.

    Raises
    ------
    SimulationError
        If the gateware stops before the last answer, or a stream's beats are not framed as they must be.
    ValueError
        For a calibration out of range, or a programming of another specification.
    """
    spec = network.spec
    programming = network.weights if programming is None else programming
    calibration = calibration_port(spec, calibration, programming)
    clocks = len(x) * x.shape[1] * spec.clocks_per_step
    # A process of its own pays only where it has more to do than to build the simulation.
    jobs = min(jobs or os.cpu_count() or 1, len(x), max(clocks // _PORTION_CLOCKS, 1))
    progress = progress or (lambda done: None)
    started = time.monotonic()

    def time_for_another(longest: float) -> bool:
        return seconds is None or time.monotonic() - started + longest <= seconds

    # Small portions, so that no process waits long for the last one, and progress moves. Each array goes on with the
    # number of conversions that those before it have done.
    parts = np.array_split(np.arange(len(x)), min(len(x), 4 * jobs))
    portions = [(x[part], 2 * x.shape[1] * int(part[0])) for part in parts]
    if jobs == 1:
        parts, longest = [], 0.0
        for portion in portions:
            if parts and not time_for_another(longest):
                break
            begin = time.monotonic()
            parts.append(_simulate(network, programming, calibration, *portion))
            longest = max(longest, time.monotonic() - begin)
            progress(sum(len(part.answers) for part in parts))
        return Observed.join(parts)
    # Plain arrays and dicts travel; the worker builds its own objects.
    arrays = (spec.to_dict(), network.weights, network.head_weights, network.head_biases, network.projection_weights)
    content = programming
    if not isinstance(programming, np.ndarray):
        names = [field.name for field in fields(programming) if field.name != "spec"]
        content = type(programming), {name: getattr(programming, name) for name in names}
    parts, running, longest = {}, {}, 0.0
    # A fresh interpreter: nothing of the caller's threads or open files comes along.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_die_quietly) as pool:
        try:
            while True:
                while (k := len(parts) + len(running)) < len(portions) and len(running) < jobs:
                    if parts and not time_for_another(longest):
                        break
                    future = pool.submit(_simulate_plain, arrays, content, calibration, *portions[k])
                    running[future] = (k, time.monotonic())
                if not running:
                    break
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    k, begin = running.pop(future)
                    parts[k] = future.result()
                    longest = max(longest, time.monotonic() - begin)
                progress(sum(len(part.answers) for part in parts.values()))
        except BaseException:
            for child in multiprocessing.active_children():
                child.terminate()
            raise
    return Observed.join([parts[k] for k in sorted(parts)])


class _Probe(wiring.Component):
    """The network with what a bench looks at on every clock in one word: one read of the simulator, not twenty."""

    #: Bits of ``word``, lowest first: six of the boundary, six that announce a beat, x.ready.
    CONTROLS = ("reset", "integrate", "ramp_reset", "tick", "hold", "state")
    EVENTS = ("gates", "state", "output", "h", "logit", "answer")

    def __init__(self, network: Network):
        self.top = NetworkTop.of(network)
        top, monitor = self.top, self.top.monitor
        self._word = Cat(
            *(getattr(top.array, name) for name in self.CONTROLS),
            *(monitor.gates, monitor.state, monitor.output, top.h.valid, top.logit.valid, top.answer.valid),
            top.x.ready,
        )
        #: What a beat of each event carries; read when it is there, which is rarely.
        self.beats = {
            "gates": Cat(monitor.i.as_value(), monitor.f.as_value(), monitor.g.as_value()),
            "state": Cat(monitor.c.as_value(), monitor.q.as_value()),
            "output": Cat(monitor.o.as_value(), monitor.t.as_value()),
            "h": top.h.payload.as_value(),
            "logit": top.logit.payload.as_value(),
            "answer": top.answer.payload.as_value(),
        }
        super().__init__({"word": Out(len(self._word))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.top = self.top
        m.d.comb += self.word.eq(self._word)
        return m


class _Pins:
    """The boundary as :class:`.array.ArrayModel` wants it: controls from the word, buses read when they matter."""

    def __init__(self, ctx, array):
        self._ctx, self._array = ctx, array

    def load(self, word: int):
        for bit, name in enumerate(_Probe.CONTROLS):
            setattr(self, name, word >> bit & 1)

    def __getattr__(self, name: str) -> int:
        if name not in PIN_NAMES:
            raise AttributeError(name)
        return self._ctx.get(getattr(self._array, name))


def _die_quietly():
    # On Ctrl-C the caller says what is to be said.
    handle_signal(SIGINT, SIG_DFL)


def _simulate_plain(arrays: tuple, content, calibration: int, x: np.ndarray, first: int) -> Observed:
    spec = Specification.from_dict(arrays[0])
    if isinstance(content, tuple):
        kind, values = content
        content = kind(spec, **values)
    return _simulate(Network(spec, *arrays[1:]), content, calibration, x, first)


def _simulate(network: Network, programming, calibration: int, x: np.ndarray, first: int) -> Observed:
    """One simulation in this process; ``first``: the number of its first conversion."""
    spec = network.spec
    bench = Bench(network, programming, calibration, first)
    code_bits = (1 << spec.input_bits) - 1
    payloads = (x & code_bits).reshape(len(x), -1)
    payloads[:, -1] |= code_bits + 1  # `last`, with the utterance's last code
    bench.payloads += payloads.ravel().tolist()
    bench.run_to(len(x) * (x.shape[1] if spec.readout == "step" else 1))
    return _observed(spec, x.shape, bench.beats, bench.ends, bench.clock)


class Bench:
    """The network, the array behind it, and all that goes in and comes out, clock by clock.

    Parameters
    ----------
    network : Network
    programming
        What the array holds, as :class:`.array.ArrayModel` takes it.
    calibration : int
        The calibration port.
    first : int
        The number of the first conversion.

    Attributes
    ----------
    payloads : list of int
        {last, code} of every x code, those to come included: to be appended to.
    beats : dict of lists of int
        What has come out, by event.
    ends : list of int
        The clock of each step's last beat of h.
    clock : int
    """

    def __init__(self, network: Network, programming, calibration: int, first: int = 0):
        self.spec = network.spec
        self._probe = _Probe(network)
        self._model = ArrayModel(network.spec, programming, record=False, first=first)
        self._calibration = calibration
        self.payloads: list[int] = []
        self.beats: dict[str, list[int]] = {name: [] for name in _Probe.EVENTS}
        self.ends: list[int] = []
        self.clock = 0
        self._simulator = None

    def run_to(self, answers: int):
        """Simulate until there are so many answers; SimulationError if nothing happens for too long."""
        if self._simulator is None:
            self._simulator = Simulator(self._probe)
            self._simulator.add_clock(1e-6)
            self._simulator.add_testbench(self._run)
        found = self.beats["answer"]
        while len(found) < answers:
            self._simulator.advance()

    # One loop for array, x and outputs: each further one would cost as much as the gateware. It looks just after each
    # edge, when all that the clock will bring is decided, since nothing it drives is known later.
    async def _run(self, ctx):
        probe, model, spec, payloads, beats = self._probe, self._model, self.spec, self.payloads, self.beats
        top, controls = probe.top, len(_Probe.CONTROLS)
        outputs = [(name, beats[name], probe.beats[name]) for name in _Probe.EVENTS]
        x_payload = top.x.payload.as_value()
        patience = _PATIENCE * (spec.clocks_per_step + spec.inputs + spec.hidden)
        pins, shown, sent, quiet = _Pins(ctx, top.array), 0, 0, 0
        for signal in (top.array.ready, top.h.ready, top.logit.ready, top.answer.ready, top.x.valid):
            ctx.set(signal, 1)
        ctx.set(top.calibration, self._calibration)
        ctx.set(x_payload, payloads[0])
        taken, valid = ctx.get(top.x.ready), True
        async for _ in ctx.tick():
            self.clock += 1
            if taken:
                sent += 1
                valid = sent < len(payloads)
                if valid:
                    ctx.set(x_payload, payloads[sent])
                else:
                    ctx.set(top.x.valid, 0)
            elif not valid and sent < len(payloads):
                valid = True
                ctx.set(x_payload, payloads[sent])
                ctx.set(top.x.valid, 1)
            word = ctx.get(probe.word)
            taken = word >> (controls + len(outputs)) & 1 and valid
            pins.load(word)
            comparators, _ = model.clock(pins)
            if comparators != shown:
                ctx.set(top.array.comparators, comparators)
                shown = comparators
            events = word >> controls & (1 << len(outputs)) - 1
            quiet = 0 if events else quiet + 1
            if quiet > patience:
                raise SimulationError(f"the gateware showed nothing for {quiet} clocks, up to clock {self.clock}")
            if not events:
                continue
            for bit, (name, found, signal) in enumerate(outputs):
                if events >> bit & 1:
                    found.append(ctx.get(signal))
                    if name == "h" and len(found) % spec.h_beats == 0:
                        self.ends.append(self.clock)


def _observed(spec: Specification, shape: tuple, beats: dict[str, list[int]], ends: list[int], clocks: int) -> Observed:
    utterances, steps, _ = shape
    lasts = np.arange(utterances * steps) % steps == steps - 1
    found = beat_values(spec, beats, lasts)
    answers = (utterances, steps) if spec.readout == "step" else (utterances,)
    logits = {"logits": found.pop("logits").reshape(*answers, -1), "answers": found.pop("answers").reshape(answers)}
    parts = {name: values.reshape(utterances, steps, -1) for name, values in found.items()} | logits
    clock_of = np.array(ends).reshape(utterances, steps)
    return Observed(**parts, clocks=clocks, step_clocks=np.diff(clock_of, axis=1).ravel())


def beat_values(spec: Specification, beats: dict[str, list[int]], lasts: np.ndarray) -> dict[str, np.ndarray]:
    """What the beats of some steps say: ``Observed.COMPARED``, each int64 of shape (steps or answers, ...).

    Parameters
    ----------
    beats : dict of lists of int
        As :class:`Bench` collects them.
    lasts : bool array, shape (steps,)
        Which of the steps are their utterances' last ones.

    Raises
    ------
    SimulationError
        For another number of beats than they make, or beats that are framed otherwise.
    """
    width, steps = spec.adc_bits, len(lasts)
    layouts = {
        "gates": [("i", width, False), ("f", width, False), ("g", width, False)],
        "state": [("c", spec.state_bits, True), ("q", spec.state_pulse_bits, True)],
        "output": [("o", width, False), ("t", width, False)],
        "h": [("h", spec.input_bits, True)],
    }
    found = {}
    for group, members in layouts.items():
        count, beats_each = (spec.hidden, spec.h_beats) if group == "h" else (spec.units, spec.beats)
        expected = steps * beats_each
        if len(beats[group]) != expected:
            raise SimulationError(f"the gateware showed {len(beats[group])} beats of {group}; expected {expected}")
        lowest = 0
        for name, bits, is_signed in members:
            lanes = _fields(beats[group], lowest, bits, spec.lanes, is_signed)
            found[name] = lanes.reshape(steps, -1)[:, :count]
            lowest += bits * spec.lanes
    expected = (steps if spec.readout == "step" else int(lasts.sum())) * spec.classes
    if len(beats["logit"]) != expected:
        raise SimulationError(f"the gateware gave {len(beats['logit'])} logits; expected {expected}")
    _check_framing(spec, lasts, beats)
    return {
        "codes": np.concatenate([found[gate] for gate in "ifgo"], axis=1),
        "c": found["c"],
        "state_pulses": found["q"],
        "state_codes": found["t"],
        "h": found["h"],
        "logits": _fields(beats["logit"], 0, spec.logit_bits, 1, True).reshape(-1, spec.classes),
        "answers": _fields(beats["answer"], 0, max((spec.classes - 1).bit_length(), 1), 1, False)[:, 0],
    }


def _check_framing(spec: Specification, lasts: np.ndarray, beats: dict[str, list[int]]) -> None:
    """Ends and lasts where they belong, no utterance too long, zeros in the lanes beyond the last unit."""
    end = np.arange(len(lasts) * spec.h_beats) % spec.h_beats == spec.h_beats - 1
    codes = spec.lanes * spec.input_bits
    used = (spec.hidden - (spec.h_beats - 1) * spec.lanes) * spec.input_bits
    beyond = np.array([word % (1 << codes) >> used if last else 0 for word, last in zip(beats["h"], end, strict=True)])
    last_class = np.arange(len(beats["logit"])) % spec.classes == spec.classes - 1
    for name, got, want in (
        ("h_end", _bit(beats["h"], codes), end),
        ("h_last", _bit(beats["h"], codes + 1), np.repeat(lasts, spec.h_beats)),
        ("h_codes beyond the last unit", beyond, 0 * end),
        ("logit_last", _bit(beats["logit"], spec.logit_bits), last_class),
        (
            "answer_too_long",
            _bit(beats["answer"], max((spec.classes - 1).bit_length(), 1)),
            np.zeros(len(beats["answer"])),
        ),
    ):
        wrong = np.flatnonzero(got != want)
        if wrong.size:
            raise SimulationError(f"{name} of beat {wrong[0]} is {got[wrong[0]]}; expected {int(want[wrong[0]])}")


def _bit(words: list[int], bit: int) -> np.ndarray:
    return np.array([word >> bit & 1 for word in words])


def _fields(words: list[int], lowest: int, bits: int, count: int, is_signed: bool) -> np.ndarray:
    """``count`` fields of ``bits`` from bit ``lowest`` on, of each word; int64, shape (words, count)."""
    mask, half = (1 << bits) - 1, 1 << (bits - 1)
    values = [[word >> (lowest + bits * k) & mask for k in range(count)] for word in words]
    array = np.array(values, np.int64).reshape(len(words), count)
    return np.where(array >= half, array - (1 << bits), array) if is_signed else array
