# SPDX-License-Identifier: Apache-2.0
"""What a simulation of the whole network gives, whichever simulator ran it."""

from dataclasses import dataclass, field

import numpy as np
from crossramp.golden.macro.trace import Trace
from crossramp.golden.spec.specification import Specification


@dataclass(frozen=True, eq=False)
class SimulationResult:
    """What the hardware showed, and what it took; nothing is compared yet, see :func:`.scoreboard.compare_traces`.

    Attributes
    ----------
    traces : list of Trace
        One a batch, with ``end_clocks``.
    spec : Specification
    simulator : str
    clocks : int
        Simulated; of the Verilog simulators with reset and drain.
    conversions : int or None
        Ramps that the boundary's protocol checker saw complete; None in Amaranth's simulator, where none looks.
    violations : tuple of str
        Rules of the boundary that were broken (:data:`.protocol.RULES`), and ``"streams"`` for an output that was
        unknown, or changed while it waited.
    wall_seconds : float
        Of the simulation alone, without building it.
    processor_seconds : float
        The same in processor time, which a busy machine changes less.
    build_seconds : float
    pauses : dict of str to int
        Clocks that the bench made wait (:data:`.bulk_simulation.PAUSES`); all 0 where no pauses were asked for.
    log : str
        What the simulator printed.
    """

    traces: list[Trace]
    spec: Specification
    simulator: str
    clocks: int
    conversions: int | None = None
    violations: tuple[str, ...] = ()
    wall_seconds: float = 0.0
    processor_seconds: float = 0.0
    build_seconds: float = 0.0
    pauses: dict[str, int] = field(default_factory=dict)
    log: str = field(default="", repr=False)

    @property
    def clocks_per_step(self) -> float:
        """Median of the clocks from one step's last h to the next one's; nan if no utterance has two steps."""
        gaps = np.concatenate([trace.step_clocks for trace in self.traces])
        return float(np.median(gaps)) if gaps.size else float("nan")

    @property
    def answers(self) -> np.ndarray:
        """Of all utterances, in order, with the readout ``"step"`` of all their steps; int64, shape (answers,)."""
        return np.concatenate([trace.answers.ravel() for trace in self.traces])
