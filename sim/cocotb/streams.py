# SPDX-License-Identifier: Apache-2.0
"""cocotb: drivers and monitors of ready/valid streams."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping

import cocotb
from cocotb.triggers import Event, RisingEdge
from crossramp.golden.common.errors import CrossrampError, ExitStatus, InvalidValue

from .pauses import no_pauses


class StreamError(CrossrampError, AssertionError):
    """A stream broke its rules: unknown control, valid that fell, or payload that changed, before the transfer."""

    exit_status = ExitStatus.DIFFERENT


def stream_signals(dut, prefix: str, payload: tuple[str, ...]) -> dict:
    """Handles of a stream of the generated Verilog: keyword arguments of the classes here.

    ``stream_signals(dut, "x", ("code", "last"))`` finds ``x_valid``, ``x_ready``, ``x_code`` and ``x_last``, and the
    clock and reset of ``dut``.
    """
    return {
        "clock": dut.clk,
        "reset": dut.rst,
        "valid": getattr(dut, f"{prefix}_valid"),
        "ready": getattr(dut, f"{prefix}_ready"),
        "payload": {name: getattr(dut, f"{prefix}_{name}") for name in payload},
    }


class StreamMonitor:
    """Watches a stream: every transfer, and its rules. Starts at once.

    Parameters
    ----------
    clock, reset, valid, ready : handles
    payload : mapping of str to handle
    name : str
        For messages.

    Attributes
    ----------
    beats : list of dict of str to int
        The transfers, unsigned.
    on_beat : list of callables
        Called with each.

    Raises (in the simulation)
    --------------------------
    StreamError
    """

    def __init__(self, clock, reset, valid, ready, payload: Mapping, name: str = "stream"):
        self._clock, self._reset, self._valid, self._ready = clock, reset, valid, ready
        self._payload = dict(payload)
        self.name = name
        self.beats: list[dict[str, int]] = []
        self.on_beat: list[Callable[[dict[str, int]], None]] = []
        cocotb.start_soon(self._run())

    async def _run(self):
        waiting = None
        while True:
            await RisingEdge(self._clock)
            if not self._reset.value.is_resolvable or int(self._reset.value):
                waiting = None
                continue
            valid, ready = self._level(self._valid, "valid"), self._level(self._ready, "ready")
            if waiting is not None and not valid:
                raise StreamError(f"{self.name}: valid fell before the transfer of {waiting}")
            if not valid:
                continue
            beat = {name: self._level(handle, name) for name, handle in self._payload.items()}
            if waiting is not None and beat != waiting:
                raise StreamError(f"{self.name}: payload changed from {waiting} to {beat} before the transfer")
            waiting = None if ready else beat
            if ready:
                self.beats.append(beat)
                for call in self.on_beat:
                    call(beat)

    def _level(self, handle, name: str) -> int:
        value = handle.value
        if not value.is_resolvable:
            raise StreamError(f"{self.name}: {name} is {value}")
        return int(value.to_unsigned() if hasattr(value, "to_unsigned") else value)


class StreamSource:
    """Drives valid and payload: what :meth:`send` queued, one beat after the other. Starts at once.

    Parameters
    ----------
    clock, reset, valid, ready : handles
    payload : mapping of str to handle
    pauses : iterator of bool, or None
        Asked before each new beat, once a clock; True delays it. See :mod:`.pauses`.

    Attributes
    ----------
    on_beat : list of callables
        Called with each beat that was transferred.
    """

    def __init__(self, clock, reset, valid, ready, payload: Mapping, pauses: Iterator[bool] | None = None):
        self._clock, self._reset, self._valid, self._ready = clock, reset, valid, ready
        self._payload = dict(payload)
        self._pauses = no_pauses() if pauses is None else pauses
        self._queue: deque[dict[str, int]] = deque()
        self.on_beat: list[Callable[[dict[str, int]], None]] = []
        self._empty = Event()
        self._empty.set()
        self._valid.value = 0
        for handle in self._payload.values():
            handle.value = 0
        cocotb.start_soon(self._run())

    def send(self, **beat: int):
        """Queue one beat; values of all payload members, as unsigned integers.

        Raises
        ------
        InvalidValue
            For a member that is missing or unknown.
        """
        if beat.keys() != self._payload.keys():
            raise InvalidValue(f"beat has {', '.join(beat) or 'nothing'}; the payload is {', '.join(self._payload)}")
        self._queue.append(beat)
        self._empty.clear()

    def clear(self):
        """Forget what is queued; only while in reset, where no beat can be under way."""
        self._queue.clear()
        self._empty.set()

    async def wait(self):
        """Until everything queued has been transferred."""
        await self._empty.wait()

    async def _run(self):
        driving = False
        while True:
            await RisingEdge(self._clock)
            if not self._reset.value.is_resolvable or int(self._reset.value):
                self._valid.value = 0
                driving = False
                continue
            if driving and int(self._ready.value):
                driving = False
                beat = self._queue.popleft()
                if not self._queue:
                    self._empty.set()
                for call in self.on_beat:
                    call(beat)
            if not driving:
                driving = bool(self._queue) and not next(self._pauses)
                self._valid.value = int(driving)
                if driving:
                    for name, value in self._queue[0].items():
                        self._payload[name].value = value


class StreamSink(StreamMonitor):
    """A monitor that also drives ready. Starts at once.

    Parameters
    ----------
    clock, reset, valid, ready, payload, name : as :class:`StreamMonitor`
    pauses : iterator of bool, or None
        Asked once a clock; True makes ready low.
    """

    def __init__(
        self, clock, reset, valid, ready, payload: Mapping, name="stream", pauses: Iterator[bool] | None = None
    ):
        super().__init__(clock, reset, valid, ready, payload, name)
        self._pauses = no_pauses() if pauses is None else pauses
        ready.value = 0
        cocotb.start_soon(self._drive())

    async def _drive(self):
        while True:
            await RisingEdge(self._clock)
            self._ready.value = int(not next(self._pauses))
