# SPDX-License-Identifier: Apache-2.0
"""The virtual board: the Verilog of the synthesized core in a simulator, behind a pty that behaves as the serial port.

>>> with virtual_board(build) as port:
...     serial.Serial(port)  # as for a board on a cable

What a program writes to the port arrives on the core's ``rx`` as UART bits at exactly the build's bits per second, and
the bits that the core sends on ``tx`` are what the program reads; a program may close the port and open it again.

The board's clock turns only while there is something to do: a byte on the line either way, ``busy``, and for some
thousand clocks after. Then it stands still, costs no processor time, and goes on with the next byte. So clocks that
the board counts while it computes are those of a real board, and time between two requests does not pass.

In Verilator a small board makes some two million clocks per second, one of the shipped network half a million; in
Amaranth's simulator it is thousands, and a byte takes 120 of them at 12 MHz and 1 Mbaud.
"""

import contextlib
import logging
import os
import subprocess
import sys
import tempfile
import tty
from collections.abc import Callable
from pathlib import Path

from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.link.board_memory import Build, identity_image
from crossramp.sim.tools.builds import build_executable
from crossramp.sim.tools.run_options import BuildOptions
from crossramp.sim.tools.simulators import SimulationError, SimulatorMissing, find_simulator

from ..definitions.board import known_board, probed_columns

_LOG = logging.getLogger(__name__)

#: What a virtual board can run in; ``"auto"`` is Verilator where it is with a compiler, and else Amaranth's simulator.
SIMULATORS = ("auto", "verilator", "amaranth")

#: Seconds a simulation gets to end by itself: it may have to start first, and to write much. Where the caller failed,
#: and wants none of it; and after it was told to stop.
_END_SECONDS, _FAILED_SECONDS, _STOP_SECONDS = 600, 5, 60
#: Seconds in which it is noticed as ended by whoever lost the port.
_NOTICE_SECONDS = 0.5


def virtual_board(
    build: Build,
    simulator: str = "auto",
    workdir: Path | str | None = None,
    pins: Path | str | None = None,
    progress: Callable[[str], None] | None = None,
    change_verilog: Callable[[str], str] | None = None,
    optimize: bool = True,
) -> "VirtualBoard":
    """A board to use as ``with virtual_board(build) as port:``, where ``port`` is the path of a serial port.

    Parameters
    ----------
    build : Build
        What the board is; one with an emulator.
    simulator : str
        One of :data:`SIMULATORS`.
    workdir : path or None
        Where models are built and kept, see :func:`crossramp.sim.tools.build_cache.cache_folder`.
    pins : path or None
        A VCD file that gets every edge of the board's pins (:mod:`.pin_log`).
    progress : callable or None
        Called with a few words on what takes long now.
    change_verilog : callable or None
        Applied to the core's Verilog: a planted fault. Verilator only.
    optimize : bool
        Verilator: compile for speed. False builds sooner, for short runs.

    Raises
    ------
    SimulatorMissing
        On entry, if Verilator was asked for and is not installed; the message says what to install.
    SimulationError
        On entry, if the model cannot be built; on exit, if the simulation ended before it was told to.
    InvalidValue
        For another simulator, a build without an emulator, or ``change_verilog`` without Verilator.
    """
    return VirtualBoard(build, simulator, workdir, pins, progress, change_verilog, optimize)


def choose_simulator(simulator: str = "auto") -> str:
    """``"verilator"`` or ``"amaranth"``; raises as :func:`virtual_board` does."""
    if simulator not in SIMULATORS:
        raise InvalidValue(f"simulator is {simulator!r}; allowed: {', '.join(SIMULATORS)}")
    if simulator == "amaranth":
        return simulator
    try:
        programs = find_simulator("verilator")
    except SimulatorMissing as error:
        if simulator == "auto":
            _LOG.info("simulator amaranth, since there is no other: %s", error)
            return "amaranth"
        raise SimulatorMissing(f"{error}; or take the simulator amaranth, which needs nothing") from None
    _LOG.info("simulator verilator: %s", programs["verilator"])
    return "verilator"


class VirtualBoard:
    """What :func:`virtual_board` returns; a context manager for one use.

    Attributes
    ----------
    simulator : str
        ``"verilator"`` or ``"amaranth"``.
    clocks : int or None
        Clocks that passed on the board, known after it ended.
    """

    def __init__(self, build, simulator, workdir, pins, progress, change_verilog, optimize):
        if not build.columns_per_clock:
            raise InvalidValue(
                f"board {build.board!r} has its array on pins, so nothing would answer there; "
                "take one with an emulator for a virtual board"
            )
        self.simulator = choose_simulator(simulator)
        if change_verilog is not None and self.simulator != "verilator":
            raise ValueError("change_verilog needs Verilator: the other simulator runs no Verilog")
        self.clocks = None
        self._build = build
        self._workdir = workdir
        self._pins = "" if pins is None else str(Path(pins).resolve())
        self._progress = progress or (lambda text: None)
        self._change_verilog = change_verilog
        self._optimize = optimize
        self._process = None

    def __enter__(self) -> str:
        with contextlib.ExitStack() as stack:
            if self._pins:
                open(self._pins, "w").close()  # now, not after a minute of building
            command = self._command()
            # Ours stays open: with no other end, the master would report errors while the port is closed.
            master, self._slave = os.openpty()
            stack.callback(os.close, self._slave)
            tty.setraw(self._slave)
            port = os.ttyname(self._slave)
            self._log = tempfile.TemporaryFile()  # without a name: nothing stays, however this process ends
            stack.callback(self._log.close)
            try:
                self._process = self._start(command, master)
            finally:
                # Theirs alone: when the simulation dies, whoever waits for an answer is told at once.
                os.close(master)
            self._resources = stack.pop_all()
        return port

    def __exit__(self, kind, error, trace) -> None:
        with self._resources:
            ended_early = self._has_ended(_NOTICE_SECONDS if error is not None else 0)
            status = self._end(_END_SECONDS if error is None else _FAILED_SECONDS)
            text = self._output()
            if status is None:  # how it ended is our own doing
                if error is None:
                    raise SimulationError(f"the virtual board did not end within {_END_SECONDS} s, and was stopped")
                return
            if ended_early or status:
                # The loss of the port, which the caller has noticed perhaps, is but a consequence.
                if error is None or isinstance(error, Exception):
                    raise _stopped(status, text) from error
                return
            with contextlib.suppress(IndexError, ValueError):
                self.clocks = int(text.split("clocks ")[1].split()[0])

    @property
    def process_id(self) -> int:
        """Of the simulation; SIGUSR1 presses the reset button."""
        return self._process.pid

    def press_reset(self) -> None:
        """Press the board's reset button; bytes that are written to the port after this call arrive after it."""
        if self._process is None:
            return  # reset is how it will start
        with contextlib.suppress(BrokenPipeError):  # it has ended, as the end will tell
            self._process.stdin.write(b"r")

    def wait(self, seconds: float | None = None) -> None:
        """Return after ``seconds``; SimulationError as soon as the simulation ends. None: wait for nothing else."""
        if self._has_ended(seconds):
            raise _stopped(self._process.returncode, self._output())

    # ---- the simulation's process -----------------------------------------------------------------------------------

    def _command(self) -> list[str]:
        """What to run, without its arguments."""
        if self.simulator == "amaranth":
            return [sys.executable, "-m", f"{__package__}.virtual_amaranth", identity_image(self._build).hex()]
        # Amaranth takes a second to import, and only this needs it.
        from ..flow.board_core import MODULE, core_verilog

        self._progress("virtual board: writing its Verilog")
        board = known_board(self._build.board)
        verilog = core_verilog(self._build, weight_ram_style=board.weight_ram_style if board else None)
        if self._change_verilog is not None:
            verilog = self._change_verilog(verilog)
        self._progress("virtual board: building its simulation (kept for the next time)")
        main = Path(__file__).with_name("virtual_main.cpp").read_text()
        return build_executable(
            "verilator",
            {"board.v": verilog},
            MODULE,
            main=main,
            strict=self._change_verilog is None,
            build=BuildOptions(self._workdir, self._optimize),
        )

    def _start(self, command: list[str], master: int) -> subprocess.Popen:
        build = self._build
        probes = len(probed_columns(build.spec))
        arguments = (master, build.clock, build.baud, quiet_clocks(build), probes, self._pins)
        return subprocess.Popen(
            [*command, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            bufsize=0,
            pass_fds=[master],
            # Ctrl-C is for the caller, who ends the board in order.
            start_new_session=True,
        )

    def _has_ended(self, seconds: float | None) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _end(self, seconds: int) -> int | None:
        """Let the simulation end; its exit status, None if it has not ended by itself after ``seconds`` of waiting."""
        try:
            self._process.stdin.close()
            # Second by second, so that a machine that was suspended gives more time and not less.
            if any(self._has_ended(1) for _ in range(seconds)):
                return self._process.returncode
            self._process.terminate()
            self._has_ended(_STOP_SECONDS)
            return None
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()

    def _output(self) -> str:
        self._log.seek(0)  # of an ended simulation alone: the two share one position
        return self._log.read().decode(errors="replace")


def quiet_clocks(build: Build) -> int:
    """Clocks after the last sign of life until the board's clock stands still.

    Longer than the board takes from the last byte of any request to the first bit of its answer: it goes twice through
    the payload, at most 5 clocks a byte.
    """
    byte = 10 * build.clock // build.baud
    return 8 * byte + 16 * build.payload + 4096


def _stopped(status: int, text: str) -> SimulationError:
    lines = [line for line in text.splitlines() if line.strip()][-3:]
    how = f"signal {-status}" if status < 0 else f"status {status}"
    return SimulationError(f"the virtual board stopped ({how}): {'; '.join(lines) or 'it said nothing'}")
