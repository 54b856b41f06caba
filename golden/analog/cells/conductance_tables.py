# SPDX-License-Identifier: Apache-2.0
"""Files of given cells: archives of arrays, tables, and what AIHWKit exports for its Fusion chip (:mod:`.aihwkit`).

``.npz``: any of the arrays of :class:`.given_cells.Conductances` by name, and ``unit``, a text: S, mS, uS or nS; in
charge mode F or fF.

``.csv``: the layouts that ``crossramp generate`` writes, so that what was programmed and what was measured look alike.
Weights and state cells: columns ``row`` (empty for state cells), ``row_use`` (needed for those: state0, state1, ..; the
wires of the lines), ``column`` (``reference`` for the reference cell of a single-ended row, or ``reference0``,
``reference1``, .. where banks cross different rows; needed for state cells whose wire has several),
``conductance_pos_UNIT`` and
``conductance_neg_UNIT``. Ramps: ``ramp``, ``tick`` (from 1) and ``conductance_UNIT``, or ``conductance_pos_UNIT`` and
``conductance_neg_UNIT`` for pairs; with a column ``cell`` that says ``start`` or ``calibration`` instead of ``tap``,
``tick`` counts those cells from 0, and ``part`` the parallel cells of one calibration bit. UNIT is siemens,
microsiemens, farad or femtofarad. Cells that a table leaves out are drawn; only a ramp's start is given as a whole.
Lines before the header that begin with ``#`` say what the cells are for (:mod:`.origin`).
"""

import csv
import math
import struct
from pathlib import Path
from tokenize import TokenError
from zipfile import BadZipFile
from zlib import error as ZlibError

import numpy as np
from crossramp.golden.array.array_protocol import array_levels
from crossramp.golden.array.weights import Weights
from crossramp.golden.spec.specification import Specification

from ..chip.given_cells import NAMES, ConductanceError, Conductances, shapes
from ..technologies.technology import Technology
from .aihwkit import Fusion
from .origin import mismatch, origin, parse
from .table_names import line_cell_names, reference_names

_UNITS = {"S": 1.0, "mS": 1e-3, "uS": 1e-6, "µS": 1e-6, "nS": 1e-9, "F": 1.0, "fF": 1e-15}
_SUFFIXES = {"siemens": 1.0, "microsiemens": 1e-6, "farad": 1.0, "femtofarad": 1e-15}
_WEIGHT_TEXTS = {"row", "row_use", "column", "bank", "unit", "weight_levels"}
_RAMP_TEXTS = {
    "ramp",
    "tick",
    "cell",
    "part",
    "activation",
    "banks",
    "tap",
    "drives",
    "threshold_volts",
    "output_border",
    "threshold_mac",
    "threshold_preactivation",
    "step_mac",
    "step_preactivation",
}
_SINGLE, _PAIR = ("conductance",), ("conductance_pos", "conductance_neg")
_LEVEL = "level"  # tick of an external ramp, which has no cell
_MOST = 1 << 16  # cells in parallel
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


def load_conductances(
    paths, spec: Specification, technology: Technology, weights: Weights | np.ndarray, g_max: float | None = None
) -> Conductances:
    """The cells that files give, checked.

    Parameters
    ----------
    paths : path or list of paths
        Files that together give the cells, none twice.
    spec : Specification
    technology : Technology
        Whose window AIHWKit's conductances are scaled to.
    weights : Weights, or integer array of shape (rows, columns)
        Levels of the model: what tables must be for, and the scale of AIHWKit's files.
    g_max : float or None
        Conductance of a full-scale weight in AIHWKit's files, in siemens; None: 40 µS for magnitudes, 25 µS for pairs.

    Raises
    ------
    ConductanceError
        For a file that cannot be read, unknown arrays or columns, wrong shapes, NaN, or cells out of range.
    """
    given, files = {}, []
    for path in [paths] if isinstance(paths, str | Path) else paths:
        path = Path(path)
        found = _read(path, spec, technology, weights, g_max)
        Conductances(**found, source=str(path)).check(spec, technology)
        for name, values in found.items():
            for other, earlier in files:
                if name in earlier and _overlap(earlier[name], values):
                    raise ConductanceError(f"{path}: gives cells of {name} that {other} gives too; leave one out")
            given[name] = _merged(given[name], values) if name in given else values
        files.append((path, found))
    for name in ("ramp", "ramp_start", "calibration"):
        # What one file subtracts, another, with single cells, does not.
        if f"{name}_negative" in given:
            cells, partners = _alike(given[name], given[f"{name}_negative"])
            given[f"{name}_negative"] = np.where(np.isnan(partners) & ~np.isnan(cells), 0.0, partners)
    return Conductances(**given, source=", ".join(str(path) for path, _ in files))


def _alike(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both with as many cells in parallel: beyond its own number a start, or a calibration bit, has none, 0."""
    if first.shape == second.shape:
        return first, second
    dimensions = max(first.ndim, second.ndim)
    both = [values if values.ndim == dimensions else values[..., None] for values in (first, second)]
    width = max(values.shape[-1] for values in both)
    wide = []
    for values in both:
        nothing = np.where(np.isnan(values).all(axis=-1, keepdims=True), np.nan, 0.0)
        more = np.broadcast_to(nothing, (*values.shape[:-1], width - values.shape[-1]))
        wide.append(np.concatenate([values, more], axis=-1))
    return wide[0], wide[1]


def _overlap(first: np.ndarray, second: np.ndarray) -> bool:
    first, second = _alike(first, second)
    return bool((~np.isnan(first) & ~np.isnan(second)).any())


def _merged(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    first, second = _alike(first, second)
    return np.where(np.isnan(second), first, second)


def _read(path: Path, spec, technology, weights, g_max) -> dict[str, np.ndarray]:
    if path.suffix.lower() == ".npz":
        return _archive(path, technology)
    if path.suffix.lower() != ".csv":
        raise ConductanceError(f"{path}: conductances are read from .npz and .csv files; give one of those")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, strict=True)
            numbered = [(reader.line_num, line) for line in reader if any(text.strip() for text in line)]
    except OSError as error:
        raise ConductanceError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConductanceError(f"{path}: no CSV file ({error})") from None
    told, count = parse([line for _, line in numbered])
    numbered = numbered[count:]
    if len(numbered) < 2:
        raise ConductanceError(f"{path}: has {len(numbered)} lines; expected a header and a line for each cell")
    header = [name.strip() for name in numbered[0][1]]
    if {"row", "column"} <= set(header):
        _check_origin(path, told, origin("weights", spec, technology, weights))
        return _weight_table(path, header, numbered[1:], spec, technology)
    if {"ramp", "tick"} <= set(header):
        _check_origin(path, told, origin("ramps", spec, technology, weights))
        return _ramp_table(path, header, numbered[1:], spec, technology)
    if all(text.strip().isdigit() for text in header):
        macro, _ = array_levels(spec, weights)
        return Fusion(path, [line for _, line in numbered], spec, technology, macro, g_max).arrays()
    raise ConductanceError(
        f"{path}: its first line, {','.join(header)[:60]!r}, has neither row and column, nor ramp and tick, nor the "
        "numbers of AIHWKit's layers"
    )


def _check_origin(path: Path, told: dict[str, str], expected: dict[str, str]) -> None:
    why = mismatch(told, expected)
    if why is not None:
        raise ConductanceError(
            f"{path}: {why}; run crossramp generate with this model, --technology and --set, or remove the lines that "
            "begin with # to use these cells all the same"
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
            raise ConductanceError(f"{path}: {name!r} is not an array of cells; known: {', '.join(NAMES)}")
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
    columns, scale = _columns(path, header, (_PAIR,), _WEIGHT_TEXTS, technology)
    expected = shapes(spec, technology)
    arrays = {name: np.full(expected[name], np.nan) for name in NAMES[:4]}
    shared = technology.pair == "single-ended"
    references = {name: k for k, name in enumerate(reference_names(spec))}
    names_of_lines = line_cell_names(spec)
    seen = set()
    for number, line in lines:
        entry = _entry(path, number, header, line)
        state, reference = entry["row"] == "", references.get(entry["column"])
        if state:
            place = (_line_cell(path, number, entry, spec, names_of_lines),)
        else:
            row = _index(path, number, "row", entry["row"], 0, spec.rows)
            if reference is not None and not shared:
                raise ConductanceError(
                    f"{path} line {number}: column is {entry['column']!r}, but the cells of technology "
                    f"{technology.name} are differential pairs"
                )
            column = _index(path, number, "column", entry["column"], 0, spec.columns) if reference is None else None
            place = (row, -1 - reference if column is None else column)
        if place in seen:
            raise ConductanceError(f"{path} line {number}: the cells of {_where(spec, place)} appear twice")
        seen.add(place)
        partners_only = not state and reference is not None
        if not any(entry[column] for column in columns[1 if partners_only else 0 :]):
            what = columns[-1 if partners_only else 0]
            raise ConductanceError(f"{path} line {number}: {what} is ''; expected a number, or leave the line out")
        for name, column in zip(("positive", "negative"), columns, strict=True):
            if entry[column] == "":
                continue  # drawn, or given on another line
            if partners_only and name == "positive":
                raise ConductanceError(
                    f"{path} line {number}: {column} is {entry[column]!r}; a reference cell is subtracted: give "
                    f"{columns[1]} alone"
                )
            value = _number(path, number, column, entry[column]) * scale
            target = arrays[f"state_{name}" if state else name]
            at = place
            if shared and not state and name == "negative":
                # The reference column, which any column of a row may repeat.
                at = (place[0], -1 - place[1] if partners_only else spec.crossing_of_column[place[1]])
            if not (np.isnan(target[at]) or target[at] == value):
                raise ConductanceError(
                    f"{path} line {number}: {column} is {entry[column]}, and {target[at] / scale:g} on an earlier "
                    f"line; row {place[0]} has one reference cell"
                )
            target[at] = value
    return _without_empty(arrays)


def _ramp_table(path, header, lines, spec, technology) -> dict[str, np.ndarray]:
    columns, scale = _columns(path, header, (_SINGLE, _PAIR), _RAMP_TEXTS, technology)
    count, found = len(spec.ramps), {}
    for number, line in lines:
        entry = _entry(path, number, header, line)
        cell = entry.get("cell") or "tap"
        if cell == _LEVEL:
            continue  # of an external ramp: volts
        if cell not in _RAMP_CELLS:
            raise ConductanceError(f"{path} line {number}: cell is {cell!r}; allowed: {', '.join(_RAMP_CELLS)}")
        ramp = _index(path, number, "ramp", entry["ramp"], 0, count)
        low = 1 if cell == "tap" else 0
        end = {"tap": spec.ramp_walks[ramp].ticks + 1, "calibration": spec.calibration_cells, "start": _MOST}[cell]
        place = _index(path, number, "tick", entry["tick"], low, end) - low
        part = 0
        if entry.get("part", "") != "":
            part = _index(path, number, "part", entry["part"], 0, _MOST if cell == "calibration" else 1)
        key = _RAMP_CELLS[cell], ramp, place, part
        if key in found:
            where = f"{cell} {entry['tick']}" + (f" part {part}" if part else "")
            raise ConductanceError(f"{path} line {number}: cell {where} of ramp {ramp} appears twice")
        values = [_number(path, number, columns[0], entry[columns[0]])]
        if len(columns) > 1:  # an empty entry: nothing is subtracted
            values.append(_number(path, number, columns[1], entry[columns[1]] or "0"))
        found[key] = [value * scale for value in values]
    return _ramp_arrays(path, found, spec)


def _ramp_arrays(path, found: dict, spec) -> dict[str, np.ndarray]:
    """Arrays of the cells ``found``: (array, ramp, place, part) to conductances, of a cell or a pair."""

    def most(name, which):
        return 1 + max((key[which] for key in found if key[0] == name), default=0)

    count, pairs = len(spec.ramps), any(len(values) > 1 for values in found.values())
    sizes = {"ramp": (spec.ticks,), "ramp_start": (most("ramp_start", 2),)}
    sizes["calibration"] = (spec.calibration_cells, most("calibration", 3))
    arrays = {}
    for name, size in sizes.items():
        both = np.full((2, count, *size), np.nan)
        for (mine, ramp, place, part), values in found.items():
            if mine == name:
                at = (ramp, place, part) if name == "calibration" else (ramp, place)
                both[(slice(len(values)), *at)] = values
        if name != "ramp":
            for at in map(tuple, np.argwhere(~np.isnan(both[0]))):
                if at[-1] and np.isnan(both[0][(*at[:-1], at[-1] - 1)]):
                    what = f"start cell {at[-1]}" if len(at) == 2 else f"part {at[-1]} of calibration cell {at[1]}"
                    raise ConductanceError(
                        f"{path}: has {what} of ramp {at[0]}, but not the one before it; give all, from 0 on"
                    )
            # Where one ramp, or bit, has fewer cells in parallel than another, there is none.
            both = np.where(np.isnan(both) & ~np.isnan(both).all(axis=-1, keepdims=True), 0.0, both)
        arrays[name] = both[0]
        if pairs:
            arrays[f"{name}_negative"] = both[1]
    if arrays["calibration"].shape[2] == 1:
        arrays |= {name: values[..., 0] for name, values in arrays.items() if name.startswith("calibration")}
    return _without_empty(arrays)


def _of_mode(units: dict[str, float], technology: Technology) -> dict[str, float]:
    """Those of ``units`` that cells of ``technology`` are measured in: farads in charge mode, else siemens."""
    charge = technology.read_mode == "charge"
    return {name: scale for name, scale in units.items() if name.endswith(("F", "farad")) == charge}


def _columns(path, header, layouts, texts, technology) -> tuple[list[str], float]:
    """The columns that hold cells, as one of ``layouts`` names them, and their unit."""
    suffixes = _of_mode(_SUFFIXES, technology)
    cells = dict.fromkeys(name for names in layouts for name in names)
    allowed = texts | {f"{name}_{suffix}" for name in cells for suffix in suffixes}
    for name in header:
        if name not in allowed:
            raise ConductanceError(f"{path}: column {name!r} is unknown; known: {', '.join(sorted(allowed))}")
    if len(set(header)) != len(header):
        raise ConductanceError(f"{path}: a column appears twice: {','.join(header)}")
    for names in layouts:
        for suffix, scale in suffixes.items():
            columns = [f"{name}_{suffix}" for name in names]
            if set(columns) <= set(header):
                others = [name for name in header if name not in texts and name not in columns]
                if others:
                    raise ConductanceError(f"{path}: cells are given twice: {columns[0]} and {others[0]}")
                return columns, scale
    wanted = [f"{name}_{next(iter(suffixes))}" for name in layouts[0]]
    raise ConductanceError(f"{path}: column {wanted[0]} is missing" + (f", or {wanted[1]}" if len(wanted) > 1 else ""))


def _entry(path, number, header, line) -> dict[str, str]:
    if len(line) != len(header):
        raise ConductanceError(f"{path} line {number}: has {len(line)} entries; its header has {len(header)}")
    return dict(zip(header, (text.strip() for text in line), strict=True))


def _index(path, number, name, text, low, end) -> int:
    """A whole number from ``low`` on, below ``end``; ``3.0``, too, as tables write a column that has empty entries."""
    text = text.removesuffix(".0")
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and low <= int(text) < end):
        allowed = f"{low} to {end - 1}" if end > low else "none, the specification has no such cells"
        raise ConductanceError(f"{path} line {number}: {name} is {text[:20]!r}; allowed: {allowed}")
    return int(text)


def _number(path, number, name, text) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConductanceError(f"{path} line {number}: {name} is {text!r}; expected a number, or leave the line out")
    return value


def _line_cell(path, number: int, entry: dict[str, str], spec: Specification, names: list[str]) -> int:
    """Which of the lines' cells a line of a table means: by its wire, and by its column where that has several."""
    use = entry.get("row_use", "")
    found = [place for place, name in enumerate(names) if name == use]
    if not found:
        known = f"state cells are {names[0]} to {names[-1]}" if names else f"the cell {spec.cell} has no lines"
        raise ConductanceError(f"{path} line {number}: row is empty and row_use {use!r}; {known}")
    if len(found) == 1:
        return found[0]
    column = _index(path, number, "column", entry["column"], 0, spec.columns)
    columns = spec.line_columns[found].tolist()
    if column not in columns:
        told = ", ".join(map(str, columns))
        raise ConductanceError(f"{path} line {number}: column is {column}; {use} has cells on the columns {told}")
    return found[columns.index(column)]


def _where(spec: Specification, place: tuple) -> str:
    if len(place) == 1:
        return f"{line_cell_names(spec)[place[0]]} on column {spec.line_columns[place[0]]}"
    return f"row {place[0]}, column {reference_names(spec)[-1 - place[1]] if place[1] < 0 else place[1]}"


def _without_empty(arrays: dict) -> dict:
    return {name: values for name, values in arrays.items() if not np.isnan(values).all()}
