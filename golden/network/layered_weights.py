# SPDX-License-Identifier: Apache-2.0
"""What training finds for a network of several layers: the arrays of each macro, and those of the head."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from ..array.weights import ARRAYS, WeightArray, Weights, checked_array
from ..common.errors import InvalidValue
from ..layers.network_specification import AnySpecification, NetworkSpecification
from ..spec.specification import Specification

#: The arrays of a head.
HEAD_ARRAYS = tuple(array for array in ARRAYS if array.needs == "classes")


@dataclass(frozen=True, eq=False)
class LayeredWeights:
    """The trained integers of a network of several layers.

    Attributes
    ----------
    macros : mapping of str to Weights
        By the macros' names (:attr:`~.network_specification.NetworkSpecification.macros`); without a head.
    head : integer array, shape (classes, hidden), or None
        Within ±head_weight_max; of a last layer with two directions the forward macro's units come first. None, as the
        biases, where the head is in an array.
    head_biases : integer array, shape (classes,)
        Within ±head_bias_max.
    """

    macros: Mapping[str, Weights]
    head: np.ndarray | None = None
    head_biases: np.ndarray | None = None

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> "LayeredWeights":
        """From arrays by their names in files: ``layer0.weights``, ..., ``head_weights``, ``head_biases``."""
        macros: dict[str, dict[str, np.ndarray]] = {}
        for name, values in arrays.items():
            macro, dot, array = name.rpartition(".")
            if dot:
                macros.setdefault(macro, {})[array] = values
        head = {array.field: arrays.get(array.name) for array in HEAD_ARRAYS}
        return cls({name: Weights.from_arrays(given) for name, given in macros.items()}, **head)

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by their names in files: those of the macros in their order, then the head's."""
        found = {
            f"{macro}.{name}": values
            for macro, weights in self.macros.items()
            for name, values in weights.arrays().items()
        }
        head = {array.name: getattr(self, array.field) for array in HEAD_ARRAYS}
        return found | {name: values for name, values in head.items() if values is not None}

    def replace(self, **changes) -> "LayeredWeights":
        """A copy with some arrays changed."""
        return replace(self, **changes)

    def checked(self, spec: NetworkSpecification) -> "LayeredWeights":
        """The same as read-only int64 arrays.

        Raises
        ------
        InvalidValue
            For macros other than those of ``spec``, an array that is missing, of a wrong shape or type, or a value out
            of range; names the macro.
        """
        if set(self.macros) != set(spec.macros):
            found = ", ".join(self.macros) or "none"
            raise InvalidValue(f"there are weights of {found}; expected those of {', '.join(spec.macros)}")
        macros = {}
        for name, macro in spec.macros.items():
            try:
                macros[name] = self.macros[name].checked(macro)
            except InvalidValue as error:
                raise InvalidValue(f"{name}: {error}") from None
        if spec.head_in_array:
            for array in HEAD_ARRAYS:
                if getattr(self, array.field) is not None:
                    raise InvalidValue(
                        f"{array.name} are given, but the head is in the last layer's array; leave them out"
                    )
            return LayeredWeights(MappingProxyType(macros))
        head = {array.field: checked_array(spec, array.field, getattr(self, array.field)) for array in HEAD_ARRAYS}
        return LayeredWeights(MappingProxyType(macros), **head)


def weights_of_macro(weights: Weights | LayeredWeights, macro: str) -> Weights:
    """Those of one macro of a network, by its name; the only one of a network has none."""
    return weights.macros[macro] if isinstance(weights, LayeredWeights) else weights


def weights_from(spec: AnySpecification, arrays: Mapping[str, np.ndarray]):
    """The Weights or LayeredWeights of ``spec``, from arrays by their names in files."""
    return (LayeredWeights if isinstance(spec, NetworkSpecification) else Weights).from_arrays(arrays)


def file_arrays(spec: AnySpecification) -> dict[str, tuple[WeightArray, Specification]]:
    """Every array of a network by its name in files, with what it is and the specification that gives its shape."""
    found: dict[str, tuple[WeightArray, Specification]] = {}
    for macro, part in spec.macros.items():
        for array in ARRAYS:
            if array.present(part):
                found[f"{macro}.{array.name}" if macro else array.name] = (array, part)
    if isinstance(spec, NetworkSpecification) and not spec.head_in_array:
        found |= {array.name: (array, spec) for array in HEAD_ARRAYS}
    return found
