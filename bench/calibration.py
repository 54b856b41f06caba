# SPDX-License-Identifier: Apache-2.0
"""How near the calibration brings tick K to the columns' median, with dead and stuck cells, and what else one could do.

    python bench/calibration.py [CHIPS]

Chips of the shipped model whose cells err by a tenth; in each ramp one cell is as the row says. The ramps start up to
12 smallest cells from where they belong. Beside the calibration: a scan from setting 0 upward, which takes the first
setting that half the codes do not reach, or the one before if it is nearer (32 settings instead of 6); and the
nearest level that the cells allow at all. Mean and 95 % quantile of the distances, in smallest cells.

Then chips of the shipped technologies with all effects: how far tick K is from where half the codes reach it, root mean
square over the chips, before and after; and the ramps that were out of reach.
"""

import sys

import numpy as np
from crossramp.golden.analog.chip.sampling import device as sampled
from crossramp.golden.analog.conversion.calibration import CalibrationPlan, counter, search, selected
from crossramp.golden.analog.conversion.device import DeviceInstance, grid_bits, on_grid
from crossramp.golden.analog.technologies.technology import load, shipped
from crossramp.golden.network.model_file import load_model

LSB = 3.0  # MAC units
MODEL = load_model("kws")
SPEC = MODEL.spec
PLAN = CalibrationPlan(SPEC)
WIDTH, RAMPS = SPEC.calibration_cells, len(SPEC.ramps)


def chip(rng: np.random.Generator, cell: str, spread: float, noise: float, seed: int) -> DeviceInstance:
    """One chip; ``spread`` and ``noise``: standard deviations of the columns' offsets and of each decision, in LSB."""
    cells = LSB * 2.0 ** np.arange(WIDTH) * (1 + 0.1 * rng.standard_normal((RAMPS, WIDTH)))
    where = np.arange(RAMPS), rng.integers(WIDTH, size=RAMPS)
    if cell == "dead":
        cells[where] = 0
    elif cell == "stuck on":
        cells[where] = LSB * 2 ** (WIDTH - 1) * rng.uniform(1, 1.5, RAMPS)
    ideal = DeviceInstance.ideal(SPEC, MODEL.weights.macro)
    low = LSB * (2 ** (WIDTH - 1) + rng.uniform(-12, 12, RAMPS))
    bits, _ = grid_bits(SPEC)
    return ideal.replace(
        calibration_cells=on_grid(cells, bits),
        ramp_start=on_grid(ideal.ramp_start - low, bits),
        offsets=rng.normal(0, spread * LSB, SPEC.columns),
        comparator_noise=noise * LSB,
        seed=seed,
    )


def scan(count) -> np.ndarray:
    """Registers of the other algorithm."""
    whole = np.array(PLAN.columns) * PLAN.repeats
    settings = range(1 << WIDTH)
    balance = np.array([2 * count(s * PLAN.repeats, np.full(RAMPS, s)) - whole for s in settings])
    past = balance <= 0
    first = np.where(past.any(axis=0), past.argmax(axis=0), len(settings) - 1)
    before = np.maximum(first - 1, 0)
    ramps = np.arange(RAMPS)
    return np.where(np.abs(balance[before, ramps]) < np.abs(balance[first, ramps]), before, first)


def distances(device: DeviceInstance) -> np.ndarray:
    """Of calibration, scan, and the best there is; float64, shape (3, ramps), in LSB."""
    count = counter(device, PLAN)
    ramps, ticks = np.arange(RAMPS), np.array(PLAN.ticks) - 1
    median = np.array([np.median([SPEC.of_bank(device.offsets, gate) for gate in gates]) for gates in PLAN.gates])

    def far(registers):
        return np.abs(device.levels(selected(SPEC, registers))[ramps, ticks] - median) / LSB

    every = np.array([far(np.full(RAMPS, s)) for s in range(1 << WIDTH)])
    return np.array([far(search(PLAN, count).registers), far(scan(count)), every.min(axis=0)])


def lacking(device: DeviceInstance, plan: CalibrationPlan, registers: np.ndarray) -> np.ndarray:
    """By how much each ramp would have to start higher, in its LSB; float64, shape (ramps,)."""
    whole, lsb = np.array(plan.columns) * plan.repeats, np.array(plan.lsb)
    bits, _ = grid_bits(SPEC)
    low, high = -100 * lsb, 100 * lsb
    while (high - low > lsb / 10).any():
        middle = (low + high) / 2
        shifted = device.replace(ramp_start=on_grid(device.ramp_start + middle, bits))
        above = 2 * counter(shifted, plan, 1 << 20)(0, registers) > whole
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return (low + high) / 2 / lsb


def technologies(chips: int):
    """Chips with all effects, each setting converted 8 and 64 times."""
    print("\n| technology | before (LSB) | after, 8 conversions (LSB) | after, 64 | out of reach |")
    print("| --- | --- | --- | --- | --- |")
    for name in shipped():
        technology = load(name)
        plans = [CalibrationPlan.of(SPEC, technology["ramp.calibration_range"], repeats) for repeats in (3, 6)]
        found: list[list] = [[], [], []]
        failed = 0
        for seed in range(chips):
            device = sampled(technology, SPEC, MODEL.weights.macro, seed)
            nominal = (device.nominal * (1 << np.arange(WIDTH))).sum(axis=1)
            results = [search(plan, counter(device, plan)) for plan in plans]
            reached = ~(results[0].failed | results[1].failed)
            failed += int(np.count_nonzero(~reached))
            for kept, registers in zip(found, (nominal, *(r.registers for r in results)), strict=True):
                kept.append(lacking(device, plans[1], registers)[reached])
        figures = [f"{np.sqrt(np.mean(np.concatenate(values) ** 2)):.2f}" for values in found]
        print(f"| {name} | {' | '.join(figures)} | {failed} of {chips * RAMPS} ramps |", flush=True)


def main():
    chips = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    print("| one cell of each ramp | offsets, noise (LSB) | calibration | upward scan | best possible |")
    print("| --- | --- | --- | --- | --- |")
    for cell in ("none bad", "dead", "stuck on"):
        for spread, noise in ((0.0, 0.0), (0.3, 0.1), (3.0, 0.5)):
            rng = np.random.default_rng(1)
            found = np.array([distances(chip(rng, cell, spread, noise, k)) for k in range(chips)])
            cells = [f"{found[:, k].mean():.2f}, {np.quantile(found[:, k], 0.95):.1f}" for k in range(3)]
            print(f"| {cell} | {spread:g}, {noise:g} | {' | '.join(cells)} |", flush=True)

    technologies(max(chips // 4, 1))


if __name__ == "__main__":
    main()
