# SPDX-License-Identifier: Apache-2.0
"""The network in a file, of whichever format it is."""

import zipfile
from pathlib import Path

from crossramp.golden.common.errors import InvalidValue

from ..float_network.imported_network import FloatNetwork
from .keras.keras_network import network_of_keras
from .onnx.onnx_reader import read_onnx
from .pytorch.exported_network import network_of_exported
from .pytorch.exported_program import read_exported
from .pytorch.torch_file import state_of_file
from .pytorch.torch_state import network_of_state

#: What is read, for errors.
FORMATS = (
    "a program of torch.export (.pt2), a state_dict of torch.save (.pt, .pth), "
    "a model of Keras (.keras, .h5), or an ONNX file (.onnx)"
)

_HDF5 = b"\x89HDF\r\n\x1a\n"
_PICKLE = b"\x80"


def read_network(path: Path, readout: str | None = None, nonlinearity: str | None = None) -> FloatNetwork:
    """The network in a file; its content says the format.

    Parameters
    ----------
    path : Path
    readout, nonlinearity : str or None
        Of a state_dict, which does not have them: see :func:`.pytorch.torch_state.network_of_state`.

    Raises
    ------
    InvalidValue
        For a file that is missing, damaged or of a format that is not read, for an option that the file's format does
        not need, and from the readers; the message begins with the file.
    """
    path = Path(path)
    kind = _kind(path)
    for option, value in (("readout", readout), ("nonlinearity", nonlinearity)):
        if value is not None and kind != "state":
            raise InvalidValue(f"{path}: {option} {value!r} is given, but the file says it itself; leave it out")
    try:
        if kind == "state":
            return network_of_state(state_of_file(path), readout, nonlinearity)
        if kind == "exported":
            with path.open("rb") as file:
                return network_of_exported(read_exported(file, str(path)), path.name)
        return read_onnx(path) if kind == "onnx" else network_of_keras(path)
    except InvalidValue as error:
        named = str(error).startswith((f"{path}:", f"{path.name}:"))
        raise InvalidValue(str(error) if named else f"{path.name}: {error}") from None


def _kind(path: Path) -> str:
    """``"state"``, ``"exported"``, ``"keras"``, or, by the name alone since its bytes do not tell, ``"onnx"``."""
    if path.is_dir():
        raise InvalidValue(f"{path} is a folder, such as a SavedModel of TensorFlow; save a model of Keras as .keras")
    try:
        with path.open("rb") as file:
            start = file.read(len(_HDF5))
    except OSError as error:
        raise InvalidValue(f"{path}: {error.strerror}; expected {FORMATS}") from None
    if start == _HDF5:
        return "keras"
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError):  # its directory is damaged
            names = []
        if "model.weights.h5" in names or "config.json" in names:
            return "keras"
        if any(name.endswith(("archive_format", "serialized_exported_program.json")) for name in names):
            return "exported"
        if any(name.endswith("data.pkl") for name in names):
            return "state"
        if names and all(name.endswith(".npy") for name in names):
            raise InvalidValue(f"{path}: arrays of numpy, perhaps a model of crossramp's own; expected {FORMATS}")
    elif path.suffix.lower() == ".onnx":
        return "onnx"
    elif start[:1] == _PICKLE:
        return "state"
    raise InvalidValue(f"{path}: damaged, or of a format that is not read; expected {FORMATS}")
