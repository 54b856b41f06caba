# SPDX-License-Identifier: Apache-2.0
"""One step in ngspice and in the behavioral model: what integrators, ramps and comparators did, side by side."""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from crossramp.golden.analog.chip.physical import PhysicalArray
from crossramp.golden.analog.conversion.device import DeviceInstance
from crossramp.golden.analog.conversion.device_array import DeviceArray
from crossramp.golden.array.array_protocol import Window
from crossramp.golden.array.ramps import latched_codes
from crossramp.golden.spec.specification import Specification

from ..amaranth.step_trace import StepWaves
from .accuracy import Accuracy
from .deck import Deck, build
from .ngspice import Waveforms, find_ngspice, run_deck
from .pin_voltages import ConversionClocks, conversions

#: Effects that are drawn anew in each conversion: they are off in both models.
NOISE = frozenset({"read_noise", "thermal", "comparator_noise"})

#: Columns of one deck where wires have resistance: the network's solution takes time cubed in the lines.
WIRED_COLUMNS = 4


@dataclass(frozen=True, eq=False)
class Answers:
    """What one conversion of some columns came to.

    Attributes
    ----------
    second : bool
    columns : tuple of int
    window : float64 array, shape (columns,)
        Integrators at the end of the window, V; positive where positive cells dominate.
    hold : float64 array, shape (columns,)
        The same at the end of hold, before the first tick.
    ramps : float64 array, shape (columns, ticks)
        Level of each column's ramp as each tick is latched, V.
    margins : float64 array, shape (columns, ticks)
        By what each column, its comparator's offset included, exceeded the ramp when its comparator looked, V.
    comparators : bool array, shape (columns, ticks)
        What was latched on each tick.
    codes : int64 array, shape (columns,)
    """

    second: bool
    columns: tuple[int, ...]
    window: np.ndarray
    hold: np.ndarray
    ramps: np.ndarray
    margins: np.ndarray
    comparators: np.ndarray
    codes: np.ndarray


def decks(
    array: PhysicalArray,
    device: DeviceInstance,
    waves: StepWaves,
    columns: Sequence[int],
    *,
    title: str = "columns and ramps",
    accuracy: Accuracy | None = None,
) -> list[Deck]:
    """Netlists that together have all ``columns``, one if wires have no resistance; see :func:`.deck.build`."""
    size = WIRED_COLUMNS if wired(array) else max(len(columns), 1)
    columns = sorted(columns)
    levels = external_levels(array, device, waves.calibration)
    return [
        build(array, waves, columns[k : k + size], title=title, accuracy=accuracy, levels=levels)
        for k in range(0, len(columns), size)
    ]


def wired(array: PhysicalArray) -> bool:
    """Whether the array's wires have resistance."""
    tech = array.technology
    if tech.read_mode == "charge" or "wires" not in array.switches:
        return False
    return bool(tech["wires.row_resistance"] or tech["wires.column_resistance"])


def external_levels(array: PhysicalArray, device: DeviceInstance, calibration: np.ndarray) -> np.ndarray | None:
    """Volts of an external ramp, which has no cells: before tick 1 and on each tick; shape (ramps, ticks + 1)."""
    if array.technology.ramp_kind != "external":
        return None
    parts = np.concatenate([device.starts(calibration)[:, None], device.ramp_steps], axis=1)
    return np.cumsum(parts, axis=1) * array.volts_per_mac


def simulate(
    texts: Sequence[Deck],
    seconds: float | None = None,
    progress: Callable[[int], None] | None = None,
    jobs: int | None = None,
) -> list[Waveforms]:
    """Run decks, some at a time; as :func:`.ngspice.run_deck`.

    Parameters
    ----------
    progress : callable or None
        ``progress(done)`` after each deck.
    jobs : int or None
        ngspice processes at a time; None: one a core.
    """
    find_ngspice()
    stop = threading.Event()
    pool = ThreadPoolExecutor(jobs or os.cpu_count() or 1)
    try:
        done = []
        for waveforms in pool.map(lambda deck: run_deck(deck.text, seconds, stop), texts):
            done.append(waveforms)
            if progress is not None:
                progress(len(done))
        return done
    finally:
        # Ctrl-C, or a deck that failed: what still runs is of no use.
        stop.set()
        pool.shutdown(cancel_futures=True)


def spice_answers(
    array: PhysicalArray, waves: StepWaves, texts: Sequence[Deck], results: Sequence[Waveforms]
) -> list[Answers]:
    """What ngspice found, one entry per conversion; the second has the columns of bank g alone (none: left out)."""
    found = []
    for conversion in conversions(waves):
        parts = [_read(array, conversion, deck, waveforms) for deck, waveforms in zip(texts, results, strict=True)]
        parts = [part for part in parts if part.columns]
        if parts:
            found.append(_joined(parts))
    return found


def golden_answers(
    array: PhysicalArray, device: DeviceInstance, waves: StepWaves, columns: Sequence[int]
) -> list[Answers]:
    """What :class:`.device_array.DeviceArray` computes of the same pulses, in the same form."""
    spec, tech = array.spec, array.technology
    converter = DeviceArray(device, waves.calibration)
    leak = tech["read.clock"] / tech["integrator.leakage_time"] if "leakage" in array.switches else 0.0
    found = []
    windows = []
    for number, conversion in enumerate(conversions(waves)):
        second, chosen = conversion.second, _of(array, sorted(columns), conversion)
        clocks = slice(*conversion.window)
        pulses = (driven[clocks].sum(axis=0, dtype=np.int64)[None] for driven in (waves.rows, waves.state_rows))
        windows.append(Window(*pulses))
        if not chosen:
            continue
        index = np.array(chosen) - spec.converted(second).start
        values = converter.values(converter.charge(windows), windows, np.array([number]))
        shown = converter.comparators(values, np.array([number]), second)[:, 0, index].T
        ramp, ticks = spec.ramp_of_column[chosen], spec.conversion_ticks[second]
        after = np.array(conversion.latched) + 1 - conversion.window[1]
        shown = shown[:, :ticks]
        levels, value = converter.levels[ramp, :ticks], values[0, index]
        volts, left = array.volts_per_mac, np.exp(-leak * after)
        held = (value - device.offsets[chosen]) * volts
        # A late comparator looked at an earlier level; from the first tick's on, as below.
        every = np.concatenate([converter.starts[ramp][:, None], levels], axis=1)
        seen = np.arange(1, ticks + 1) - device.delays[chosen][:, None]
        margins = (value[:, None] - np.take_along_axis(every, np.maximum(seen, 0), axis=1)) * volts * left
        found.append(
            Answers(
                second,
                tuple(chosen),
                held,
                held * np.exp(-leak * (conversion.first_tick - conversion.window[1])),
                levels * volts * left,
                margins,
                shown,
                latched_codes(spec, shown.T, np.array(chosen)),
            )
        )
    return found


def gateware_codes(spec: Specification, waves: StepWaves, answers: Answers) -> np.ndarray:
    """The codes that the gateware captured from the array it was simulated with; int64, shape (columns,)."""
    codes = waves.state_codes if answers.second else waves.codes
    return codes[np.array(answers.columns) - spec.converted(answers.second).start]


def _of(array: PhysicalArray, columns: Sequence[int], conversion: ConversionClocks) -> list[int]:
    converted = array.spec.converted(conversion.second)
    return [int(column) for column in columns if converted.start <= column < converted.stop]


def _read(array: PhysicalArray, conversion: ConversionClocks, deck: Deck, waveforms: Waveforms) -> Answers:
    spec, clock = array.spec, deck.clock
    columns = _of(array, deck.columns, conversion)
    latched = (np.array(conversion.latched) + 1) * clock
    delay = array.delay if "delay" in array.switches else np.zeros(spec.columns)
    window, hold, ramps, margins, shown = [], [], [], [], []
    for column in columns:
        name, ramp = spec.column_name(column), f"ramp{spec.ramp_of_column[column]}"
        out = f"out_{name}"
        # What is latched is what the comparator decided its delay earlier; it decides from the first tick on.
        looked = np.maximum(latched - delay[column], conversion.first_tick * clock)
        offset = array.offset[column] if "offset" in array.switches else 0.0
        window.append(-waveforms.at(out, conversion.window[1] * clock))
        hold.append(-waveforms.at(out, conversion.first_tick * clock))
        ramps.append(-waveforms.at(ramp, latched))
        margins.append(waveforms.at(ramp, looked) - waveforms.at(out, looked) + offset)
        shown.append(waveforms.at(f"cmp_{name}", looked) > 0.5)
    shown = np.array(shown, bool).reshape(len(columns), spec.conversion_ticks[conversion.second])
    codes = latched_codes(spec, shown.T, np.array(columns, np.int64))
    return Answers(
        conversion.second,
        tuple(columns),
        np.array(window),
        np.array(hold),
        np.array(ramps).reshape(shown.shape),
        np.array(margins).reshape(shown.shape),
        shown,
        codes,
    )


def _joined(parts: Sequence[Answers]) -> Answers:
    names = ("window", "hold", "ramps", "margins", "comparators", "codes")
    arrays = [np.concatenate([getattr(part, name) for part in parts]) for name in names]
    return Answers(parts[0].second, tuple(column for part in parts for column in part.columns), *arrays)
