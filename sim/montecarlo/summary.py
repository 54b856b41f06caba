# SPDX-License-Identifier: Apache-2.0
"""Summary of the chips of each point: mean, spread, percentiles, the worst."""

from dataclasses import dataclass

import numpy as np

from .plan import Point

#: Percentiles that bound 90 % of the instances.
BAND = (5, 95)


@dataclass(frozen=True)
class Spread:
    """One metric over the instances of one point.

    Attributes
    ----------
    count : int
        Of instances.
    mean, deviation : float
        The sample's standard deviation; 0 of one instance.
    low, high : float
        The percentiles of :data:`BAND`.
    worst : float
        The least accuracy; of all else, the largest value.
    error : float
        Standard error of the mean.
    """

    count: int
    mean: float
    deviation: float
    low: float
    high: float
    worst: float
    error: float

    @classmethod
    def of(cls, metric: str, values) -> "Spread":
        """The spread of ``values``, at least one."""
        values = np.asarray(values, float)
        deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
        low, high = (float(value) for value in np.percentile(values, BAND))
        worst = float(values.min() if metric == "accuracy" else values.max())
        return cls(len(values), float(values.mean()), deviation, low, high, worst, deviation / len(values) ** 0.5)


def summarize(points: tuple[Point, ...], metrics: tuple[str, ...], rows: list[dict]) -> list[dict]:
    """Of each point that has rows, in the plan's order: ``values`` of its axes and ``metrics``, name to Spread."""
    by_point: dict[int, list[dict]] = {}
    for row in rows:
        by_point.setdefault(row["point"], []).append(row)
    return [
        {
            "values": points[k].values,
            "metrics": {name: Spread.of(name, [row[name] for row in found]) for name in metrics},
        }
        for k, found in sorted(by_point.items())
    ]
