# SPDX-License-Identifier: Apache-2.0
"""Draws the step of every cell, clock by clock, for docs/networks.md: what a simulated macro drives, and when.

``python tools/draw_steps.py`` writes docs/images/step-CELL.svg: one step of a small network of random weights, four
units in two lanes, with 3-bit ramps, pulse codes and weights, in Amaranth's simulator.
"""

import warnings
from pathlib import Path

import numpy as np
from crossramp.cli.plots.figures import new_figure, own_settings, save_figure
from crossramp.golden.array.weights import Weights
from crossramp.golden.cell.library import CELLS
from crossramp.golden.network.network import Network
from crossramp.golden.spec.specification import Specification
from crossramp.golden.spec.state_scale import SpecificationWarning
from crossramp.sim.amaranth.step_trace import StepWaves, trace_step

IMAGES = Path(__file__).parents[1] / "docs" / "images"
_COLORS = {"drive": "#1b6ca8", "control": "#555555", "ramp": "#b5541c", "update": "#3a7d44"}


def network_of(cell: str) -> Network:
    """A small network of a cell, with weights drawn from a fixed seed."""
    bits = {"adc_bits": 3, "input_bits": 3, "weight_bits": 3}
    spec = Specification(inputs=3, units=4, classes=2, lanes=2, calibration_cells=0, cell=cell, **bits)
    rng = np.random.default_rng(7)

    def drawn(*shape):
        return rng.integers(-spec.weight_max, spec.weight_max + 1, shape)

    lines = drawn(spec.trained_lines, spec.units) if spec.trained_lines else None
    macro = drawn(spec.rows, spec.columns) * spec.placed
    return Network(spec, Weights(macro, drawn(2, spec.hidden), drawn(2), None, lines))


def signals(spec: Specification, waves: StepWaves) -> list[tuple[str, str, np.ndarray]]:
    """Name, kind and value of each line of a picture; bool arrays, shape (clocks,)."""
    cell, controls = spec.layout, waves.controls
    names = {"x": "rows of x", "1": "bias rows"}
    found = [
        (names.get(group, f"rows of {group}"), "drive", waves.rows[:, spec.rows_of(group)].any(axis=1))
        for group in cell.row_groups
    ]
    found += [(f"lines {line}", "drive", waves.state_rows[:, spec.wires_of(line)].any(axis=1)) for line in cell.lines]
    held = " and ".join(cell.held)
    others = ", ".join(gate for gate in cell.gates if gate not in cell.held)
    found.append(("integrate", "control", controls["integrate"]))
    found.append((f"reset of {others}" if held else "reset", "control", controls["reset"]))
    if held:
        found.append((f"reset of {held}, which holds", "control", controls["reset_1"]))
    found += [("hold", "control", controls["hold"]), ("tick", "ramp", controls["tick"])]
    found.append(("update", "update", waves.update))
    return found


def ramps(waves: StepWaves) -> list[tuple[int, int]]:
    """First and last clock of each ramp."""
    clocks = np.flatnonzero(waves.controls["tick"])
    parts = np.split(clocks, np.flatnonzero(np.diff(clocks) > 1) + 1)
    return [(int(part[0]), int(part[-1])) for part in parts]


@own_settings
def draw(cell: str, path: Path) -> None:
    """The fourth step of an utterance, in which everything is driven that can be."""
    network = network_of(cell)
    spec = network.spec
    x = np.random.default_rng(0).integers(-spec.input_max, spec.input_max + 1, (4, spec.inputs))
    waves = trace_step(network, x, 3)
    lines = signals(spec, waves)
    clocks = len(waves.update)
    figure = new_figure(9, 0.32 * len(lines) + 0.9)
    axes = figure.add_subplot()
    for row, (_, kind, value) in enumerate(lines):
        level = np.repeat(value.astype(float) * 0.7, 2)
        edges = np.repeat(np.arange(clocks + 1), 2)[1:-1]
        axes.plot(edges, level - row, color=_COLORS[kind], linewidth=1.2)
        axes.fill_between(edges, -row, level - row, color=_COLORS[kind], alpha=0.25, linewidth=0)
    for (first, last), codes in zip(ramps(waves), spec.conversions, strict=True):
        latched = " ".join(code if code == gate else f"{gate} (as {code})" for gate, code in codes.items())
        axes.text((first + last + 1) / 2, 0.95, f"codes of {latched}", ha="center", va="bottom", fontsize=8)
        axes.axvspan(first, last + 1, color=_COLORS["ramp"], alpha=0.06, linewidth=0)
    axes.set_yticks([0.3 - row for row in range(len(lines))], [name for name, *_ in lines], fontsize=8)
    axes.set_xlim(0, clocks)
    axes.set_ylim(-len(lines) + 0.7, 1.6)
    axes.set_xlabel("clock of the step", fontsize=8)
    axes.tick_params(axis="both", length=0, labelsize=8)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    save_figure(figure, path)


def main() -> None:
    """Draw every cell."""
    warnings.simplefilter("ignore", SpecificationWarning)
    for cell in CELLS:
        if cell != "rnn_relu":  # its step is that of rnn_tanh
            draw(cell, IMAGES / f"step-{cell}.svg")


if __name__ == "__main__":
    main()
