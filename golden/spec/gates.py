# SPDX-License-Identifier: Apache-2.0
"""What the banks of a macro convert with, checked: a part of the specification."""

import dataclasses
from dataclasses import dataclass

from ..common.checks import real, told
from ..common.errors import InvalidValue
from .activations import activation
from .lstm_cell import GATES


class SpecificationError(InvalidValue):
    """A parameter is out of range; the message quotes it and the range."""


@dataclass(frozen=True)
class Gate:
    """What one bank's columns convert with.

    Parameters
    ----------
    activation : str
        A name of :mod:`.activations`, with an output range of [0, 1] or [-1, 1]: the two that wiring alone decodes.
    weight_range : float
        Real value of a full-scale weight in this bank, 2**-10 to 2**10.
    """

    activation: str
    weight_range: float


SIGMOID_GATE = Gate("sigmoid", 2.0)
TANH_GATE = Gate("tanh", 225 / 112)  # with 5-bit codes and a state cell of 7, one state pulse clock is exactly 1/16


def checked_gates(gates) -> tuple[Gate, ...]:
    """The four gates in one form each, so that equal content compares equal; SpecificationError for any other."""
    if not isinstance(gates, list | tuple):
        raise SpecificationError(f"gates is {told(gates)}; expected 4 of Gate: i, f, g, o")
    gates = tuple(gates)
    if len(gates) != 4:
        raise SpecificationError(f"gates has {len(gates)} entries; expected 4: i, f, g, o")
    ranges, canonical = {}, []
    for name, gate in zip(GATES, gates, strict=True):
        if not isinstance(gate, Gate):
            raise SpecificationError(f"gate {name} is {told(gate)}; expected a Gate")
        try:
            act = activation(gate.activation)
        except InvalidValue as error:
            raise SpecificationError(f"gate {name}: {error}") from None
        if (act.low, act.high) not in ((0, 1), (-1, 1)):
            raise SpecificationError(
                f"gate {name}: activation {gate.activation!r} has the range [{act.low:g}, {act.high:g}]; a gate "
                f"decodes [0, 1] or [-1, 1], so write {act.name}[0,1] or {act.name}[-1,1]"
            )
        weight_range = real(gate.weight_range)
        if weight_range is None or not 2**-10 <= weight_range <= 2**10:
            raise SpecificationError(
                f"gate {name}: weight_range is {told(gate.weight_range)}; allowed: 2**-10 to 2**10"
            )
        if ranges.setdefault(act.text, weight_range) != weight_range:
            raise SpecificationError(
                f"gate {name}: weight_range is {weight_range}, but another {act.text} gate has "
                f"{ranges[act.text]}; columns of one activation share one ramp, hence one range"
            )
        # One form of each, so that equal content compares equal and reads back equal.
        canonical.append(Gate(act.text, weight_range))
    return tuple(canonical)


def gates_from(content) -> tuple[Gate, ...]:
    """The gates of a specification's dict: tables i, f, g, o; SpecificationError for anything else."""
    if not isinstance(content, dict) or set(content) != set(GATES):
        found = ", ".join(map(str, content)) if isinstance(content, dict) else told(content)
        raise SpecificationError(f"gates holds {found}; expected the tables i, f, g, o")
    gates = []
    for name in GATES:
        table = content[name]
        if not isinstance(table, dict) or set(table) != {f.name for f in dataclasses.fields(Gate)}:
            raise SpecificationError(f"gate {name} is {told(table)}; expected activation and weight_range")
        gates.append(Gate(**table))
    return tuple(gates)
