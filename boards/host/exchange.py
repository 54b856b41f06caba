# SPDX-License-Identifier: Apache-2.0
"""Question and answer over a serial line that may lose, change or invent bytes: stop-and-wait with numbers and CRCs."""

import secrets
import time
from collections.abc import Callable

from crossramp.golden.common.errors import CrossrampError, ExitStatus, InvalidValue
from crossramp.golden.link.link_protocol import ANSWER, END, OVERHEAD, Command, Decoder, Frame, Status, encode

NONCE = 16
"""Bytes that an echo is known by."""


_SLICE = 0.02
"""Seconds that a read waits for a first byte before it looks at the time again."""

_LATE_SECONDS = 4.0
"""What the timeout grows to at most where answers come late."""

_WRITE_SECONDS = 5.0
"""Time beyond the timeout that a write may take until the system has all bytes; after it, no board takes them."""


class LinkError(CrossrampError, RuntimeError):
    """The board does not do what was asked of it; one line with the port, what was under way and what to do."""

    exit_status = ExitStatus.REFUSED


class Refused(LinkError):
    """The board answered with a status other than OK; nothing was done."""

    def __init__(self, message: str, status: Status):
        super().__init__(message)
        self.status = status


class Silent(LinkError):
    """No answer in any of the tries."""


class Exchange:
    """One question at a time, each asked again until it is answered or all tries are over.

    A question that is asked again keeps its number. That is right for every command, since doing one of them twice in
    a row is as good as once; the board answers a step that it has already with OK and does not compute it again.

    Parameters
    ----------
    line : serial.Serial
        Or anything with its ``write``, ``read``, ``in_waiting``, ``baudrate``, ``timeout`` and ``write_timeout``.
    name : str
        What messages call the port.
    timeout : float
        Seconds of silence after which a question is asked again, beside those that its bytes take. Where answers come
        later than that it grows, for else each question that was asked too early would delay the next one.
    tries : int
        How often a question is asked at most, 1 or more.
    patience : float
        Seconds that a board may answer BUSY and get on with nothing.

    Attributes
    ----------
    doing : str
        What is under way, for messages: ``"after step 17 of utterance 3"``.
    repeated : int
        Questions that were asked again so far.
    progress : callable or None
        How far the board is, to be compared with how far it was: a board that gets on, slow as it may be (it may be a
        simulated one), is asked again for as long as it takes. None: unknown.
    """

    def __init__(self, line, name: str, *, timeout: float = 0.5, tries: int = 5, patience: float = 10.0):
        if tries < 1:
            raise InvalidValue(f"tries is {tries}; expected 1 or more")
        if not timeout > 0:
            raise InvalidValue(f"timeout is {timeout} s; expected more than 0")
        self.line, self.name = line, name
        self.timeout, self.tries, self.patience = timeout, tries, patience
        self.doing = "at the first question"
        self.repeated = 0
        self.progress: Callable[[], object] | None = None
        self._wait = timeout  # what it has grown to
        # Set once: pyserial sets up the whole port again for it.
        line.timeout = min(timeout, _SLICE)
        line.write_timeout = timeout + _WRITE_SECONDS
        self._decoder = Decoder()
        self._sequence = secrets.randbelow(256)  # so that an answer to an earlier program hardly ever looks like ours

    def synchronize(self) -> None:
        """Bring both ends to the same frame after any bytes on the line, and check that a board answers.

        Raises
        ------
        Silent
        """
        # Ends a frame, or an escape, that an earlier program left unfinished; two ENDs do not begin a frame.
        self._write(bytes([END, END]))
        for _ in range(self.tries):
            nonce = secrets.token_bytes(NONCE)
            if self.ask(Command.ECHO, nonce, length=NONCE) == nonce:
                return
        raise LinkError(f"what answers on {self.name} is not a crossramp board: it does not echo what it was sent")

    def ask(self, command: int, payload: bytes = b"", length: int = 0, tries: int | None = None) -> bytes:
        """The answer's payload, without its status OK.

        Parameters
        ----------
        command : int
            BUSY is asked again; with another number, for it is another question.
        payload : bytes
        length : int
            Bytes of the answer that are expected after its status; any other number of them is an error.
        tries : int or None
            Instead of the ones set for all.

        Raises
        ------
        Silent
            No answer.
        Refused
            BUSY for longer than ``patience`` without progress, or any other status but OK.
        LinkError
            If the port is gone, or an answer is not one of this protocol.
        """
        look, looks, seen = time.monotonic() + self.patience / 2, 0, None
        while True:
            answer = self._answer(command, payload, length, self.tries if tries is None else tries)
            status = answer[0] if answer else None
            if status == Status.OK and len(answer) == 1 + length:
                return answer[1:]
            if status not in tuple(Status) or status == Status.OK:
                raise LinkError(
                    f"the board on {self.name} answered {len(answer)} bytes with status {status} {self.doing}, which "
                    "this protocol has not; was it built by another version?"
                )
            if status == Status.BUSY:
                if time.monotonic() < look:
                    continue
                found = None if self.progress is None else self.progress()
                looks, seen = looks + 1 if found == seen else 1, found
                if looks < 2:
                    look = time.monotonic() + self.patience / 2
                    continue
            for_long = f" for {self.patience:g} s" if status == Status.BUSY else ""
            raise Refused(
                f"the board on {self.name} answered {Status(status).name}{for_long} to command 0x{command:02x} "
                f"{self.doing}",
                Status(status),
            )

    def _answer(self, command: int, payload: bytes, length: int, tries: int) -> bytes:
        self._sequence = (self._sequence + 1) & 0xFF
        data = encode(Frame(self._sequence, command, payload))
        # On the line every byte takes 10 bits, and may be escaped.
        on_line = (len(data) + 2 * (length + 1 + OVERHEAD)) * 10 / self.line.baudrate
        for attempt in range(tries):
            self.repeated += attempt > 0
            asked, late = time.monotonic(), False
            until = asked + self._wait + on_line
            self._write(data)
            while time.monotonic() < until:
                for frame in self._decoder.feed(self._read()):
                    if frame.sequence == self._sequence and frame.command == command | ANSWER:
                        if not (attempt or late):  # else it is unknown which question it answers
                            self._grow(2 * (time.monotonic() - asked))
                        return frame.payload
                    if frame.command & ANSWER and not late:  # to a question that was asked again
                        late = True
                        self._grow(2 * self._wait)
        raise Silent(
            f"the board on {self.name} stopped answering {self.doing} ({tries} tries of {round(self._wait, 2):g} s); "
            "look at its power, its cable and its lights, and start again"
        )

    def _grow(self, seconds: float) -> None:
        self._wait = max(self.timeout, min(seconds, _LATE_SECONDS))

    def _write(self, data: bytes) -> None:
        from serial import SerialTimeoutException

        try:
            self.line.write(data)
        except SerialTimeoutException:  # no board takes the bytes, so no answer will come
            pass
        except OSError as error:  # pyserial's SerialException is one
            raise self._gone(error) from None

    def _read(self) -> bytes:
        """What has come, or what comes first; nothing if nothing comes for a while."""
        try:
            data = self.line.read(1)
            waiting = self.line.in_waiting
            return data + (self.line.read(waiting) if waiting else b"")
        except (OSError, TypeError) as error:  # TypeError: pyserial's, when the port is closed meanwhile
            raise self._gone(error) from None

    def _gone(self, error: Exception) -> LinkError:
        reason = getattr(error, "strerror", None) or str(error)
        return LinkError(f"the port {self.name} went away {self.doing} ({reason}); connect the board again")
