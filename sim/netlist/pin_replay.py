# SPDX-License-Identifier: Apache-2.0
"""Play questions and answers on the pins of a board's design: its Verilog, or the netlist that was made of it."""

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..tools.builds import build_executable
from ..tools.growth import run_watched
from ..tools.run_options import BUILD, BuildOptions
from ..tools.simulators import SimulationError
from ..tools.sources import source

_TOP = "crossramp_replay"


@dataclass(frozen=True)
class Design:
    """What is simulated, and what its pins are called.

    Attributes
    ----------
    sources : mapping
        File name to Verilog text.
    top : str
        Module.
    clock, reset, rx, tx : str
        Ports of ``top``.
    reset_low : bool
        The reset is pressed while its port is low.
    reset_clocks : int
        After the reset was let go, until the design is out of it.
    ties : mapping
        Other inputs of ``top``, and the Verilog expression on each; outputs not named here stay open.
    """

    sources: Mapping[str, str]
    top: str
    clock: str = "clk"
    reset: str = "rst"
    rx: str = "rx"
    tx: str = "tx"
    reset_low: bool = False
    reset_clocks: int = 0
    ties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Act:
    """One thing that happens on the pins.

    Attributes
    ----------
    kind : str
        ``"press"``: hold the reset for ``clocks``, and wait until the design is out of it. ``"ask"``: send ``data`` and
        wait for a frame, again while it says BUSY. ``"settle"``: the same, again also while a StatusBlock says that
        something is being computed. ``"send"``: send ``data`` and wait for nothing.
    data : bytes
    clocks : int
    """

    kind: str
    data: bytes = b""
    clocks: int = 0


@dataclass(frozen=True)
class LinkTiming:
    """How fast the link is, and how long a question may take.

    Attributes
    ----------
    clocks_per_bit : int
        Of the UART.
    patience : int
        Clocks of silence after which a question counts as not answered.
    limit : int
        Clocks for which one question may be repeated.
    """

    clocks_per_bit: int
    patience: int
    limit: int


@dataclass(frozen=True)
class Replay:
    """What came back.

    Attributes
    ----------
    answers : list of bytes
        For each question, the frame between its ENDs; shorter than the questions if one was not answered.
    clocks : int or None
        Simulated; None if a question was not answered.
    """

    answers: list[bytes]
    clocks: int | None


def replay(
    design: Design,
    acts: Sequence[Act],
    timing: LinkTiming,
    *,
    seed: int = 1,
    build: BuildOptions = BUILD,
) -> Replay:
    """Simulate ``design`` in Verilator through all of ``acts``; registers without initial values start at random.

    Parameters
    ----------
    timing : LinkTiming
    seed : int
        Of the random start.
    build : BuildOptions
        Its ``random_start`` has no effect: registers always start at random.

    Raises
    ------
    SimulatorMissing
        Without Verilator.
    SimulationError
        If it cannot be built, crashes, or hangs; it may be as slow as it is.
    """
    main = source("replay_main.cpp").read_text()
    sources = {**design.sources, "replay.v": _wrapper(design)}
    build = dataclasses.replace(build, random_start=True)
    command = build_executable("verilator", sources, _TOP, main=main, strict=False, build=build)
    with tempfile.TemporaryDirectory(prefix="crossramp-") as name:
        session, log, said = (Path(name) / part for part in ("session", "log", "said"))
        session.write_text("".join(f"{act.kind} {act.data.hex() or act.clocks}\n" for act in acts))
        arguments = [session, log, timing.clocks_per_bit, design.reset_clocks, timing.patience, timing.limit]
        arguments += build.plusargs(seed)
        what = f"the replay of {design.top}"
        status = run_watched([*command, *arguments], Path(name), said, log.with_suffix(".alive"), what)
        if status:
            words = " ".join(said.read_text(errors="replace").split()[-40:])
            raise SimulationError(f"{what} ended with status {status}: {words}")
        lines = log.read_text().splitlines()
    clocks = int(lines.pop().removeprefix("clocks ")) if lines and lines[-1].startswith("clocks ") else None
    return Replay([bytes.fromhex(line) for line in lines], clocks)


def _wrapper(design: Design) -> str:
    """Verilog of the top with the pins that the C++ program knows."""
    inputs = {
        design.clock: "clk",
        design.reset: "~rst" if design.reset_low else "rst",
        design.rx: "rx",
        **design.ties,
    }
    # Wires between: the pins of a netlist may be inout ports, which an input cannot be connected to.
    wires = "".join(f"  wire pin_{k} = {signal};\n" for k, signal in enumerate(inputs.values()))
    connections = ",\n".join(f"    .{port}(pin_{k})" for k, port in enumerate(inputs))
    return (
        f"module {_TOP}(input clk, input rst, input rx, output tx);\n{wires}"
        f"  {design.top} device (\n{connections},\n    .{design.tx}(tx)\n  );\n"
        "endmodule\n"
    )
