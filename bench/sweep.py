# SPDX-License-Identifier: Apache-2.0
"""How fast Monte Carlo over chips is, as ratios, and what limits it.

    python bench/sweep.py

An instance of each shipped technology runs the shipped recordings, repeated to as many as the validation set has: by
`Lstm.hidden` on its `DeviceArray`, which tests trust; by the fast path, which sweeps use and which must give the same
h; and the ideal golden network does, as the floor. All in turn within one process and thread, in the process's CPU
time. Then: what one instance of a sweep is made of, and the stages of the fast path.
"""

import argparse
import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy loads its BLAS

import time
from collections import defaultdict
from importlib.resources import as_file, files

import numpy as np
from crossramp.cli.inputs import network_inputs
from crossramp.golden.analog.chip import sampling
from crossramp.golden.analog.conversion import calibration
from crossramp.golden.analog.conversion.device_array import DeviceArray
from crossramp.golden.analog.fast import fast_charge, fast_device, fast_ramp
from crossramp.golden.analog.technologies import technology
from crossramp.golden.macro.lstm import Lstm
from crossramp.golden.network.model_file import load_model

UTTERANCES = 1309  # as many as the validation set has recordings
SLOW = 32  # utterances that Lstm itself runs a turn
AIM = 3.0  # times as fast as Lstm

#: Stages of the fast path: name to the methods that are it. What the inner one takes is not the outer one's.
STAGES = {
    "charge: matrix products, saturation": (fast_charge.Charges, ("charge",)),
    "noise of cells and columns": (fast_device._Block, ("_add_noise",)),
    "compression": (fast_device._Block, ("_compress",)),
    "noise of the ramps": (fast_ramp.Converter, ("draw_ramps",)),
    "codes by table": (fast_ramp.Converter, ("convert",)),
    "decisions near a level": (fast_ramp.Converter, ("_resolve",)),
    "exact values, within rounding of a level": (fast_device._Block, ("_exact_first", "_exact_second")),
}


def recordings(model) -> np.ndarray:
    """Pulse codes of the shipped recordings, as often as it takes."""
    with as_file(files("crossramp.cli") / "demo_data" / "recordings") as folder:
        codes = network_inputs.from_audio(model, [folder]).codes
    return np.resize(codes, (UTTERANCES, *codes.shape[1:]))


def turns(contenders: dict, seconds: float) -> dict[str, float]:
    """Median CPU seconds of a call, the contenders taking turns."""
    times = {name: [] for name in contenders}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or min(map(len, times.values())) < 3:
        for name, call in contenders.items():
            start = time.process_time()
            call()
            times[name].append(time.process_time() - start)
    return {name: float(np.median(values)) for name, values in times.items()}


class Stopwatch:
    """Own CPU time of some methods: nested ones count for themselves alone."""

    def __init__(self):
        self.own, self._stack, self._put_back = defaultdict(float), [], []

    def __enter__(self):
        for stage, (kind, names) in STAGES.items():
            for name in names:
                original = getattr(kind, name)
                self._put_back.append((kind, name, original))
                setattr(kind, name, self._timed(stage, original))
        return self

    def __exit__(self, *_):
        for kind, name, original in self._put_back:
            setattr(kind, name, original)

    def _timed(self, stage, original):
        def call(*args):
            start = time.process_time()
            self._stack.append(0.0)
            try:
                return original(*args)
            finally:
                spent = time.process_time() - start
                self.own[stage] += spent - self._stack.pop()
                if self._stack:
                    self._stack[-1] += spent

        return call


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1, help="of the instances (default 1)")
    parser.add_argument("--seconds", type=float, default=8.0, help="of turns, a technology (default %(default)g)")
    args = parser.parse_args()
    model = load_model("kws")
    x, network = recordings(model), model.network
    conversions = x.shape[1] * model.spec.codes_per_step
    print(f"seed {args.seed}; numpy {np.__version__}; model kws, {UTTERANCES} utterances of {x.shape[1]} steps")
    print("\ntechnology  times as fast     aim          of ideal's  instances/s of 1,309 recordings, one process")
    for name in technology.shipped():
        tech = technology.load(name)
        chip = sampling.device(tech, model.spec, network.weights.macro, args.seed)
        lstm = Lstm(chip.spec, DeviceArray(chip))
        quick = fast_device.FastDevice.of(lstm)
        if not np.array_equal(quick.hidden(x[:SLOW]), lstm.hidden(x[:SLOW])):
            raise SystemExit(f"{name}: the fast path differs from Lstm; no ratio is worth printing")
        spent = turns(
            {
                "Lstm": lambda lstm=lstm: lstm.hidden(x[:SLOW]),
                "fast": lambda quick=quick: quick.sums(x),
                "ideal": lambda: network.answers(x),
            },
            args.seconds,
        )
        each = spent["fast"] / UTTERANCES
        gain = spent["Lstm"] / SLOW / each
        reached = f"{AIM:g} {'reached' if gain >= AIM else 'MISSED'}"
        # What a sweep does besides, once an instance.
        plan = calibration.CalibrationPlan.of(model.spec, tech["ramp.calibration_range"])
        once = turns(
            {
                "sampling": lambda tech=tech: sampling.device(tech, model.spec, network.weights.macro, args.seed),
                "calibration": lambda chip=chip, plan=plan: calibration.calibrate(chip, plan),
                "tables": lambda lstm=lstm: fast_device.FastDevice.of(lstm),
            },
            0.0,
        )
        whole = each * UTTERANCES + sum(once.values())
        print(
            f"{name:10s}  {gain:15.1f}   {reached:11s}  {each / (spent['ideal'] / UTTERANCES):10.1f}  {1 / whole:.2f}"
        )
        shares = [f"{part} {seconds / whole:.1%}" for part, seconds in once.items()]
        print(f"            of an instance: conversions {each * UTTERANCES / whole:.1%}, {', '.join(shares)}")
        with Stopwatch() as watch:
            start = time.process_time()
            quick.sums(x)
            total = time.process_time() - start
        for stage, seconds in sorted(watch.own.items(), key=lambda item: -item[1]):
            print(f"              {seconds / total:5.0%}  {stage}")
        rest = 1 - sum(watch.own.values()) / total
        print(f"              {rest:5.0%}  the rest: cell update, look-ups of the second conversion, calls")
        print(f"            a conversion takes {each / conversions * 1e9:.0f} ns")


if __name__ == "__main__":
    main()
