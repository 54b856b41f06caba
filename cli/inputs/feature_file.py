# SPDX-License-Identifier: Apache-2.0
"""Files of features: ``.npy`` with one array, ``.npz`` with pulse codes and labels.

An array's header is compared with the bytes that the file holds before memory is taken for it, and nothing is ever
unpickled.
"""

import io
import math
import os
import stat
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import BinaryIO

import numpy as np
from crossramp.golden.common.errors import InvalidValue, UserError
from crossramp.golden.common.integer_arrays import checked_integers
from crossramp.golden.common.wording import printable
from crossramp.golden.inputs.features import pulse_codes
from crossramp.golden.inputs.recordings import SATURATED, Findings
from crossramp.golden.layers.network_specification import AnySpecification
from crossramp.golden.macro.initial_state import Starts, State, streaming_macros
from crossramp.golden.network.model_file import Model
from crossramp.golden.spec.specification import Specification

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
NO_HEADER = (ValueError, KeyError, TypeError, EOFError, SyntaxError, OverflowError, MemoryError, RecursionError)
_DEFLATED_MOST = 1032  # bytes that a byte of deflate can stand for, at most

#: Beyond full scale by more than rounding to single precision makes.
_BEYOND = 1 + 1e-6


def read_features(model: Model, path: Path, findings: Findings) -> np.ndarray:
    """Pulse codes: int64, shape (utterances, steps, inputs).

    The type of the array decides: floats are real features, full scale ±1.0 or that of the model's real inputs,
    saturated there and told to ``findings``; integers are pulse codes.

    Raises
    ------
    UserError
        For a file that is missing, no ``.npy``, of a wrong type or shape, or too long; for a value that is not finite,
        a code out of range, or floats beyond ±1.0 that are all whole numbers, which pulse codes saved as floats are.
    """
    name, spec = printable(path), model.spec
    array = read_npy(path, name)
    if array.dtype.kind not in "iuf":
        raise UserError(f"{name}: holds {array.dtype}; expected real features (floats) or pulse codes (integers)")
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or array.shape[2] != spec.inputs or 0 in array.shape:
        raise UserError(
            f"{name}: has the shape {array.shape}; expected ([utterances,] steps, {spec.inputs} inputs), none of them 0"
        )
    if array.shape[1] > spec.max_steps and spec.readout != "step":
        raise UserError(f"{name}: has {array.shape[1]} steps; the network takes at most {spec.max_steps}")
    try:
        if array.dtype.kind == "f":
            with np.errstate(over="ignore"):  # of a longer type: infinite, and refused
                values = array.astype(np.float64)
            if model.real_inputs is not None:
                values = model.real_inputs.scaled(values)
            array = pulse_codes(values, spec.input_bits)
            _check_scale(name, values, spec.input_max, findings, model.real_inputs is None)
        return checked_integers("x", array, (None, None, None), spec.input_max)
    except InvalidValue as error:
        raise UserError(f"{name}: {error}") from None


def _check_scale(name: str, values: np.ndarray, full_scale: int, findings: Findings, of_one: bool) -> None:
    """Tells what saturates; ``of_one``: the values were not scaled, so their full scale is 1."""
    beyond = np.abs(values) > _BEYOND
    count = int(beyond.sum())
    if not count:
        return
    largest = float(np.abs(values).max())
    if of_one and (values == np.rint(values)).all():
        raise InvalidValue(
            f"holds floats that are all whole numbers, up to ±{largest:g}, while real features lie within ±1.0; "
            "save pulse codes as integers (x.astype(numpy.int16)), or divide real features by their full scale"
        )
    at = tuple(map(int, np.argwhere(beyond)[0]))
    findings.saturated += count
    findings.add(
        SATURATED,
        f"{name}: {count} of {values.size} values lie beyond ±1.0{'' if of_one else ' of their full scale'} and "
        f"saturate at ±{full_scale}; the first is {values[at]:g} at {list(at)}, the largest ±{largest:g}",
    )


def read_archive(model: Model, path: Path) -> tuple[np.ndarray, np.ndarray, Starts]:
    """``codes`` (recordings, steps, inputs) and ``labels`` (recordings,), int64, of an ``.npz`` file.

    Of a model with real inputs, ``features`` may stand in the place of codes, real numbers over their full scales.

    A label is the index of a class, or -1 where it is not known. Where the outputs are numbers, labels are real ones,
    float64, shape (recordings, outputs), in the file also (recordings,) for one output; nan where one is not known.

    What the recordings start from, in the order of the file, are its arrays ``initial_c`` (recordings, units) and
    ``initial_h`` (recordings, hidden), integers, and ``keep`` (recordings,), bool; a network that has no use for one of
    them has none. Of several layers, the states have the macros' names: ``layer0.initial_c``.

    Raises
    ------
    UserError
        For a file that is missing or no such archive, or arrays of a wrong type, shape or range.
    """
    name, spec = printable(path), model.spec
    try:
        with opened(path) as file, zipfile.ZipFile(file) as archive:
            real = model.real_inputs is not None and "codes.npy" not in archive.namelist()
            codes, labels = (member(archive, which) for which in ("features" if real else "codes", "labels"))
            lengths = member(archive, "lengths") if real and "lengths.npy" in archive.namelist() else None
            names = (name.removesuffix(".npy") for name in archive.namelist())
            there = {which: member(archive, which) for which in names if _says_starts(which)}
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror or error}); give a .npz file") from None
    except (*NO_HEADER, TokenError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError):
        also = " (or features)" if model.real_inputs is not None else ""
        raise UserError(f"{name}: expected a .npz file with two arrays, codes{also} and labels") from None
    if real:
        codes = _coded(model, name, codes, lengths)
    numbers = model.output_unit is not None
    if codes.dtype.kind not in "iu" or labels.dtype.kind not in ("iuf" if numbers else "iu"):
        expected = "integers and real numbers" if numbers else "integers"
        raise UserError(f"{name}: codes hold {codes.dtype}, labels {labels.dtype}; expected {expected}")
    if numbers and labels.ndim == 1 and spec.classes == 1:
        labels = labels[:, None]
    wanted = (*codes.shape[:1], spec.classes) if numbers else codes.shape[:1]
    if codes.ndim != 3 or codes.shape[2] != spec.inputs or 0 in codes.shape or labels.shape != wanted:
        shape = f"(recordings, {spec.classes})" if numbers else "(recordings,)"
        raise UserError(
            f"{name}: codes have the shape {codes.shape}, labels {labels.shape}; expected (recordings, steps, "
            f"{spec.inputs}) and {shape}"
        )
    if codes.shape[1] > spec.max_steps:
        raise UserError(f"{name}: has {codes.shape[1]} steps; the network takes at most {spec.max_steps}")
    if numbers:
        labels = labels.astype(np.float64)
        if np.isinf(labels).any():
            raise UserError(f"{name}: a label is infinite; write nan where it is not known")
    elif labels.min() < -1 or labels.max() >= spec.classes:
        raise UserError(f"{name}: labels reach from {labels.min()} to {labels.max()}; classes: 0 to {spec.classes - 1}")
    try:
        codes = checked_integers("codes", codes, (None, None, None), spec.input_max)
        return codes, labels if numbers else labels.astype(np.int64), _starts(spec, there, len(codes))
    except InvalidValue as error:
        raise UserError(f"{name}: {error}") from None


def _says_starts(name: str) -> bool:
    """Whether an array of an archive says what recordings start from."""
    return name == "keep" or name.rpartition(".")[2] in ("initial_c", "initial_h")


def _coded(model: Model, name: str, features: np.ndarray, lengths: np.ndarray | None) -> np.ndarray:
    """Pulse codes of the array ``features`` of an archive; UserError for what is not real or not of one length."""
    if features.dtype.kind not in "iuf" or features.ndim != 3 or features.shape[2] != model.real_inputs.inputs:
        raise UserError(
            f"{name}: features are {features.dtype} of the shape {features.shape}; expected real numbers, (recordings, "
            f"steps, {model.real_inputs.inputs})"
        )
    if lengths is not None and not np.array_equal(lengths, np.full(len(features), features.shape[1])):
        raise UserError(f"{name}: lengths differ, and recordings here have one length; give a file for each length")
    try:
        return model.real_inputs.codes(features, model.spec.input_bits)
    except InvalidValue as error:
        raise UserError(f"{name}: {error}") from None


def _starts(spec: AnySpecification, there: dict[str, np.ndarray], utterances: int) -> Starts:
    """What the arrays of an archive say; InvalidValue where they do not fit."""
    states = {name: values for name, values in there.items() if name != "keep"}
    given = {}
    for macro, part in streaming_macros(spec).items():
        arrays = {}
        for which, needed, size in (
            ("initial_c", part.layout.register is not None, part.units),
            ("initial_h", part.output_is_state, part.hidden),
        ):
            name = f"{macro}.{which}" if macro else which
            if needed and name not in states:
                where = macro or "the network"
                raise InvalidValue(f"initial of {where} is 'stream', but there is no array {name}; add it")
            arrays[which] = states.pop(name, np.zeros((utterances, size), np.int64))
        given[macro] = State(*arrays.values())
    if states:
        where = f"states come through a stream for {', '.join(given) or 'no macro'}"
        if isinstance(spec, Specification):
            where = f"initial of the network is {spec.initial!r}"
        raise InvalidValue(f"holds {', '.join(states)}, but {where}; leave them out")
    starts = Starts(there.get("keep"), given.get("") if isinstance(spec, Specification) else given or None)
    return starts.checked(spec, utterances)


def read_npy(path: Path, name: str) -> np.ndarray:
    """The array of a ``.npy`` file; UserError, which calls it ``name``, for anything else."""
    try:
        with opened(path) as file:
            if file.read(4) == b"PK\x03\x04":
                raise UserError(f"{name}: an archive of several arrays; write one array with numpy.save")
            file.seek(0)
            return _array(file, os.fstat(file.fileno()).st_size)
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror or error}); give a .npy file") from None
    except _Short as error:
        raise UserError(f"{name}: {error}; copy it again, or write it again with numpy.save") from None
    except UserError:
        raise
    except (*NO_HEADER, TokenError):
        raise UserError(f"{name}: no .npy file of numbers; write one with numpy.save") from None


class _Short(ValueError):
    """A file holds fewer bytes than its header says."""


def opened(path: Path) -> BinaryIO:
    """A regular file, open; OSError for what cannot be read, a pipe and a device."""
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # to open a pipe may take forever
        raise OSError(None, "it is a pipe or a device")
    return open(path, "rb")


def _array(file: BinaryIO, size: int) -> np.ndarray:
    """The array that an open file of ``size`` bytes holds; one of ``NO_HEADER`` or _Short if it holds no array."""
    shape, fortran, dtype = _HEADERS[np.lib.format.read_magic(file)](file)
    if dtype.hasobject:
        raise InvalidValue("objects, which would have to be unpickled")
    wanted, left = math.prod(shape) * dtype.itemsize, size - file.tell()
    if wanted > left or any(length < 0 for length in shape):
        raise _Short(f"holds {left} bytes of data, its shape {shape} needs {wanted}")
    data = np.frombuffer(file.read(wanted), dtype)
    return data.reshape(shape, order="F" if fortran else "C")


def member(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """An array of an archive; KeyError, or one of ``NO_HEADER``, without it."""
    about = archive.getinfo(f"{name}.npy")
    if about.file_size > _DEFLATED_MOST * (about.compress_size + 1):
        raise InvalidValue("more bytes than its compressed ones can stand for")
    data = archive.read(about)
    return _array(io.BytesIO(data), len(data))
