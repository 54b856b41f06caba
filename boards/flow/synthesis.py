# SPDX-License-Identifier: Apache-2.0
"""From a core's Verilog to a bitstream, step by step, each build made once and kept."""

import json
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from crossramp.golden.link.board_memory import Build
from crossramp.sim.tools.build_cache import build_once

from ..definitions.board import Board, BoardError
from ..definitions.families import CELLS, FAMILIES, LAYOUT_REPORT, NETLIST_JSON, TOP, Family, synthesis_script
from .board_top import top_files
from .core_verilog import kept_core_verilog
from .fit import TooLarge, check_size, excess, refusal
from .gather import gather
from .toolchain import Tool, ToolError, ToolMissing, find_tools, last_words, run_tool

SEED = 1
"""Of the placement, unless another is asked for."""

_SEEDS = 3
"""Placements that are tried before timing counts as missed."""

_LAYOUT_SECONDS = 1800
"""That a placement gets: one that finds no place for a cell can go on for hours."""

_SCRIPT, _RESULT = f"{TOP}.ys", "result.json"
_YOSYS_LOG, _LAYOUT_LOG, _PACK_LOG = "yosys.log", "nextpnr.log", "pack.log"


class TimingMissed(BoardError):
    """No placement reaches the board's clock; says how near the best one is."""


@dataclass(frozen=True)
class Bitstream:
    """A build that fits and meets its timing.

    Attributes
    ----------
    board : Board
    build : Build
    folder : Path
        Holds the core's Verilog (``crossramp_board.v``), the netlist after synthesis (``netlist.v``, ``top.json``),
        the routed netlist (``routed.json``; iCE40 and Gowin), reports and logs. Kept for the next time: leave it as
        it is.
    result : dict
        ``resources`` (name to used and available), ``cells`` (type to count), ``fmax`` and ``clock`` in Hz, ``seed``,
        ``placements`` (what each seed tried gave), ``tools`` (name to version), ``stages`` (name to seconds).
    """

    board: Board
    build: Build
    folder: Path
    result: Mapping

    @property
    def path(self) -> Path:
        """The bitstream's file."""
        return self.folder / self.result["bitstream"]

    @property
    def core(self) -> Path:
        """The core's Verilog: what was synthesized and what is simulated."""
        return self.folder / "crossramp_board.v"

    @property
    def logs(self) -> list[Path]:
        """What the programs said."""
        return [self.folder / name for name in (_YOSYS_LOG, _LAYOUT_LOG, _PACK_LOG)]


def make_bitstream(
    board: Board,
    build: Build,
    *,
    tools: str = "yowasp",
    seed: int = SEED,
    folder: Path | str | None = None,
    progress: Callable[[str], None] | None = None,
) -> Bitstream:
    """Build a bitstream, or take the one that was built of equal sources by equal tools.

    Parameters
    ----------
    build : Build
        As :meth:`.Board.build` gave it.
    tools : str
        ``"yowasp"`` or ``"native"``.
    seed : int
        Of the placement, 0 or more. Where it misses the timing, the next ones are tried.
    folder : path or None
        Where builds are kept; see :func:`crossramp.sim.tools.build_cache.cache_folder`.
    progress : callable or None
        Called with what is being done and for how long.

    Raises
    ------
    TooLarge
        If the board lacks room; before synthesis where that can be known.
    TimingMissed
        If the clock is too fast for every placement tried.
    ToolError
        For a program that is missing, or fails for another reason.
    """
    check_size(board, build)
    family = FAMILIES[board.family]
    found = find_tools(family.programs, tools)
    tell = progress or (lambda text: None)
    tell("writing the Verilog")
    sources = top_files(board, build, kept_core_verilog(build, board.weight_ram_style, folder))
    flow = _Flow(board, family, found, sources, seed, tell)
    place = build_once(board.name, flow.content, flow.make, folder)
    result = json.loads((place / _RESULT).read_text())
    _check(board, build, result)
    return Bitstream(board, build, place, result)


def _check(board: Board, build: Build, result: Mapping):
    used = {name: counts["used"] for name, counts in result["resources"].items()}
    resource = excess(board, used)
    if resource is not None:
        raise TooLarge(refusal(board, build, resource, used[resource]))
    if result["fmax"] is None:
        raise TooLarge(
            f"{board.name}: {result['failure']}; all resources suffice, but no placement was found: "
            f"take fewer units than {build.spec.units}, or another --seed"
        )
    if "bitstream" not in result:
        tried = ", ".join(f"seed {p['seed']}: {p['fmax'] / 1e6:.2f} MHz" for p in result["placements"] if p["fmax"])
        raise TimingMissed(
            f"{board.name}: the timing is missed, {board.clock / 1e6:g} MHz are needed ({tried}); "
            f"take fewer units than {build.spec.units}, or another --seed"
        )


class _Flow:
    """The programs of one build, run in one folder."""

    def __init__(self, board, family, tools, sources, seed, tell):
        self.board: Board = board
        self.family: Family = family
        self.tools: Mapping[str, Tool] = tools
        self.sources: Mapping[str, str] = sources
        self.seed: int = seed
        self.tell: Callable[[str], None] = tell
        self.stages: dict[str, float] = {}
        self.script = synthesis_script(
            family, board.synthesis_options, [name for name in sources if name.endswith((".v", ".il"))]
        )

    @property
    def content(self) -> list[str]:
        """All that the build depends on."""
        sources = [part for item in sorted(self.sources.items()) for part in item]
        versions = [tool.version for tool in self.tools.values()]
        arguments = [*self._layout_arguments(self.seed), *self.family.pack_arguments(self.board, self._file)]
        gathering = [str(self.board.gather_columns), Path(__file__).with_name("gather.py").read_text()]
        # Products become look-up tables, and seeds are given up, where the capacity says so.
        capacity = str(sorted(self.board.capacity.items()))
        limits = [str(_SEEDS), str(_LAYOUT_SECONDS)]
        return [*sources, self.script, *arguments, *limits, *gathering, capacity, *versions]

    @property
    def _file(self) -> str:
        return self.board.name + self.family.suffix

    def make(self, place: Path):
        """Everything up to the bitstream; ``result.json`` says how far it went, unless a tool crashed."""
        for name, text in {**self.sources, _SCRIPT: self.script}.items():
            (place / name).write_text(text)
        self._synthesize(place)
        if self._multipliers(place) > self.board.capacity.get("ICESTORM_DSP", math.inf):
            # As look-up tables they may fit.
            (place / _SCRIPT).write_text(self.script.replace(" -dsp ", " "))
            self._synthesize(place)
        if self.board.gather_columns:
            gather(place / NETLIST_JSON, self.board.gather_columns)
        placements = []
        for seed in range(self.seed, self.seed + _SEEDS):
            placements.append(self._lay_out(place, seed))
            one = placements[-1]
            if one["met"] or one["endless"] or self._exceeds(one["resources"]):
                break
        last = placements[-1]
        result = {
            "resources": last["resources"],
            "cells": _cells(place),
            "clock": self.board.clock,
            "fmax": max((p["fmax"] for p in placements if p["fmax"]), default=None),
            "failure": last["failure"],
            "seed": last["seed"],
            "placements": [{key: p[key] for key in ("seed", "fmax", "failure")} for p in placements],
            "tools": {tool.name: tool.version for tool in self.tools.values()},
        }
        if last["met"]:
            if self._run(
                self.family.pack, self.family.pack_arguments(self.board, self._file), place, _PACK_LOG, "pack"
            ):
                raise ToolError(f"{self.family.pack} failed: {last_words(place, _PACK_LOG)}")
            result["bitstream"] = self._file
        result["stages"] = {name: round(seconds, 1) for name, seconds in self.stages.items()}
        (place / _RESULT).write_text(json.dumps(result, indent=2) + "\n")

    def _synthesize(self, place: Path):
        if self._run("yosys", [_SCRIPT], place, _YOSYS_LOG, "synthesis"):
            raise ToolError(f"yosys failed: {last_words(place, _YOSYS_LOG)}")

    def _multipliers(self, place: Path) -> int:
        """Of an iCE40's netlist: yosys takes as many as there are products, even if the part has fewer."""
        return _cells(place).get("SB_MAC16", 0)

    def _exceeds(self, resources) -> bool:
        return excess(self.board, {name: counts["used"] for name, counts in resources.items()}) is not None

    def _layout_arguments(self, seed: int) -> list[str]:
        mhz = f"{self.board.clock / 1e6:g}"
        return [
            *self.board.part,
            *("--json", NETLIST_JSON, "--report", LAYOUT_REPORT, "--freq", mhz, "--seed", str(seed)),
            "--timing-allow-fail",  # we judge it, and want the figures of a miss too
            *self.family.layout_arguments(self.board),
        ]

    def _lay_out(self, place: Path, seed: int) -> dict:
        """One placement: ``fmax`` is None if it failed, and ``failure`` says why. ``endless``: it was stopped."""
        (place / LAYOUT_REPORT).unlink(missing_ok=True)
        failure, endless = None, False
        try:
            if self._run(self.family.layout, self._layout_arguments(seed), place, _LAYOUT_LOG, "layout"):
                failure = last_words(place, _LAYOUT_LOG)
        except ToolMissing:
            raise
        except ToolError as error:
            failure, endless = str(error), True
        resources = utilization((place / _LAYOUT_LOG).read_text(errors="replace"))
        if not resources:
            raise ToolError(f"{self.family.layout} failed: {failure or 'it reported no utilization'}")
        fmax = None
        if failure is None:
            report = json.loads((place / LAYOUT_REPORT).read_text())
            fmax = min(round(clock["achieved"] * 1e6) for clock in report["fmax"].values())
        met = fmax is not None and fmax >= self.board.clock
        return {"seed": seed, "resources": resources, "fmax": fmax, "failure": failure, "met": met, "endless": endless}

    def _run(self, name: str, arguments, place: Path, log: str, stage: str) -> int:
        start = time.monotonic()
        words = {"synthesis": "synthesis", "layout": "placing and routing", "pack": "writing the bitstream"}[stage]

        def tick():
            self.tell(f"{words}, {time.monotonic() - start:.0f} s")

        self.tell(words)
        limit = _LAYOUT_SECONDS if stage == "layout" else 3600
        status = run_tool(self.tools[name], arguments, place, log=log, tick=tick, timeout=limit)
        self.stages[stage] = self.stages.get(stage, 0) + time.monotonic() - start
        return status


def _cells(place: Path) -> dict[str, int]:
    """Cells of the netlist, type to count."""
    return json.loads((place / CELLS).read_text())["design"]["num_cells_by_type"]


def utilization(log: str) -> dict[str, dict[str, int]]:
    """Resources that nextpnr's log counts, those of which there are any: name to ``used`` and ``available``.

    The log also has them for a design that does not fit, for which no report is written.
    """
    lines = re.findall(r"^Info:\s+(\w+):\s+(\d+)/\s*(\d+)\s+\d+%\s*$", log, flags=re.MULTILINE)
    return {name: {"used": int(used), "available": int(have)} for name, used, have in lines}
