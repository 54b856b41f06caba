# SPDX-License-Identifier: Apache-2.0
"""How far the cell state c reaches on the second ramp: the full scale of its pulse code.

The second conversion drives c into state cells on bank g. Its MAC is at most ``state_cell`` levels times the largest
pulse code, so c reaches the topmost code of tanh(c) only if this full scale lies beyond the ramp's last threshold.
"""

import math

from ..common.errors import CrossrampWarning
from .activations import Activation

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
    return float(activation.inverse(activation.high - (activation.high - activation.low) / (1 << bits)))


def wanted_full_scale(adc_bits: int) -> float:
    """The full scale of c's pulse code that defaults aim at: max(2, atanh(1 - 2**(1 - adc_bits)))."""
    return max(2.0, math.atanh(1 - 2.0 ** (1 - adc_bits)))


def default_pulse_bits(adc_bits: int, input_bits: int, weight_range: float, input_max: int) -> int:
    """Bits of c's pulse code where a specification leaves them out.

    One more than x and h have, since c reaches twice as far as they do. Where the largest state cell would not take c
    to the topmost tanh code (or to a full scale of 1), as many more as that needs, up to 10; each doubles the second
    integrate window.

    Parameters
    ----------
    adc_bits, input_bits : int
    weight_range : float
        Of bank g: the real value of a full-scale weight, hence of the largest state cell.
    input_max : int
        The largest pulse code of x and h, full scale 1.0.
    """
    needed = max(LEAST_FULL_SCALE, math.atanh(1 - 2.0 ** (1 - adc_bits)))
    most = PULSE_BITS[1]
    reach = (
        bits for bits in range(input_bits + 1, most) if weight_range / input_max * ((1 << (bits - 1)) - 1) > needed
    )
    return next(reach, most)


def default_cell(adc_bits: int, pulse_scale: float, weight_max: int) -> int:
    """Weight levels of a state cell where a specification leaves them out, 1 to ``weight_max``.

    They bring the full scale of c's pulse code nearest to the wanted one; one level more where only that reaches the
    topmost tanh code.

    Parameters
    ----------
    pulse_scale : float
        The real value of the largest pulse code on a state cell of one level.
    """
    cell = round(wanted_full_scale(adc_bits) / pulse_scale)
    cell += cell * pulse_scale <= math.atanh(1 - 2.0 ** (1 - adc_bits))
    return min(max(cell, 1), weight_max)


def fault(spec) -> str:
    """Why the full scale of c's pulse code is refused; "" if it is allowed.

    ``spec`` is a :class:`.specification.Specification`, complete but for this check.
    """
    if spec.state_full_scale >= LEAST_FULL_SCALE * (1 - _TOLERANCE):
        return ""
    return f"{_made(spec)}; allowed: {LEAST_FULL_SCALE:g} and up; {_ADVICE}"


def caution(spec) -> str:
    """Why c never reaches the topmost code of bank g's ramp; "" if it does."""
    activation = spec.activation(spec.state_gate)
    needed = topmost_argument(activation, spec.adc_bits)
    wants = f"the topmost of {spec.ticks + 1} codes of {activation.text}(c) needs c above {needed:.4g}"
    if spec.state_full_scale <= needed:
        return f"{_made(spec)}, but {wants}; {_ADVICE}"
    if spec.state_limit <= needed:
        return (
            f"state_bits is {spec.state_bits} and state_frac_bits {spec.state_frac_bits}, so c saturates at "
            f"{spec.state_limit:.4g}, but {wants}; raise state_bits, or lower state_frac_bits"
        )
    return ""


_ADVICE = "raise state_pulse_bits, state_cell or the weight_range of gate g, or leave the former two out"


def _made(spec) -> str:
    return (
        f"state_pulse_bits is {spec.state_pulse_bits} and state_cell {spec.state_cell}, so the full scale of c's pulse "
        f"code is {spec.state_full_scale:.4g}"
    )
