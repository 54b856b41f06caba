# SPDX-License-Identifier: Apache-2.0
"""Pictures of real ramps: staircases, INL of many instances, and codes against the read voltage."""

from pathlib import Path

import numpy as np
from crossramp.golden.analog.chip.ramp_linearity import SupplyErrors
from crossramp.golden.analog.technologies.technology import Technology
from crossramp.golden.spec.specification import Specification

from .figures import new_figure, own_settings, save_figure

_IDEAL, _BEFORE, _AFTER, _BETTER, _EXTERNAL = "#333333", "#c0392b", "#e07b00", "#1f6fb4", "#7a3fa0"
_BAND = (5, 95)  # percentiles
_STAIRS = 20  # instances drawn one by one
_DPI = 110


@own_settings
def plot_linearity(path: Path, found: dict, title: str) -> None:
    """Draw what ``crossramp linearity`` found, one row per ramp: staircases, INL before and after calibration, schemes.

    Parameters
    ----------
    path : Path
        Its suffix says which format; UserError for one that matplotlib does not know.
    found : dict
        (activation, bits) to the variants of :mod:`.linearity`.
    title : str
    """
    summed = [
        [_either(_by_name(variants), scheme) for scheme in ("cumulative", "converted")] for variants in found.values()
    ]
    panels = 3 if any(any(pair) for pair in summed) else 2
    figure = new_figure(4.5 * panels, 3.5 * len(found) + 0.5)
    figure.suptitle(f"Ramps of real cells: {title} (bands: {_BAND[0]} to {_BAND[1]} %)", fontsize=13)
    grid = figure.subplots(len(found), panels, squeeze=False, width_ratios=(1.1, 1, 1)[:panels])
    for ((name, bits), variants), better, axes in zip(found.items(), summed, grid, strict=True):
        by_name = _by_name(variants)
        first = next(variant for variant in variants if variant.scheme is not None)
        _draw_stairs(axes[0], name, bits, by_name["ideal"], first)
        _draw_inl(axes[1], [(first, _BEFORE), (by_name.get(f"{first.scheme}, calibrated"), _AFTER)])
        axes[1].set_title(f"INL: {first.scheme}, before and after calibration")
        if panels == 3:
            _draw_inl(axes[2], list(zip(better, (_AFTER, _BETTER), strict=True)))
            axes[2].set_title("INL: programmed on cumulative sums")
        reach = max(ax.get_ylim()[1] for ax in axes[1:])
        for ax in axes[1:]:
            ax.set_ylim(-reach, reach)
    save_figure(figure, path, dpi=_DPI)


@own_settings
def plot_supply(path: Path, errors: SupplyErrors, spec: Specification, technology: Technology) -> None:
    """Draw the codes' error against the read voltage, of the ramp in memory and of an external one."""
    figure = new_figure(7.5, 4.2)
    ax = figure.subplots()
    volts = errors.supplies * technology["read.voltage"]
    for kind, color in (("external", _EXTERNAL), ("in-memory", _BETTER)):
        ax.plot(volts, errors.mean[kind], "o-", color=color, label=f"{kind} ramp, mean over MACs")
        ax.plot(volts, errors.worst[kind], "--", color=color, lw=1, label=f"{kind} ramp, worst MAC")
    ax.set(
        xlabel="read voltage (V)",
        ylabel="code error (LSB)",
        title=f"{spec.ramps[0].text}, {spec.adc_bits} bits, {technology.name}: the ramp in memory follows the voltage",
    )
    ax.set_ylim(0, 1.35 * max(errors.worst[kind].max() for kind in errors.worst))
    ax.legend(frameon=False, fontsize=9)
    _bare(ax)
    save_figure(figure, path, dpi=_DPI)


def _by_name(variants) -> dict:
    return {variant.name: variant for variant in variants}


def _either(by_name: dict, scheme: str):
    return by_name.get(scheme) or by_name.get(f"{scheme}, calibrated")


def _bare(ax) -> None:
    ax.grid(alpha=0.25)
    ax.spines[["top", "right"]].set_visible(False)


def _draw_stairs(ax, name: str, bits: int, ideal, real) -> None:
    ramp = ideal.linearity.ramp
    span = ramp.arguments[-1] - ramp.arguments[0]
    low, high = ramp.arguments[0] - span / 4, ramp.arguments[-1] + span / 4
    values = ramp.decode(ramp.codes)
    edges = np.concatenate([[low], ramp.thresholds * ramp.scale, [high]])
    ax.stairs(values, edges, baseline=None, color=_BETTER, lw=4, alpha=0.35, label="ideal ramp")
    for k, thresholds in enumerate(real.linearity.thresholds[:_STAIRS]):
        edges = np.concatenate([[low], np.clip(np.sort(thresholds) * ramp.scale, low, high), [high]])
        label = f"{real.name}: {min(_STAIRS, len(real.linearity.thresholds))} chips" if k == 0 else None
        ax.stairs(values, edges, baseline=None, color=_BEFORE, lw=0.6, alpha=0.6, label=label)
    x = np.linspace(low, high, 1001)
    ax.plot(x, ramp.activation(x), "--", color=_IDEAL, lw=0.9, label=name)
    ax.set(title=f"{name}, {bits} bits", xlabel="pre-activation", ylabel="decoded activation")
    ax.legend(loc="upper left", frameon=False, fontsize=8)
    _bare(ax)


def _draw_inl(ax, drawn) -> None:
    reach = 0.1
    ax.axhline(0, color=_IDEAL, lw=0.8)
    for variant, color in drawn:
        if variant is None:
            continue
        inl = variant.linearity.inl
        ticks = np.arange(1, inl.shape[1] + 1)
        low, middle, high = np.percentile(inl, (_BAND[0], 50, _BAND[1]), axis=0)
        rms = variant.linearity.summary()["inl_rms_lsb"]
        ax.fill_between(ticks, low, high, color=color, alpha=0.25, lw=0)
        ax.plot(ticks, middle, color=color, lw=1.4, label=f"{variant.name}: {rms:.2f} LSB rms")
        reach = max(reach, np.abs(low).max(), np.abs(high).max())
    ax.set(xlabel="tick", ylabel="INL (LSB)", ylim=(-1.35 * reach, 1.35 * reach))
    ax.legend(loc="upper left", frameon=False, fontsize=8)
    _bare(ax)
