# SPDX-License-Identifier: Apache-2.0
"""The pictures of the demo: ramps, one step of a simulation clock by clock, and h over an utterance."""

from pathlib import Path

import numpy as np
from crossramp.golden.array.ramps import Ramp, ramps
from crossramp.golden.spec.specification import Specification
from crossramp.sim.amaranth.step_trace import StepWaves

from .figures import listed_colors, new_figure, own_settings, save_figure

_INK, _RAMP, _SECOND = "#333333", "#1f6fb4", "#7a3fa0"
_UNITS = ("#e07b00", "#2a9d4a", "#c0392b")
_BANKS = ("#1f6fb4", "#2a9d4a", "#e07b00", "#7a3fa0")


@own_settings
def draw_ramps(path: Path, spec: Specification) -> None:
    """For each ramp of ``spec``: how it rises tick by tick, the step each tick makes, and the activation it becomes."""
    figure = new_figure(11, 3.6 * len(spec.ramps) + 0.4)
    figure.suptitle(f"The ramp is the activation: {spec.ticks} ticks of unequal steps, no look-up table", fontsize=13)
    grid = figure.subplots(len(spec.ramps), 3, squeeze=False, width_ratios=(1.15, 1, 1.15))
    for index, (ramp, axes) in enumerate(zip(ramps(spec), grid, strict=True)):
        banks = ", ".join(gate for gate in spec.gate_names if spec.ramp_of(gate) == index)
        _draw_ramp_row(axes, ramp, banks)
    save_figure(figure, path)


def _draw_ramp_row(axes, ramp: Ramp, banks: str) -> None:
    rise, steps, activation = axes
    ticks = np.arange(1, len(ramp.floors) + 1)
    rise.step(ticks, ramp.thresholds, where="post", color=_RAMP, lw=1.6)
    rise.plot(ticks, ramp.thresholds, ".", color=_RAMP, ms=4)
    rise.set(
        title=f"{ramp.activation.text} ramp, {'banks' if ',' in banks else 'bank'} {banks}",
        xlabel="tick",
        ylabel="threshold (MAC units)",
    )
    widths = np.diff(ramp.thresholds)
    steps.bar(ticks[1:], widths, color=_UNITS[0], width=0.8)
    steps.set(title="its steps", xlabel="tick", ylabel="step (MAC units)")
    margin = (ramp.arguments[-1] - ramp.arguments[0]) / 4
    x = np.linspace(ramp.arguments[0] - margin, ramp.arguments[-1] + margin, 1001)
    edges = np.concatenate([[x[0]], ramp.thresholds * ramp.scale, [x[-1]]])
    codes = np.arange(1 << ramp.bits)
    activation.stairs(ramp.decode(codes), edges, baseline=None, color=_RAMP, lw=1.6, label="decoded code")
    activation.plot(x, ramp.activation(x), "--", color=_INK, lw=1.1, label=f"ideal {ramp.activation.name}")
    activation.set(title="what a conversion computes", xlabel="pre-activation", ylabel="activation")
    activation.legend(loc="upper left", frameon=False, fontsize=9)
    for ax in axes:
        _bare(ax)
        ax.grid(alpha=0.25)


@own_settings
def draw_step(path: Path, spec: Specification, waves: StepWaves, title: str) -> None:
    """One step of a simulation: controls, pulses, integrators against the ramp, comparators, codes."""
    figure = new_figure(13, 10.5)
    figure.suptitle(title, fontsize=13)
    controls, pulses, values, comparators = figure.subplots(4, 1, sharex=True, height_ratios=(1.1, 1.7, 2.7, 2.2))
    clocks = len(waves.tap)
    _draw_controls(controls, waves)
    _draw_pulses(pulses, spec, waves)
    _draw_values(values, spec, waves)
    _draw_comparators(comparators, spec, waves)
    comparators.set(xlabel="clock of the step", xlim=(0, clocks))
    for ax in (controls, pulses, values, comparators):
        _bare(ax)
    save_figure(figure, path)


def _draw_controls(ax, waves: StepWaves) -> None:
    names = ("reset", "integrate", "hold", "tick", "update")
    lines = {**waves.controls, "update": waves.update}
    edges = np.arange(len(waves.tap) + 1)
    for row, name in enumerate(reversed(names)):
        color = _SECOND if name == "update" else _INK
        ax.stairs(row + 0.72 * lines[name], edges, baseline=row, fill=True, color=color, alpha=0.75, lw=0)
    ax.set_yticks(np.arange(len(names)) + 0.36, reversed(names))
    ax.set_title("controls of the periphery", loc="left", fontsize=10)
    second = np.flatnonzero(waves.controls["state"])
    first = np.flatnonzero(waves.controls["integrate"] & ~waves.controls["state"])
    top = len(names) + 0.1
    ax.set_ylim(-0.2, len(names) + 0.9)
    ax.text(first[0], top, "first conversion: all banks", color=_RAMP, fontsize=9, va="bottom")
    ax.text(second[0], top, "second conversion: c becomes tanh(c) on bank g", color=_SECOND, fontsize=9, va="bottom")
    ax.tick_params(axis="y", length=0)


def _draw_pulses(ax, spec: Specification, waves: StepWaves) -> None:
    lines = np.concatenate([waves.rows, waves.state_rows], axis=1).T
    colors = listed_colors([_UNITS[2], "white", _RAMP])
    extent = (0, lines.shape[1], lines.shape[0], 0)
    ax.imshow(lines, aspect="auto", interpolation="nearest", cmap=colors, vmin=-1, vmax=1, extent=extent)
    borders = np.cumsum([0, spec.inputs, spec.hidden, spec.bias_rows, spec.units])
    for border in borders[1:-1]:
        ax.axhline(border, color=_INK, lw=0.5)
    middles = (borders[:-1] + borders[1:]) / 2
    names = [f"x ({spec.inputs})", f"h ({spec.hidden})", f"bias ({spec.bias_rows})", f"state ({spec.units})"]
    shown = [(m, n) for m, n, size in zip(middles, names, np.diff(borders), strict=True) if size]
    ax.set_yticks([m for m, _ in shown], [n for _, n in shown])
    ax.set_title("row and state pulses: the length is the code (blue positive, red negative)", loc="left", fontsize=10)
    ax.tick_params(axis="y", length=0)


def _draw_values(ax, spec: Specification, waves: StepWaves) -> None:
    """Integrators of some columns of bank g against its ramp, in both conversions."""
    ramp = Ramp.of_gate(spec, spec.state_gate)
    edges = np.arange(len(waves.tap) + 1)
    levels = np.where(waves.tap >= 0, ramp.floors[np.maximum(waves.tap, 0)] + 0.5, np.nan)
    levels[~waves.controls["hold"] | waves.controls["ramp_reset"]] = np.nan
    ax.stairs(levels, edges, baseline=None, color=_RAMP, lw=2, label=f"{ramp.activation.name} ramp")
    units = _spread_units(spec, waves)
    shown = np.where((waves.controls["integrate"] | waves.controls["hold"])[:, None], waves.values, 0)
    for color, unit in zip(_UNITS, units, strict=False):
        column = spec.column(spec.state_gate, unit)
        name = f"column {spec.column_name(column)}"
        ax.stairs(shown[:, column], edges, baseline=None, color=color, lw=1.3, label=name)
        for second, code in ((False, waves.codes[column]), (True, waves.state_codes[unit])):
            ramping = waves.controls["hold"] & (waves.tap >= 0) & (waves.controls["state"] == second)
            high = np.flatnonzero(ramping & waves.comparators[:, column])
            at = high[-1] + 1 if len(high) else np.flatnonzero(ramping)[0]
            value = shown[at - 1 if len(high) else at, column]
            ax.plot(at, value, "o", color=color, ms=5, zorder=3)
            # Left of the trip and above the column, where the ramp has not been yet; a column below all of the ramp
            # has nothing under it, and its own rise at the left.
            place, side = ((-7, 5), "right") if code else ((7, -13), "left")
            ax.annotate(
                f"code {code}", (at, value), place, textcoords="offset points", color=color, fontsize=9, ha=side
            )
    low, high = ramp.thresholds[0], ramp.thresholds[-1]
    margin = (high - low) * 0.15
    reach = shown[:, [spec.column(spec.state_gate, unit) for unit in units]]
    ax.set_ylim(min(low, reach.min()) - margin, max(high, reach.max()) + margin)
    ax.set_ylabel("MAC units")
    ax.set_title("integrators of three columns of bank g, and the ramp they are compared with", loc="left", fontsize=10)
    ax.legend(loc="lower right", frameon=False, fontsize=9, ncols=4)
    ax.grid(alpha=0.25)


def _spread_units(spec: Specification, waves: StepWaves) -> list[int]:
    """Up to three units whose first conversions end low, in the middle and high."""
    order = np.argsort(spec.of_bank(waves.codes, spec.state_gate), kind="stable")
    places = [len(order) // 6, len(order) // 2, len(order) - 1 - len(order) // 6]
    return list(dict.fromkeys(int(order[place]) for place in places))


def _draw_comparators(ax, spec: Specification, waves: StepWaves) -> None:
    read = waves.controls["hold"] & (waves.tap >= 0) & ~waves.controls["ramp_reset"]
    image = np.ones((spec.columns, len(waves.tap), 4))
    for gate, color in zip(spec.gate_names, _BANKS, strict=False):
        rows = spec.bank(gate)
        high = waves.comparators[:, rows].T & read
        rgb = [int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        image[rows][high] = [*rgb, 1]
        # High, but not read: in the second conversion only bank g's comparators count.
        if gate not in spec.conversions[1]:
            image[rows][high & waves.controls["state"]] = [0.9, 0.9, 0.9, 1]
    ax.imshow(image, aspect="auto", interpolation="nearest", extent=(0, image.shape[1], spec.columns, 0))
    for gate in spec.gate_names[1:]:
        ax.axhline(spec.bank(gate).start, color=_INK, lw=0.5)
    places = {f"bank {gate}": spec.column(gate, spec.units / 2) for gate in spec.gate_names}
    ax.set_yticks(list(places.values()), list(places))
    ax.tick_params(axis="y", length=0)
    ax.set_title(
        f"comparators of {spec.columns} columns during the ramps: as many ticks high as the code says (gray: not read)",
        loc="left",
        fontsize=10,
    )


@own_settings
def draw_utterance(
    path: Path,
    x: np.ndarray,
    h: np.ndarray,
    input_max: int,
    scores: dict[str, np.ndarray],
    *,
    meaning: str,
    title: str,
) -> None:
    """One utterance: its features, h as the gateware gave it, and how the classes' logits grow.

    Parameters
    ----------
    x : integer array, shape (steps, inputs)
        What goes in: pulse codes within ±input_max.
    h : integer array, shape (steps, units)
        Pulse codes within ±input_max.
    scores : dict of integer arrays, shape (steps,)
        Name of each class to its logits of the steps so far.
    meaning : str
        What the inputs are.
    """
    figure = new_figure(11, 9)
    figure.suptitle(title, fontsize=13)
    features, hidden, classes = figure.subplots(3, 1, sharex=True, height_ratios=(1.3, 1.2, 1))
    steps = len(h)
    edges = (-0.5, steps - 0.5)
    image = features.imshow(
        x.T, aspect="auto", origin="lower", cmap="RdBu_r", interpolation="nearest", vmin=-input_max, vmax=input_max,
        extent=(*edges, -0.5, x.shape[1] - 0.5),
    )  # fmt: skip
    features.set(ylabel="input", title=f"x, what goes in: {meaning}")
    figure.colorbar(image, ax=features, pad=0.01, label="pulse code")
    image = hidden.imshow(
        h.T, aspect="auto", origin="lower", cmap="RdBu_r", interpolation="nearest", vmin=-input_max, vmax=input_max,
        extent=(*edges, -0.5, h.shape[1] - 0.5),
    )  # fmt: skip
    hidden.set(ylabel="unit", title="h, what the gateware computed")
    figure.colorbar(image, ax=hidden, pad=0.01, label="pulse code")
    best = sorted(scores, key=lambda name: -scores[name][-1])
    for rank, name in enumerate(best[:4]):
        color = (*_UNITS, _SECOND)[rank]
        width = 2.2 if rank == 0 else 1.3
        classes.plot(np.arange(steps), scores[name], color=color, lw=width, label=name.strip("_"))
    for name in best[4:]:
        classes.plot(np.arange(steps), scores[name], color="#cccccc", lw=0.7, zorder=0)
    classes.set(xlabel="step", ylabel="logit", title="the head's logits of the steps so far, the four best named")
    classes.yaxis.set_major_formatter("{x:,.0f}")
    classes.legend(loc="upper left", frameon=False, fontsize=9, ncols=4)
    for ax in (features, hidden, classes):
        _bare(ax)
    save_figure(figure, path)


def _bare(ax) -> None:
    ax.spines[["top", "right"]].set_visible(False)
