# SPDX-License-Identifier: Apache-2.0
"""Checks of integer arrays that a user gives: type, shape and range, each refused with the value quoted."""

import numpy as np

from .errors import InvalidValue


def checked_integers(name: str, values, shape: tuple, limit: int) -> np.ndarray:
    """``values`` as a new int64 array, or the InvalidValue of :func:`check_integers`."""
    return check_integers(name, values, shape, limit).astype(np.int64)


def check_integers(name: str, values, shape: tuple, limit: int) -> np.ndarray:
    """``values`` as an array, or InvalidValue: a wrong type, shape (None: any) or a value beyond ±limit, quoted."""
    values = np.asarray(values)
    if values.dtype.kind not in "iu":
        raise InvalidValue(f"{name} holds {values.dtype}; expected integers")
    if values.ndim != len(shape) or any(n not in (None, have) for have, n in zip(values.shape, shape, strict=True)):
        expected = tuple("any" if want is None else want for want in shape)
        raise InvalidValue(f"{name} has the shape {values.shape}; expected {expected}".replace("'any'", "any"))
    if values.size and (values.max() > limit or values.min() < -limit):
        at = tuple(map(int, np.argwhere((values > limit) | (values < -limit))[0]))
        raise InvalidValue(f"{name}{list(at)} is {values[at]}; allowed: -{limit} to {limit}")
    return values
