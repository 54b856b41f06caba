# SPDX-License-Identifier: Apache-2.0
"""How finely a circuit simulator computes a deck: edges, time steps, method and tolerances."""

from dataclasses import dataclass

from crossramp.golden.common.errors import InvalidValue

#: Edges of the pins and the longest time step, as parts of a clock; docs/spice.md has what they change.
EDGE = 2e-5
#: The shortest in charge mode, where only a step's height counts, and a short edge is a large current.
CHARGE_EDGE = 1e-3
STEP = 0.5

#: Accuracy: relative, volts, amperes, coulomb. Voltages that rise in straight lines cost no accuracy; docs/spice.md has
#: what tighter ones change.
OPTIONS = "reltol=1e-4 vntol=1e-8 abstol=1e-12 chgtol=1e-18 trtol=1"
METHODS = ("gear", "trap")


@dataclass(frozen=True)
class Accuracy:
    """How finely ngspice computes.

    Parameters
    ----------
    edge : float
        Duration of a pin's edge, in clocks; below 0.5. In charge mode at least :data:`CHARGE_EDGE`.
    step : float
        Longest time step, in clocks.
    method : str
        ``"gear"`` (second order; does not ring behind a closing switch) or ``"trap"``.
    options : str
        Tolerances, as ``.options`` takes them.
    """

    edge: float = EDGE
    step: float = STEP
    method: str = "gear"
    options: str = OPTIONS

    def __post_init__(self):
        if not 0 < self.edge < 0.5:
            raise InvalidValue(f"edge is {self.edge!r} clocks; allowed: above 0, below 0.5")
        if not 0 < self.step <= 1:
            raise InvalidValue(f"step is {self.step!r} clocks; allowed: above 0, at most 1")
        if self.method not in METHODS:
            raise InvalidValue(f"method is {self.method!r}; allowed: {', '.join(METHODS)}")
