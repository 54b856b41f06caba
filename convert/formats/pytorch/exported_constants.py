# SPDX-License-Identifier: Apache-2.0
"""Parts of an exported graph that do not depend on the inputs' values: initial states and prepared weights, in numpy.

Sizes that depend on the inputs, as the batch, count as :data:`OPEN`: initial states are the same for every utterance.
"""

import operator as operator_of
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...graph.tensor_axes import Dim

#: What stands for a length that the inputs decide.
OPEN = 1

#: Operators that give what they are given; types of numbers do not count here.
SAME = frozenset(("clone", "contiguous", "detach", "detach_", "alias", "lift_fresh_copy"))

_Arguments = Mapping[str, Any]


def constant(operator: str, arguments: _Arguments):
    """What an operator gives of constants, or None if it is not one of those that are known.

    Parameters
    ----------
    operator : str
        Of the namespace aten, without its overload, or ``"_operator.mul"`` and the like.
    arguments : mapping
        By name; of tensors their arrays. Of operators that only take the shape of a tensor (``new_zeros``,
        ``zeros_like``) ``self`` is that shape.

    Raises
    ------
    ValueError, IndexError, TypeError, KeyError
        For arguments that do not fit.
    """
    if operator in SAME or operator in ("to", "_to_copy"):
        return arguments["self"]
    if operator.startswith("_operator."):
        return _INTEGERS[operator](*arguments.values()) if operator in _INTEGERS else None
    arguments = {name: _fixed(value) for name, value in arguments.items()}
    if operator in _LIKE:
        return np.full(arguments.get("size", arguments["self"]), _LIKE[operator](arguments))
    known = _FOLDS.get(operator)
    return None if known is None else known(arguments)


def _fixed(value: Any) -> Any:
    """Lengths that the inputs decide as :data:`OPEN`."""
    if isinstance(value, list):
        return [_fixed(one) for one in value]
    return OPEN if isinstance(value, Dim) else value


def _expand(arguments: _Arguments) -> np.ndarray:
    array, size = arguments["self"], list(arguments["size"])
    shape = (1,) * (len(size) - array.ndim) + array.shape
    return np.broadcast_to(array, [own if wanted == -1 else wanted for wanted, own in zip(size, shape, strict=True)])


def _slice(arguments: _Arguments) -> np.ndarray:
    array, dim = arguments["self"], arguments.get("dim", 0)
    part = slice(arguments.get("start"), arguments.get("end"), arguments.get("step", 1))
    return array[(slice(None),) * (dim % array.ndim) + (part,)]


def _squeeze(arguments: _Arguments) -> np.ndarray:
    array, dim = arguments["self"], arguments.get("dim")
    dims = range(array.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    return np.squeeze(array, tuple(k % array.ndim for k in dims if array.shape[k] == 1))


def _repeat(arguments: _Arguments) -> np.ndarray:
    return np.tile(arguments["self"], arguments["repeats"])


def _elementwise(function: Callable) -> Callable:
    def fold(arguments: _Arguments):
        return function(arguments["self"], np.multiply(arguments.get("alpha", 1), arguments["other"]))

    return fold


#: Fills of operators that take their shape from a tensor.
_LIKE = {
    "zeros_like": lambda _: 0.0,
    "ones_like": lambda _: 1.0,
    "full_like": lambda arguments: float(arguments["fill_value"]),
    "new_zeros": lambda _: 0.0,
    "new_ones": lambda _: 1.0,
    "new_full": lambda arguments: float(arguments["fill_value"]),
}

_FOLDS: dict[str, Callable[[_Arguments], Any]] = {
    "zeros": lambda a: np.zeros(a["size"]),
    "ones": lambda a: np.ones(a["size"]),
    "full": lambda a: np.full(a["size"], float(a["fill_value"])),
    "scalar_tensor": lambda a: np.asarray(a["s"], np.float64),
    "expand": _expand,
    "repeat": _repeat,
    "slice": _slice,
    "squeeze": _squeeze,
    "select": lambda a: np.take(a["self"], a["index"], a["dim"]),
    "unsqueeze": lambda a: np.expand_dims(a["self"], a["dim"]),
    "permute": lambda a: np.transpose(a["self"], a["dims"]),
    "transpose": lambda a: np.swapaxes(a["self"], a["dim0"], a["dim1"]),
    "t": lambda a: np.transpose(a["self"]),
    "view": lambda a: np.reshape(a["self"], a["size"]),
    "reshape": lambda a: np.reshape(a["self"], a["shape"]),
    "cat": lambda a: np.concatenate(a["tensors"], a.get("dim", 0)),
    "stack": lambda a: np.stack(a["tensors"], a.get("dim", 0)),
    "neg": lambda a: np.negative(a["self"]),
    "add": _elementwise(np.add),
    "sub": _elementwise(np.subtract),
    "mul": _elementwise(np.multiply),
    "div": _elementwise(np.divide),
}

#: Arithmetic of lengths, one of which may be open in products; their arguments have no names of their own.
_INTEGERS: dict[str, Callable] = {
    "_operator.add": operator_of.add,
    "_operator.sub": operator_of.sub,
    "_operator.mul": operator_of.mul,
    "_operator.floordiv": operator_of.floordiv,
}
