# SPDX-License-Identifier: Apache-2.0
"""The model file: one ``.npz`` that holds a trained network and all that is needed to use it.

Members: the integer arrays ``weights`` (int8), ``head_weights`` (int16) and ``head_biases`` (int32), where there is a
projection also ``projection_weights`` (int16), and ``model``, a JSON text in UTF-8 as a uint8 array, with the
specification, class names, feature settings, provenance, and the hashes that tie them together. Equal content makes
equal bytes. Nothing is ever unpickled: a loaded array is checked by its header before its data is read.
"""

import hashlib
import io
import json
import math
import os
import zipfile
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from ..array.weights import Weights
from ..common.checks import real
from ..common.content_hash import content_hash
from ..common.errors import InvalidValue
from ..common.whole_file import whole_file
from ..inputs.features import FeatureSettings
from ..inputs.real_inputs import KIND as REAL
from ..inputs.real_inputs import RealInputs
from ..inputs.text_codes import KIND as TEXT
from ..inputs.text_codes import TextSettings
from ..layers.network_specification import AnySpecification, specification_from
from ..macro.trace import Trace
from .layered_network import LayeredNetwork, network_of
from .layered_weights import LayeredWeights, file_arrays, weights_from
from .network import Network

FORMAT = "crossramp-model"
VERSION = 1

#: Where the shipped models are; ``<name>.npz`` each.
MODELS = Path(__file__).parents[1] / "models"

_TEXT = "model"
_KEYS = ("format", "version", "specification", "specification_hash", "arrays_hash", "classes", "features", "provenance")
_OPTIONAL = ("output_unit",)  # left out where the outputs are classes: equal content makes equal bytes
_HEADER_MAX = 1 << 12  # bytes before an array's data; ours take 128
_TEXT_MAX = 1 << 24  # bytes of JSON
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest a ZIP can state, so that equal content makes equal bytes
_REMAKE = "make it again with save_model, or copy it again"


class ModelFileError(InvalidValue):
    """A model file is missing, damaged or inconsistent; one line with the path, the value and what to do."""


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network with what surrounds it.

    Parameters
    ----------
    spec : Specification or NetworkSpecification
    weights : Weights or LayeredWeights
        Kept as read-only int64 arrays.
    class_names : tuple of str
        One distinct name a class.
    features : dict or None
        What feeds the network: :meth:`.features.FeatureSettings.to_dict` of a front end for speech, or what names its
        kind, :meth:`.text_codes.TextSettings.to_dict` and :meth:`.real_inputs.RealInputs.to_dict`; None for a network
        with other inputs.
    provenance : dict
        How the model came about, as JSON types.
    output_unit : float or None
        Given: the outputs are numbers, not classes, and this is the real value of one unit of a logit; of the readout
        ``"mean"``, of the logit over the number of steps. ``class_names`` are then the names of the outputs.

    Raises
    ------
    InvalidValue
        For a wrong shape, type or value of anything; the message quotes it.
    """

    spec: AnySpecification
    weights: Weights | LayeredWeights
    class_names: tuple[str, ...]
    features: dict | None = None
    provenance: dict = field(default_factory=dict)
    output_unit: float | None = None

    def __post_init__(self):
        object.__setattr__(self, "weights", self.weights.checked(self.spec))
        object.__setattr__(self, "class_names", _checked_names(self.class_names, self.spec.classes))
        self._check_features()
        if not isinstance(self.provenance, dict):
            raise InvalidValue(f"provenance is {self.provenance!r}; expected a dict of JSON types")
        _to_json(self.provenance)
        if self.output_unit is not None:
            unit = real(self.output_unit)
            if unit is None or not 0 < unit < math.inf:
                raise InvalidValue(f"output_unit is {self.output_unit!r}; expected the real value of a logit's unit")
            if self.text_settings is not None:
                raise InvalidValue(f"output_unit is {unit!r}, but the outputs of a text are characters; leave it out")
            object.__setattr__(self, "output_unit", unit)

    def _check_features(self):
        settings, spec = self.feature_settings, self.spec
        if self.text_settings is not None:
            self._check_text(self.text_settings)
        if self.real_inputs is not None and self.real_inputs.inputs != spec.inputs:
            raise InvalidValue(
                f"there are full scales of {self.real_inputs.inputs} inputs, but the network has {spec.inputs} inputs"
            )
        if settings is None:
            return
        if settings.inputs != spec.inputs:
            raise InvalidValue(
                f"the features have {settings.inputs} values a step, but the network has {spec.inputs} inputs"
            )
        if not 1 <= settings.steps <= spec.max_steps:
            raise InvalidValue(f"the features make {settings.steps} steps; the network takes 1 to {spec.max_steps}")

    def _check_text(self, settings: TextSettings):
        spec, characters = self.spec, len(settings.vocabulary)
        if spec.readout != "step":
            raise InvalidValue(f"the readout is {spec.readout!r}; a text model has logits after every 'step'")
        if settings.inputs != spec.inputs:
            raise InvalidValue(f"a character is {settings.inputs} codes, but the network has {spec.inputs} inputs")
        if characters != spec.classes:
            raise InvalidValue(
                f"the vocabulary has {characters} characters, but the network has {spec.classes} classes"
            )
        if settings.full_scale != spec.input_max:
            raise InvalidValue(f"full_scale of text is {settings.full_scale}, but the network's is {spec.input_max}")
        if self.class_names != settings.class_names:
            raise InvalidValue("the class names are not those of the vocabulary's characters")

    @cached_property
    def network(self) -> Network | LayeredNetwork:
        """The golden network of this model."""
        return network_of(self.spec, self.weights)

    def results(self, trace: Trace, steps: int) -> np.ndarray:
        """What utterances of ``steps`` steps gave: answers, or where the outputs are numbers their real values.

        int64, shape (batch,), or float64, shape (batch, outputs); with the readout ``"step"`` (batch, steps) and
        (batch, steps, outputs).
        """
        return trace.answers if self.output_unit is None else self.outputs(trace.logits, steps)

    def outputs(self, logits: np.ndarray, steps: int) -> np.ndarray:
        """Real values of logits, float64 of the same shape, of utterances of ``steps`` steps."""
        return logits * (self.output_unit / (steps if self.spec.readout == "mean" else 1))

    @cached_property
    def feature_settings(self) -> FeatureSettings | None:
        """The settings of a front end for speech, or None."""
        return FeatureSettings.from_dict(self.features) if self._kind == "speech" else None

    @cached_property
    def text_settings(self) -> TextSettings | None:
        """The vocabulary and codes of a text model, or None."""
        return TextSettings.from_dict(self.features) if self._kind == TEXT else None

    @cached_property
    def real_inputs(self) -> RealInputs | None:
        """The full scales of real inputs, or None."""
        return RealInputs.from_dict(self.features) if self._kind == REAL else None

    @property
    def _kind(self) -> str | None:
        """What feeds the network; settings that name no kind are those of speech."""
        if self.features is None:
            return None
        if not isinstance(self.features, dict):
            raise InvalidValue(f"features is {self.features!r}; expected a dict of feature settings or null")
        kind = self.features.get("kind", "speech")
        if kind not in (TEXT, REAL) and "kind" in self.features:
            raise InvalidValue(
                f"the features' kind is {kind!r}; known: {TEXT!r}, {REAL!r}, and speech, which names none"
            )
        return kind

    @cached_property
    def content_hash(self) -> str:
        """16 hex digits of specification, weights and classes: all that decides an answer and its name."""
        text = self.spec.content_hash + _arrays_hash(_narrow(self)) + _to_json(list(self.class_names))
        if self.output_unit is not None:
            text += self.output_unit.hex()
        return content_hash(text)


def shipped_models() -> list[str]:
    """The names that :func:`model_path` knows, sorted."""
    return sorted(path.stem for path in MODELS.glob("*.npz"))


def model_path(name_or_path: str | os.PathLike) -> Path:
    """The file of a model: a shipped model's name (``"kws"``), else a path to an existing file.

    Raises
    ------
    ModelFileError
        For neither; the message lists the shipped names.
    """
    text = os.fspath(name_or_path)
    if text in shipped_models():
        return MODELS / f"{text}.npz"
    path = Path(text)
    if not path.is_file():
        what = "is a folder, not a model file" if path.is_dir() else "is neither a file nor a shipped model"
        shipped = ", ".join(shipped_models()) or "none"
        raise ModelFileError(f"{text!r} {what}; give the path of a .npz file, or one of: {shipped}")
    return path


def save_model(path: str | os.PathLike, model: Model) -> None:
    """Write ``model`` to ``path``, complete or not at all; equal models make equal bytes.

    Raises
    ------
    ModelFileError
        If the file cannot be written.
    """
    arrays = _narrow(model)
    text = _to_json(
        {
            "format": FORMAT,
            "version": VERSION,
            "specification": model.spec.to_dict(),
            "specification_hash": model.spec.content_hash,
            "arrays_hash": _arrays_hash(arrays),
            "classes": list(model.class_names),
            "features": model.features,
            "provenance": model.provenance,
            **({} if model.output_unit is None else {"output_unit": model.output_unit}),
        }
    )
    members = {_TEXT: np.frombuffer(text.encode(), np.uint8), **arrays}
    path = Path(path)
    try:
        # Stored, not deflated: the bytes then do not depend on the version of zlib.
        with whole_file(path) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED) as archive:
            for name, array in members.items():
                data = io.BytesIO()
                np.lib.format.write_array(data, array, version=(1, 0), allow_pickle=False)
                archive.writestr(zipfile.ZipInfo(f"{name}.npy", _ZIP_TIME), data.getvalue())
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be written ({error.strerror}); choose another path") from None


def load_model(name_or_path: str | os.PathLike) -> Model:
    """The model in a file, or the shipped model of that name, with everything checked.

    Raises
    ------
    ModelFileError
        For a file that is missing, no archive, truncated, of another version, with a member missing, unknown, of a
        wrong type, shape or range, with an inconsistent text, or whose hashes do not fit.
    """
    path = model_path(name_or_path)
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(archive)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from None
    except (ValueError, TypeError) as error:
        raise ModelFileError(f"{path}: {error}; correct it and {_REMAKE}") from None
    except zipfile.BadZipFile as error:
        raise ModelFileError(f"{path}: damaged, or no .npz archive ({error}); {_REMAKE}") from None
    except (EOFError, zlib.error, NotImplementedError, RuntimeError, MemoryError) as error:
        raise ModelFileError(f"{path}: damaged archive ({error or type(error).__name__}); {_REMAKE}") from None
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error.strerror or error}); check the file") from None


def _read(archive: zipfile.ZipFile) -> Model:
    for member in archive.infolist():
        # What numpy writes. Other methods bring decompressors, and errors, of their own.
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ModelFileError(f"{member.filename} is compressed by method {member.compress_type}; {_REMAKE}")
    names = archive.namelist()
    if f"{_TEXT}.npy" not in names:
        raise ModelFileError(f"{_TEXT}.npy is missing, found {', '.join(names) or 'nothing'}; {_REMAKE}")
    content = _parse(_member(archive, _TEXT, np.dtype(np.uint8), None).tobytes())
    spec = specification_from(content["specification"])
    if spec.content_hash != content["specification_hash"]:
        raise ModelFileError(
            f"specification_hash is {content['specification_hash']!r}, but the specification's is "
            f"{spec.content_hash!r}: it was edited or written by another version; {_REMAKE}"
        )
    expected = file_arrays(spec)
    for name in (f"{name}.npy" for name in expected):
        if name not in names:
            raise ModelFileError(f"{name} is missing, found {', '.join(names)}; {_REMAKE}")
    for name in names:
        if name not in (f"{name}.npy" for name in (_TEXT, *expected)) or names.count(name) > 1:
            raise ModelFileError(f"{name} is not expected, or twice there; {_REMAKE}")
    arrays = {name: _member(archive, name, array.dtype, array.shape(part)) for name, (array, part) in expected.items()}
    if _arrays_hash(arrays) != content["arrays_hash"]:
        raise ModelFileError(
            f"arrays_hash is {content['arrays_hash']!r}, but the arrays' is {_arrays_hash(arrays)!r}: "
            f"a weight was changed; {_REMAKE}"
        )
    classes = content["classes"]
    if not isinstance(classes, list):
        raise ModelFileError(f"classes is {classes!r}; expected a list of names; {_REMAKE}")
    weights = weights_from(spec, arrays)
    more = {key: content[key] for key in _OPTIONAL if key in content}
    return Model(spec, weights, tuple(classes), content["features"], content["provenance"], **more)


def _member(archive: zipfile.ZipFile, name: str, dtype: np.dtype, shape: tuple | None) -> np.ndarray:
    """One array, of exactly ``dtype`` and ``shape`` (None: any length), its header checked before its data."""
    limit = _HEADER_MAX + (_TEXT_MAX if shape is None else math.prod(shape) * dtype.itemsize)
    size = archive.getinfo(f"{name}.npy").file_size
    if size > limit:
        raise ModelFileError(f"{name}.npy has {size} bytes; expected at most {limit}; {_REMAKE}")
    data = io.BytesIO(archive.read(f"{name}.npy"))
    try:
        version = np.lib.format.read_magic(data)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        found_shape, fortran, found_dtype = read_header[version](data)
    except (ValueError, KeyError, TypeError, EOFError) as error:
        raise ModelFileError(f"{name}.npy has no header of an array ({error}); {_REMAKE}") from None
    if found_dtype != dtype:
        pickled = ", which would have to be unpickled" if found_dtype.hasobject else ""
        raise ModelFileError(f"{name} holds {found_dtype}{pickled}; expected {dtype}; {_REMAKE}")
    if shape is None:
        shape = (size - data.tell(),)
    if found_shape != shape:
        raise ModelFileError(f"{name} has the shape {found_shape}; expected {shape}; {_REMAKE}")
    payload = data.read()
    if len(payload) != math.prod(shape) * dtype.itemsize:
        raise ModelFileError(f"{name} has {len(payload)} bytes of data, its shape is {shape}; {_REMAKE}")
    return np.frombuffer(payload, dtype).reshape(shape, order="F" if fortran else "C")


def _parse(text: bytes) -> dict:
    """The JSON object of a model file, with every key there and the version known."""
    try:
        content = json.loads(text.decode(), parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{_TEXT}.npy holds no valid JSON ({error}); {_REMAKE}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else content
        raise ModelFileError(f"the format is {found!r:.80}; expected {FORMAT!r}; give a file made by save_model")
    version = content.get("version")
    if isinstance(version, bool) or version != VERSION:
        raise ModelFileError(
            f"the version is {version!r:.80}; known: {VERSION}; install a newer crossramp or {_REMAKE}"
        )
    for key in _KEYS:
        if key not in content:
            raise ModelFileError(f"{key!r} is missing in {_TEXT}.npy; {_REMAKE}")
    for key in content:
        if key not in (*_KEYS, *_OPTIONAL):
            known = ", ".join((*_KEYS, *_OPTIONAL))
            raise ModelFileError(f"{key!r} in {_TEXT}.npy is unknown; known: {known}; {_REMAKE}")
    return content


def _no_number(text: str):
    raise InvalidValue(f"{text} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        _no_number(text)
    return value


def _to_json(content) -> str:
    try:
        return json.dumps(content, allow_nan=False, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise InvalidValue(f"{content!r:.80} cannot be written as JSON: {error}") from None


def _narrow(model: Model) -> dict[str, np.ndarray]:
    """The arrays as they are in the file."""
    types = {name: array.dtype for name, (array, _) in file_arrays(model.spec).items()}
    return {name: np.ascontiguousarray(values, types[name]) for name, values in model.weights.arrays().items()}


def _arrays_hash(arrays: dict[str, np.ndarray]) -> str:
    """16 hex digits of the arrays' names, shapes and contents (C order)."""
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _checked_names(names, count: int) -> tuple[str, ...]:
    names = (names,) if isinstance(names, str) else tuple(names)
    for name in names:
        if not isinstance(name, str) or not name.strip() or not name.isprintable():
            raise InvalidValue(f"class name {name!r} is not printable text")
    if len(names) != count:
        raise InvalidValue(f"there are {len(names)} class names for {count} classes")
    seen = set()
    for name in names:
        if name in seen:
            raise InvalidValue(f"class name {name!r} appears twice")
        seen.add(name)
    return names
