# SPDX-License-Identifier: Apache-2.0
"""Device instances that are drawn, with all effects or with one, strong enough that codes show it."""

import numpy as np
from crossramp.golden.analog.conversion.device import DeviceInstance, grid_bits, on_grid, variance_bits
from crossramp.golden.analog.conversion.device_array import DeviceArray
from crossramp.golden.array.array_protocol import Window
from crossramp.golden.macro.lstm import Lstm
from crossramp.golden.spec.specification import Specification

#: Every kind of number of an LSTM's instance that can err on its own.
EFFECTS = (
    "weights",
    "state_cells",
    "ramp",
    "falling_ramp",
    "calibration",
    "leak",
    "state_leak",
    "limit",
    "state_limit",
    "variance",
    "state_variance",
    "common_variance",
    "noise_variance",
    "compression",
    "offsets",
    "ramp_noise",
    "rise",
    "comparator_noise",
    "delays",
)

_EVERY = (*EFFECTS, "hold")

#: The number of an effect that some cells lack.
_NUMBERS = {
    "state_cells": "state_cells",
    "state_leak": "state_window",
    "state_limit": "state_limit",
    "state_variance": "state_variance",
    "hold": "hold_gain",
}

#: Those by which two conversions of the same pulses may differ.
NOISES = ("variance", "state_variance", "common_variance", "noise_variance", "ramp_noise", "comparator_noise")


def effects_of(spec: Specification) -> tuple[str, ...]:
    """Every kind of number that an instance of ``spec`` has."""
    shapes = DeviceInstance.shapes(spec)
    return tuple(effect for effect in _EVERY if effect not in _NUMBERS or 0 not in shapes[_NUMBERS[effect]])


def device_of(spec: Specification, weights: np.ndarray, seed: int, effects=None, lines=None) -> DeviceInstance:
    """An instance with ``effects``, whose sizes are drawn too; the falling ramp only where it is named alone.

    Parameters
    ----------
    weights : integer array, shape (rows, columns)
    effects : collection of str, or None
        None: all that the cell has; those that it lacks do nothing.
    lines : integer array, shape (trained line cells, units), or None
    """
    effects = set(effects_of(spec) if effects is None else effects) & set(effects_of(spec))
    if len(effects) > 1:
        effects.discard("falling_ramp")
    rng = np.random.default_rng([seed, 3])
    ideal = DeviceInstance.ideal(spec, weights, lines=lines)
    shape = DeviceInstance.shapes(spec)
    cells, window = grid_bits(spec)
    # What one conversion's sums are like, and how far thresholds are apart.
    swing = max(float(np.abs(weights).mean() * spec.input_max * np.sqrt(spec.rows)), 1.0)
    step = swing / spec.ticks + 1
    state_cell, second = spec.state_cell or 1, (*spec.windows, 0)[1]
    only_lines = second and not spec.layout.drives_rows(1)
    state_swing = max(state_cell * spec.state_pulse_max, 1) if only_lines else swing

    def normal(name, sigma):
        return rng.normal(0, sigma, shape[name])

    def falls(count, most):
        """Gains that rise to 1 along the window."""
        return on_grid(1 - most * (np.linspace(1, 0, count) if count > 1 else np.full(count, 0.5)), window)

    def variance(name, sigma):
        """Of one clock, where a whole window's noise has ``sigma``."""
        most = min(sigma**2 / (shape[name][0] * spec.input_max**2), 2.0)
        drawn = on_grid(most * rng.random(shape[name]), variance_bits(spec))
        return np.minimum(drawn, 3.0)

    size = rng.uniform(0.3, 1.5)
    make = {
        "weights": lambda: {"weights": on_grid(ideal.weights + spec.placed * normal("weights", 0.1 * size), cells)},
        "state_cells": lambda: {
            "state_cells": on_grid(ideal.state_cells * (1 + normal("state_cells", 0.2 * size)), cells)
        },
        "ramp": lambda: {
            "ramp_start": on_grid(ideal.ramp_start - abs(normal("ramp_start", step)), cells),
            # Cells conduct one way: an error takes no step below zero.
            "ramp_steps": on_grid(ideal.ramp_steps * np.abs(1 + normal("ramp_steps", 0.2 * size)), cells),
        },
        "falling_ramp": lambda: {"ramp_steps": on_grid(ideal.ramp_steps + normal("ramp_steps", 2 * step), cells)},
        "calibration": lambda: {
            "calibration_cells": on_grid(normal("calibration_cells", 2 * step), cells),
            "nominal": (rng.random(shape["nominal"]) < 0.5) | (np.arange(spec.calibration_cells) == 0),
        },
        "leak": lambda: {"window": falls(spec.windows[0], 0.3 * size)},
        "state_leak": lambda: {"state_window": falls(second, 0.3 * size)},
        "limit": lambda: {"limit": swing * size * np.linspace(0.2, 0.4, spec.windows[0])},
        "state_limit": lambda: {"state_limit": state_swing * np.linspace(0.1, 0.2, second) / size},
        "variance": lambda: {"variance": spec.placed * variance("variance", 2 * step * size)},
        "state_variance": lambda: {
            "state_variance": on_grid(
                rng.random(spec.line_cell_count) * min(state_cell * size / 4, 1) ** 2, variance_bits(spec)
            )
        },
        "common_variance": lambda: {"common_variance": spec.crossed * variance("common_variance", 2 * step * size)},
        "noise_variance": lambda: {"noise_variance": (step * size * rng.random(spec.columns)) ** 2},
        "compression": lambda: {"compression": 0.5 * size / swing},
        "offsets": lambda: {"offsets": normal("offsets", 2 * step * size)},
        "ramp_noise": lambda: {"ramp_noise": np.abs(normal("ramp_noise", step * size))},
        "rise": lambda: {"rise": 1 + 0.5 * size * np.sort(rng.random(spec.ticks))},
        "comparator_noise": lambda: {"comparator_noise": 1.5 * step * size},
        # Most are late by some ticks, some by nearly the whole ramp.
        "delays": lambda: {
            "delays": np.where(rng.random(spec.columns) < 0.8, rng.integers(0, 5, spec.columns), spec.ticks - 1).clip(
                0, spec.ticks
            )
        },
        "hold": lambda: {"hold_gain": rng.uniform(0.4, 0.95, shape["hold_gain"])},
    }
    assert set(make) == set(_EVERY)
    changes = {"seed": int(rng.integers(1 << 62))}
    for effect in _EVERY:
        if effect in effects:
            changes |= make[effect]()
    return ideal.replace(**changes)


def macro_of(device: DeviceInstance, cells: np.ndarray | None = None, projection: np.ndarray | None = None) -> Lstm:
    """The golden macro in front of an instance; ``cells``: selected bias cells, None for the nominal ones."""
    return Lstm(device.spec, DeviceArray(device, cells), projection)


def windows_of(spec: Specification, rng: np.random.Generator, batch: int) -> list[Window]:
    """The windows of a step, each line driven by any pulse that its format allows."""
    cell = spec.layout
    return [
        Window(
            rng.integers(-spec.input_max, spec.input_max + 1, (batch, spec.rows)) if cell.drives_rows(k) else None,
            rng.integers(-spec.state_pulse_max, spec.state_pulse_max + 1, (batch, spec.state_lines))
            if cell.drives_lines(k)
            else None,
        )
        for k in range(len(spec.conversions))
    ]
