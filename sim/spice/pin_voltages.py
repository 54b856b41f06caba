# SPDX-License-Identifier: Apache-2.0
"""Pins of a simulated step as voltages over time: the drive of a deck, and the times at which its answers are read."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from crossramp.golden.spec.specification import Specification

from ..amaranth.step_trace import StepWaves


@dataclass(frozen=True)
class ConversionClocks:
    """Which clocks of a step one of its conversions takes.

    Attributes
    ----------
    second : bool
        Whether it is the second one of the step.
    window : tuple of int
        First clock of the integrate window, and the one behind its last.
    first_tick : int
        The clock of tick 1: where hold and ``ramp_reset`` are over.
    latched : tuple of int
        For each tick the clock at whose end its comparators are latched.
    """

    second: bool
    window: tuple[int, int]
    first_tick: int
    latched: tuple[int, ...]


def conversions(waves: StepWaves) -> list[ConversionClocks]:
    """The conversions of a step, one or two; ValueError unless each is whole, with a tick for every tap.

    The waves are those of an array that is always ready, so that a tick is latched at the end of its own clock.
    """
    integrate, tick, state = (waves.controls[name] for name in ("integrate", "tick", "state"))
    found = []
    for second in (False, True)[: 2 if len(waves.state_codes) else 1]:
        window = np.flatnonzero(integrate & (state == second))
        ticks = np.flatnonzero(tick & (state == second))
        if not len(window) or not len(ticks) or (waves.tap[ticks] != np.arange(len(ticks))).any():
            name = "second" if second else "first"
            raise ValueError(f"the {name} conversion of these waves is not whole; record a step from start to end")
        found.append(
            ConversionClocks(second, (int(window[0]), int(window[-1]) + 1), int(ticks[0]), tuple(ticks.tolist()))
        )
    return found


def line_cells(spec: Specification, column: int) -> Iterator[tuple[int, int]]:
    """(wire, cell) of each memristor pair that a line has on a column: places among the wires, and among the cells."""
    bank, unit = spec.bank_of_column(column), spec.unit_of_column(column)
    for cell in spec.line_cells:
        if cell.bank == bank:
            yield spec.wires_of(cell.line).start + unit, spec.line_cell(cell).start + unit


def tap_levels(waves: StepWaves, cell: int) -> np.ndarray:
    """Whether ramp cell ``cell`` is driven, clock by clock: during the one clock of its tick; bool, shape (clocks,)."""
    return waves.controls["tick"] & (waves.tap == cell)


def first_halves(levels: np.ndarray) -> np.ndarray:
    """Half clocks, of which the first of each clock is high where the clock is; bool, shape (2 * clocks,).

    The array drives the cells of its ramps so, that the ramp stands still while comparators decide.
    """
    return np.stack([levels, np.zeros_like(levels)], axis=1).ravel()


def start_levels(waves: StepWaves) -> np.ndarray:
    """Whether the cells that take a ramp to its start are driven: in the first clock of ``ramp_reset``; bool.

    However long the array needs to settle, they bring the charge of one clock.
    """
    held = waves.controls["ramp_reset"]
    return held & ~np.concatenate([[False], held[:-1]])


def corners(levels: np.ndarray, clock: float, edge: float) -> list[tuple[float, float]]:
    """Corners (seconds, level) of a line that takes ``levels[n]`` in clock n.

    A change takes ``edge`` seconds from the clock edge on, as behind a flip-flop. Rising and falling edges are alike,
    so the area of a pulse is its length in clocks for any edge.

    Parameters
    ----------
    levels : array, shape (clocks,)
    clock, edge : float
        Seconds; ``edge`` below ``clock``.
    """
    levels = np.asarray(levels)
    found = [(0.0, float(levels[0]))]
    for n in np.flatnonzero(np.diff(levels)) + 1:
        found.append((float(n * clock), float(levels[n - 1])))
        found.append((float(n * clock + edge), float(levels[n])))
    return found
