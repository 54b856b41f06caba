# SPDX-License-Identifier: Apache-2.0
"""Options that every bench of the whole network takes: how it pauses, and how it is built."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from crossramp.golden.common.errors import InvalidValue

KINDS = ("idle", "stall", "array_stall")


@dataclass(frozen=True)
class Pauses:
    """Random pauses of a bench.

    Parameters
    ----------
    idle, stall, array_stall : int
        Percent of the clocks without x, without ready on the outputs, without the array's ready; 0 to 90.
    seed : int
        Of the pauses, and of registers that start at random.

    Raises
    ------
    InvalidValue
        For a percentage out of range.
    """

    idle: int = 0
    stall: int = 0
    array_stall: int = 0
    seed: int = 1

    def __post_init__(self):
        for name in KINDS:
            percent = getattr(self, name)
            if not 0 <= percent <= 90:
                raise InvalidValue(f"{name} is {percent}; allowed: 0 to 90 percent")

    @property
    def most(self) -> int:
        """The largest of the percentages."""
        return max(getattr(self, name) for name in KINDS)

    @property
    def plusargs(self) -> list[str]:
        """What tells them to the free-running bench."""
        return [f"+{name}={getattr(self, name)}" for name in (*KINDS, "seed")]


@dataclass(frozen=True)
class BuildOptions:
    """How the bench of a Verilog simulator is built.

    Parameters
    ----------
    workdir : path or None
        Where models are built and kept, see :func:`.build_cache.cache_folder`.
    optimize : bool
        Verilator: compile for speed. False builds sooner, for short runs.
    change_verilog : callable or None
        Applied to the generated Verilog: a planted fault, stripped initial values, another netlist.
    random_start : bool
        Verilator: registers without initial value start at random.
    """

    workdir: Path | str | None = None
    optimize: bool = True
    change_verilog: Callable[[str], str] | None = None
    random_start: bool = False

    def plusargs(self, seed: int) -> list[str]:
        """What makes a Verilator model start at random."""
        return ["+verilator+rand+reset+2", f"+verilator+seed+{seed}"] if self.random_start else []


NO_PAUSES, BUILD = Pauses(), BuildOptions()
