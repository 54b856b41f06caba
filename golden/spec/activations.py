# SPDX-License-Identifier: Apache-2.0
"""Activations a ramp can carry: the function, its exact inverse and the output range the codes divide."""

import dataclasses
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..common.errors import InvalidValue

#: Scale and slope of SELU (Klambauer et al., arXiv:1706.02515).
SELU_SCALE = 1.0507009873554804934193349852946
SELU_ALPHA = 1.6732632423543772848170429916717

_FORM = re.compile(r"^(?P<name>[a-z_]+)(\[(?P<low>[^,\]]+),(?P<high>[^,\]]+)\])?$")


@dataclass(frozen=True)
class Activation:
    """A function that a ramp can be bent into: a non-decreasing one, or one whose curve turns.

    The codes of a conversion split ``low``..``high`` into 2**bits equal parts; only the borders strictly inside are
    inverted, so every threshold is finite although sigmoid never reaches 0 or 1.

    A curve that turns (``turns``) begins at f(-∞) = 0 and is monotone between its turning points. Its codes are levels
    that lie around 0 instead (:mod:`.ramp_walk`), and its range is [0, R] or [-R, R].

    Parameters
    ----------
    name : str
        What :func:`activation` knows it by.
    function, inverse : callable
        Elementwise on float64 arrays. ``inverse`` is exact on the open range ``low``..``high`` and gives, where the
        function is flat, the largest argument with that value or less. Of a curve that turns, ``inverse(y, branch)`` is
        the argument on a branch, numbered from 0 on the left; branch is an int.
    low, high : float
        Output range that the codes divide. For a bounded function its limits; an unbounded one states where its codes
        end, and the converter saturates there.
    limit_low, limit_high : float
        The function's own infimum and supremum: ``low`` and ``high`` lie within.
    turns : tuple of float
        Arguments at which the curve turns, ascending.
    """

    name: str
    function: Callable[[np.ndarray], np.ndarray]
    inverse: Callable[..., np.ndarray]
    low: float
    high: float
    limit_low: float = -np.inf
    limit_high: float = np.inf
    turns: tuple[float, ...] = ()

    def __post_init__(self):
        for value in (self.low, self.high):
            if not np.isfinite(value):
                raise InvalidValue(f"activation {self.name}: range [{self.low}, {self.high}] is not finite")
        if not self.low < self.high:
            raise InvalidValue(f"activation {self.name}: range [{self.low}, {self.high}] is empty; give low < high")
        if self.low < self.limit_low or self.high > self.limit_high:
            raise InvalidValue(
                f"activation {self.name}: range [{self.low:g}, {self.high:g}] leaves the function's own "
                f"[{self.limit_low:g}, {self.limit_high:g}]"
            )
        if self.turns and self.low not in (0, -self.high):
            raise InvalidValue(
                f"activation {self.name}: range [{self.low:g}, {self.high:g}]; codes of a curve that "
                "turns count from 0, so give [0, R] or [-R, R]"
            )
        if self.turns and self.low == 0 and (self.function(np.array(self.turns)) < 0).any():
            raise InvalidValue(
                f"activation {self.name}: range [0, {self.high:g}], but its curve falls below 0; give [-R, R]"
            )

    def __call__(self, x) -> np.ndarray:
        """The activation of ``x``, saturated at ``low`` and ``high`` as a converter saturates."""
        return np.clip(self.function(np.asarray(x, float)), self.low, self.high)

    def along(self, x) -> np.ndarray:
        """How far the curve has gone up to ``x``: its total variation from -∞ on; float64.

        The activation itself less ``low``, but for curves that turn, in which every piece counts, up or down.
        """
        if not self.turns:
            return self(x) - self.low
        x, gone = np.asarray(x, float), 0.0
        ends = [-np.inf, *self.turns, np.inf]
        before = 0.0
        for start, end in pairwise(ends):
            inside = np.clip(x, start if np.isfinite(start) else None, end)
            gone = gone + np.where(x > start, np.abs(self(inside) - before), 0.0)
            before = float(self(end))
        return gone

    @property
    def text(self) -> str:
        """The form :func:`activation` reads back: ``name`` or ``name[low,high]``."""
        default = REGISTRY.get(self.name)
        if default is not None and (default.low, default.high) == (self.low, self.high):
            return self.name
        return f"{self.name}[{_number(self.low)},{_number(self.high)}]"


def _number(value: float) -> str:
    """``value`` in the shortest form that reads back as the same float."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


#: Every activation by name, with its default range. Add one with :func:`register`.
REGISTRY: dict[str, Activation] = {}


def register(activation: Activation) -> Activation:
    """Make ``activation`` known by its name; raises InvalidValue if the name is taken or not lower case."""
    if not re.fullmatch(r"[a-z_]+", activation.name):
        raise InvalidValue(f"activation name {activation.name!r}: use lower-case letters and underscores")
    if activation.name in REGISTRY:
        raise InvalidValue(f"activation {activation.name!r} is registered already")
    REGISTRY[activation.name] = activation
    return activation


def activation(text: str) -> Activation:
    """The activation that ``text`` names: ``"tanh"``, or with its own output range ``"softplus[0,4]"``.

    Raises
    ------
    InvalidValue
        If the name is unknown (the message lists the known ones) or the range is empty.
    """
    match = _FORM.fullmatch(text.replace(" ", "")) if isinstance(text, str) else None
    if match is None or match["name"] not in REGISTRY:
        raise InvalidValue(f"unknown activation {text!r}; known: {', '.join(REGISTRY)}, each also as name[low,high]")
    known = REGISTRY[match["name"]]
    if match["low"] is None:
        return known
    try:
        low, high = float(match["low"]), float(match["high"])
    except ValueError:
        raise InvalidValue(f"activation {text!r}: the range must be two numbers, as in tanh[-1,1]") from None
    return dataclasses.replace(known, low=low, high=high)


def _elu_inverse(y: np.ndarray) -> np.ndarray:
    y = np.asarray(y, float)
    return np.where(y > 0, y, np.log1p(np.minimum(y, 0)))


def _selu(x: np.ndarray) -> np.ndarray:
    return SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0)))


def _selu_inverse(y: np.ndarray) -> np.ndarray:
    y = np.asarray(y, float) / SELU_SCALE
    return np.where(y > 0, y, np.log1p(np.minimum(y, 0) / SELU_ALPHA))


register(
    Activation("sigmoid", lambda x: 0.5 * (1 + np.tanh(x / 2)), lambda y: np.log(y) - np.log1p(-y), 0.0, 1.0, 0.0, 1.0)
)
register(Activation("tanh", np.tanh, np.arctanh, -1.0, 1.0, -1.0, 1.0))
register(Activation("softsign", lambda x: x / (1 + np.abs(x)), lambda y: y / (1 - np.abs(y)), -1.0, 1.0, -1.0, 1.0))
register(Activation("identity", lambda x: x, lambda y: y, -1.0, 1.0))
register(Activation("clipped_relu", lambda x: np.maximum(x, 0), lambda y: y, 0.0, 1.0, 0.0))
register(Activation("hard_sigmoid", lambda x: np.clip(x / 6 + 0.5, 0, 1), lambda y: 6 * y - 3, 0.0, 1.0, 0.0, 1.0))
register(Activation("hard_tanh", lambda x: np.clip(x, -1, 1), lambda y: y, -1.0, 1.0, -1.0, 1.0))
register(Activation("softplus", lambda x: np.logaddexp(0, x), lambda y: y + np.log(-np.expm1(-y)), 0.0, 4.0, 0.0))
register(Activation("elu", lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), _elu_inverse, -1.0, 1.0, -1.0))
register(
    Activation(
        "selu", _selu, _selu_inverse, -SELU_SCALE * SELU_ALPHA, SELU_SCALE * SELU_ALPHA, -SELU_SCALE * SELU_ALPHA
    )
)


# ---- curves that turn ------------------------------------------------------------------------------------------------


def _silu(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x, float)
    with np.errstate(over="ignore"):  # far on the left: x / inf is 0
        return x / (1 + np.exp(-x))


_erfc = np.vectorize(math.erfc, otypes=[float])


def _gelu(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x, float)
    return 0.5 * x * _erfc(-x * math.sqrt(0.5))


#: Where the curves of SiLU (Elfwing et al., arXiv:1702.03118) and GELU (Hendrycks and Gimpel, arXiv:1606.08415) turn.
_SILU_TURN, _GELU_TURN = -1.2784645427610738, -0.7517915246935645


def _dip_inverse(function: Callable, turn: float) -> Callable:
    """The inverse of a curve that falls from 0 to its minimum at ``turn`` and rises beyond y - 2 from there."""

    def inverse(y: np.ndarray, branch: int) -> np.ndarray:
        y = np.asarray(y, float)
        # Up to neighboring floats: ``inside`` stays between the turn and the argument, ``outside`` beyond it.
        inside = np.full(y.shape, turn)
        outside = np.maximum(y, 0) + 2 if branch else np.full(y.shape, -700.0)
        for _ in range(80):
            middle = (inside + outside) / 2
            beyond = function(middle) > y
            inside, outside = np.where(beyond, inside, middle), np.where(beyond, middle, outside)
        return outside

    return inverse


register(Activation("silu", _silu, _dip_inverse(_silu, _SILU_TURN), -1.0, 1.0, turns=(_SILU_TURN,)))
register(Activation("gelu", _gelu, _dip_inverse(_gelu, _GELU_TURN), -1.0, 1.0, turns=(_GELU_TURN,)))
register(
    Activation(
        "gaussian",
        lambda x: np.exp(-np.square(x)),
        lambda y, branch: (2 * branch - 1) * np.sqrt(-np.log(y)),
        0.0,
        1.0,
        0.0,
        1.0,
        turns=(0.0,),
    )
)
