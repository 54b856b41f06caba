# SPDX-License-Identifier: Apache-2.0
"""Files of given cells: archives of arrays, tables, and what AIHWKit exports for its Fusion chip.

``.npz``: any of the arrays of :class:`.conductancefile.Conductances` by name, and ``unit``, a text: S, mS, uS or nS; in
charge mode F or fF.

``.csv``: the layouts that ``crossramp generate`` writes, so that what was programmed and what was measured look alike.
Weights and state cells: columns ``row`` (empty for state cells), ``row_use`` (needed for those: state0, state1, ..),
``column``, ``conductance_pos_UNIT`` and ``conductance_neg_UNIT``. Ramps: ``ramp``, ``tick`` (from 1) and
``conductance_UNIT``; with a column ``cell`` that says ``start`` or ``calibration`` instead of ``tap``, ``tick`` counts
those cells from 0. UNIT is siemens, microsiemens, farad or femtofarad. Cells that a table leaves out are drawn.

AIHWKit's CSV (its ``utils/export.py``, ``fusion_export``): lines with id, class, number of weights, height and width of
every layer, the names of the layers, and one line a layer with its conductances in µS, output by output. Layers are
known by their size: 4·units by inputs (``weight_ih`` of its LSTM), by units (``weight_hh``), or by both together; its
gates come in PyTorch's order, which is ours. As many numbers as weights are those of its FusionConductanceConverter:
magnitudes, each output scaled to ``g_max``; the other cell of a pair is not programmed, and the sign is not in the
file. Twice as many are those of its SinglePairConductanceConverter: all positive cells, then all negative ones, the
layer scaled to ``g_max``. Both are scaled to our window by our weights, which must be the network that was exported.
"""

import csv
import math
import struct
from pathlib import Path
from tokenize import TokenError
from zipfile import BadZipFile
from zlib import error as ZlibError

import numpy as np

from ..specification import Specification
from .conductancefile import NAMES, ConductanceError, Conductances, shapes
from .technology import Technology

#: Largest conductance of AIHWKit's two converters unless told otherwise, in siemens.
FUSION_G_MAX, PAIR_G_MAX = 40e-6, 25e-6

#: AIHWKit splits larger layers over several tiles, and its file does not say where.
_TILE = 512

_UNITS = {"S": 1.0, "mS": 1e-3, "uS": 1e-6, "µS": 1e-6, "nS": 1e-9, "F": 1.0, "fF": 1e-15}
_SUFFIXES = {"siemens": 1.0, "microsiemens": 1e-6, "farad": 1.0, "femtofarad": 1e-15}
_WEIGHT_TEXTS = {"row", "row_use", "column", "bank", "unit", "weight_levels"}
_RAMP_TEXTS = {
    "ramp",
    "tick",
    "cell",
    "activation",
    "banks",
    "tap",
    "output_border",
    "threshold_mac",
    "threshold_preactivation",
    "step_mac",
    "step_preactivation",
}
_RAMP_CELLS = {"tap": "ramp", "start": "ramp_start", "calibration": "calibration"}
#: What damaged archives raise, in numpy and below it.
_BROKEN = (
    ValueError,
    EOFError,
    KeyError,
    BadZipFile,
    ZlibError,
    MemoryError,
    OverflowError,
    SyntaxError,
    TypeError,
    AttributeError,
    RuntimeError,
    TokenError,
    struct.error,
)
_FUSION_LINES = ("id", "class", "number of weights", "height", "width")


def load_conductances(
    paths, spec: Specification, technology: Technology, weights: np.ndarray, g_max: float | None = None
) -> Conductances:
    """The cells that files give, checked.

    Parameters
    ----------
    paths : path or list of paths
        Files that together give the cells, none twice.
    spec : Specification
    technology : Technology
        Whose window AIHWKit's conductances are scaled to.
    weights : integer array, shape (rows, columns)
        Levels of the model; used for AIHWKit's files alone.
    g_max : float or None
        Conductance of a full-scale weight in AIHWKit's files, in siemens; None: 40 µS for magnitudes, 25 µS for pairs.

    Raises
    ------
    ConductanceError
        For a file that cannot be read, unknown arrays or columns, wrong shapes, NaN, or cells out of range.
    """
    given, source = {}, []
    for path in [paths] if isinstance(paths, str | Path) else paths:
        path = Path(path)
        source.append(str(path))
        found = _read(path, spec, technology, np.asarray(weights), g_max)
        Conductances(**found, source=str(path)).check(spec, technology)
        for name, values in found.items():
            if name not in given:
                given[name] = values
                continue
            if (~np.isnan(given[name]) & ~np.isnan(values)).any():
                raise ConductanceError(f"{path}: gives cells of {name} that {source[-2]} gives too; leave one out")
            given[name] = np.where(np.isnan(values), given[name], values)
    return Conductances(**given, source=", ".join(source))


def _read(path: Path, spec, technology, weights, g_max) -> dict[str, np.ndarray]:
    if path.suffix.lower() == ".npz":
        return _archive(path, technology)
    if path.suffix.lower() != ".csv":
        raise ConductanceError(f"{path}: conductances are read from .npz and .csv files; give one of those")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [line for line in csv.reader(file, strict=True) if line]
    except OSError as error:
        raise ConductanceError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConductanceError(f"{path}: no CSV file ({error})") from None
    if len(lines) < 2:
        raise ConductanceError(f"{path}: has {len(lines)} lines; expected a header and a line for each cell")
    header = [name.strip() for name in lines[0]]
    if {"row", "column"} <= set(header):
        return _weight_table(path, header, lines[1:], spec, technology)
    if {"ramp", "tick"} <= set(header):
        return _ramp_table(path, header, lines[1:], spec, technology)
    if all(text.strip().isdigit() for text in header):
        return _Fusion(path, lines, spec, technology, weights, g_max).arrays()
    raise ConductanceError(
        f"{path}: its first line, {','.join(header)[:60]!r}, has neither row and column, nor ramp and tick, nor the "
        "numbers of AIHWKit's layers"
    )


# ---- archives --------------------------------------------------------------------------------------------------------


def _archive(path: Path, technology: Technology) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            content = {name: archive[name] for name in archive.files}
    except OSError as error:
        raise ConductanceError(f"{path}: cannot be read ({error.strerror or error})") from None
    except _BROKEN:
        raise ConductanceError(f"{path}: no .npz archive of numbers; write one with numpy.savez") from None
    unit, units = content.pop("unit", None), _of_mode(_UNITS, technology)
    known = ", ".join(units)
    if unit is None:
        raise ConductanceError(f"{path}: unit is missing; add unit=... to numpy.savez, one of {known}")
    if str(unit) not in units:
        raise ConductanceError(f"{path}: unit is {str(unit)!r}; allowed: {known}")
    arrays = {}
    for name, values in content.items():
        if name not in NAMES:
            raise ConductanceError(f"{path}: {name!r} is no array of cells; known: {', '.join(NAMES)}")
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "iuf":
            values = np.asarray(values)
            raise ConductanceError(f"{path}: {name} holds {values.dtype}; expected numbers")
        values = values.astype(float)
        if np.isnan(values).any():
            at = list(map(int, np.argwhere(np.isnan(values))[0]))
            raise ConductanceError(f"{path}: {name}{at} is NaN; give a number, or leave {name} out")
        arrays[name] = values * units[str(unit)]
    if not arrays:
        raise ConductanceError(f"{path}: holds no cells; known arrays: {', '.join(NAMES)}")
    return arrays


# ---- tables ----------------------------------------------------------------------------------------------------------


def _weight_table(path, header, lines, spec, technology) -> dict[str, np.ndarray]:
    columns, scale = _columns(path, header, ("conductance_pos", "conductance_neg"), _WEIGHT_TEXTS, technology)
    expected = shapes(spec, technology)
    arrays = {name: np.full(expected[name], np.nan) for name in NAMES[:4]}
    seen = set()
    for number, line in enumerate(lines, 2):
        entry = _entry(path, number, header, line)
        state = entry["row"] == ""
        if state:
            use = entry.get("row_use", "")
            unit = use.removeprefix("state")
            if not (use.startswith("state") and unit.isdecimal() and int(unit) < spec.units):
                raise ConductanceError(
                    f"{path} line {number}: row is empty and row_use {use!r}; state cells are state0 to "
                    f"state{spec.units - 1}"
                )
            place = (int(unit),)
        else:
            place = (
                _index(path, number, "row", entry["row"], spec.rows),
                _index(path, number, "column", entry["column"], spec.columns),
            )
        if place in seen:
            raise ConductanceError(f"{path} line {number}: the cells of {_where(place)} are there twice")
        seen.add(place)
        for name, column in zip(("positive", "negative"), columns, strict=True):
            text = entry[column]
            if text == "" and name == "negative":
                continue  # a single-ended array has no second cell
            target = arrays[f"state_{name}" if state else name]
            # Single-ended: the reference column, which every column of a row repeats.
            at = (place[0], 0) if target.shape == (spec.rows, 1) else place
            target[at] = _number(path, number, column, text) * scale
    return _without_empty(arrays)


def _ramp_table(path, header, lines, spec, technology) -> dict[str, np.ndarray]:
    (column,), scale = _columns(path, header, ("conductance",), _RAMP_TEXTS, technology)
    count, found = len(spec.ramps), {}
    for number, line in enumerate(lines, 2):
        entry = _entry(path, number, header, line)
        cell = entry.get("cell") or "tap"
        if cell not in _RAMP_CELLS:
            raise ConductanceError(f"{path} line {number}: cell is {cell!r}; allowed: {', '.join(_RAMP_CELLS)}")
        ramp = _index(path, number, "ramp", entry["ramp"], count)
        if cell == "tap":
            tick = _index(path, number, "tick", entry["tick"], spec.ticks + 1)
            if tick == 0:
                continue  # all start cells together, as generate sums them up: no cell
            place = tick - 1
        else:
            most = spec.calibration_cells if cell == "calibration" else 1 << 16
            place = _index(path, number, "tick", entry["tick"], most)
        key = _RAMP_CELLS[cell], ramp, place
        if key in found:
            raise ConductanceError(f"{path} line {number}: cell {cell} {entry['tick']} of ramp {ramp} is there twice")
        found[key] = _number(path, number, column, entry[column]) * scale
    sizes = {"ramp": spec.ticks, "calibration": spec.calibration_cells}
    sizes["ramp_start"] = 1 + max((place for name, _, place in found if name == "ramp_start"), default=0)
    arrays = {name: np.full((count, size), np.nan) for name, size in sizes.items()}
    for (name, ramp, place), value in found.items():
        arrays[name][ramp, place] = value
    start = arrays["ramp_start"]  # where a ramp has fewer cells than another, there is none
    arrays["ramp_start"] = np.where(np.isnan(start) & ~np.isnan(start).all(axis=1, keepdims=True), 0.0, start)
    return _without_empty(arrays)


def _of_mode(units: dict[str, float], technology: Technology) -> dict[str, float]:
    """Those of ``units`` that cells of ``technology`` are measured in: farads in charge mode, else siemens."""
    charge = technology.read_mode == "charge"
    return {name: scale for name, scale in units.items() if name.endswith(("F", "farad")) == charge}


def _columns(path, header, names, texts, technology) -> tuple[list[str], float]:
    """The columns that hold cells, and their unit."""
    suffixes = _of_mode(_SUFFIXES, technology)
    allowed = texts | {f"{name}_{suffix}" for name in names for suffix in suffixes}
    for name in header:
        if name not in allowed:
            raise ConductanceError(f"{path}: column {name!r} is unknown; known: {', '.join(sorted(allowed))}")
    if len(set(header)) != len(header):
        raise ConductanceError(f"{path}: a column is there twice: {','.join(header)}")
    for suffix, scale in suffixes.items():
        columns = [f"{name}_{suffix}" for name in names]
        if set(columns) <= set(header):
            others = [name for name in header if name not in texts and name not in columns]
            if others:
                raise ConductanceError(f"{path}: cells are given in two units: {columns[0]} and {others[0]}")
            return columns, scale
    raise ConductanceError(
        f"{path}: column {names[0]}_{next(iter(suffixes))} is missing"
        + (f", or {names[1]}_{next(iter(suffixes))}" if len(names) > 1 else "")
    )


def _entry(path, number, header, line) -> dict[str, str]:
    if len(line) != len(header):
        raise ConductanceError(f"{path} line {number}: has {len(line)} entries; its header has {len(header)}")
    return dict(zip(header, (text.strip() for text in line), strict=True))


def _index(path, number, name, text, count) -> int:
    if not text.isdecimal() or int(text) >= count:
        raise ConductanceError(f"{path} line {number}: {name} is {text!r}; allowed: 0 to {count - 1}")
    return int(text)


def _number(path, number, name, text) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConductanceError(f"{path} line {number}: {name} is {text!r}; expected a number, or leave the line out")
    return value


def _where(place: tuple) -> str:
    return f"state{place[0]}" if len(place) == 1 else f"row {place[0]}, column {place[1]}"


def _without_empty(arrays: dict) -> dict:
    return {name: values for name, values in arrays.items() if not np.isnan(values).all()}


# ---- AIHWKit ---------------------------------------------------------------------------------------------------------


class _Fusion:
    """One file of ``fusion_export``."""

    def __init__(self, path, lines, spec, technology, weights, g_max):
        self.path, self.spec, self.technology, self.weights, self.g_max = path, spec, technology, weights, g_max
        if technology.read_mode != "current":
            raise ConductanceError(f"{path}: AIHWKit's conductances have no meaning in {technology.read_mode} mode")
        if technology.pair != "differential":
            raise ConductanceError(f"{path}: AIHWKit's conductances are pairs; technology {technology.name} has none")
        count, heads = len(lines[0]), len(_FUSION_LINES)
        if len(lines) != heads + 1 + count:
            raise ConductanceError(
                f"{path}: an AIHWKit file of {count} layers has {heads + 1 + count} lines, this one {len(lines)}"
            )
        for what, line in zip((*_FUSION_LINES, "names"), lines, strict=False):
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
