# SPDX-License-Identifier: Apache-2.0
"""Play questions and answers on the pins of a board's design: its Verilog, or the netlist that was made of it."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..tools.builds import build_executable
from ..tools.growth import run_watched
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
    *,
    clocks_per_bit: int,
    patience: int,
    limit: int,
    seed: int = 1,
    optimize: bool = True,
    folder: Path | str | None = None,
) -> Replay:
    """Simulate ``design`` in Verilator through all of ``acts``; registers without initial values start at random.

    Parameters
    ----------
    clocks_per_bit : int
        Of the UART.
    patience : int
        Clocks of silence after which there is no answer.
    limit : int
        Clocks that one question may be repeated.
    seed : int
        Of the random start.
    optimize : bool
        Compile for speed; False builds sooner.
    folder : path or None
        Where models are built and kept, see :func:`.build_cache.cache_folder`.

    Raises
    ------
    SimulatorMissing
        Without Verilator.
    SimulationError
        If it cannot be built, crashes, or hangs; it may be as slow as it is.
    """
    main = source("replay_main.cpp").read_text()
    sources = {**design.sources, "replay.v": _wrapper(design)}
    command = build_executable(
        "verilator", sources, _TOP, main=main, random_start=True, optimize=optimize, strict=False, folder=folder
    )
    with tempfile.TemporaryDirectory(prefix="crossramp-") as name:
        session, log, said = (Path(name) / part for part in ("session", "log", "said"))
        session.write_text("".join(f"{act.kind} {act.data.hex() or act.clocks}\n" for act in acts))
        arguments = [session, log, clocks_per_bit, design.reset_clocks, patience, limit]
        arguments += ["+verilator+rand+reset+2", f"+verilator+seed+{seed}"]
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
