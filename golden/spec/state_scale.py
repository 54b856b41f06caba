# SPDX-License-Identifier: Apache-2.0
"""How far the value of the lines reaches on its ramp: the full scale of its pulse code.

In an LSTM the second conversion drives c into state cells on bank g. Its MAC is at most ``state_cell`` levels times the
largest pulse code, so c reaches the topmost code of tanh(c) only if this full scale lies beyond the ramp's last
threshold. In a GRU whose reset gate acts after the product, the lines add r·m to what bank n holds.
"""

import math

from ..common.errors import CrossrampWarning
from .activations import Activation
from .ramp_walk import walk_arguments
from .update_formats import line_interval

#: Least and most bits of c's pulse code, sign included.
PULSE_BITS = (2, 10)

#: A full scale below this is refused: c could not even leave the middle of the ramp.
LEAST_FULL_SCALE = 1.0

#: A full scale this near to a bound meets it: scales are quotients of floats.
_TOLERANCE = 1e-9


class SpecificationWarning(CrossrampWarning):
    """A specification is valid, but part of its hardware can never be used; the message says which and what helps."""


def topmost_argument(activation: Activation, bits: int) -> float:
    """The real pre-activation of the last threshold of a ramp: the topmost code needs more than this.

    It is g⁻¹(high - (high - low) / 2**bits): atanh(1 - 2**(1 - bits)) for tanh, 1.72 at 5 bits and 2.77 at 8.
    """
    return float(walk_arguments(activation, bits)[-1])


def _natural_limit(spec) -> float:
    """The real value that what drives the lines cannot exceed, unless it is a state that may grow."""
    if spec.layout.line_value_is_state and not spec.layout.bounded:
        return math.inf
    exact = line_interval(spec)
    return 1.0 if spec.layout.line_value_is_state else float(exact.span * exact.magnitude / 2**exact.shift)


def needed_full_scale(spec) -> float:
    """The full scale that defaults must exceed: max(1, atanh(1 - 2**(1 - n))), or what the value can reach."""
    topmost = math.atanh(1 - 2.0 ** (1 - spec.gate_bits(spec.state_gate)))
    return max(LEAST_FULL_SCALE, min(topmost, _natural_limit(spec)))


def wanted_full_scale(spec) -> float:
    """The full scale that defaults aim at.

    max(2, atanh(1 - 2**(1 - n))), or what the value can reach if that is less. All that it can reach where it
    adds to a charge that is held: then it need not lie within the ramp.
    """
    limit = _natural_limit(spec)
    if spec.state_gate in spec.layout.held and math.isfinite(limit):
        return limit
    return min(max(2.0, math.atanh(1 - 2.0 ** (1 - spec.gate_bits(spec.state_gate)))), limit)


def default_pulse_bits(spec) -> int:
    """Bits of the lines' pulse code where a specification leaves them out.

    One more than x and h have, since c reaches twice as far as they do. Where the largest state cell would not take it
    to :func:`needed_full_scale`, as many more as that needs, up to 10; each doubles the window.
    """
    needed, most = needed_full_scale(spec), PULSE_BITS[1]
    weight_range = spec.gate(spec.state_gate).weight_range
    reach = (
        bits
        for bits in range(spec.input_bits + 1, most)
        if weight_range / spec.input_max * ((1 << (bits - 1)) - 1) > needed
    )
    return next(reach, most)


def default_cell(spec) -> int:
    """Weight levels of a state cell where a specification leaves them out, 1 to ``weight_max``.

    They bring the full scale of the pulse code nearest to the wanted one; one level more where only that reaches
    beyond the needed one. A value that stays below 1 gets a full scale of 1 or more, as every other does.
    """
    pulse_scale = spec.scale(spec.state_gate) * spec.state_pulse_max
    cell = round(wanted_full_scale(spec) / pulse_scale)
    cell += cell * pulse_scale <= _beyond(spec)
    cell = max(cell, math.ceil(LEAST_FULL_SCALE * (1 - _TOLERANCE) / pulse_scale))
    return min(max(cell, 1), spec.weight_max)


def _beyond(spec) -> float:
    """What a full scale has to exceed for the topmost code."""
    return min(math.atanh(1 - 2.0 ** (1 - spec.gate_bits(spec.state_gate))), _natural_limit(spec))


def fault(spec) -> str:
    """Why the full scale of c's pulse code is refused; "" if it is allowed.

    ``spec`` is a :class:`.specification.Specification`, complete but for this check.
    """
    if spec.state_full_scale >= LEAST_FULL_SCALE * (1 - _TOLERANCE):
        return ""
    return f"{_made(spec)}; allowed: {LEAST_FULL_SCALE:g} and up; {_advice(spec)}"


def caution(spec) -> str:
    """Why c never reaches the topmost code of bank g's ramp; "" if it does, or need not."""
    cell = spec.layout
    if cell.line_value is None or spec.state_gate in cell.held or math.isfinite(_natural_limit(spec)):
        return ""  # nothing is meant to cross the whole ramp
    activation = spec.activation(spec.state_gate)
    needed = topmost_argument(activation, spec.gate_bits(spec.state_gate))
    end = f"last of {spec.gate_ticks(spec.state_gate)} ticks" if activation.turns else "topmost of {} codes"
    wants = f"the {end.format(spec.gate_ticks(spec.state_gate) + 1)} of {activation.text}(c) needs c above {needed:.4g}"
    if spec.state_full_scale <= needed:
        return f"{_made(spec)}, but {wants}; {_advice(spec)}"
    if spec.state_limit <= needed:
        return (
            f"state_bits is {spec.state_bits} and state_frac_bits {spec.state_frac_bits}, so c saturates at "
            f"{spec.state_limit:.4g}, but {wants}; raise state_bits, or lower state_frac_bits"
        )
    return ""


def _advice(spec) -> str:
    gate = spec.state_gate
    return f"raise state_pulse_bits, state_cell or the weight_range of gate {gate}, or leave the former two out"


def _made(spec) -> str:
    cell = spec.layout
    driven = f"{cell.register}'s" if cell.line_value_is_state else f"the line {cell.line_value}'s"
    return (
        f"state_pulse_bits is {spec.state_pulse_bits} and state_cell {spec.state_cell}, so the full scale of {driven} "
        f"pulse code is {spec.state_full_scale:.4g}"
    )
