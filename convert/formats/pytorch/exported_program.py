# SPDX-License-Identifier: Apache-2.0
"""Archives of torch.export (.pt2): the graph and the arrays in them, read as JSON and raw bytes.

torch.export.load would unpickle parts of an archive and evaluate expressions in it; nothing here does, and torch is not
needed. The format: https://docs.pytorch.org/docs/stable/user_guide/torch_compiler/export/pt2_archive.html, and the
schema of the graph torch/_export/serde/schema.py.
"""

import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, BinaryIO, NamedTuple, NoReturn

import numpy as np
from crossramp.golden.common.errors import InvalidValue

#: Major version of the schema of the graph that is read.
SCHEMA = 8

_INSTEAD = "export it again with torch.export.save of PyTorch 2.8 or newer"

#: numpy's types by the numbers of the schema's ScalarType; bfloat16 (13) is a float32 without its lower half.
_TYPES = {
    **{1: "u1", 2: "i1", 3: "<i2", 4: "<i4", 5: "<i8", 6: "<f2", 7: "<f4", 8: "<f8", 12: "?"},
    **{13: "<u2"},
}
_BFLOAT16 = 13

#: Archives are read whole: larger members than this are not networks for hardware like this.
_MOST_BYTES = 1 << 31


class Name(NamedTuple):
    """An argument that is the value of that name."""

    name: str


class Node(NamedTuple):
    """One operation: its name, operator, arguments by name and the names of what it gives; None: not used."""

    name: str
    target: str
    arguments: Mapping[str, Any]
    outputs: tuple[str | None, ...]

    @property
    def operator(self) -> str:
        """Of the namespace aten without its overload; others in full."""
        namespace, _, rest = self.target.partition(".")
        return rest.split(".")[0] if namespace == "aten" else self.target

    def refuse(self, reason: str) -> NoReturn:
        """Raise InvalidValue, with the node's name in front."""
        raise InvalidValue(f"node {self.name!r}: {reason}")


@dataclass(frozen=True, eq=False)
class ExportedGraph:
    """The graph of a program.

    Attributes
    ----------
    nodes : tuple of Node
        In the order of execution.
    inputs : tuple of str
        Names of the values that the caller gives.
    outputs : tuple of str
        Names of the values that the caller gets.
    arrays : dict of array
        Parameters, buffers and constants by the names of their values.
    names : dict of str
        By the names of their values, what the module calls them: ``"lstm.weight_ih_l0"``.
    shapes : dict of tuple
        By the names of values the shape; None for a length that is not fixed.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    arrays: dict[str, np.ndarray]
    names: dict[str, str]
    shapes: dict[str, tuple[int | None, ...]]


def read_exported(file: BinaryIO, title: str) -> ExportedGraph:
    """The graph of an archive.

    Parameters
    ----------
    file : binary file, seekable
    title : str
        What errors call it.

    Raises
    ------
    InvalidValue
        For an archive that is damaged, of another format or version, without exactly one program, that changes its
        buffers, or with tensors that can only be unpickled.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            return _graph(_Archive(archive, title))
    except InvalidValue:
        raise
    except Exception as error:  # whatever a foreign or damaged archive runs into: zip, JSON, missing keys, wrong types
        text = str(error).splitlines()
        why = f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
        raise InvalidValue(f"{title}: not a readable archive of torch.export ({why}); {_INSTEAD}") from None


class _Archive:
    """The members of an archive, without the folder that all of them are in."""

    def __init__(self, archive: zipfile.ZipFile, title: str):
        self.title, self._archive = title, archive
        names = archive.namelist()
        root = next((PurePosixPath(name).parts[0] for name in names if name.endswith("/archive_format")), "")
        self._names = {name.removeprefix(f"{root}/") if root else name: name for name in names}

    def members(self, folder: str, end: str) -> list[str]:
        return [name for name in self._names if name.startswith(folder) and name.endswith(end)]

    def bytes(self, name: str) -> bytes:
        if name not in self._names:
            raise InvalidValue(f"{self.title}: its {name} is missing; {_INSTEAD}")
        if self._archive.getinfo(self._names[name]).file_size > _MOST_BYTES:
            raise InvalidValue(
                f"{self.title}: its {name} has more than {_MOST_BYTES >> 30} GiB; export a smaller network"
            )
        return self._archive.read(self._names[name])

    def json(self, name: str):
        return json.loads(self.bytes(name))


def _graph(archive: _Archive) -> ExportedGraph:
    models = archive.members("models/", ".json")
    if len(models) != 1:
        raise InvalidValue(f"{archive.title}: has {len(models)} programs; {_INSTEAD}, with one program in it")
    model = PurePosixPath(models[0]).stem
    program = archive.json(models[0])
    major = program["schema_version"]["major"]
    if major != SCHEMA:
        raise InvalidValue(f"{archive.title}: schema version {major} of torch.export; {SCHEMA} can be read: {_INSTEAD}")
    graph, signature = program["graph_module"]["graph"], program["graph_module"]["signature"]
    tensors = _Tensors(archive, model)
    arrays, names, inputs = {}, {}, []
    for spec in signature["input_specs"]:
        (kind, content), *_ = spec.items()
        if kind in ("parameter", "buffer", "tensor_constant"):
            value = content["arg"]["name"]
            names[value] = content[f"{kind}_name"]
            arrays[value] = tensors.array(names[value])
        elif kind == "user_input":
            inputs.append(_argument(content["arg"]))
    for spec in signature["output_specs"]:
        (kind, content), *_ = spec.items()
        if kind in ("buffer_mutation", "user_input_mutation"):
            raise InvalidValue(
                f"{archive.title}: the program changes {content.get('buffer_name', 'its input')!r}; "
                "call module.eval() before the export"
            )
    return ExportedGraph(
        tuple(_node(node, number) for number, node in enumerate(graph["nodes"])),
        tuple(one.name for one in inputs if isinstance(one, Name)),
        tuple(one.name for one in map(_argument, graph["outputs"]) if isinstance(one, Name)),
        arrays,
        names,
        {name: tuple(map(_length, meta["sizes"])) for name, meta in graph["tensor_values"].items()},
    )


def _node(node: Mapping, number: int) -> Node:
    outputs = []
    for output in node["outputs"]:
        value = _argument(output)
        outputs += [
            one.name if isinstance(one, Name) else None for one in (value if isinstance(value, list) else [value])
        ]
    arguments = {one["name"]: _argument(one["arg"]) for one in node["inputs"]}
    target = node["target"].removeprefix("torch.ops.")
    name = node.get("name") or next(filter(None, outputs), f"{target}, number {number}")
    return Node(name, target, arguments, tuple(outputs))


def _argument(argument: Mapping) -> Any:
    """An argument of the schema as a Python value; values of the graph become :class:`Name`."""
    (kind, value), *_ = argument.items()
    if kind in ("as_tensor", "as_name"):
        return _name(value if isinstance(value, str) else value["name"])
    if kind in ("as_tensors", "as_nested_tensors"):
        return [_name(one["name"]) for one in value]
    if kind in ("as_sym_int", "as_sym_float", "as_sym_bool"):
        return _argument(value)
    if kind in ("as_sym_ints", "as_sym_floats", "as_optional_tensors"):
        return [_argument(one) for one in value]
    if kind == "as_none":
        return None
    return value


def _name(text: Any) -> Name:
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is not the name of a value")
    return Name(text)


def _length(size: Mapping) -> int | None:
    """A length of a shape; None: an expression, which is not evaluated."""
    return size.get("as_int")


class _Tensors:
    """Arrays of an archive by the names that the module gives them."""

    def __init__(self, archive: _Archive, model: str):
        self._archive = archive
        self._places = {}
        for folder, config in (("weights", "weights_config"), ("constants", "constants_config")):
            for name, payload in archive.json(f"data/{folder}/{model}_{config}.json")["config"].items():
                self._places[name] = (f"data/{folder}/{payload['path_name']}", payload)

    def array(self, name: str) -> np.ndarray:
        """A copy in float64, or in the array's own type if it holds integers."""
        title = self._archive.title
        if name not in self._places:
            raise InvalidValue(f"{title}: the array {name!r} is missing; {_INSTEAD}")
        member, payload = self._places[name]
        if payload["use_pickle"] or payload["tensor_meta"] is None:
            raise InvalidValue(
                f"{title}: {name!r} is stored as a pickle, which is never unpickled; export with plain tensors"
            )
        meta = payload["tensor_meta"]
        if meta["dtype"] not in _TYPES:
            raise InvalidValue(f"{title}: {name!r} has the type {meta['dtype']}; export it as float32")
        raw = np.frombuffer(self._archive.bytes(member), _TYPES[meta["dtype"]])
        sizes, strides = (tuple(one["as_int"] for one in meta[key]) for key in ("sizes", "strides"))
        offset = meta["storage_offset"]["as_int"]
        last = offset + sum((size - 1) * stride for size, stride in zip(sizes, strides, strict=True))
        # More elements than bytes are an expanded tensor, which no layer has, or a trap.
        if min((offset, *sizes, *strides)) < 0 or (0 not in sizes and max(last, math.prod(sizes) - 1) >= len(raw)):
            raise InvalidValue(f"{title}: the bytes of {name!r} end before the array does; {_INSTEAD}")
        index = np.full(sizes, offset)
        for axis, (size, stride) in enumerate(zip(sizes, strides, strict=True)):
            index += (np.arange(size) * stride).reshape([-1 if k == axis else 1 for k in range(len(sizes))])
        found = raw[index]
        if meta["dtype"] == _BFLOAT16:
            return (found.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
        return found.astype(np.float64) if found.dtype.kind == "f" else found
