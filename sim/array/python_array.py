# SPDX-License-Identifier: Apache-2.0
"""The array in Python, behind the analog boundary: for Amaranth's simulator, for cocotb, for any loop over clocks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, make_dataclass

import numpy as np
from crossramp.golden.analog.conversion.device import DeviceInstance
from crossramp.golden.array.weights import Weights
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.spec.boundary_wires import PIN_NAMES
from crossramp.golden.spec.specification import Specification

from .array_interface import Array, CheckedArray
from .clocked_device import ClockedDevice
from .comparator_faults import Fault
from .programming import Programming

Pins = make_dataclass("Pins", [(name, int, 0) for name in PIN_NAMES])
Pins.__module__, Pins.__doc__ = (
    __name__,
    """\
The periphery's outputs during one clock, as integers (bit r of ``row_pos`` is row r); see rtl/common/boundary.py.

Anything with these attributes serves as pins: the adapters read simulator signals only when the model asks.
""",
)


@dataclass(frozen=True, eq=False)
class Conversion:
    """One conversion as the array saw it.

    Attributes
    ----------
    state : bool
        Whether it was the second conversion (state cells).
    macs : int64 array, shape (columns,)
        What the integrators held. Of a device instance float64: what the comparators saw (the v of
        ``golden/analog/conversion/device.py``).
    comparators : bool array, shape (ticks seen, columns)
        What each comparator showed on the clock that latched the tick, faults included:
        :func:`~.ramps.latched_codes` makes the codes of them that the periphery must have captured.
    """

    state: bool
    macs: np.ndarray
    comparators: np.ndarray


class ArrayModel:
    """A crossbar with its ramps and comparators, advanced one clock at a time: an :class:`.array_interface.Array`.

    It measures what it is given: a row's pulse is as long as the clocks it was high inside ``integrate``, a ramp
    stands where its taps have brought it, integrators that were not reset still hold the last sum.

    Parameters
    ----------
    spec : Specification
    content : integer array of shape (rows, columns), Weights, Programming, or DeviceInstance
        Weight levels of an ideal array (Weights where the cell has trained lines), the integers of any other, or a
        chip that errs: then every conversion is that of
        :class:`~crossramp.golden.analog.conversion.device_array.DeviceArray` for the same instance, noise included.
    ready : callable or None
        ``ready(phase) -> bool``, asked once a clock in the phases ``"start"`` (reset), ``"hold"`` and ``"tick"``; False
        makes the periphery wait. None: always ready. :func:`random_stalls` makes one.
    fault : Fault or None
        What the comparators do other than they should; see :mod:`.comparator_faults`.
    garbage_seed : int or None
        Comparators show random bits, from this seed, on all clocks that nothing may latch (no tick, or not ready), and
        on the columns that a conversion does not latch. None: they keep their value there.
    record : bool
        Keep every :class:`Conversion` in ``conversions``.
    first : int
        The number of the first conversion, on which the noise of a device instance depends.
    """

    def __init__(
        self,
        spec: Specification,
        content,
        *,
        ready: Callable[[str], bool] | None = None,
        fault: Fault | None = None,
        garbage_seed: int | None = None,
        record: bool = True,
        first: int = 0,
    ):
        self.spec = spec
        if not isinstance(content, (Programming, DeviceInstance)):
            lines = content.lines if isinstance(content, Weights) else None
            content = Programming.ideal(spec, content.macro if isinstance(content, Weights) else content, lines=lines)
        if content.spec != spec:
            raise InvalidValue(
                f"the programming is for specification {content.spec.hardware_hash}, the model for "
                f"{spec.hardware_hash}; write the programming anew"
            )
        self._array = ClockedDevice(content, first) if isinstance(content, DeviceInstance) else _Integers(content)
        self.fault = fault
        self.record = record
        self.conversions: list[Conversion] = []
        self.clocks = 0
        self._ready = ready
        self._garbage = None if garbage_seed is None else np.random.default_rng(garbage_seed)
        self._cells = content.calibration_cells.shape
        self._shown = np.zeros(spec.columns, bool)
        self._pending = False
        self._trace: list[np.ndarray] = []
        self._state = False

    def clock(self, pins) -> tuple[int, int]:
        """One clock: takes the periphery's outputs after the edge, gives (comparators, ready) until the next edge.

        Parameters
        ----------
        pins : Pins, or anything with its attributes

        Returns
        -------
        comparators : int
            Bit c is column c.
        ready : int
            0 or 1.
        """
        self.clocks += 1
        if pins.reset:
            self._finish()
            self._array.reset(pins.reset)
        elif pins.integrate:
            self._finish()
            self._measure(pins)
        elif pins.hold:
            self._array.hold()
        if pins.ramp_reset:
            self._restart_ramps(pins)
        if pins.tick:
            self._step_ramps(pins)
        if self._pending:
            phase = "tick"
        elif pins.hold:
            phase = "hold"
        elif pins.reset:
            phase = "start"
        else:
            phase = ""
        ready = True if self._ready is None or not phase else bool(self._ready(phase))
        latching = self._pending and ready
        if latching:
            self._pending = False
            if self.record:
                self._trace.append(self._shown)
        return self._pack(latching), int(ready)

    @property
    def macs(self) -> np.ndarray:
        """What the integrators hold now; shape (columns,). Of a device instance, once held: what comparators see."""
        return self._array.values

    @property
    def converted(self) -> int:
        """The number of the next conversion of a device instance: those before it, and ``first``."""
        return self._array.number + 1

    def _measure(self, pins):
        rows, lines = self.spec.rows, self.spec.state_lines
        self._state = bool(pins.state)
        self._array.integrate(
            to_bits(pins.row_pos, rows) - to_bits(pins.row_neg, rows),
            to_bits(pins.state_pos, lines) - to_bits(pins.state_neg, lines),
            self._state,
        )

    def _restart_ramps(self, pins):
        self._array.restart(to_bits(pins.calibration, self._cells[0] * self._cells[1]).reshape(self._cells))
        self._trace = []
        if self.fault is not None:
            self.fault.start(bool(pins.state))

    def _step_ramps(self, pins):
        self._shown = self._array.step(to_bits(pins.tap, self.spec.ticks))
        if self.fault is not None:
            shown = np.asarray(self.fault.tick(len(self._trace) + 1, self._shown.copy()), bool)
            if shown.shape != self._shown.shape:
                raise InvalidValue(f"the fault gave {shown.shape} comparators; expected {self._shown.shape}")
            self._shown = shown
        self._pending = True

    def _finish(self):
        """The ramp is over: what it showed is one conversion."""
        self._pending = False
        if self._trace:
            self.conversions.append(Conversion(self._state, self.macs.copy(), np.stack(self._trace)))
            self._trace = []

    def _pack(self, latching: bool) -> int:
        shown = self._shown
        if self._garbage is not None:
            noise = self._garbage.integers(0, 2, len(shown)).astype(bool)
            if latching:
                latched = self.spec.converted(self._state)
                noise[latched] = shown[latched]
                shown = noise
            elif not latching:
                shown = noise
        return from_bits(shown)

    def finish(self) -> list[Conversion] | None:
        """All conversions, the one whose ramp just ended included; None without ``record``."""
        self._finish()
        return self.conversions if self.record else None


class _Integers:
    """A programming of integers behind the pins; methods as those of :class:`.clocked_device.ClockedDevice`."""

    number = -1  # nothing here depends on which conversion it is

    def __init__(self, programming: Programming):
        self._programming = programming
        spec = programming.spec
        self._groups = spec.reset_columns
        # Cells of lines, each with its wires and its columns.
        self._lines = [
            (spec.wires_of(cell.line), spec.bank(cell.bank), programming.state_cells[spec.line_cell(cell)])
            for cell in spec.line_cells
        ]
        self._ramp_of_column = spec.ramp_of_column
        self._levels = programming.ramp_start.copy()
        # Clocks since the last reset, for the columns of each reset wire.
        self._row_clocks = np.zeros((len(self._groups), spec.rows), np.int64)
        self._line_clocks = np.zeros((len(self._groups), spec.state_lines), np.int64)
        self._values = None

    def reset(self, wires: int):
        for group in range(len(self._groups)):
            if wires >> group & 1:
                self._row_clocks[group] = 0
                self._line_clocks[group] = 0
        self._values = None

    def integrate(self, rows: np.ndarray, lines: np.ndarray, state: bool):
        self._row_clocks += rows
        self._line_clocks += lines
        self._values = None

    def hold(self):
        pass

    @property
    def values(self) -> np.ndarray:
        if self._values is None:
            by_group = self._row_clocks @ self._programming.weights
            for wires, columns, levels in self._lines:
                by_group[:, columns] += self._line_clocks[:, wires] * levels
            self._values = by_group[0]
            for group, columns in enumerate(self._groups[1:], start=1):
                self._values[columns] = by_group[group, columns]
        return self._values

    def restart(self, chosen: np.ndarray):
        self._levels = self._programming.ramp_start + (self._programming.calibration_cells * chosen).sum(axis=1)

    def step(self, taps: np.ndarray) -> np.ndarray:
        # All taps that are high act at once, as they would on the wire: a tap that is not one-hot spoils the ramp.
        self._levels = self._levels + self._programming.ramp_steps @ taps
        return self.values > self._levels[self._ramp_of_column]


def random_stalls(seed: int, probability: float = 0.2, longest: int = 5) -> Callable[[str], bool]:
    """A ``ready`` for :class:`ArrayModel` that falls at random, in any phase that may wait.

    Parameters
    ----------
    seed : int
    probability : float
        That a clock begins a stall, 0 to below 1.
    longest : int
        Clocks of the longest stall; each is drawn evenly from 1 to this.
    """
    if not 0 <= probability < 1:
        raise InvalidValue(f"probability is {probability}; allowed: 0 to below 1")
    rng = np.random.default_rng(seed)
    left = 0

    def ready(phase: str) -> bool:
        nonlocal left
        if left == 0 and rng.random() < probability:
            left = int(rng.integers(1, longest + 1)) + 1
        left = max(left - 1, 0)
        return left == 0

    return ready


def settling(clocks: dict[str, int]) -> Callable[[str], bool]:
    """A ``ready`` that falls for a fixed time at the start of each phase: ``{"hold": 3, "tick": 1}`` clocks.

    Raises
    ------
    InvalidValue
        For a phase that cannot wait.
    """
    for phase in clocks:
        if phase not in ("start", "hold", "tick"):
            raise InvalidValue(f"phase is {phase!r}; only start, hold and tick can wait")
    last, waited = "", 0

    def ready(phase: str) -> bool:
        nonlocal last, waited
        waited = waited + 1 if phase == last else 0
        done = waited >= clocks.get(phase, 0)
        # Two ticks in a row are one phase each.
        last = "" if done and phase == "tick" else phase
        return done

    return ready


def to_bits(value: int, count: int) -> np.ndarray:
    """Bits 0 .. count - 1 of ``value`` as an int64 array."""
    data = np.frombuffer(int(value).to_bytes(max(-(-count // 8), 1), "little"), np.uint8)
    return np.unpackbits(data, bitorder="little", count=count).astype(np.int64)


def from_bits(bits: np.ndarray) -> int:
    """The integer whose bit k is ``bits[k]``."""
    return int.from_bytes(np.packbits(np.asarray(bits, bool), bitorder="little").tobytes(), "little")


class SimulatorPins:
    """Pins that are read from a simulator once a clock, and only when asked for; ``read(name)`` gives one."""

    def __init__(self, read: Callable[[str], int]):
        self._read = read

    def __getattr__(self, name: str) -> int:
        if name not in PIN_NAMES:
            raise AttributeError(name)
        value = self.__dict__[name] = self._read(name)
        return value

    def next_clock(self):
        """Forget what was read."""
        for name in PIN_NAMES:
            self.__dict__.pop(name, None)


async def drive_array(ctx, array, model: Array, *, checker=None, domain: str = "sync"):
    """Amaranth: stand behind ``array`` (an :class:`~crossramp.rtl.common.boundary.ArraySignature` interface) for ever.

    Use it as ``sim.add_testbench(lambda ctx: drive_array(ctx, dut.array, model), background=True)``. It answers each
    clock's outputs within that clock, before the next edge.

    Parameters
    ----------
    model : Array
        :class:`ArrayModel`, or any object with its ``clock``.
    checker : ProtocolChecker or None
        Given every clock's pins and ``ready``; its violations stop the simulation when it is strict.

    Raises
    ------
    ArrayError
        If ``model`` has no ``clock``, or its answer does not fit the boundary.
    """
    await drive_arrays(ctx, [(array, model, checker)], domain=domain)


async def drive_arrays(ctx, arrays: Sequence[tuple], *, domain: str = "sync"):
    """Amaranth: stand behind all arrays of one macro for ever, as :func:`drive_array` does behind one.

    The macro waits until all are ready, so the checker of each is told whether all are.

    Parameters
    ----------
    arrays : sequence of (interface, model, checker or None)
        What :func:`drive_array` takes, for each array.
    """
    checked = [
        (array, CheckedArray(model, len(array.comparators)), _pins_of(ctx, array), checker)
        for array, model, checker in arrays
    ]

    def answer():
        for _, _, pins, _ in checked:
            pins.next_clock()
        answers = [model.clock(pins) for _, model, pins, _ in checked]
        all_ready = all(ready for _, ready in answers)
        for (array, _, pins, checker), (comparators, ready) in zip(checked, answers, strict=True):
            if checker is not None:
                checker.clock(pins, all_ready)
            ctx.set(array.comparators, comparators)
            ctx.set(array.ready, ready)

    answer()
    async for _, in_reset, *_ in ctx.tick(domain):
        del in_reset  # a reset is only other pins to an array
        answer()


def _pins_of(ctx, array) -> SimulatorPins:
    return SimulatorPins(lambda name: int(ctx.get(getattr(array, name))))
