# SPDX-License-Identifier: Apache-2.0
"""What describes a recurrent cell: its gates, their banks and conversions; and what each bank converts with."""

import dataclasses
from dataclasses import dataclass

from ..common.checks import real, told
from ..common.errors import InvalidValue
from .activations import activation


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


@dataclass(frozen=True)
class Cell:
    """The columns of a cell and when they convert; everything that counts or orders banks is derived from it.

    ``docs/new-cell.md`` says what a new one needs beside this description.

    Attributes
    ----------
    name : str
        The value of the parameter ``cell``.
    gates : tuple of str
        The gates, one letter each; each has a bank of columns, in this order.
    conversions : tuple of dicts of str
        For each conversion of a step: the gates whose columns it latches, in the order of the banks, which are
        adjacent; and what each one's code is called.
    updates : tuple of tuples of str
        For each update of a step, one after each conversion: the codes that it reads, each once a step. The step record
        shows them in this order.
    state_gate : str
        The gate whose columns carry the state cells, through which the state drives the second conversion.
    default_gates : tuple of Gate
        What a specification takes if it names none.
    """

    name: str
    gates: tuple[str, ...]
    conversions: tuple[dict[str, str], ...]
    updates: tuple[tuple[str, ...], ...]
    state_gate: str
    default_gates: tuple[Gate, ...]

    def gate_of(self, code: str) -> str:
        """The gate whose columns give a code."""
        return next(gate for codes in self.conversions for gate, name in codes.items() if name == code)

    def reads(self, gate: str) -> tuple[bool, ...]:
        """For each update: whether it reads a code of this gate's columns."""
        return tuple(gate in map(self.gate_of, codes) for codes in self.updates)


def checked_gates(gates, names: tuple[str, ...]) -> tuple[Gate, ...]:
    """The gates ``names`` in one form each, so that equal content compares equal; SpecificationError for any other."""
    expected = f"expected {len(names)}"
    if not isinstance(gates, list | tuple):
        raise SpecificationError(f"gates is {told(gates)}; {expected} of Gate: {', '.join(names)}")
    gates = tuple(gates)
    if len(gates) != len(names):
        raise SpecificationError(f"gates has {len(gates)} entries; {expected}: {', '.join(names)}")
    ranges, canonical = {}, []
    for name, gate in zip(names, gates, strict=True):
        if not isinstance(gate, Gate):
            raise SpecificationError(f"gate {name} is {told(gate)}; expected a Gate")
        try:
            act = activation(gate.activation)
        except ValueError as error:
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


def gates_from(content, names: tuple[str, ...]) -> tuple[Gate, ...]:
    """The gates of a specification's dict, a table for each of ``names``; SpecificationError for anything else."""
    if not isinstance(content, dict) or set(content) != set(names):
        found = ", ".join(map(str, content)) if isinstance(content, dict) else told(content)
        raise SpecificationError(f"gates holds {found}; expected the tables {', '.join(names)}")
    gates = []
    for name in names:
        table = content[name]
        if not isinstance(table, dict) or set(table) != {f.name for f in dataclasses.fields(Gate)}:
            raise SpecificationError(f"gate {name} is {told(table)}; expected activation and weight_range")
        gates.append(Gate(**table))
    return tuple(gates)
