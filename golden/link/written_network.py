# SPDX-License-Identifier: Apache-2.0
"""What a board's network computes from the contents of its memories, step by step."""

from collections.abc import Mapping

import numpy as np

from ..array.array_protocol import Array, IdealArray
from ..array.integers import exact_matmul
from ..array.ramps import WrittenRamp
from ..layers.network_specification import NetworkSpecification, projection_name
from ..macro.initial_state import State
from ..macro.lstm import Lstm
from ..network.layered_network import through_layers
from .board_memory import Build, Region, head_arrays, unpacked
from .link_protocol import Space


class WrittenNetwork:
    """The network of a board. Every step uses what the memories hold when it is taken.

    The layers in front of the first one of two directions take a step at once; that layer, and those behind it, take
    the whole utterance with its last step.

    Parameters
    ----------
    build : Build
    memories : mapping of Region to bytearray
        The board's; call :meth:`written` after a change.
    array : Array or None
        What stands on the pins of a board without an emulator. None: one with all weights 0.

    Attributes
    ----------
    h, logits : int64 arrays, shapes (hidden,) and (classes,)
        Of the last step that has them.
    answer : int or None
        The class of ``logits``; None before the utterance has one.
    done : int
        Steps of the utterance whose h is there.
    """

    def __init__(self, build: Build, memories: Mapping[Region, bytearray], array: Array | None = None):
        self.build, self.spec, self._memories, self._array = build, build.spec, memories, array
        self._macros: dict[str, Lstm] | None = None  # with the weights and thresholds as written; None: made if needed
        self.h = np.zeros(self.spec.hidden, np.int64)
        self.logits = np.zeros(self.spec.classes, np.int64)
        self._in_turn = [("",)]  # names of the macros of each layer that takes a step at once
        self._layers = [("",)]
        if isinstance(self.spec, NetworkSpecification):
            self._layers = [self.spec.names_of(number) for number in range(len(self.spec.layers))]
            self._in_turn = self._layers[: self.spec.leading]
        self.begin()

    def begin(self) -> None:
        """Another utterance."""
        self.answer: int | None = None
        self.done = 0
        self._states: dict[str, State] = {}
        self._waiting: list[np.ndarray] = []  # for the last step
        self._sums = np.zeros(self.spec.hidden, np.int64)

    def written(self) -> None:
        """The memories have changed."""
        self._macros = None

    def step(self, x: np.ndarray, last: bool) -> None:
        """Take pulse codes within ±input_max, integer, shape (inputs,)."""
        if self._macros is None:
            self._macros = self._written_macros()
        codes = x[None]
        for (name,) in self._in_turn:
            codes = self._one_step(name, codes)
        if len(self._in_turn) == len(self._layers):
            self._show(codes[0])
        else:
            self._waiting.append(codes)
            if last:
                first = len(self._in_turn)
                whole = np.stack(self._waiting, axis=1)
                for h in through_layers(self.spec, whole, self._whole_utterance, first)[0]:
                    self._show(h)
        if last or self.spec.readout == "step":
            self.logits = self._head(self.done if self.spec.readout == "mean" else 1)
            self.answer = int(self.logits.argmax())

    def _one_step(self, name: str, x: np.ndarray) -> np.ndarray:
        macro = self._macros[name]
        c, h = self._states.get(name) or macro.start(1)
        trace = macro.step(x, c, h)
        self._states[name] = State(c if trace.c is None else trace.c, macro.handed_on(trace))
        return macro.handed_on(trace)

    def _whole_utterance(self, name: str, codes: np.ndarray) -> np.ndarray:
        return self._macros[name].hidden(codes)

    def _show(self, h: np.ndarray) -> None:
        self.h = h
        self._sums = self._sums + h if self.spec.readout == "mean" else h
        self.done += 1

    def _written_macros(self) -> dict[str, Lstm]:
        """The macros with the weights and thresholds that the memories hold."""
        macros: dict[str, Lstm] = {}
        for name, spec in reversed(self.spec.macros.items()):  # a macro's projection stands behind it
            projection = macros.get(projection_name(name))
            if spec.digital_projection:
                projection = self._projection(name)
            array = self._written_array(name)
            macros[name] = Lstm(array.spec, array, projection)
        return macros

    def _written_array(self, name: str) -> Array:
        build, spec = self.build, self.spec.macros[name]
        if not build.columns_per_clock:
            silent = IdealArray(spec, np.zeros((spec.rows, spec.columns), np.int64))
            return silent if self._array is None else self._array
        words = unpacked(bytes(self._memories[Region(Space.WEIGHTS, name)]), 1)
        words = words.reshape(len(spec.gate_names), build.groups(name), spec.rows, build.columns(name))
        banks = words.transpose(2, 0, 1, 3).reshape(spec.rows, len(spec.gate_names), -1)
        weights = banks[..., : spec.units].reshape(spec.rows, spec.columns) * spec.placed
        thresholds = Region(Space.THRESHOLDS, name)
        floors = unpacked(bytes(self._memories[thresholds]), build.word_bytes(*thresholds))
        ramps = [
            WrittenRamp(ramp[: walk.ticks], spec.latch, walk.codes)
            for ramp, walk in zip(floors.reshape(len(spec.ramps), -1), spec.ramp_walks, strict=True)
        ]
        lines = None
        if spec.trained_lines:
            levels = unpacked(bytes(self._memories[Region(Space.LINES, name)]), 1).reshape(spec.trained_lines, -1)
            lines = levels[:, : spec.units]
        return IdealArray(spec, weights, ramps, lines)

    def _projection(self, name: str) -> np.ndarray:
        """The weights of a digital projection that the memory holds."""
        region, spec = Region(Space.PROJECTION, name), self.spec.macros[name]
        words = unpacked(bytes(self._memories[region]), self.build.word_bytes(*region) // spec.lanes)
        return words.reshape(spec.projection, -1)[:, : spec.units]

    def _head(self, count: int) -> np.ndarray:
        """Logits of the sums, with the head that the memory holds; they wrap, which no legal head makes them do."""
        spec = self.spec
        if spec.head_in_array:
            return self._sums
        weights, biases = head_arrays(self.build, bytes(self._memories[Region(Space.HEAD)]))
        bound = (spec.hidden * spec.sum_max) << (spec.head_bias_bits - 1)
        logits = exact_matmul(self._sums, weights.T, bound) + biases * count
        half = 1 << (spec.logit_bits - 1)
        return (logits + half) % (2 * half) - half
