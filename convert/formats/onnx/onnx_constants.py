# SPDX-License-Identifier: Apache-2.0
"""What an ONNX graph computes from constants and from the shapes of tensors, of which sizes need not be known.

Such values are arrays; one with a size that is not known is an array of objects, ints and :class:`.tensor_axes.Dim`.
"""

import math
from collections.abc import Sequence

import numpy as np
from crossramp.golden.common.errors import InvalidValue

from ...graph.tensor_axes import Dim
from .onnx_file import OnnxNode, one_line

#: Larger constants belong to no network for hardware like this.
_MOST_VALUES = 1 << 24


def folded(node: OnnxNode, values: Sequence[np.ndarray | None], opset: int) -> list[np.ndarray]:
    """The outputs of a node all of whose inputs are constants.

    Raises
    ------
    InvalidValue
        For an operator of an unknown domain, and one that cannot be computed.
    """
    if any(value is not None and value.dtype == object for value in values):
        return [_of_sizes(node, values)]
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    given = {name: value for name, value in zip(node.inputs, values, strict=True) if name}
    wanted = [name for name in node.outputs if name]
    graph = helper.make_graph(
        [node.proto],
        "constants",
        [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in given.items()],
        [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in wanted],
    )
    try:
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        found = ReferenceEvaluator(model).run(None, given)
    except Exception as error:  # whatever the reference raises: it names no file
        reason = one_line(" ".join(str(error).split()))
        node.refuse(f"this constant cannot be computed ({reason[:100]}); export with constant folding")
    return [np.asarray(value) for value in found]


def integers(node: OnnxNode, value, what: str) -> list[int | Dim]:
    """The entries of a constant: an axis, a shape, places."""
    if not isinstance(value, np.ndarray) or (value.dtype != object and value.dtype.kind not in "iu"):
        node.refuse(f"its {what} are computed at run time; export constant ones")
    return [entry if isinstance(entry, Dim) else int(entry) for entry in value.reshape(-1)]


def known(node: OnnxNode, value, what: str) -> list[int]:
    """:func:`integers`, none of which may be a size that is not known."""
    found = integers(node, value, what)
    if any(isinstance(entry, Dim) for entry in found):
        node.refuse(f"its {what} depend on the size of the batch or the number of steps; export constant ones")
    return found


def axes_of(node: OnnxNode, values: Sequence, place: int) -> list[int] | None:
    """The axes of an operator that had them as an attribute once, and has them as an input since; None: not given."""
    if (axes := node.attributes.get("axes")) is not None:
        return list(axes)
    return known(node, values[place], "axes") if len(values) > place and values[place] is not None else None


def slices(node: OnnxNode, values: Sequence) -> list[tuple[int, list]]:
    """For each axis of a Slice: (axis, [start, end, step])."""
    if "starts" in node.attributes:
        starts, ends = node.attributes["starts"], node.attributes["ends"]
    else:
        starts, ends = (integers(node, value, "starts and ends") for value in values[1:3])
    axes = axes_of(node, values, 3) or list(range(len(starts)))
    steps = known(node, values[4], "steps") if len(values) > 4 and values[4] is not None else [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        node.refuse("its starts, ends, axes and steps do not fit each other")
    return [(axis, list(rest)) for axis, *rest in zip(axes, starts, ends, steps, strict=True)]


def _of_sizes(node: OnnxNode, values: Sequence[np.ndarray | None]) -> np.ndarray:
    """A node that computes with sizes that are not known."""
    first, attributes = values[0], node.attributes
    operator = _OF_SIZES.get(node.kind)
    if operator is None:
        node.refuse("it computes with the size of the batch or the number of steps; export for a batch of any size")
    try:
        return np.asarray(operator(node, values, first, attributes))
    except (TypeError, ValueError, IndexError, OverflowError) as error:
        if isinstance(error, InvalidValue):
            raise
        node.refuse("it computes with the size of the batch or the number of steps; export for a batch of any size")


def _sliced(node, values, first, attributes):
    for axis, (start, end, step) in slices(node, values):
        if isinstance(start, Dim) or isinstance(end, Dim):
            raise TypeError
        index = [slice(None)] * first.ndim
        # An end before the first element, as -(2**63), stands for None where the step is negative.
        index[axis] = slice(start, None if step < 0 and end < -first.shape[axis] else end, step)
        first = first[tuple(index)]
    return first


def _ones_for_sizes(shape) -> tuple[int, ...]:
    """A shape in which what is not known has the size 1: what follows treats it as one for all."""
    sizes = tuple(1 if isinstance(size, Dim) else int(size) for size in shape.reshape(-1))
    if math.prod(sizes) > _MOST_VALUES:
        raise OverflowError  # of a damaged file
    return sizes


def _expanded(node, values, first, attributes):
    shape = _ones_for_sizes(values[1])
    return np.broadcast_to(first, np.broadcast_shapes(first.shape, shape)).copy()


def _of_shape(node, values, first, attributes):
    value = np.asarray(attributes.get("value", np.zeros(1, np.float32))).reshape(-1)
    return np.full(_ones_for_sizes(first), value[0])


_OF_SIZES = {
    "Identity": lambda node, values, first, at: first,
    "Cast": lambda node, values, first, at: first,
    "Shape": lambda node, values, first, at: np.array(first.shape),
    "Squeeze": lambda node, values, first, at: first.reshape(()) if first.size == 1 else first,
    "Unsqueeze": lambda node, values, first, at: np.expand_dims(first, tuple(axes_of(node, values, 1))),
    "Reshape": lambda node, values, first, at: first.reshape(tuple(known(node, values[1], "shape"))),
    "Gather": lambda node, values, first, at: np.take(first, values[1], at.get("axis", 0)),
    "Slice": _sliced,
    "Concat": lambda node, values, first, at: np.concatenate(values, at["axis"]),
    "Mul": lambda node, values, first, at: first * values[1],
    "Equal": lambda node, values, first, at: np.asarray(first == values[1], bool),
    "Where": lambda node, values, first, at: np.where(first, values[1], values[2]),
    "ConstantOfShape": _of_shape,
    "Expand": _expanded,
    "Tile": lambda node, values, first, at: np.tile(first, _ones_for_sizes(values[1])),
}
