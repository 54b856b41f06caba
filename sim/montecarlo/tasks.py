# SPDX-License-Identifier: Apache-2.0
"""One task of a sweep: some device instances at one point of the plan."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from crossramp.golden.analog.chip.chip_sample import ChipSample
from crossramp.golden.analog.chip.placed_chip import PlacedChip
from crossramp.golden.analog.chip.ramp_linearity import Linearity
from crossramp.golden.analog.conversion.seen_ramps import seen_thresholds
from crossramp.golden.analog.conversion.tiled_device import tiles_of_device
from crossramp.golden.analog.fast.fast_device import FastDevice
from crossramp.golden.array.array_protocol import Array, Window, first_conversions
from crossramp.golden.array.ramps import ramps
from crossramp.golden.array.tiled_array import tile_weights
from crossramp.golden.inputs.text_codes import bits_per_character
from crossramp.golden.macro.lstm import Lstm
from crossramp.golden.network.layered_network import LayeredNetwork
from crossramp.golden.network.layered_weights import weights_of_macro
from crossramp.golden.network.network import Network
from crossramp.golden.spec.specification import Specification

from .problem import Problem

#: Conversions of a task: some seconds' worth, so that little is lost with a worker, and little spent on bookkeeping.
_CONVERSIONS = 80_000_000
_INSTANCES_MOST = 200
_STREAMS = 256  # of a text, whose h is held at once
_SAMPLED = 256  # time steps whose conversions tell the code error


def make_tasks(problem: Problem, instances: int) -> list[dict]:
    """Descriptions of all tasks, JSON types: ``point`` (its place in the plan), ``first`` instance, ``count``.

    The first instances of all points come first, so that an unfinished sweep shows all of the plan.
    """
    size = min(max(_CONVERSIONS // problem.conversions, 1), _INSTANCES_MOST)
    return [
        {"point": point, "first": first, "count": min(size, instances - first)}
        for first in range(0, instances, size)
        for point in range(len(problem.points))
    ]


def run_task(problem: Problem, task: dict) -> list[dict]:
    """Rows of a task, one an instance: ``point``, ``instance``, ``seed`` (of the chip) and the metrics.

    Instance k has the same seed at every point: the same chip, as far as the point's constants leave it the same.
    """
    bench = _bench(problem, task["point"])
    return [
        {"point": task["point"], "instance": k, "seed": problem.seed + k, **bench.measure(problem.seed + k)}
        for k in range(task["first"], task["first"] + task["count"])
    ]


@lru_cache(maxsize=4)
def _bench(problem: Problem, point: int) -> "_Bench":
    return _Bench(problem, point)


@dataclass(frozen=True)
class _Sample:
    """Steps of the ideal network: the window of each conversion, and its codes."""

    windows: list[Window]
    codes: list[np.ndarray]


class _Watched:
    """An array that keeps the window and the codes of every conversion."""

    def __init__(self, array: Array):
        self.spec, self._array, self.seen = array.spec, array, []

    def convert(self, windows: Sequence[Window], numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        macs, codes = self._array.convert(windows, numbers)
        self.seen.append((*windows[-1], codes))
        return macs, codes


class _Bench:
    """A point of a problem: what all its instances share."""

    def __init__(self, problem: Problem, point: int):
        self.problem, self.point, self.cells = problem, problem.points[point], problem.cells(point)
        self.network: Network | LayeredNetwork = problem.network(self.point)
        self.spec = self.network.spec

    @cached_property
    def ideal_answers(self) -> np.ndarray:
        return self.network.answers(self.problem.codes)

    @cached_property
    def samples(self) -> dict[str, _Sample]:
        """Time steps spread over the recordings, of each macro by its name."""
        codes = self.problem.codes
        chosen = np.unique(np.linspace(0, len(codes) - 1, max(1, _SAMPLED // codes.shape[1])).astype(int))
        watched = {name: _Watched(lstm.array) for name, lstm in _lstms(self.network).items()}
        behind = watched if isinstance(self.network, LayeredNetwork) else watched[""]
        self.network.behind(behind).run(codes[chosen])
        return {name: self._sample(self.spec.macros[name], array.seen) for name, array in watched.items()}

    @staticmethod
    def _sample(spec: Specification, seen: list) -> _Sample:
        count = len(spec.conversions)

        def joined(k, part):
            """Of conversion k, all steps of all recordings; None for what it does not drive."""
            steps = [one[part] for one in seen[k::count]]
            return None if steps[0] is None else np.stack(steps, axis=1).reshape(-1, steps[0].shape[-1])

        windows = [Window(joined(k, 0), joined(k, 1)) for k in range(count)]
        return _Sample(windows, [joined(k, 2) for k in range(count)])

    def measure(self, seed: int) -> dict:
        """The metrics of the instance with a seed."""
        point, metrics = self.point, self.problem.metrics
        sample = ChipSample(point.technology, switches=point.switches, conductances=self.cells)
        chip = PlacedChip.of(self.spec, self.network.weights, sample, seed, point.calibration)
        network = chip.behind(self.network)
        found = {}
        if "accuracy" in metrics or "flips" in metrics:
            answers = self._answers(network)
            labels = self.problem.labels
            found["accuracy"] = float((answers == labels)[labels >= 0].mean()) if (labels >= 0).any() else None
            found["flips"] = float((answers != self.ideal_answers).mean())
        if "bits" in metrics:
            found["bits"] = self._bits(network)
        if "code_error" in metrics:
            found["code_error"] = self._code_error(network)
        if {"inl", "dnl", "missing_codes"} & set(metrics):
            found |= self._linearity(chip)
        return {name: found[name] for name in metrics}

    def _answers(self, network: Network | LayeredNetwork) -> np.ndarray:
        x, mean = self.problem.codes, self.spec.readout == "mean"
        if isinstance(network, LayeredNetwork):
            hidden = _hidden_of_layers(network, x)
            sums = hidden.sum(axis=1) if mean else hidden[:, -1]
        elif (fast := FastDevice.of(network.lstm)) is None:
            hidden = network.lstm.hidden(x)
            sums = hidden.sum(axis=1) if mean else hidden[:, -1]
        else:
            sums = fast.sums(x) if mean else fast.last(x)
        return network.head.logits(sums, x.shape[1] if mean else 1).argmax(axis=1)

    def _bits(self, network: Network | LayeredNetwork) -> float:
        """Bits per character, over all that have a label."""
        x, labels = self.problem.codes, self.problem.labels
        total = 0.0
        for start in range(0, len(x), _STREAMS):
            block = slice(start, start + _STREAMS)
            counted = labels[block] >= 0
            if counted.any():
                if isinstance(network, LayeredNetwork):
                    hidden = _hidden_of_layers(network, x[block], start * x.shape[1])
                else:
                    engine = FastDevice.of(network.lstm) or network.lstm
                    hidden = engine.hidden(x[block], first_conversions(self.spec, *x.shape[:2])[block])
                targets = labels[block][counted]
                logits = network.head.logits(hidden[counted], 1)
                total += bits_per_character(logits, targets, self.problem.logit_scale) * len(targets)
        return total / int((labels >= 0).sum())

    def _code_error(self, network: Network | LayeredNetwork) -> float:
        """Root mean square over the codes of all macros."""
        errors = []
        for name, lstm in _lstms(network).items():
            sample = self.samples[name]
            number = len(lstm.spec.conversions) * np.arange(len(sample.codes[0]), dtype=np.int64)
            for k, ideal in enumerate(sample.codes):
                _, codes = lstm.array.convert(sample.windows[: k + 1], number + k)
                errors.append((codes - ideal).ravel())
        return float(np.sqrt(np.mean(np.square(np.concatenate(errors), dtype=float))))

    def _linearity(self, chip: PlacedChip) -> dict:
        """The largest of every ramp of every array, and all missing codes."""
        found = []
        for name, device in chip.devices.items():
            found += self._ramps_of(name, tiles_of_device(device), chip.calibrations[name].cells)
        return {
            "inl": float(max(np.abs(one.inl).max() for one in found)),
            "dnl": float(max(np.abs(one.dnl).max() for one in found)),
            "missing_codes": int(sum(one.missing.sum() for one in found)),
        }

    def _ramps_of(self, name: str, tiles, cells: np.ndarray) -> list[Linearity]:
        """Of a macro: each ramp of each array."""
        spec, macro = self.spec.macros[name], weights_of_macro(self.network.weights, name).macro
        found = []
        for tile, chosen in zip(tiles, np.split(cells, len(tiles)), strict=True):
            thresholds = seen_thresholds(tile, tile_weights(spec, tile.spec, macro), chosen)
            # A level that no charge reaches is as good as one just beyond the largest charge.
            thresholds = np.clip(thresholds, -2.0 * spec.mac_max, 2.0 * spec.mac_max)
            pairs = zip(ramps(spec), thresholds, strict=True)
            found += [Linearity(ramp, row[None, : ramp.ticks], spec.latch) for ramp, row in pairs]
        return found


def _lstms(network: Network | LayeredNetwork) -> dict[str, Lstm]:
    """The macros of a network by their names; the only one of a network has none."""
    return network.macros if isinstance(network, LayeredNetwork) else {"": network.lstm}


def _hidden_of_layers(network: LayeredNetwork, x: np.ndarray, steps_before: int = 0) -> np.ndarray:
    """h that the head sees, each macro by its fast path where it has one."""

    def whole(name: str, codes: np.ndarray) -> np.ndarray:
        macro = network.macros[name]
        numbers = network.numbers(name, codes.shape, steps_before)
        return (FastDevice.of(macro) or macro).hidden(codes, numbers)

    return network.through(x, whole)
