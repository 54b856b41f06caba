# SPDX-License-Identifier: Apache-2.0
"""Real inputs as a network sees them: each over a full scale of its own, as pulse codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..common.checks import real
from ..common.errors import InvalidValue
from .features import pulse_codes

__all__ = ["KIND", "RealInputs"]

KIND = "real"
"""What a model's feature settings say their kind is."""


@dataclass(frozen=True)
class RealInputs:
    """The full scale of each input; immutable, checked, and storable as JSON (`to_dict`, `from_dict`).

    Parameters
    ----------
    full_scale : tuple of float
        The real value of each input's largest pulse code, above 0. Beyond it codes saturate.

    Raises
    ------
    InvalidValue
        For a value that is wrong; the message quotes it.
    """

    full_scale: tuple[float, ...]

    def __post_init__(self) -> None:
        given = self.full_scale
        if not isinstance(given, list | tuple) or not given:
            raise InvalidValue(f"full_scale is {given!r:.80}; expected a number for each input")
        values = tuple(map(real, given))
        for number, value in enumerate(values):
            if value is None or not 0 < value < float("inf"):
                raise InvalidValue(f"full_scale of input {number} is {given[number]!r}; allowed: a number above 0")
        object.__setattr__(self, "full_scale", values)

    @property
    def inputs(self) -> int:
        """Width of x."""
        return len(self.full_scale)

    def scaled(self, values: ArrayLike) -> NDArray[np.float64]:
        """Real ``values``, shape (..., inputs), over their full scale."""
        return np.asarray(values, np.float64) / np.array(self.full_scale)

    def codes(self, values: ArrayLike, input_bits: int) -> NDArray[np.int64]:
        """Pulse codes of real ``values``, shape (..., inputs); int64."""
        return pulse_codes(self.scaled(values), input_bits)

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {"kind": KIND, "full_scale": list(self.full_scale)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> RealInputs:
        """From :meth:`to_dict`; InvalidValue for anything else."""
        if set(content) != {"kind", "full_scale"} or content["kind"] != KIND:
            raise InvalidValue(f"real inputs hold {', '.join(map(str, content))}; expected kind and full_scale")
        return cls(content["full_scale"])
