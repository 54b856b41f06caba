# SPDX-License-Identifier: Apache-2.0
"""From a network whose columns are joined to one whose rows are in several arrays with partial sums."""

import dataclasses

import numpy as np

from ..common.errors import InvalidValue
from ..layers.network_specification import NetworkSpecification
from ..spec.specification import Specification
from .layered_network import LayeredNetwork
from .layered_weights import LayeredWeights


def joined(spec: NetworkSpecification) -> NetworkSpecification:
    """The same network with all rows of a column on one integrator."""
    plain = {"partial_rows": 0, "partial_bits": None, "partial_cell": None}
    layers = (dataclasses.replace(layer, macro=layer.macro.replace(**plain)) for layer in spec.layers)
    return spec.replace(layers=tuple(layers))


def split_rows(network: LayeredNetwork, spec: NetworkSpecification) -> LayeredNetwork:
    """A trained network with its rows in several arrays: the same weights, as ``spec`` places them.

    Parameters
    ----------
    network : LayeredNetwork
        Of :func:`joined` of ``spec``.
    spec : NetworkSpecification

    Raises
    ------
    InvalidValue
        For a network of another specification.
    """
    if network.spec != joined(spec):
        raise InvalidValue(
            f"the network has specification {network.spec.content_hash}, not {joined(spec).content_hash}; "
            "give one that differs in partial_rows, partial_bits and partial_cell alone"
        )
    weights = network.weights
    macros = dict(weights.macros)
    for name, macro in spec.macros.items():
        if macro.row_sums:
            macros |= _split(name, macro, network.spec.macros[name], weights.macros[name])
    return LayeredNetwork(spec, LayeredWeights(macros, weights.head, weights.head_biases))


def _split(name: str, macro: Specification, whole: Specification, weights) -> dict:
    """The weights of a macro, and of the macros of its partial sums."""

    def rows(parts: dict[str, range]) -> np.ndarray:
        found = [whole.rows_of(group).start + np.asarray(part) for group, part in parts.items()]
        return weights.macro[np.concatenate(found)]

    found = {name: weights.replace(macro=rows(macro.row_parts))}
    for one in macro.row_sums:
        columns = np.concatenate([np.arange(whole.columns)[whole.bank(bank)] for bank in one.banks])
        found[f"{name}_{one.name}"] = weights.replace(
            macro=rows(one.parts)[:, columns], lines=None, projection=None, initial_register=None, initial_h=None
        )
    return found
