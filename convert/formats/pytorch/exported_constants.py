# SPDX-License-Identifier: Apache-2.0
"""Parts of an exported graph that do not depend on the inputs' values: initial states and prepared weights, in numpy.

Sizes that depend on the inputs, as the batch, count as :data:`OPEN`: initial states are the same for every utterance.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

#: What stands for a length that the inputs decide.
OPEN = 1

#: Operators that give what they are given; types of numbers do not count here.
SAME = frozenset(("clone", "contiguous", "detach", "detach_", "alias", "lift_fresh_copy", "to", "_to_copy"))

_Arguments = Mapping[str, Any]


def constant(operator: str, arguments: _Arguments, shapes: Mapping[str, tuple[int | None, ...]]):
    """What an operator gives of constants, or None if it is not one of those that are known.

    Parameters
    ----------
    operator : str
        Of the namespace aten, without its overload, or ``"_operator.mul"`` and the like.
    arguments : mapping
        By name; of tensors their arrays, or of those that are not constant their names.
    shapes : mapping
        Of tensors by their names.

    Raises
    ------
    ValueError, IndexError, TypeError
        From numpy, for arguments that do not fit.
    """
    if operator in SAME:
        return arguments["self"]
    if operator in _LIKE:
        value = _LIKE[operator](arguments)
        like = arguments["self"]
        shape = arguments.get("size", like.shape if isinstance(like, np.ndarray) else shapes[like])
        return np.full([OPEN if length is None else length for length in shape], value)
    known = _FOLDS.get(operator)
    return None if known is None else known(arguments)


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


def _integers(function: Callable) -> Callable:
    """Arithmetic of lengths; their arguments have no names of their own."""
    return lambda arguments: function(*arguments.values())


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
    "_operator.add": _integers(lambda a, b: a + b),
    "_operator.sub": _integers(lambda a, b: a - b),
    "_operator.mul": _integers(lambda a, b: a * b),
    "_operator.floordiv": _integers(lambda a, b: a // b),
}
