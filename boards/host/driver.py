# SPDX-License-Identifier: Apache-2.0
"""The host's end of a board: loads a network, runs utterances, and reads back what the board computed.

>>> with BoardDriver("/dev/ttyUSB1") as board:
...     board.check(model.spec)
...     board.load(model.network)
...     board.run(codes).answer
"""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.common.integer_arrays import check_integers
from crossramp.golden.layers.network_specification import AnySpecification
from crossramp.golden.link.board_memory import Region, unpacked
from crossramp.golden.link.link_protocol import BAUD, Command, Space, Status, StatusBlock, step_payload
from crossramp.golden.macro.trace import Trace
from crossramp.golden.network.layered_network import LayeredNetwork
from crossramp.golden.network.network import Network

from .exchange import Exchange, LinkError, Refused, Silent
from .images import network_images, settings_image
from .memories import BoardMemories
from .serial_port import open_port

RESTARTS = 2
"""How often an utterance is begun again."""


def check_every_step(spec: AnySpecification) -> None:
    """InvalidValue for a network that gives h of all steps only behind the last one: a board keeps one of them."""
    if spec.bidirectional:
        raise InvalidValue(
            "a layer has two directions, so h of all steps comes behind the last one, and a board keeps that of one: "
            "read the last step's alone"
        )


class Disturbed(LinkError):
    """The board lost the utterance that was under way: it was reset, or it lost its power."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What a board computed of one utterance.

    Attributes
    ----------
    answer : int, or int64 array, shape (steps,)
        Class index; with the readout ``"step"``, of every step.
    logits : int64 array, shape (classes,), or (steps, classes)
        With the readout ``"step"``, of every step.
    h : int64 array, shape (hidden,), or (steps, hidden)
        Pulse codes of the last step, or of every step.
    clocks, waiting : int
        Clocks that the board computed, and those of them on which its array made the periphery wait.
    restarts : int
        How often the utterance was begun again, the board having lost it.
    """

    answer: int | np.ndarray
    logits: np.ndarray
    h: np.ndarray
    clocks: int
    waiting: int
    restarts: int

    @property
    def trace(self) -> Trace:
        """h, logits and answer as the trace of one utterance; h without a steps axis where the last alone was read."""
        return Trace(h=self.h[None], logits=self.logits[None], answers=np.array([self.answer]))


class BoardDriver(BoardMemories):
    """One board on one serial port; a context manager that closes the port.

    Its memories are those of :class:`.memories.BoardMemories`.

    Parameters
    ----------
    port : str
        Name of the port; see :func:`.serial_port.open_port`.
    baud : int
        Bits per second that the board was built for.
    timeout, tries, patience
        As :class:`.exchange.Exchange` takes them.

    Attributes
    ----------
    build : Build
        What the board says it is.
    exchange : Exchange

    Raises
    ------
    PortError
        If the port cannot be opened.
    LinkError
        If no board answers there, or one whose identity cannot be read. Every method that talks to the board raises it
        for a board that stops answering or answers what this protocol has not; nothing hangs.
    """

    def __init__(self, port: str, *, baud: int = BAUD, timeout: float = 0.5, tries: int = 5, patience: float = 10.0):
        self._line = open_port(port, baud)
        self._loaded = None  # what the board's memories hold, if this driver wrote them
        self._utterance = 0
        self._tag: int | None = None  # what the last RESET gave; None before the first
        self._accepted = 0
        try:
            exchange = Exchange(self._line, port, timeout=timeout, tries=tries, patience=patience)
            try:
                exchange.synchronize()
            except Silent:
                raise LinkError(
                    f"no board answers on {port} at {baud} baud ({tries} tries of {timeout:g} s); is it the right "
                    "port, and is the bitstream loaded? (crossramp flash)"
                ) from None
            super().__init__(exchange)
            exchange.progress = lambda: self._progress(self.status())
        except BaseException:
            self._line.close()
            raise

    def __enter__(self) -> "BoardDriver":
        return self

    def __exit__(self, *exc) -> None:
        self.close()

    def close(self) -> None:
        """Close the port; the board keeps what it holds."""
        self._line.close()

    # ---- loading ----------------------------------------------------------------------------------------------------

    def load(
        self,
        network: Network | LayeredNetwork,
        thresholds: Sequence | Mapping[str, Sequence] | None = None,
        *,
        hold: int | None = None,
        tick: int = 1,
        calibration: int | None = None,
        verify: bool = True,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Write a network into the board. Without an emulator on the board, that is its head and the settings.

        Parameters
        ----------
        network : Network or LayeredNetwork
            Of the board's specification, lanes apart.
        thresholds : sequence of integer arrays, shape (ticks,), or None
            For each ramp of ``spec.ramps``, in any order: on a tick, a comparator is high while its MAC exceeds it.
            None: the ideal ones. Of a network of several macros, a mapping of their names to such sequences.
        hold : int or None
            Least clocks of hold before a ramp; None: the specification's, or those of each layer.
        tick : int
            Clocks of a tick at least.
        calibration : int or None
            The bias cells that are selected: bit k * calibration_cells + n is cell n of ramp k. None: the nominal ones
            of an array on pins; an emulated array has none.
        verify : bool
            Read all of it back and compare.
        progress : callable or None
            Called with the bytes moved so far and the bytes there are to move.

        Raises
        ------
        WrongModel
            For a network of another specification.
        InvalidValue
            For thresholds or settings that the board cannot hold.
        LinkError
            Also if what is read back is not what was written.
        """
        self.check(network.spec)
        images = network_images(self.build, network, thresholds)
        images[Region(Space.SETTINGS)] = settings_image(self.build, hold, tick, calibration)
        self._loaded = (images, verify)
        self._write_all(images, verify, progress)

    def _write_all(self, images: dict[Region, bytes], verify: bool, progress: Callable | None = None) -> None:
        self.exchange.doing = "while the network was loaded"
        # A running step would keep the memories busy. Earlier results do not matter, so this needs no look at them.
        following = self._following_tag()
        self.exchange.ask(Command.RESET, bytes([following]))
        self._tag, self._accepted = following, 0
        self.write_images(images, verify, progress)

    # ---- utterances -------------------------------------------------------------------------------------------------

    def status(self) -> StatusBlock:
        """What the board is doing."""
        return StatusBlock.unpack(self.exchange.ask(Command.STATUS, length=StatusBlock.SIZE))

    def h(self) -> np.ndarray:
        """h of the last step, pulse codes, int64, shape (hidden,); waits while a step is being computed."""
        return unpacked(self.read(Space.H), 1)[: self.build.spec.hidden]

    def logits(self) -> np.ndarray:
        """Logits of the last utterance, int64, shape (classes,); waits while the board computes.

        With the readout ``"step"``, of the last step.
        """
        return unpacked(self.read(Space.LOGITS), self.build.word_bytes(Space.LOGITS))

    def reset(self) -> None:
        """Begin another utterance; what runs is dropped.

        Raises
        ------
        Disturbed
            If the board is not as this driver left it: it was reset or lost its power, and perhaps its memories.
        """
        following = self._following_tag()
        for attempt in range(self.exchange.tries):
            if self._tag is not None:
                status = self.status()
                if attempt and (status.tag, status.accepted) == (following, 0):
                    break  # it was the answer that got lost
                self._require(status, status.tag == self._tag and status.accepted == self._accepted)
            try:
                # Asked once at a time, with a look in between: so no board can be switched off and on unseen.
                self.exchange.ask(Command.RESET, bytes([following]), tries=1)
                break
            except Silent:
                self.exchange.repeated += 1
                if attempt == self.exchange.tries - 1:
                    raise
        self._tag, self._accepted = following, 0

    def _following_tag(self) -> int:
        """Never 0, which is a board's after power-up: so one that was off is known by its tag."""
        return 1 + secrets.randbelow(255) if self._tag is None else self._tag % 255 + 1

    def step(self, x: np.ndarray, last: bool) -> None:
        """The next step of the utterance; waits while the board has no room for one.

        Parameters
        ----------
        x : integer array, shape (inputs,)
            Pulse codes within ±input_max.
        last : bool
            The utterance ends with it.

        Raises
        ------
        Disturbed
            If the board has lost the utterance.
        """
        try:
            self.exchange.ask(Command.STEP, step_payload(self._tag, self._accepted, last, x))
        except Refused as refused:
            if refused.status == Status.ORDER:
                raise self._disturbed() from None
            raise
        self._accepted += 1

    def run(self, x: np.ndarray, *, every_step: bool = False) -> Answer:
        """One utterance, from reset to answer.

        A board that loses it midway gets its network again, where :meth:`load` was called, and the utterance from its
        start.

        Parameters
        ----------
        x : integer array, shape (steps, inputs)
            Pulse codes within ±input_max; 1 to max_steps steps.
        every_step : bool
            Read h of every step, not of the last one only; see :func:`check_every_step`.

        Raises
        ------
        InvalidValue
            For a wrong shape, a number of steps or a code out of range; for h of every step, if it is not there.
        LinkError
            Also if the board loses the utterance again and again.
        """
        spec = self.build.spec
        if every_step:
            check_every_step(spec)
        x = check_integers("x", x, (None, spec.inputs), spec.input_max)
        if not 1 <= len(x) <= spec.max_steps:
            raise InvalidValue(f"x has {len(x)} steps; the board takes 1 to {spec.max_steps}")
        self._utterance += 1
        for restarts in range(RESTARTS + 1):
            try:
                if restarts:
                    self._restore()
                self.exchange.doing = f"at the start of utterance {self._utterance}"
                return self._run(x, every_step, restarts)
            except Disturbed:
                if restarts == RESTARTS or self._loaded is None:
                    raise
        raise AssertionError("every pass returns or raises")

    def _run(self, x: np.ndarray, every_step: bool, restarts: int) -> Answer:
        self.reset()
        hidden, answers, logits = [], [], []
        answers_each_step = self.build.spec.readout == "step"
        for step, codes in enumerate(x):
            last = step == len(x) - 1
            self.step(codes, last)
            self.exchange.doing = f"after step {step + 1} of utterance {self._utterance}"
            if every_step:
                hidden.append(self.h())
            if answers_each_step and not last:
                answers.append(self._finished(last=False).answer)
                logits.append(self.logits())
        before = self._finished()
        answers.append(before.answer)
        logits.append(self.logits())
        h = self.h()
        after = self._finished()
        # What was read is of this utterance only if nothing happened meanwhile.
        self._require(after, replace(after, faults=before.faults, dropped=before.dropped) == before)
        return Answer(
            np.array(answers) if answers_each_step else answers[-1],
            np.stack(logits) if answers_each_step else logits[-1],
            np.stack(hidden) if every_step else h,
            after.clocks,
            after.waiting,
            restarts,
        )

    def _finished(self, last: bool = True) -> StatusBlock:
        """The status, once the answer is complete; Disturbed if it is not that of this utterance, or of its last step.

        With ``last`` False, that of a step before the last one.
        """
        until, seen = time.monotonic() + self.exchange.patience, None
        while (status := self.status()).computing and status.tag == self._tag:
            if (found := self._progress(status)) != seen:
                until, seen = time.monotonic() + self.exchange.patience, found
            elif time.monotonic() > until:
                raise LinkError(
                    f"the board on {self.exchange.name} has been computing for {self.exchange.patience:g} s "
                    f"{self.exchange.doing} without any progress; does its array hold `ready` low?"
                )
        counts = (status.tag, status.accepted, status.done, status.answered)
        self._require(status, counts == (self._tag, self._accepted, self._accepted, last))
        return status

    def _progress(self, status: StatusBlock) -> tuple:
        """What changes as the board gets on: not while its array makes it wait, nor beyond all that it has to do."""
        spec = self.build.spec
        steps = (status.accepted + 1) * len(spec.macros)
        most = 2 * (steps * (spec.clocks_per_step + spec.inputs) + spec.head_clocks)
        return status.tag, status.accepted, status.done, min(status.clocks - status.waiting, most)

    def _restore(self) -> None:
        """Bring the board back to what it was when it was loaded."""
        self.exchange.synchronize()
        build = self.identify()
        if build != self.build:
            raise LinkError(f"another board answers on {self.exchange.name} now ({build.board}); start again")
        self._write_all(*self._loaded)

    def _require(self, status: StatusBlock, condition: bool) -> None:
        if not condition:
            raise self._disturbed(f" (tag {status.tag}, {status.accepted} steps)")

    def _disturbed(self, what: str = "") -> Disturbed:
        return Disturbed(
            f"the board on {self.exchange.name} lost the utterance {self.exchange.doing}{what}: it was reset, or its "
            "power failed; start again"
        )
