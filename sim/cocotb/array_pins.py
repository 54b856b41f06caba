# SPDX-License-Identifier: Apache-2.0
"""cocotb: arrays in Python behind the boundaries of a generated macro."""

from collections.abc import Mapping

from cocotb.triggers import FallingEdge
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.spec.boundary_wires import PIN_NAMES

from ..array.array_interface import Array, CheckedArray
from ..array.python_array import SimulatorPins
from ..checking.protocol import ProtocolChecker


async def drive_array_pins(dut, model: Array, checker: ProtocolChecker | None = None, prefix: str = "array_"):
    """Stand behind the boundary of ``dut`` for ever: answers in the middle of each clock, on its falling edge.

    Parameters
    ----------
    dut : handle
        Whose ports ``array_row_pos`` ... ``array_ready`` are the boundary.
    model : Array
        :class:`.python_array.ArrayModel`, or any object with its ``clock``.
    checker : ProtocolChecker or None
        Given every clock outside reset; when it is strict, its error fails the test.

    Raises
    ------
    ArrayError
        If ``model`` has no ``clock``, or its answer does not fit the boundary.
    """
    await drive_arrays_pins(dut, {prefix: (model, checker)})


async def drive_arrays_pins(dut, arrays: Mapping[str, tuple[Array, ProtocolChecker | None]]):
    """Stand behind all arrays of one macro for ever, as :func:`drive_array_pins` does behind one.

    The macro waits until all are ready, so the checker of each is told whether all are.

    Parameters
    ----------
    arrays : mapping
        From what the names of an array's ports begin with, such as ``"layer0_array_"``, to its model and checker.
    """
    behind = [_Boundary(dut, prefix, model, checker) for prefix, (model, checker) in arrays.items()]
    while True:
        await FallingEdge(dut.clk)
        if not dut.rst.value.is_resolvable or int(dut.rst.value):
            for boundary in behind:
                boundary.reset()
            continue
        answers = [boundary.answer() for boundary in behind]
        for boundary, answer in zip(behind, answers, strict=True):
            boundary.show(*answer, all(ready for _, ready in answers))


class _Boundary:
    """The pins of one array, and what stands behind them."""

    def __init__(self, dut, prefix: str, model: Array, checker: ProtocolChecker | None):
        handles = {name: getattr(dut, prefix + name, None) for name in PIN_NAMES}
        self._pins = SimulatorPins(lambda name: integer_of(handles[name], name))
        self._comparators, self._ready = getattr(dut, f"{prefix}comparators"), getattr(dut, f"{prefix}ready")
        self._model, self._checker = CheckedArray(model, len(self._comparators)), checker
        self._comparators.value, self._ready.value = 0, 1

    def reset(self):
        if self._checker is not None:
            self._checker.reset()

    def answer(self) -> tuple[int, int]:
        """What the model answers to this clock's pins."""
        self._pins.next_clock()
        return self._model.clock(self._pins)

    def show(self, comparators: int, ready: int, all_ready: bool):
        """Drive the answer, and check the clock; ``all_ready``: whether every array of the macro is."""
        if self._checker is not None:
            self._checker.clock(self._pins, all_ready)
        self._comparators.value, self._ready.value = comparators, ready


def integer_of(handle, name: str) -> int:
    """A port's value; 0 of one that is not there, InvalidValue for an unknown one."""
    if handle is None:  # calibration, where there are no cells
        return 0
    value = handle.value
    if not value.is_resolvable:
        raise InvalidValue(f"{name} is {value}")
    return int(value.to_unsigned() if hasattr(value, "to_unsigned") else value)
