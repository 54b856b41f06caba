# SPDX-License-Identifier: Apache-2.0
"""ONNX files: read and checked, with nodes and constants as Python and numpy have them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.common.installation import how_to_install

#: Opsets of the standard operators that are read. 7 is the first with today's recurrent operators.
OPSET_LEAST = 7

_STANDARD = ("", "ai.onnx")


@dataclass(frozen=True)
class OnnxNode:
    """A node of the graph.

    Attributes
    ----------
    kind, domain : str
        Its operator; the domain is empty for a standard one.
    name : str
        Its own name, or that of its first output.
    inputs, outputs : tuple of str
        Names of tensors; empty where one is left out.
    attributes : dict
        Numbers, texts, lists of them, and arrays.
    proto : NodeProto
    """

    kind: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    proto: Any

    def refuse(self, reason: str) -> NoReturn:
        """Raise InvalidValue with the name of the node."""
        raise InvalidValue(f"node {self.name!r} ({self.kind}): {reason}")


@dataclass(frozen=True)
class OnnxGraph:
    """A graph without functions, each constant an array.

    Attributes
    ----------
    nodes : tuple of OnnxNode
        Each behind those whose outputs it takes.
    constants : dict of array
    inputs : dict
        What a network is given at run time: name to the sizes of its axes, None where one is not known.
    outputs : tuple of str
    opset : int
    producer : str
    """

    nodes: tuple[OnnxNode, ...]
    constants: dict[str, np.ndarray]
    inputs: dict[str, tuple[int | None, ...]]
    outputs: tuple[str, ...]
    opset: int
    producer: str


def load_onnx(path: str | Path):
    """The ModelProto in a file.

    Raises
    ------
    InvalidValue
        For a missing or damaged file, one that is no ONNX model, and if onnx is not installed.
    """
    onnx = _library()
    path = Path(path)
    try:
        model = onnx.load(path)
    except OSError as error:
        raise InvalidValue(f"{path}: {error.strerror or 'its external data cannot be read'}") from None
    except Exception as error:  # of protobuf, and onnx's own about external data
        reason = one_line(" ".join(str(error).split()))
        raise InvalidValue(f"{path} is not an ONNX model, or damaged ({reason[:100]}); export it again") from None
    if not model.graph.node or not model.opset_import:
        raise InvalidValue(f"{path} is not an ONNX model, or has no nodes; export it again")
    return model


def graph_of(model) -> OnnxGraph:
    """The graph of a ModelProto, its functions put in their places.

    Raises
    ------
    InvalidValue
        For an opset that is not read, and constants that cannot be.
    """
    onnx = _library()
    if model.functions:
        model = onnx.inliner.inline_local_functions(model)
    newest = onnx.defs.onnx_opset_version()
    opset = next((entry.version for entry in model.opset_import if entry.domain in _STANDARD), None)
    if opset is None or not OPSET_LEAST <= opset <= newest:
        raise InvalidValue(f"the opset is {opset}; {OPSET_LEAST} to {newest} are read, so export it with one of these")
    graph = model.graph
    if graph.sparse_initializer:
        raise InvalidValue(f"constant {graph.sparse_initializer[0].values.name!r} is sparse; export dense weights")
    constants = {_text(tensor.name): _array(onnx, tensor, _text(tensor.name)) for tensor in graph.initializer}
    inputs = {
        _text(one.name): tuple(
            dimension.dim_value if dimension.HasField("dim_value") and dimension.dim_value > 0 else None
            for dimension in one.type.tensor_type.shape.dim
        )
        for one in graph.input
        if _text(one.name) not in constants
    }
    nodes = tuple(_node(onnx, proto) for proto in graph.node)
    outputs = tuple(_text(one.name) for one in graph.output)
    return OnnxGraph(nodes, constants, inputs, outputs, opset, model.producer_name)


def _library():
    try:
        import onnx
        import onnx.inliner
    except ImportError:
        raise InvalidValue(f"ONNX files need the library onnx; type: {how_to_install('import')}") from None
    return onnx


def _array(onnx, tensor, name: str) -> np.ndarray:
    try:
        return onnx.numpy_helper.to_array(tensor)
    except Exception as error:  # a size that its data lacks, an unknown type
        reason = one_line(" ".join(str(error).split()))
        raise InvalidValue(f"constant {name!r} cannot be read ({reason[:100]}); export it again") from None


def _node(onnx, proto) -> OnnxNode:
    outputs = tuple(map(_text, proto.output))
    name = _text(proto.name) or next((output for output in outputs if output), "")
    attributes = {}
    for one in proto.attribute:
        value = onnx.helper.get_attribute_value(one)
        if isinstance(value, onnx.TensorProto):
            value = _array(onnx, value, f"{name} {_text(one.name)}")
        attributes[_text(one.name)] = [_text(v) for v in value] if isinstance(value, list) else _text(value)
    domain = "" if proto.domain in _STANDARD else _text(proto.domain)
    return OnnxNode(_text(proto.op_type), domain, name, tuple(map(_text, proto.input)), outputs, attributes, proto)


def _text(value):
    """Names and texts in one line; protobuf gives a damaged one as bytes."""
    value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    return one_line(value) if isinstance(value, str) else value


def one_line(text: str) -> str:
    """A text of a file as errors show it: what cannot be printed as ?."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
