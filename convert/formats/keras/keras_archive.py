# SPDX-License-Identifier: Apache-2.0
"""Files of Keras: the model's configuration and the arrays of each layer.

``.keras`` (Keras 3, and Keras 2 from 2.12 on) is a zip archive of a JSON configuration and an HDF5 file whose groups
are named after the classes of the layers, in their order; ``.h5`` is one HDF5 file whose groups have the layers' names.
No code of a file is run, and no file besides it is opened.
"""

import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.common.installation import how_to_install

_INSTEAD = "save the whole model with model.save('net.keras')"

#: Larger configurations and arrays belong to no network for hardware like this.
_MOST_CHARACTERS, _MOST_VALUES = 1 << 26, 1 << 27


@dataclass(frozen=True)
class Place:
    """A layer of a model: its position for ``.keras``, its name for ``.h5``, and the models that it is nested in."""

    name: str
    group: str
    model: "Place | None" = None

    def inside(self, kind: str) -> "tuple[str, ...]":
        """Names or groups from the outermost model to this layer."""
        return (*(self.model.inside(kind) if self.model else ()), getattr(self, kind))


@dataclass(frozen=True, eq=False)
class KerasFile:
    """A model as it was saved.

    Attributes
    ----------
    title : str
        What errors call it.
    model : dict
        The configuration: ``class_name`` and ``config``.
    version : str
        Of Keras, such as ``"3.15.1"``; empty if the file does not say.
    """

    title: str
    model: Mapping[str, Any]
    version: str
    _arrays: Mapping[str, np.ndarray]
    _by_name: bool

    def arrays(self, place: Place, part: str, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Arrays of a layer by their names; float64.

        Parameters
        ----------
        part : str
            Where in the layer they are, as ``.keras`` has it: ``""``, ``"cell"``, ``"layer"``,
            ``"forward_layer/cell"`` or ``"backward_layer/cell"``.
        names : sequence of str
            In the order that Keras makes them.

        Raises
        ------
        InvalidValue
            If one is missing or not of a floating-point type.
        """
        find = self._named if self._by_name else self._numbered
        found = {}
        for number, name in enumerate(names):
            array = find(place, part, number, name)
            if array is None:
                raise InvalidValue(f"{self.title}: layer {place.name!r} has no {name}; {_INSTEAD} after it was built")
            if array.dtype.kind != "f":
                raise InvalidValue(
                    f"{self.title}: {name} of layer {place.name!r} has the type {array.dtype}; save it unquantized"
                )
            found[name] = array.astype(np.float64)
        return found

    def _numbered(self, place: Place, part: str, number: int, name: str) -> np.ndarray | None:
        for layers in ("layers", "_layer_checkpoint_dependencies"):  # the latter of Keras 2
            path = "/".join(f"{layers}/{group}" for group in place.inside("group"))
            array = self._arrays.get("/".join(filter(None, (path, part, "vars", str(number)))))
            if array is not None:
                return array
        return None

    def _named(self, place: Place, part: str, number: int, name: str) -> np.ndarray | None:
        # Groups between the layer and its arrays differ between versions; directions have prefixes in all.
        direction = part.split("_")[0] + "_" if part.startswith(("forward", "backward")) else ""
        top, *nested = place.inside("name")
        found = []
        for path, array in self._arrays.items():
            _, layer, *groups, last = path.split("/")
            if layer != top or last.partition(":")[0] != name or not set(nested) <= set(groups):
                continue
            if any(group.startswith(direction) for group in groups) or not direction:
                found.append(array)
        if len(found) > 1:
            raise InvalidValue(f"{self.title}: layer {place.name!r} has several arrays {name!r}; {_INSTEAD}")
        return found[0] if found else None


def groups_of(classes: Sequence[str]) -> list[str]:
    """The groups of a model's layers in a ``.keras`` file: the names of their classes, counted."""
    counts: dict[str, int] = {}
    found = []
    for name in classes:
        name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
        name = re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
        number = counts[name] = counts.get(name, -1) + 1
        found.append(f"{name}_{number}" if number else name)
    return found


def read_keras(path: Path) -> KerasFile:
    """A ``.keras`` or ``.h5`` file; which of both, its content tells.

    Raises
    ------
    InvalidValue
        For a file that is damaged or foreign, holds weights alone, refers to other files, or if h5py is not installed.
    """
    h5py = _h5py()
    title = str(path)
    try:
        if not zipfile.is_zipfile(path):
            with h5py.File(path, "r") as file:
                return _whole(title, file)
        with zipfile.ZipFile(path) as archive:
            model = json.loads(_text(archive, "config.json", title))
            metadata = json.loads(_text(archive, "metadata.json", title))
            weights = io.BytesIO(archive.read("model.weights.h5"))
        with h5py.File(weights, "r") as file:
            return KerasFile(title, model, str(metadata.get("keras_version", "")), _datasets(file, title), False)
    except InvalidValue:
        raise
    except (OSError, KeyError, ValueError, TypeError, RuntimeError, zipfile.BadZipFile) as error:
        text = str(error).strip("'\"").splitlines() or [type(error).__name__]
        raise InvalidValue(f"{title}: not a readable file of Keras ({text[0]}); {_INSTEAD}") from None


def _whole(title: str, file) -> KerasFile:
    """A model in one HDF5 file."""
    config = file.attrs.get("model_config")
    if config is None or "model_weights" not in file:
        raise InvalidValue(f"{title}: has weights, but no model; {_INSTEAD} instead of model.save_weights")
    config = config.decode() if isinstance(config, bytes) else config
    version = file.attrs.get("keras_version", "")
    version = version.decode() if isinstance(version, bytes) else version
    return KerasFile(title, json.loads(config), str(version), _datasets(file, title, "model_weights/"), True)


def _datasets(file, title: str, prefix: str = "") -> dict[str, np.ndarray]:
    """All arrays by their paths. Links to other files are not followed, and external storage is refused."""
    h5py = _h5py()
    found = {}

    def visit(name: str, item):
        if not isinstance(item, h5py.Dataset) or not name.startswith(prefix) or item.dtype.kind not in "fiu":
            return
        if item.external or item.is_virtual:
            raise InvalidValue(f"{title}: {name!r} is stored in another file; {_INSTEAD}")
        if item.size > _MOST_VALUES:
            raise InvalidValue(f"{title}: {name!r} has {item.size} values; save a smaller network")
        found[name] = item[()]

    file.visititems(visit)
    return found


def _text(archive: zipfile.ZipFile, name: str, title: str) -> str:
    if name not in archive.namelist():
        raise InvalidValue(f"{title}: its {name} is missing; {_INSTEAD}")
    if archive.getinfo(name).file_size > _MOST_CHARACTERS:
        raise InvalidValue(f"{title}: its {name} has more than {_MOST_CHARACTERS >> 20} MiB; {_INSTEAD}")
    return archive.read(name).decode()


def _h5py():
    try:
        import h5py
    except ImportError:
        raise InvalidValue(
            f"files of Keras need h5py, which is not installed; install it with: {how_to_install('import')}"
        ) from None
    return h5py
