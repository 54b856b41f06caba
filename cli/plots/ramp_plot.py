# SPDX-License-Identifier: Apache-2.0
"""The picture of a ramp: staircase against activation, step sizes, linearity."""

from pathlib import Path

import numpy as np
from crossramp.golden.analog.cells.ramp_report import RampReport

from .figures import new_figure, own_settings, save_figure

_IDEAL, _STAIRS, _STEPS, _INL, _DNL = "#444444", "#1f6fb4", "#e07b00", "#1f6fb4", "#c0392b"


@own_settings
def plot_ramp(path: Path, report: RampReport) -> None:
    """Draw ``report`` to ``path`` (its suffix says which format); UserError for a format matplotlib does not know."""
    figure = new_figure(11, 6.4)
    ramp = report.ramp
    figure.suptitle(
        f"{ramp.activation.text} by a ramp of {ramp.bits} bits: {len(report.floors)} ticks, "
        f"1 MAC unit = {ramp.scale:.4g} of pre-activation",
        fontsize=13,
    )
    stairs, steps, linearity = _axes(figure)
    _draw_stairs(stairs, report)
    _draw_steps(steps, report)
    _draw_linearity(linearity, report)
    save_figure(figure, path, dpi=110)


def _axes(figure):
    grid = figure.add_gridspec(2, 2, width_ratios=(1.25, 1))
    axes = figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[0, 1]), figure.add_subplot(grid[1, 1])
    for ax in axes:
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
    return axes


def _draw_stairs(ax, report: RampReport) -> None:
    ramp = report.ramp
    x = np.linspace(report.grid_low, report.grid_high, 2001)
    ax.plot(x, ramp.activation(x), color=_IDEAL, lw=1.4, ls="--", label=f"ideal {ramp.activation.name}")
    edges = np.concatenate([[report.grid_low], report.thresholds * ramp.scale, [report.grid_high]])
    ax.stairs(ramp.decode(ramp.codes), edges, baseline=None, color=_STAIRS, lw=1.6, label="decoded conversion")
    ax.set(xlabel="pre-activation (real units)", ylabel="activation (output units)", title="Conversion")
    ax.text(
        0.97,
        0.03,
        f"error at most {report.max_error:.4f}, RMS {report.rms_error:.4f}\n(1 LSB = {report.lsb:.4g})",
        transform=ax.transAxes,
        ha="right",
        va="bottom",
        fontsize=9,
    )
    ax.legend(loc="upper left", frameon=False)


def _draw_steps(ax, report: RampReport) -> None:
    ticks = np.arange(1, len(report.steps) + 1)
    ax.bar(ticks, report.steps, width=0.8, color=_STEPS)
    ax.set(xlabel="tick", ylabel="step (MAC units)", title=f"Steps: G_max/G_min = {report.conductance_ratio:.1f}")
    ax.set_xlim(0.25, len(ticks) + 0.75)
    siemens = ax.secondary_yaxis(
        "right", functions=(lambda s: s * report.siemens_per_mac * 1e6, lambda g: g / report.siemens_per_mac / 1e6)
    )
    siemens.set_ylabel("conductance (µS)")
    if report.zero_steps:
        zero = ticks[report.steps == 0]
        ax.plot(zero, np.zeros(len(zero)), "|", color=_DNL, ms=7, label=f"{len(zero)} steps of zero")
        ax.legend(loc="upper center", frameon=False)


def _draw_linearity(ax, report: RampReport) -> None:
    ticks = np.arange(1, len(report.inl) + 1)
    small = {"ms": 3.5, "lw": 1.2} if len(ticks) < 64 else {"ms": 0, "lw": 1}
    ax.axhline(0, color=_IDEAL, lw=0.8)
    ax.plot(ticks, report.inl, "o-", color=_INL, label="INL of each tick", **small)
    # A code lies between its tick and the next.
    ax.plot(ticks[:-1] + 0.5, report.dnl, "s-", color=_DNL, label="DNL of each code", **small)
    ax.set(xlabel="tick", ylabel="deviation (LSB)", title="Linearity against the ideal activation")
    ax.set_xlim(0.25, len(ticks) + 0.75)
    reach = max(np.abs(report.inl).max(), np.abs(report.dnl).max(), 0.01)
    ax.set_ylim(-1.2 * reach, 1.55 * reach)
    ax.legend(loc="upper center", frameon=False, ncols=2)
