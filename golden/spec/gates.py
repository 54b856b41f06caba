# SPDX-License-Identifier: Apache-2.0
"""What the banks of a specification convert with: checks of its gates, and their stored form."""

from ..cell.description import CODE, LINE, Cell, Gate
from ..cell.expression import names
from ..common.checks import integer, real, told
from ..common.errors import InvalidValue
from .activations import Activation, activation
from .ramp_walk import ramp_walk

#: Least and most bits of a gate's own ramp: one more than ``adc_bits`` may be, for sums that are converted to be added.
GATE_BITS = (2, 9)


class SpecificationError(InvalidValue):
    """A parameter is out of range; the message quotes it and the range."""


def feeds_lines_only(cell: Cell, gate: str) -> bool:
    """Whether all codes of a bank become pulses on lines alone, so that the range of its activation may be another."""
    return all(
        cell.values[store.name] in (LINE, CODE)
        for stores in cell.stores
        for store in stores
        if any(cell.gate_of(code) == gate for code in names(store.expression) if code in cell.code_names)
    )


def _decodes(cell: Cell, gate: str, act: Activation, text: str) -> str:
    """Why a gate cannot decode the range of an activation; "" if it can."""
    if (act.low, act.high) in ((0, 1), (-1, 1)):
        return ""
    where = f"gate {gate}: activation {text!r} has the range [{act.low:g}, {act.high:g}]"
    if feeds_lines_only(cell, gate):
        if act.low == -act.high or act.low == 0:
            return ""
        return f"{where}; a gate decodes [0, R] or [-R, R]"
    return f"{where}; a gate decodes [0, 1] or [-1, 1], so write {act.name}[0,1] or {act.name}[-1,1]"


def checked_gates(gates, cell: Cell, adc_bits: int) -> tuple[Gate, ...]:
    """The gates of a cell in one form each, so that equal content compares equal; SpecificationError for any other.

    Bits that are ``adc_bits`` are left out.
    """
    expected = f"expected {len(cell.gates)}"
    if not isinstance(gates, list | tuple):
        raise SpecificationError(f"gates is {told(gates)}; {expected} of Gate: {', '.join(cell.gates)}")
    gates = tuple(gates)
    if len(gates) != len(cell.gates):
        raise SpecificationError(f"gates has {len(gates)} entries; {expected}: {', '.join(cell.gates)}")
    ranges, canonical = {}, []
    for name, gate in zip(cell.gates, gates, strict=True):
        if not isinstance(gate, Gate):
            raise SpecificationError(f"gate {name} is {told(gate)}; expected a Gate")
        try:
            act = activation(gate.activation)
        except ValueError as error:
            raise SpecificationError(f"gate {name}: {error}") from None
        if reason := _decodes(cell, name, act, gate.activation):
            raise SpecificationError(reason)
        weight_range = real(gate.weight_range)
        if weight_range is None or not 2**-10 <= weight_range <= 2**10:
            raise SpecificationError(
                f"gate {name}: weight_range is {told(gate.weight_range)}; allowed: 2**-10 to 2**10"
            )
        bits = gate.bits
        if bits is not None:
            try:
                bits = integer("bits", bits, *GATE_BITS, SpecificationError)
            except SpecificationError as error:
                raise SpecificationError(f"gate {name}: {error}") from None
        try:
            ramp_walk(act, bits or adc_bits)
        except InvalidValue as error:
            raise SpecificationError(f"gate {name}: {error}") from None
        bits = None if bits == adc_bits else bits
        if ranges.setdefault((act.text, bits), weight_range) != weight_range:
            raise SpecificationError(
                f"gate {name}: weight_range is {weight_range}, but another {act.text} gate has "
                f"{ranges[act.text, bits]}; columns of one activation share one ramp, hence one range"
            )
        # One form of each, so that equal content compares equal and reads back equal.
        canonical.append(Gate(act.text, weight_range, bits))
    return tuple(canonical)


def gates_from(content, names: tuple[str, ...]) -> tuple[Gate, ...]:
    """The gates of a specification's dict, a table for each of ``names``; SpecificationError for anything else."""
    if not isinstance(content, dict) or set(content) != set(names):
        found = ", ".join(map(str, content)) if isinstance(content, dict) else told(content)
        raise SpecificationError(f"gates holds {found}; expected the tables {', '.join(names)}")
    gates = []
    for name in names:
        table = content[name]
        if not isinstance(table, dict) or set(table) - {"bits"} != {"activation", "weight_range"}:
            raise SpecificationError(
                f"gate {name} is {told(table)}; expected activation and weight_range, and perhaps bits"
            )
        gates.append(Gate(**table))
    return tuple(gates)
