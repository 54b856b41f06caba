# SPDX-License-Identifier: Apache-2.0
"""Scoreboards: whole traces against the golden model, exactly, and never empty."""

from dataclasses import dataclass

import numpy as np
from crossramp.golden.analog.conversion.device import DeviceInstance
from crossramp.golden.analog.conversion.device_lstm import DeviceLstm, conversions
from crossramp.golden.common.errors import CrossrampError, ExitStatus
from crossramp.golden.network.cell_update import project, state_pulses, update_c, update_h
from crossramp.golden.network.network import Network, NetworkTrace
from crossramp.golden.network.ramps import latch
from crossramp.golden.spec.lstm_cell import CONVERSIONS
from crossramp.golden.spec.specification import Specification

from ..array.python_array import to_bits

#: Mismatches that a message lists.
LISTED = 5


class MismatchError(CrossrampError, AssertionError):
    """The hardware differs from the golden model, or nothing was compared; the message says where."""

    exit_status = ExitStatus.DIFFERENT


@dataclass(frozen=True)
class Mismatch:
    """One value that differs: which, where, what was expected and what came."""

    quantity: str
    utterance: int
    step: int | None
    bank: str | None
    unit: int | None
    expected: int
    got: int

    def __str__(self):
        where = [f"utterance {self.utterance}"]
        where += [] if self.step is None else [f"step {self.step}"]
        where += [] if self.bank is None else [f"bank {self.bank}"]
        where += [] if self.unit is None else [f"{'class' if self.quantity == 'logits' else 'unit'} {self.unit}"]
        return f"{self.quantity}, {', '.join(where)}: expected {self.expected}, got {self.got}"


class Scoreboard:
    """Counts comparisons by quantity, and keeps where they failed.

    Parameters
    ----------
    spec : Specification

    Attributes
    ----------
    compared, mismatched : dict of str to int
        Values compared and values that differ, by quantity (``"codes"``, ``"c"``, ``"h"``, ...).
    mismatches : list of Mismatch
        The first ones.
    """

    def __init__(self, spec: Specification):
        self.spec = spec
        self.compared: dict[str, int] = {}
        self.mismatched: dict[str, int] = {}
        self.mismatches: list[Mismatch] = []

    def compare(
        self, quantity: str, expected: np.ndarray, got: np.ndarray, utterance: int = 0, step: int | None = None
    ):
        """Compare two integer arrays of one quantity.

        Parameters
        ----------
        quantity : str
            ``"codes"`` (last axis: banks i, f, g, o), or any other (last axis: units or classes).
        expected, got : integer arrays of equal shape
            (batch, steps, n), (batch, n), (batch,), of answers also (batch, steps), or with ``step`` given (n,).
        utterance : int
            Of the first row.
        step : int or None
            For arrays of one step.

        Raises
        ------
        MismatchError
            If the shapes differ, or nothing was observed (None). Values that differ are kept, for :meth:`check`.
        """
        if got is None:
            raise MismatchError(
                f"{quantity}: nothing was observed; an array behind the boundary gives MACs only if it has finish()"
            )
        expected, got = np.asarray(expected), np.asarray(got)
        if expected.shape != got.shape:
            raise MismatchError(f"{quantity}: expected the shape {expected.shape}, got {got.shape}")
        self.compared[quantity] = self.compared.get(quantity, 0) + expected.size
        wrong = np.argwhere(expected != got)
        self.mismatched[quantity] = self.mismatched.get(quantity, 0) + len(wrong)
        for at in wrong[: LISTED * 4]:
            index = tuple(int(k) for k in at)
            self.mismatches.append(self._mismatch(quantity, expected, got, index, utterance, step))

    def _mismatch(self, quantity, expected, got, index, utterance, step) -> Mismatch:
        values = int(expected[index]), int(got[index])
        unit = bank = None
        if step is not None:
            unit = index[-1]
        else:
            utterance += index[0]
            of_steps = quantity == "answers" and len(index) == 2
            if len(index) == 3 or of_steps:
                step = index[1]
            if len(index) > 1 and not of_steps:
                unit = index[-1]
        if quantity == "codes":
            bank, unit = self.spec.bank_of_column(unit), self.spec.unit_of_column(unit)
        return Mismatch(quantity, utterance, step, bank, unit, *values)

    @property
    def total(self) -> int:
        """Values compared."""
        return sum(self.compared.values())

    @property
    def wrong(self) -> int:
        """Values that differ."""
        return sum(self.mismatched.values())

    def check(self, *quantities: str):
        """MismatchError unless each of ``quantities`` (at least one value at all) was compared, and all were equal."""
        for quantity in quantities:
            if not self.compared.get(quantity):
                raise MismatchError(f"no {quantity} was compared: the scoreboard saw no transaction")
        if self.total == 0:
            raise MismatchError("nothing was compared: the scoreboard saw no transaction")
        if self.wrong:
            raise MismatchError(self.report())

    def report(self) -> str:
        """Counts, and the first mismatches."""
        lines = [f"{self.wrong} of {self.total} values differ from the golden model"]
        lines += [f"  {mismatch}" for mismatch in self.mismatches[:LISTED]]
        return "\n".join(lines)


#: What :func:`compare_bulk` compares of every step.
STEP_QUANTITIES = ("codes", "c", "state_pulses", "state_codes", "h")


def expected_traces(
    network: Network,
    x_batches,
    device: DeviceInstance | None = None,
    calibration: int | None = None,
    first: int = 0,
) -> list[NetworkTrace]:
    """Golden traces of utterances that are played one after the other, one trace a batch.

    Parameters
    ----------
    network : Network
    x_batches : integer array, shape (batch, steps, inputs), or a sequence of such
    device : DeviceInstance or None
        The array behind the hardware; None: an ideal one.
    calibration : int or None
        The calibration port, as :func:`.bulk_simulation.simulate_bulk` takes it.
    first : int
        The number of the first conversion: how many the array did before (:attr:`.python_array.ArrayModel.converted`).
    """
    batches = [x_batches] if isinstance(x_batches, np.ndarray) else list(x_batches)
    if device is None:
        return [network.run(x) for x in batches]
    cells = device.calibration_cells
    chosen = None if calibration is None else to_bits(calibration, cells.size).reshape(cells.shape)
    lstm = DeviceLstm(device, chosen, network.projection_weights)
    traces = []
    for x in batches:
        numbers = first + conversions(len(x), x.shape[1])
        first += 2 * len(x) * x.shape[1]
        steps = lstm.run(x, numbers)
        traces.append(NetworkTrace(*network.head(steps.h), steps))
    return traces


def compare_bulk(
    network: Network,
    x_batches,
    result,
    traces: list[NetworkTrace] | None = None,
    *,
    device: DeviceInstance | None = None,
    calibration: int | None = None,
) -> Scoreboard:
    """Every code, c, q, t, h, logit and answer of a :class:`.bulk_simulation.BulkResult` against the golden model.

    Parameters
    ----------
    network : Network
    x_batches : as given to :func:`.bulk_simulation.simulate_bulk`
    result : BulkResult
    traces : list of NetworkTrace or None
        Golden traces, one a batch, if they are there already.
    device, calibration
        As :func:`expected_traces` takes them, where they are not.

    Returns
    -------
    Scoreboard
        Not checked yet: call its ``check()``, or read its counts.
    """
    batches = [x_batches] if isinstance(x_batches, np.ndarray) else list(x_batches)
    board = Scoreboard(network.spec)
    utterance = 0
    golden = traces if traces is not None else expected_traces(network, batches, device, calibration)
    for x, expected, got in zip(batches, golden, result.traces, strict=True):
        for quantity in STEP_QUANTITIES:
            board.compare(quantity, getattr(expected.steps, quantity), getattr(got, quantity), utterance)
        board.compare("logits", expected.logits, got.logits, utterance)
        board.compare("answers", expected.answers, got.answers, utterance)
        utterance += len(x)
    return board


def expected_from_comparators(
    spec: Specification, conversions, lengths: list[int], projection_weights: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """What the periphery must compute from the comparators it was shown, well-behaved or not.

    Parameters
    ----------
    conversions : list of array.Conversion
        Gates and state in turn, as :meth:`.python_array.ArrayModel.finish` gives them.
    lengths : list of int
        Steps of each utterance, in order.
    projection_weights : int64 array, shape (hidden, units), or None
        Of a projection, see :class:`~crossramp.golden.network.lstm.Lstm`.

    Returns
    -------
    dict of str to int64 array
        ``codes`` (steps, columns); ``c``, ``state_pulses``, ``state_codes`` (steps, units); ``h`` (steps, hidden).

    Raises
    ------
    MismatchError
        If there are not two conversions a step.
    """
    expected = len(CONVERSIONS) * sum(lengths)
    if len(conversions) != expected:
        raise MismatchError(f"the array saw {len(conversions)} conversions; expected {expected}")
    steps: dict[str, list[np.ndarray]] = {name: [] for name in STEP_QUANTITIES}
    pairs = zip(conversions[::2], conversions[1::2], strict=True)
    for length in lengths:
        c = np.zeros((1, spec.units), np.int64)
        for _, (gates, state) in zip(range(length), pairs, strict=False):
            codes = latch(gates.comparators, spec.latch)[None]
            c = update_c(spec, codes, c)
            state_codes = latch(state.comparators[:, spec.converted(True)], spec.latch)[None]
            h = update_h(spec, spec.of_bank(codes, "o"), state_codes)
            if spec.projection:
                h = project(spec, projection_weights, h)
            for name, values in zip(STEP_QUANTITIES, (codes, c, state_pulses(spec, c), state_codes, h), strict=True):
                steps[name].append(values[0])
    return {name: np.stack(values) for name, values in steps.items()}
