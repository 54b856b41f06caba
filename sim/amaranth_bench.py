# SPDX-License-Identifier: Apache-2.0
"""A network in Amaranth's own simulator with the Python array behind it, clock by clock."""

import numpy as np
from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out
from amaranth.sim import Simulator
from crossramp.golden.network import Network
from crossramp.golden.specification import Specification
from crossramp.rtl.network import NetworkTop

from .array import PIN_NAMES, ArrayModel
from .array_interface import Array, CheckedArray
from .simulators import HardwareError

#: Steps (load, conversion, and the sum of one logit) without any event after which a simulation is given up.
_PATIENCE = 4


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


class Bench:
    """The network, the array behind it, and all that goes in and comes out, clock by clock.

    Parameters
    ----------
    network : Network
    programming
        What the array holds, as :class:`.array.ArrayModel` takes it; or an :class:`.array_interface.Array`, which then
        stands behind the boundary itself.
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
        if not isinstance(programming, Array):
            programming = ArrayModel(network.spec, programming, record=False, first=first)
        self._array = CheckedArray(programming, network.spec.columns)
        self._calibration = calibration
        self.payloads: list[int] = []
        self.beats: dict[str, list[int]] = {name: [] for name in _Probe.EVENTS}
        self.ends: list[int] = []
        self.clock = 0
        self._simulator = None

    def run_to(self, answers: int):
        """Simulate until there are so many answers; HardwareError if nothing happens for too long."""
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
        probe, array, spec, payloads, beats = self._probe, self._array, self.spec, self.payloads, self.beats
        top, controls = probe.top, len(_Probe.CONTROLS)
        outputs = [(name, beats[name], probe.beats[name]) for name in _Probe.EVENTS]
        x_payload = top.x.payload.as_value()
        patience = _PATIENCE * (spec.clocks_per_step + spec.inputs + spec.hidden)
        pins, shown, was_ready, sent, quiet = _Pins(ctx, top.array), 0, 1, 0, 0
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
            comparators, ready = array.clock(pins)
            if comparators != shown:
                ctx.set(top.array.comparators, comparators)
                shown = comparators
            if ready != was_ready:
                ctx.set(top.array.ready, ready)
                was_ready = ready
            events = word >> controls & (1 << len(outputs)) - 1
            quiet = 0 if events else quiet + 1
            if quiet > patience:
                raise HardwareError(f"the gateware showed nothing for {quiet} clocks, up to clock {self.clock}")
            if not events:
                continue
            for bit, (name, found, signal) in enumerate(outputs):
                if events >> bit & 1:
                    found.append(ctx.get(signal))
                    if name == "h" and len(found) % spec.h_beats == 0:
                        self.ends.append(self.clock)


def beat_values(spec: Specification, beats: dict[str, list[int]], lasts: np.ndarray) -> dict[str, np.ndarray]:
    """What the beats of some steps say: codes, c, state_pulses, state_codes, h, logits, answers; int64, steps first.

    Parameters
    ----------
    beats : dict of lists of int
        As :class:`Bench` collects them.
    lasts : bool array, shape (steps,)
        Which of the steps are their utterances' last ones.

    Raises
    ------
    HardwareError
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
            raise HardwareError(f"the gateware showed {len(beats[group])} beats of {group}; expected {expected}")
        lowest = 0
        for name, bits, is_signed in members:
            lanes = _fields(beats[group], lowest, bits, spec.lanes, is_signed)
            found[name] = lanes.reshape(steps, -1)[:, :count]
            lowest += bits * spec.lanes
    expected = (steps if spec.readout == "step" else int(lasts.sum())) * spec.classes
    if len(beats["logit"]) != expected:
        raise HardwareError(f"the gateware gave {len(beats['logit'])} logits; expected {expected}")
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
            raise HardwareError(f"{name} of beat {wrong[0]} is {got[wrong[0]]}; expected {int(want[wrong[0]])}")


def _bit(words: list[int], bit: int) -> np.ndarray:
    return np.array([word >> bit & 1 for word in words])


def _fields(words: list[int], lowest: int, bits: int, count: int, is_signed: bool) -> np.ndarray:
    """``count`` fields of ``bits`` from bit ``lowest`` on, of each word; int64, shape (words, count)."""
    mask, half = (1 << bits) - 1, 1 << (bits - 1)
    values = [[word >> (lowest + bits * k) & mask for k in range(count)] for word in words]
    array = np.array(values, np.int64).reshape(len(words), count)
    return np.where(array >= half, array - (1 << bits), array) if is_signed else array
