# SPDX-License-Identifier: Apache-2.0
"""Conductances in the CSV file that AIHWKit exports for its Fusion chip (``fusion_export`` of its ``utils/export.py``).

The file has lines with id, class, number of weights, height and width of every layer, the names of the layers,
and one line for each layer with its conductances in µS, output by output.
Layers are recognized by their size: 4·units by inputs (``weight_ih`` of its LSTM),
by units (``weight_hh``), or by both together.
Gates come in PyTorch's order, which is the order here.

As many numbers as weights are those of its FusionConductanceConverter:
magnitudes, with each output scaled to ``g_max``.
The other cell of a pair is not programmed, and the sign is not in the file.
Twice as many numbers are those of its SinglePairConductanceConverter:
all positive cells, then all negative ones, with the layer scaled to ``g_max``.
Both are scaled to the technology's window by the given weights, which must be those of the network that was exported.
"""

import math

import numpy as np

from ..chip.given_cells import ConductanceError

#: Largest conductance of AIHWKit's two converters unless told otherwise, in siemens.
FUSION_G_MAX, PAIR_G_MAX = 40e-6, 25e-6

#: AIHWKit splits larger layers over several tiles, and its file does not say where.
_TILE = 512

_LINES = ("id", "class", "number of weights", "height", "width")


class Fusion:
    """One file of ``fusion_export``."""

    def __init__(self, path, lines, spec, technology, weights, g_max):
        self.path, self.spec, self.technology, self.weights, self.g_max = path, spec, technology, weights, g_max
        if technology.read_mode != "current":
            raise ConductanceError(f"{path}: AIHWKit's conductances have no meaning in {technology.read_mode} mode")
        if technology.pair != "differential":
            raise ConductanceError(f"{path}: AIHWKit's conductances are pairs; technology {technology.name} has none")
        if not spec.placed.all() or spec.layout.output not in spec.row_sizes:
            raise ConductanceError(
                f"{path}: AIHWKit's layers cross all gates with x and h; the banks of the cell {spec.cell} do not"
            )
        count, heads = len(lines[0]), len(_LINES)
        if len(lines) != heads + 1 + count:
            raise ConductanceError(
                f"{path}: an AIHWKit file of {count} layers has {heads + 1 + count} lines, this one {len(lines)}"
            )
        for what, line in zip((*_LINES, "names"), lines, strict=False):
            if len(line) != count:
                raise ConductanceError(f"{path}: its line of {what} has {len(line)} entries; there are {count} layers")
        self.names = [name.strip() for name in lines[heads]]
        self.sizes = [
            (self._whole("height", height), self._whole("width", width))
            for height, width in zip(lines[3], lines[4], strict=True)
        ]
        self.data = lines[heads + 1 :]

    def arrays(self) -> dict[str, np.ndarray]:
        """Positive and negative cells of the rows of x and h; the bias rows' stay drawn."""
        spec = self.spec
        positive = np.full((spec.rows, spec.columns), np.nan)
        negative = positive.copy()
        for layer, rows in self._layers():
            positive[rows], negative[rows] = self._cells(layer, self.weights[rows])
        return {"positive": positive, "negative": negative}

    def _layers(self) -> list[tuple[int, slice]]:
        spec = self.spec
        x, h = slice(0, spec.inputs), slice(spec.inputs, spec.inputs + spec.hidden)
        tall = [k for k, (height, _) in enumerate(self.sizes) if height == spec.columns]
        together = [k for k in tall if self.sizes[k][1] == spec.inputs + spec.hidden]
        of_x = [k for k in tall if self.sizes[k][1] == spec.inputs]
        of_h = [k for k in tall if self.sizes[k][1] == spec.hidden]
        if of_x == of_h and len(of_x) == 2:  # as many inputs as units: AIHWKit's LSTM has weight_ih first
            of_x, of_h = of_x[:1], of_h[1:]
        if len(together) == 1 and not (of_x or of_h):
            return [(together[0], slice(0, spec.inputs + spec.hidden))]
        if not together and len(of_x) == len(of_h) == 1:
            return [(of_x[0], x), (of_h[0], h)]
        there = ", ".join(f"{name} {a}x{b}" for name, (a, b) in zip(self.names, self.sizes, strict=True))
        raise ConductanceError(
            f"{self.path}: has the layers {there}; this model needs one {spec.columns}x{spec.inputs} and one "
            f"{spec.columns}x{spec.hidden}, or one {spec.columns}x{spec.inputs + spec.hidden}"
        )

    def _cells(self, layer: int, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positive and negative cells of a layer, shape (its rows, columns), in our window."""
        name, (height, width) = self.names[layer], self.sizes[layer]
        if max(height, width) > _TILE:
            raise ConductanceError(
                f"{self.path}: layer {name} is {height}x{width}; AIHWKit splits what is beyond {_TILE} over several "
                "tiles, in an order that its file does not tell"
            )
        numbers = np.array([self._number(name, text) for text in self.data[layer]])
        weights_in, magnitude = height * width, np.abs(weights).astype(float)
        low, high = self.technology["cell.g_min"], self.technology["cell.g_max"]
        unit = (high - low) / self.spec.weight_max
        if len(numbers) == weights_in:
            scale = unit * magnitude.max(axis=0) / (self.g_max or FUSION_G_MAX)
            cells = low + numbers.reshape(height, width).T * scale
            return np.where(weights >= 0, cells, low), np.where(weights < 0, cells, low)
        if len(numbers) == 2 * weights_in:
            scale = unit * magnitude.max() / (self.g_max or PAIR_G_MAX)
            positive, negative = (low + part.reshape(height, width).T * scale for part in np.split(numbers, 2))
            return positive, negative
        raise ConductanceError(
            f"{self.path}: layer {name} has {len(numbers)} conductances; expected {weights_in} (one a weight) or "
            f"{2 * weights_in} (a pair a weight)"
        )

    def _number(self, name, text) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value >= 0):
            raise ConductanceError(f"{self.path}: layer {name} has the conductance {text!r}; expected µS, 0 or more")
        return value * 1e-6

    def _whole(self, name, text) -> int:
        if not text.strip().isdecimal():
            raise ConductanceError(f"{self.path}: the {name} of a layer is {text!r}; expected a whole number")
        return int(text)
