# SPDX-License-Identifier: Apache-2.0
"""From siemens, farad and volts to MAC units: the device instance of a physical array. Equations: docs/devices.md."""

import math

import numpy as np
from crossramp.golden.spec.specification import Specification

from ..conversion.device import DeviceError, DeviceInstance, grid_bits, on_grid, variance_bits
from .physical import PhysicalArray, subtracted
from .wire_resistance import effective

BOLTZMANN = 1.380649e-23  # J/K, exact in the SI


def to_device(array: PhysicalArray) -> DeviceInstance:
    """The device instance that converts as ``array`` does.

    Raises
    ------
    DeviceError
        Where noise or cells are beyond what the exact arithmetic holds.
    """
    translation = _Charge if array.technology.read_mode == "charge" else _Current
    try:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what becomes infinite is refused
            return translation(array).device()
    except DeviceError as error:
        raise DeviceError(f"chip {array.seed} of technology {array.technology.name}: {error}") from None


class _Translation:
    """What both read modes share."""

    def __init__(self, array: PhysicalArray):
        self.array, self.tech, self.spec = array, array.technology, array.spec
        self.cell_bits, self.window_bits = grid_bits(self.spec)

    def on(self, effect: str) -> bool:
        return effect in self.array.switches

    def device(self) -> DeviceInstance:
        array, spec, tech = self.array, self.spec, self.tech
        columns, ramp_gain = self.column_gain(), self.ramp_gain()
        ramp = (array.ramp - array.ramp_negative) / array.ramp_unit[:, None]
        start = (array.ramp_start - array.ramp_start_negative).sum(axis=1) * array.start_sign / array.ramp_unit
        calibration = (array.calibration - array.calibration_negative) / array.ramp_unit[:, None]
        start, ramp, calibration = self.ramp(
            start * ramp_gain, ramp * ramp_gain[:, None], calibration * ramp_gain[:, None]
        )
        weights, state = self.cells()
        start_gain, step_gain, rise = self.droop()
        window, state_window = (self.window(clocks) for clocks in (*spec.windows, 0)[:2])
        variance, common, state_variance = self.variances(columns)
        volts = array.volts_per_mac
        # The ramp moves in the first half of a clock and is latched at its end: half a clock of delay has no effect.
        delay = np.floor(array.delay / tech["read.clock"] + 0.5) if self.on("delay") else np.zeros(spec.columns)
        return DeviceInstance(
            spec=spec,
            weights=on_grid(weights * columns, self.cell_bits),
            state_cells=on_grid(state * columns[spec.line_columns], self.cell_bits),
            ramp_start=on_grid(start * start_gain, self.cell_bits),
            ramp_steps=on_grid(ramp * step_gain, self.cell_bits),
            calibration_cells=on_grid(calibration * start_gain, self.cell_bits),
            window=on_grid(window[0], self.window_bits),
            state_window=on_grid(state_window[0], self.window_bits),
            hold_gain=np.full(len(spec.layout.held), self.hold_gain()),
            limit=window[1],
            state_limit=state_window[1],
            variance=on_grid(variance, variance_bits(spec)),
            state_variance=on_grid(state_variance, variance_bits(spec)),
            common_variance=on_grid(common, variance_bits(spec)),
            noise_variance=self.sampled_variance(),
            offsets=array.offset / volts if self.on("offset") else np.zeros(spec.columns),
            ramp_noise=self.ramp_noise(ramp_gain),
            rise=rise,
            delays=np.minimum(delay, spec.ticks).astype(np.int64),
            nominal=_middle(len(spec.ramps), spec.calibration_cells),
            compression=self.compression,
            comparator_noise=tech["comparator.noise"] / volts if self.on("comparator_noise") else 0.0,
            seed=array.seed,
        )

    @property
    def supply(self) -> float:
        return self.array.read_voltage / self.tech["read.voltage"]

    @property
    def ramp_supply(self) -> float:
        return self.array.ramp_voltage / self.tech["read.voltage"]

    def leak(self, connected: bool) -> float:
        """Share of its charge, as an exponent, that an integrator loses in a clock."""
        return self.tech["read.clock"] / self.tech["integrator.leakage_time"] if self.on("leakage") else 0.0

    arrival = 0.5
    """When, in its clock, the charge of a pulse arrives; on average, in clocks."""
    ramp_arrival = 0.25
    """The same for ramp cells, which are driven in the first half of a clock."""

    def window(self, clocks: int) -> tuple[np.ndarray, np.ndarray]:
        """Gain of each clock's charge, and the integrator's limits, both as counted at the window's end."""
        leak = self.leak(True)
        after = np.arange(clocks - 1, -1, -1)
        limit = np.full(clocks, np.inf)
        if self.on("saturation"):
            limit = self.saturation() / self.array.volts_per_mac * np.exp(-leak * after)
        return np.exp(-leak * (after + 1 - self.arrival)), limit

    def hold_gain(self) -> float:
        """What a bank that holds keeps of a first window's charge up to the second one's end.

        In between are the hold, the ramp and the update of the first conversion, and a clock of reset for the others:
        as many clocks as a periphery takes that never waits. Partial sums that the second window needs come in between.
        Within the second window it leaks as any column does.
        """
        spec = self.spec
        between = spec.settle_clocks + spec.conversion_ticks[0] + spec.update_clocks + 1 + sum(spec.sum_waits[1:])
        return math.exp(-self.leak(False) * between - self.leak(True) * (*spec.windows, 0)[1])

    def droop(self) -> tuple[float, np.ndarray, np.ndarray]:
        """Gains of the ramp's start and steps, and its rise, that make up for the columns' leak since the window.

        Tick k is latched ``settle_clocks`` + k clocks after the window's end. By then a column, and what has been put
        on the ramp's integrator, have lost their shares; dividing both by the column's leaves each step a gain by its
        own time. An external ramp does not leak, so the whole of it rises.
        """
        spec, leak = self.spec, self.leak(False)
        time = spec.settle_clocks + np.arange(1, spec.ticks + 1)
        if self.tech.ramp_kind == "external":
            return 1.0, np.ones(spec.ticks), np.exp(leak * time)
        steps = np.exp(leak * (time - 1 + self.ramp_arrival))
        return float(np.exp(leak * self.ramp_arrival)), steps, np.ones(spec.ticks)

    def saturation(self) -> float:
        """Volts that the charge may amount to."""
        return self.tech["integrator.saturation"]

    compression = 0.0

    def ramp(self, start, steps, calibration):
        """Ramps as their integrators show them, in MAC units; external ones as their generator does."""
        if self.tech.ramp_kind == "in-memory":
            return start, steps, calibration
        return self.external()

    def external(self):
        """A conventional ramp: nominal volts at any read voltage, with an error of its own on every step."""
        array, tech = self.array, self.tech
        spec = self.spec
        lines = np.zeros((spec.trained_lines, spec.units), np.int64) if spec.trained_lines else None
        ideal = DeviceInstance.ideal(spec, np.zeros(array.positive.shape, np.int64), lines=lines)
        random = np.random.default_rng(np.random.SeedSequence(array.seed, spawn_key=(7, 7, 0)))
        steps = np.diff(ideal.levels(), axis=1, prepend=ideal.levels()[:, :1])
        counts = np.array([walk.ticks for walk in spec.ramp_walks])[:, None]
        mean = steps.sum(axis=1, keepdims=True) / np.maximum(counts - 1, 1)
        deviation = random.standard_normal(steps.shape) * (np.arange(spec.ticks) < counts)
        if self.on("ramp_cells"):
            steps = np.maximum(steps + tech["ramp.external_error"] * mean * deviation, 0)
        # Its bias cells are nominal ones; the first step begins at the first threshold, moved by their middle.
        units = array.calibration - array.calibration_negative
        calibration = units / array.ramp_unit[:, None]
        start = ideal.levels()[:, 0] - calibration[:, -1:].sum(axis=1)
        return start, steps, calibration


class _Current(_Translation):
    """Currents of conductances, integrated."""

    def column_gain(self) -> np.ndarray:
        array, tech = self.array, self.tech
        nominal = tech["read.voltage"] * array.unit * tech["read.clock"] / array.volts_per_mac
        return nominal / array.column_capacitance * self.supply * self._amplifier

    def ramp_gain(self) -> np.ndarray:
        array, tech = self.array, self.tech
        nominal = tech["read.voltage"] * array.ramp_unit * tech["read.clock"] / array.volts_per_mac
        return nominal / 2 / array.ramp_capacitance * self.ramp_supply * self._amplifier

    @property
    def _amplifier(self) -> float:
        return 1 / (1 + 1 / self.tech["integrator.gain"]) if self.on("gain") else 1.0

    def _wires(self) -> tuple[np.ndarray, np.ndarray]:
        """Positive and negative cells, with what the wires take."""
        array = self.array
        positive, negative = array.positive, array.negative
        if not self.on("wires"):
            return positive, negative
        if self.tech.pair == "single-ended":
            lines = np.concatenate([positive, negative], axis=1)
        else:
            lines = np.stack([positive, negative], axis=2).reshape(len(positive), -1)
        # Crossbars that share the columns hang side by side on their virtual grounds.
        parts = [lines[rows] for rows in self.spec.row_tiles]
        resistances = self.tech["wires.row_resistance"], self.tech["wires.column_resistance"]
        lines = np.concatenate([effective(part, *resistances) for part in parts])
        if self.tech.pair == "single-ended":
            return lines[:, : self.spec.columns], lines[:, self.spec.columns :]
        return lines[:, 0::2], lines[:, 1::2]

    def cells(self) -> tuple[np.ndarray, np.ndarray]:
        array = self.array
        positive, negative = self._wires()
        return (positive - subtracted(self.spec, negative)) / array.unit, (
            array.state_positive - array.state_negative
        ) / array.unit

    def leak(self, connected: bool) -> float:
        leak = super().leak(connected)
        if connected and self.on("gain"):
            # The virtual ground moves by 1/gain of the output: the conductance of the line that hangs on it, the
            # positive one (the negative one ends in a mirror), discharges the capacitor.
            array, tech = self.array, self.tech
            load = array.positive.sum(axis=0).mean()
            leak += tech["read.clock"] * load / ((tech["integrator.gain"] + 1) * array.column_capacitance.mean())
        return leak

    def saturation(self) -> float:
        volts = super().saturation()
        early = self.tech["integrator.early_voltage"]
        if not self.on("compression"):
            return volts
        return -early * math.log1p(-volts / early) if volts < early else math.inf

    @property
    def compression(self) -> float:
        return self.array.volts_per_mac / self.tech["integrator.early_voltage"] if self.on("compression") else 0.0

    def ramp(self, start, steps, calibration):
        start, steps, calibration = super().ramp(start, steps, calibration)
        if not self.on("gain") or self.tech.ramp_kind != "in-memory":
            return start, steps, calibration
        # While a cell drives the ramp it also discharges it, as a line does a column: the level decays at the rate a,
        # and the cell's own charge, which comes evenly, by half as much. The start's and bias cells drive all at once.
        array, tech = self.array, self.tech
        rate = tech["read.clock"] / 2 / ((tech["integrator.gain"] + 1) * array.ramp_capacitance[:, None])
        middle = array.calibration[:, -1:].sum(axis=1)
        first = 1 - (array.ramp_start.sum(axis=1) + middle) * rate[:, 0] / 2
        start, calibration = start * first, calibration * first[:, None]
        level, lost = start + calibration[:, -1:].sum(axis=1), np.empty_like(steps)
        for k, (step, share) in enumerate(zip(steps.T, (array.ramp * rate).T, strict=True)):
            lost[:, k] = level * share + step * share / 2
            level = level + step - lost[:, k]
        return start, steps - lost, calibration

    def _read_noise(self, cells: np.ndarray) -> np.ndarray:
        """Standard deviation of a conductance in one read, S."""
        tech = self.tech
        if not self.on("read_noise"):
            return np.zeros(cells.shape)
        relative = np.clip(cells / tech["cell.g_max"], 1e-6, None)
        sigma = np.minimum(
            tech["cell.read_noise"] * relative ** tech["cell.read_noise_exponent"], tech["cell.read_noise_limit"]
        )
        read = tech["cell.read_noise_time"]
        if read:
            sigma = sigma * math.sqrt(math.log((max(tech["operation.time"], read) + read) / (2 * read)))
        return sigma * cells

    def variances(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        array = self.array
        positive, negative = (self._read_noise(cells) ** 2 / array.unit**2 for cells in self._wires())
        state = sum(self._read_noise(cells) ** 2 for cells in (array.state_positive, array.state_negative))
        state = state / array.unit**2 * columns[self.spec.line_columns] ** 2
        count = len(self.spec.crossings)
        if self.tech.pair == "single-ended":
            gains = np.array([np.mean(columns[self.spec.crossing_of_column == k]) for k in range(count)])
            return positive * columns**2, negative * gains**2, state
        return (positive + negative) * columns**2, np.zeros((self.spec.rows, count)), state

    def sampled_variance(self) -> np.ndarray:
        """Noise that resetting the integrator leaves."""
        if not self.on("thermal"):
            return np.zeros(self.spec.columns)
        volts = BOLTZMANN * self.tech["operation.temperature"] / self.array.column_capacitance
        return volts / self.array.volts_per_mac**2

    def ramp_noise(self, ramp_gain: np.ndarray) -> np.ndarray:
        array = self.array
        if not self.on("ramp_cells") or self.tech.ramp_kind != "in-memory":
            return np.zeros(array.ramp.shape)

        def variance(cells, partners):
            return self._read_noise(cells) ** 2 + self._read_noise(partners) ** 2

        squares = variance(array.ramp, array.ramp_negative)
        # Start and bias cells move every level of a conversion alike, as the first step does. Which bias cells are
        # selected is not known here: the middle one stands for them.
        squares[:, 0] += variance(array.ramp_start, array.ramp_start_negative).sum(axis=1)
        squares[:, 0] += variance(array.calibration[:, -1:], array.calibration_negative[:, -1:]).sum(axis=1)
        return np.sqrt(squares) / array.ramp_unit[:, None] * ramp_gain[:, None]


class _Charge(_Translation):
    """Charges of capacitors, gathered on a feedback capacitor."""

    # Rows' drivers step in the middle of a clock, clear of the reset before it; taps at its start.
    ramp_arrival = 0.0

    def column_gain(self) -> np.ndarray:
        array, spec = self.array, self.spec
        driven = self.tech["read.voltage"] / max(spec.windows)
        nominal = driven * array.unit / array.volts_per_mac
        return nominal / array.column_capacitance * self.supply / self._loss(self._line(), array.column_capacitance)

    def ramp_gain(self) -> np.ndarray:
        array = self.array
        nominal = self.tech["read.voltage"] * array.ramp_unit / array.volts_per_mac
        line = (array.ramp.sum(axis=1) + array.ramp_start.sum(axis=1) + array.calibration.sum(axis=1)) * self._parasitic
        return nominal / array.ramp_capacitance * self.ramp_supply / self._loss(line, array.ramp_capacitance)

    @property
    def _parasitic(self) -> float:
        return 1 + self.tech["wires.parasitic"]

    def _line(self) -> float:
        """Capacitance of one line of a column: the unit capacitors of every cell hang on it, used or not; F."""
        return unit_capacitors(self.spec) * self.tech["cell.capacitance"] * self._parasitic

    def _loss(self, line, feedback):
        """A finite gain leaves charge on the line: the ratio of line and feedback capacitor counts."""
        return 1 + (1 + line / feedback) / self.tech["integrator.gain"] if self.on("gain") else np.ones_like(feedback)

    def cells(self) -> tuple[np.ndarray, np.ndarray]:
        array = self.array
        return (array.positive - array.negative) / array.unit, (
            array.state_positive - array.state_negative
        ) / array.unit

    def variances(self, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        spec = self.spec
        shape = spec.rows, len(spec.crossings)
        return np.zeros((spec.rows, spec.columns)), np.zeros(shape), np.zeros(spec.line_cell_count)

    def sampled_variance(self) -> np.ndarray:
        """The charge that each of the two lines samples, kT·C_line, seen on the feedback capacitor."""
        if not self.on("thermal"):
            return np.zeros(self.spec.columns)
        charge = 2 * BOLTZMANN * self.tech["operation.temperature"] * self._line()
        return charge / (self.array.column_capacitance * self.array.volts_per_mac) ** 2

    def ramp_noise(self, ramp_gain: np.ndarray) -> np.ndarray:
        return np.zeros(self.array.ramp.shape)


def unit_capacitors(spec: Specification) -> int:
    """Unit capacitors on one line of a column in charge mode: all columns are as long as those of the fullest bank."""
    counts = []
    for bank in spec.layout.banks.values():
        lines = sum(spec.line_level(line, trained) for line, trained in bank.lines.items())
        counts.append(sum(spec.row_sizes[group] for group in bank.rows) * spec.weight_max + lines)
    return max(counts)


def _middle(ramps: int, cells: int) -> np.ndarray:
    """The register in the middle of its range: its highest cell alone."""
    chosen = np.zeros((ramps, cells), bool)
    chosen[:, cells - 1 :] = cells > 0
    return chosen
