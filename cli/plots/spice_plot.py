# SPDX-License-Identifier: Apache-2.0
"""The picture of ``crossramp spice``: SPICE's waveforms, and the behavioral model's points upon them."""

from collections.abc import Sequence

import numpy as np
from crossramp.golden.analog.chip.physical import PhysicalArray
from crossramp.sim.amaranth.step_trace import StepWaves
from crossramp.sim.spice.deck import Deck
from crossramp.sim.spice.ngspice import Waveforms
from crossramp.sim.spice.pin_voltages import conversions
from crossramp.sim.spice.spice_step import Answers

from .demo_pictures import _bare
from .figures import new_figure, own_settings, save_figure

_INK, _RAMP = "#333333", "#1f6fb4"
#: Of the panel's height, between two labels.
_LABEL_GAP = 0.05
_COLORS = ("#e07b00", "#2a9d4a", "#c0392b", "#7a3fa0")


@own_settings
def plot_step(
    path,
    array: PhysicalArray,
    waves: StepWaves,
    decks: Sequence[Deck],
    results: Sequence[Waveforms],
    golden: Sequence[Answers],
    title: str,
) -> None:
    """Draw up to four columns of one ramp: pins, integrators against the ramp, comparators, and what they differ by."""
    spec = array.spec
    columns, ramp = _chosen(array, golden)
    where = {column: result for deck, result in zip(decks, results, strict=True) for column in deck.columns}
    figure = new_figure(13, 10)
    figure.suptitle(f"ngspice (lines) and the behavioral model (circles)\n{title}", fontsize=13)
    pins, volts, shown, apart = figure.subplots(4, 1, height_ratios=(0.9, 3, 1.3, 1.5))
    clock = array.technology["read.clock"]
    kinds = {conversion.second: conversion for conversion in conversions(waves)}
    _pins(pins, waves, clock)
    first, labels = where[columns[0]], {}
    volts.plot(first.time * 1e9, -first.vectors[f"ramp{ramp}"] * 1e3, color=_RAMP, lw=1.6, label="ramp")
    for color, column in zip(_COLORS, columns, strict=False):
        name, result = spec.column_name(column), where[column]
        volts.plot(result.time * 1e9, -result.vectors[f"out_{name}"] * 1e3, color=color, lw=1.3, label=f"column {name}")
    for answers in golden:
        conversion = kinds[answers.second]
        at = (np.array(conversion.latched) + 1) * clock
        end, hold = conversion.window[1] * clock, conversion.first_tick * clock
        place = [k for k, column in enumerate(answers.columns) if column in columns]
        for k in place:
            column = answers.columns[k]
            color, name, result = _COLORS[columns.index(column)], spec.column_name(column), where[column]
            points = np.array([end, hold]), np.array([answers.window[k], answers.hold[k]])
            volts.plot(points[0] * 1e9, points[1] * 1e3, "o", ms=5, mfc="none", mec=color)
            labels.setdefault(at[-1] * 1e9, []).append((answers.hold[k] * 1e3, f"code {answers.codes[k]}", color))
            difference = -result.at(f"out_{name}", points[0]) - points[1]
            label = None if answers.second else f"column {name}"
            apart.plot(points[0] * 1e9, difference * 1e6, "D", color=color, ms=5, label=label)
        for k in place[:1]:
            volts.plot(at * 1e9, answers.ramps[k] * 1e3, "o", ms=4, mfc="none", mec=_RAMP)
            difference = -where[answers.columns[k]].at(f"ramp{ramp}", at) - answers.ramps[k]
            apart.plot(at * 1e9, difference * 1e6, ".", color=_RAMP, ms=4, label=None if answers.second else "ramp")
    for row, column in enumerate(columns):
        name, result = spec.column_name(column), where[column]
        shown.plot(result.time * 1e9, result.vectors[f"cmp_{name}"] * 0.7 - row, color=_COLORS[row], lw=1.2)
    for answers in golden:
        conversion = kinds[answers.second]
        at = (np.array(conversion.latched) + 1) * clock * 1e9
        for k, column in enumerate(answers.columns):
            if column in columns:
                row = columns.index(column)
                shown.plot(at, answers.comparators[k] * 0.7 - row, "o", ms=3, mfc="none", mec=_COLORS[row])
        shown.axvspan(at[0] - clock * 1e9, at[-1], color=_RAMP, alpha=0.06, lw=0)
    shown.set_ylim(-len(columns) + 0.85, 0.85)  # both levels of every column, also of one that never changes
    shown.set_yticks([-row + 0.35 for row in range(len(columns))], [spec.column_name(column) for column in columns])
    shown.set_title("comparators; circles: what the model latches on each tick", loc="left", fontsize=10)
    volts.set_ylabel("mV")
    volts.set_title("integrators and ramp, as values (not inverted)", loc="left", fontsize=10)
    # Beside the panel's title: no waveform reaches there.
    volts.legend(loc="lower right", bbox_to_anchor=(1, 0.98), frameon=False, fontsize=9, ncols=5)
    apart.set(ylabel="µV", xlabel="ns")
    apart.set_title("ngspice minus behavioral model", loc="left", fontsize=10)
    apart.legend(loc="lower right", bbox_to_anchor=(1, 0.98), frameon=False, fontsize=9, ncols=5)
    for ax in (pins, volts, shown, apart):
        _bare(ax)
        ax.set_xlim(0, len(waves.tap) * clock * 1e9)
    for ax in (volts, apart):
        ax.grid(alpha=0.25)
    _label(volts, labels)
    save_figure(figure, path)


def _label(ax, labels: dict[float, list[tuple[float, str, str]]]) -> None:
    """Codes beside the ends of their columns: (height, text, color) by place, moved apart where they would collide."""
    low, high = ax.get_ylim()
    gap = (high - low) * _LABEL_GAP
    for place, entries in labels.items():
        entries = sorted(entries)
        heights = apart_by(gap, [height for height, _, _ in entries])
        for height, (_, text, color) in zip(heights, entries, strict=True):
            ax.annotate(text, (place, height), (5, 0), textcoords="offset points", color=color, fontsize=9, va="center")
    ax.set_ylim(low, high)


def apart_by(gap: float, heights: list[float]) -> list[float]:
    """Ascending ``heights``, moved as little as it takes for neighbors to be ``gap`` apart: groups spread evenly."""
    groups: list[list[float]] = []  # each the heights that are wanted
    for height in heights:
        groups.append([height])
        while len(groups) > 1 and _first(groups[-1], gap) < _first(groups[-2], gap) + gap * len(groups[-2]):
            groups[-2:] = [groups[-2] + groups[-1]]
    return [_first(group, gap) + gap * k for group in groups for k in range(len(group))]


def _first(group: list[float], gap: float) -> float:
    return sum(group) / len(group) - gap * (len(group) - 1) / 2


def _chosen(array: PhysicalArray, golden: Sequence[Answers]) -> tuple[list[int], int]:
    """Up to four columns that share a ramp, those of the last conversion first; spread by their values."""
    spec, answers = array.spec, golden[-1]
    ramps = spec.ramp_of_column[list(answers.columns)].tolist()
    ramp = ramps[0]
    order = [k for k in np.argsort(answers.window, kind="stable") if ramps[k] == ramp]
    places = np.unique(np.linspace(0, len(order) - 1, min(len(order), len(_COLORS))).round().astype(int))
    return [answers.columns[order[place]] for place in places], ramp


def _pins(ax, waves: StepWaves, clock: float) -> None:
    names = ("reset", "integrate", "hold", "tick")
    edges = np.arange(len(waves.tap) + 1) * clock * 1e9
    for row, name in enumerate(reversed(names)):
        ax.stairs(row + 0.72 * waves.controls[name], edges, baseline=row, fill=True, color=_INK, alpha=0.75, lw=0)
    ax.set_yticks(np.arange(len(names)) + 0.36, reversed(names))
    ax.set_title("pins of the gateware", loc="left", fontsize=10)
    ax.tick_params(axis="y", length=0)
