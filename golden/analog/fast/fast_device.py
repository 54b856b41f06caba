# SPDX-License-Identifier: Apache-2.0
"""Device instances at speed, for Monte Carlo: equal to :meth:`.lstm.Lstm.run` on a DeviceArray in every bit of h.

Values are computed in float32 with a bound on their error, and codes come from a table wherever no level is within that
bound; only there are they computed as :mod:`.device` says, in float64 (:mod:`.fast_ramp`, :mod:`.fast_charge`). As in
:mod:`.fast_lstm`, the batch is the innermost axis and nothing large is allocated within a step.
"""

import itertools

import numpy as np
from crossramp.golden.array import array_protocol
from crossramp.golden.array.array_protocol import first_conversions
from crossramp.golden.array.ramps import decode_integer
from crossramp.golden.cell.library import LSTM
from crossramp.golden.macro.cell_update import line_pulses
from crossramp.golden.macro.fast_lstm import STATE_BITS_MAX, FastProjection, Float, update_float
from crossramp.golden.macro.initial_state import State
from crossramp.golden.macro.lstm import Lstm

from ..conversion.device_array import DeviceArray
from ..conversion.noise import BOUND
from ..conversion.seen_ramps import expanded
from .draws import Draws
from .fast_charge import Charges, Window
from .fast_ramp import Bank, Converter, Error, RampTable

_BLOCK = 1 << 18  # values of a block: many to a call; its buffers take some 25 MB
_TYPES = (np.float32, np.float64)
_DOUBTFUL = 0.03  # share of values that float32 may leave in doubt; with more of them, float64 is faster
_ORDERED = 3.0  # v(q) rises until y = sqrt(12), see Point 3 of :mod:`.device`


class FastDevice:
    """One instance's tables; made by :meth:`of`."""

    @classmethod
    def of(cls, lstm: Lstm) -> "FastDevice | None":
        """The fast path of an LSTM in front of an instance; None for other cells, ramps and arrays.

        None, too, where an array projects.
        """
        if not isinstance(lstm.array, DeviceArray) or lstm.spec.layout is not LSTM or lstm.projecting is not None:
            return None
        if not lstm.spec.has_plain_ramps:  # codes are then not in the order of their values
            return None
        spec, window = lstm.spec, Window(lstm.array.device)
        number = update_float(spec, 2 * spec.state_max + 1)
        if spec.state_bits > STATE_BITS_MAX or number is None:
            return None
        if lstm.array.device.compression * (window.largest + window.largest_noise) > _ORDERED:
            return None
        return cls(lstm, window, number)

    def __init__(self, lstm: Lstm, window: Window, number: Float):
        self.lstm, self.spec, self.array, self.device = lstm, lstm.spec, lstm.array, lstm.array.device
        self.window, self.number = window, number
        self.projection = FastProjection(self.spec, lstm.projection, number) if self.spec.projection else None
        device = self.device
        self.has_noise = bool(device.variance.any() or device.state_variance.any() or device.noise_variance.any())
        self.has_common = bool(device.common_variance.any())
        self._choose_type()
        self._make_banks()
        self._make_state()
        if self.has_noise:
            full = self.window.most**2
            variance = window.variance.copy()
            variance[-1] += device.noise_variance / full
            self.variance = np.ascontiguousarray(variance.T, self.dtype)
        self.common_variance = window.common_variance.astype(self.dtype)
        self.ends = self._ends() if window.saturates else None

    # ---- what is computed -----------------------------------------------------------------------------------------

    def hidden(self, x: np.ndarray, first=None, start: State | None = None) -> np.ndarray:
        """h of every step, int64, shape (batch, steps, hidden); arguments as :meth:`.lstm.Lstm.run`'s."""
        x, first, start = self._checked(x, first, start)
        out = np.empty((*x.shape[:2], self.spec.hidden), np.int64)

        def keep(block, t, h):
            out[block, t] = h.T

        self._run(x, first, start, keep)
        return out

    def sums(self, x: np.ndarray, first=None, start: State | None = None) -> np.ndarray:
        """The sum of h over the steps, int64, shape (batch, hidden)."""
        x, first, start = self._checked(x, first, start)
        total = np.zeros((self.spec.hidden, len(x)), np.int64)

        def keep(block, t, h):
            part = total[:, block]
            np.add(part, h, out=part, casting="unsafe")

        self._run(x, first, start, keep)
        return total.T.copy()

    def last(self, x: np.ndarray, first=None, start: State | None = None) -> np.ndarray:
        """h of the last step, int64, shape (batch, hidden)."""
        x, first, start = self._checked(x, first, start)
        out = np.empty((len(x), self.spec.hidden), np.int64)
        end = x.shape[1] - 1

        def keep(block, t, h):
            if t == end:
                out[block] = h.T

        self._run(x, first, start, keep)
        return out

    def _checked(self, x, first, start):
        x = self.lstm.checked_inputs(x)
        first = first_conversions(self.spec, len(x), x.shape[1]) if first is None else np.asarray(first, np.int64)
        return x, first, self.lstm.start(len(x), start)

    def _run(self, x: np.ndarray, first: np.ndarray, start: State, keep) -> None:
        """Call ``keep(block, t, h)`` for each block of the batch and each step, h of shape (hidden, block)."""
        size = max(64, _BLOCK // self.spec.columns)
        for begin in range(0, len(x), size):
            block = slice(begin, min(begin + size, len(x)))
            for t, h in enumerate(_Block(self, first[block]).steps(x[block], start.of(block))):
                keep(block, t, h)

    # ---- preparation ----------------------------------------------------------------------------------------------

    def _choose_type(self) -> None:
        """float32 where its error leaves few values in doubt."""
        spans = [float(np.ptp(levels)) for levels in self.array.levels]
        for self.dtype in _TYPES:
            self.error = self._error(float(np.finfo(self.dtype).eps) / 2)
            if 2 * self.error.value * self.spec.ticks <= _DOUBTFUL * min(spans):
                break

    def _error(self, unit: float) -> Error:
        """Bound on the error of values before offsets: first-order, and a tenth to spare."""
        spec, device, window = self.spec, self.device, self.window
        state = float(np.abs(device.state_cells).max() * spec.state_pulse_max)
        squares = device.state_variance * spec.state_pulse_max**2
        state_noise = float(BOUND * np.sqrt(squares.max() + device.noise_variance.max()))
        reach = max(window.largest, state) + max(window.largest_noise, state_noise)
        largest = reach + float(np.abs(device.offsets).max())
        # Each product and sum of the charge is rounded once, those of the noise's variance too; then single operations.
        share = 1.1 * unit * (spec.rows + 8)
        return Error(share * reach + 1.1 * unit * 12 * largest, largest, unit, share)

    def _make_banks(self) -> None:
        spec, device = self.spec, self.device
        tables = [RampTable(levels, device.comparator_noise, self.error) for levels in self.array.levels]

        def bank(gate, columns, where, gain):
            ramp = spec.ramp_of(gate)
            codes = decode_integer(np.arange(spec.ticks + 1), spec.bipolar(gate), spec.adc_bits)
            decoded = (codes * (gain / 2.0 ** spec.value_shift(gate))).astype(self.number.dtype)
            return Bank(where, columns, ramp, decoded, tables[ramp], device.offsets[columns], device.delays[columns])

        self.banks = []

        def lookup(gate):
            return spec.ramp_of(gate), gate == spec.state_gate

        # Neighbors that convert and decode alike are one bank; g alone is decoded in units of c.
        for (_, is_g), alike in itertools.groupby(spec.gate_names, lookup):
            gates = list(alike)
            columns = slice(spec.bank(gates[0]).start, spec.bank(gates[-1]).stop)
            self.banks.append(bank(gates[0], columns, columns, 2.0**spec.state_frac_bits if is_g else 1.0))
        self.state_bank = bank(spec.state_gate, spec.bank(spec.state_gate), slice(0, spec.units), 1.0)

    def _make_state(self) -> None:
        """The second conversion, by unit and pulse: charge and standard deviation of the noise; the pulse by c."""
        spec, array, device = self.spec, self.array, self.device
        most = spec.state_pulse_max
        self.state_rows = (2 * most + 1) * np.arange(spec.units)[:, None]
        self.pulse_of_c = line_pulses(spec, np.arange(-spec.state_max, spec.state_max + 1)) + most
        pulses = np.repeat(np.arange(-most, most + 1)[:, None], spec.units, axis=1)
        second = [array_protocol.Window(None), array_protocol.Window(None, pulses)]
        self.state_charge = array.charge(second).T.ravel()
        squares = np.square(pulses.astype(float)) * device.state_variance
        self.state_sigma = np.sqrt(squares + device.noise_variance[self.state_bank.columns]).T.ravel()

    def _ends(self) -> np.ndarray:
        """Of each column: a charge beyond ± this gives the first or the last code for any noise."""
        device, spec = self.device, self.spec
        ends = np.empty(spec.columns)
        for bank in self.banks:
            noise = BOUND * float((device.ramp_noise[bank.ramp].sum() * device.rise.max()) + device.comparator_noise)
            value = np.abs(self.array.levels[bank.ramp]).max() + noise + np.abs(device.offsets).max() + self.error.value
            ends[bank.where] = float(expanded(value, device.compression)) + self.window.largest_noise
        return ends * (1 + 1e-6) + self.error.value

    # ---- exact values of single columns ----------------------------------------------------------------------------

    def values(self, charge, pulses, columns, drawn, common) -> np.ndarray:
        """What the comparators of single columns see in the first conversion, equal to DeviceArray's; float64.

        Parameters
        ----------
        charge : float64 array, shape (count,)
        pulses : float array, shape (lines, count)
            See :class:`.fast_charge.Window`.
        columns : integer array, shape (count,)
        drawn, common : float64 arrays, shape (count,)
            The normals of their noise, and of the reference column's.
        """
        own, shared = self.window.sigmas(pulses, columns)
        if self.has_common:
            charge = charge + shared * common
        if self.has_noise:
            charge = charge + own * drawn
        return self.seen(charge, columns)

    def seen(self, charge: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Charges with noise, as the comparators see them: compressed, and with their offsets."""
        compression = self.device.compression
        if compression:
            y = np.abs(charge) * compression
            charge = charge / (1.0 + y / 2.0 + y * y / 12.0)
        return charge + self.device.offsets[columns]


class _Block:
    """Utterances that run side by side."""

    def __init__(self, fast: FastDevice, first: np.ndarray):
        self.fast, spec, device, batch = fast, fast.spec, fast.device, len(first)
        array, dtype, number = fast.array, fast.dtype, fast.number.dtype
        units, columns = spec.units, spec.columns
        self.draws = Draws(array.origin, first, columns, dtype)
        self.ramp_draws = Draws(array.origin, first, spec.ticks + 6, float) if device.ramp_noise.any() else None
        self.converter = Converter(device, array, self.draws, self.ramp_draws, batch, columns, dtype)
        self.charges = Charges(fast.window, batch, dtype, fast.error.value, fast.ends)
        self.pulses = np.full((spec.inputs + spec.hidden + 1, batch), spec.input_max, dtype)
        self.squares = np.empty_like(self.pulses)
        self.z, self.sigma = np.empty((columns, batch), dtype), np.empty((columns, batch), dtype)
        self.gates = np.empty((columns, batch), number)
        self.index, self.narrow = np.empty((units, batch), np.intp), np.empty((units, batch), np.int32)
        self.state_charge, self.state_sigma = fast.state_charge.astype(dtype), fast.state_sigma.astype(dtype)
        self.common = None

    def steps(self, x: np.ndarray, start: State):
        """h of each step, shape (hidden, batch), of ``x``, shape (batch, steps, inputs), from a state."""
        fast, spec = self.fast, self.fast.spec
        number = fast.number
        x = np.ascontiguousarray(x.transpose(1, 2, 0), fast.dtype)
        i, f, g, o = (self.gates[spec.bank(gate)] for gate in "ifgo")
        c, h = (values.T.astype(i.dtype, order="C") for values in start)
        nudged, high, low = number.dtype(1 + number.nudge), number.dtype(spec.state_max), number.dtype(-spec.state_max)
        gain = number.dtype(spec.input_max * (1 + number.nudge))
        for t in range(len(x)):
            self.pulses[: spec.inputs] = x[t]
            self.pulses[spec.inputs : -1] = h
            self._first()
            np.multiply(f, c, out=c)
            np.multiply(i, g, out=i)
            np.add(c, i, out=c)
            np.multiply(c, nudged, out=c)
            np.rint(c, out=c)
            np.clip(c, low, high, out=c)
            np.add(c, high, out=g)
            np.copyto(self.narrow, g, casting="unsafe")
            np.copyto(self.index, self.narrow)
            self._second(g)
            np.multiply(o, g, out=g)
            np.multiply(g, gain, out=g)
            if fast.projection is None:
                np.rint(g, out=h)
            else:
                np.rint(g, out=g)
                fast.projection.project(g, h)
            yield h

    def _first(self) -> None:
        """The first conversion of ``pulses``: decoded values to ``gates``."""
        fast, z = self.fast, self.z
        self.charges.charge(self.pulses, z)
        if fast.has_noise or fast.has_common:
            np.multiply(self.pulses, self.pulses, out=self.squares)
        if fast.has_common:
            self.common = self.draws.normals(fast.array.common_index, 1)[0].copy()
            np.add(z, np.sqrt(fast.common_variance @ self.squares) * self.common, out=z)
        if fast.has_noise:
            np.matmul(fast.variance, self.squares, out=self.sigma)
            np.sqrt(self.sigma, out=self.sigma)
            self._add_noise(z, self.sigma, 0)
        self._compress(z, self.sigma)
        self.converter.draw_ramps(fast.banks)
        for bank in fast.banks:
            self.converter.convert(bank, z[bank.where], self.gates[bank.where], self._exact_first, self.charges.unused)
        self._advance()

    def _second(self, out: np.ndarray) -> None:
        """The second conversion, of c + state_max in ``index``: decoded values to ``out``."""
        fast, units = self.fast, self.fast.spec.units
        z, sigma, index = self.z[:units], self.sigma[:units], self.index
        fast.pulse_of_c.take(index, out=index, mode="clip")
        np.add(index, fast.state_rows, out=index)
        self.state_charge.take(index, out=z, mode="clip")
        if fast.has_noise:
            self.state_sigma.take(index, out=sigma, mode="clip")
            self._add_noise(z, sigma, fast.state_bank.columns.start)
        self._compress(z, sigma)
        self.converter.draw_ramps([fast.state_bank])
        self.converter.convert(fast.state_bank, z, out, self._exact_second)
        self._advance()

    def _advance(self) -> None:
        self.draws.advance()
        if self.ramp_draws is not None:
            self.ramp_draws.advance()

    def _add_noise(self, z: np.ndarray, sigma: np.ndarray, column: int) -> None:
        drawn = self.draws.normals(column, len(z))
        np.multiply(drawn, sigma, out=drawn)
        np.add(z, drawn, out=z)

    def _compress(self, z: np.ndarray, spare: np.ndarray) -> None:
        """v = q / (1 + y/2 + y²/12), y = |q|·compression."""
        dtype, compression = self.fast.dtype, self.fast.device.compression
        if not compression:
            return
        np.abs(z, out=spare)
        np.multiply(spare, dtype(compression / np.sqrt(12)), out=spare)  # s: y² / 12 is s², y / 2 is sqrt(3)·s
        other = self.converter.spare[: len(z)]
        np.add(spare, dtype(np.sqrt(3)), out=other)
        np.multiply(spare, other, out=spare)
        np.add(spare, dtype(1), out=spare)
        np.divide(z, spare, out=z)

    def _exact_first(self, columns: np.ndarray, places: np.ndarray) -> np.ndarray:
        own, common = (self.draws.at(places, k) for k in (columns, np.full(len(places), self.fast.array.common_index)))
        charge = self.charges.exact(self.pulses, columns, places)
        return self.fast.values(charge, self.pulses.take(places, axis=1), columns, own, common)

    def _exact_second(self, columns: np.ndarray, places: np.ndarray) -> np.ndarray:
        fast = self.fast
        element = self.index[columns - fast.state_bank.columns.start, places]
        charge = fast.state_charge[element]
        if fast.has_noise:
            charge = charge + fast.state_sigma[element] * self.draws.at(places, columns)
        return fast.seen(charge, columns)
