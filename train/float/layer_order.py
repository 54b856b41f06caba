# SPDX-License-Identifier: Apache-2.0
"""How the macros of a network follow each other: layer by layer, each of one or two directions.

A network of one macro is one layer of one direction.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from crossramp.golden.common.errors import InvalidValue
from crossramp.golden.layers.network_specification import AnySpecification, NetworkSpecification
from crossramp.golden.spec.specification import Specification
from torch import Tensor

ARRAY_HEAD_SCALE = 8.0
"""Real logit of a full-scale code, where the last layer's array is the head: of the training loss alone."""

__all__ = ["ARRAY_HEAD_SCALE", "macros_of_layers", "through_layers", "trained_macros"]


def trained_macros(spec: AnySpecification) -> dict[str, Specification]:
    """The macros of a network by their names, in the order of ``spec.macros``; those that project are part of these.

    InvalidValue for partial sums.
    """
    for name, macro in spec.macros.items():
        if macro.partial_rows:
            raise InvalidValue(
                f"{name}: partial_rows is {macro.partial_rows}, and training knows no partial sums; leave it out"
            )
    if not isinstance(spec, NetworkSpecification):
        return spec.macros
    names = (name for number in range(len(spec.layers)) for name in spec.names_of(number))
    return {name: spec.macros[name] for name in names}


def macros_of_layers(spec: AnySpecification) -> list[int]:
    """How many macros each layer has: 1, or 2 where it has two directions. Their order: :func:`trained_macros`."""
    if isinstance(spec, NetworkSpecification):
        return [len(layer.directions) for layer in spec.layers]
    return [1]


def through_layers(
    spec: AnySpecification, values: Tensor, run: Callable[[int, Tensor], Tensor], steps_axis: int
) -> Tensor:
    """h that the head sees, in the order of steps of :class:`~crossramp.golden.network.layered_network.LayeredNetwork`.

    With the readouts ``"mean"`` and ``"last"``, h of a last layer's backward macro is in that macro's own order.

    Parameters
    ----------
    spec : Specification or NetworkSpecification
    values : tensor
        What the first layer takes, all steps of it.
    run : callable
        ``run(number, values)`` is h of all steps of a macro, by its number in :func:`trained_macros`; the
        last axis is h.
    steps_axis : int
    """
    number, layers = 0, macros_of_layers(spec)
    for place, count in enumerate(layers):
        h = [run(number, values)]
        if count == 2:
            last = place == len(layers) - 1 and spec.readout != "step"
            backward = run(number + 1, values.flip(steps_axis))
            h.append(backward if last else backward.flip(steps_axis))
        values = h[0] if count == 1 else torch.cat(h, dim=-1)
        number += count
    return values
