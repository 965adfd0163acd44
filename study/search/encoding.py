"""Configurations as vectors in the unit cube, and back: what numeric samplers work on."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search_spaces import Choice, Domain, Int, Point, Space

Key = frozenset[tuple[str, Any]]


def identity(point: Point) -> Key:
    """Return what tells a configuration from all others."""
    return frozenset(point.items())


def encode(space: Space, point: Point) -> NDArray[np.float64]:
    """Return `point` as a vector in [0, 1]: one coordinate per value of an unordered choice, 0.5 if it is inactive.

    >>> encode(Space(name="s", parameters={"bits": Choice(values=(2, 4, 8))}), {"bits": 4}).tolist()
    [0.5]
    """
    coordinates: list[float] = []
    for name, domain in space.parameters.items():
        if isinstance(domain, Choice) and not domain.is_ordered:
            coordinates += [float(point.get(name) == value) for value in domain.values]
        else:
            coordinates.append(to_unit(domain, point[name]) if name in point else 0.5)
    return np.array(coordinates)


def to_unit(domain: Domain, value: Any) -> float:
    """Return the coordinate of `value` in its domain, 0 at the low end and 1 at the high one."""
    if isinstance(domain, Choice):
        return domain.values.index(value) / max(1, len(domain.values) - 1)
    low, high = domain.low, domain.high
    if low == high:
        return 0.5
    if domain.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return float((value - low) / (high - low))


def from_unit(domain: Domain, coordinate: float) -> Any:
    """Return the value of a domain nearest to `coordinate` in [0, 1]; each of finitely many has an equal share."""
    if isinstance(domain, Choice) or (isinstance(domain, Int) and not domain.log):
        values = domain.finite()
        return values[min(int(coordinate * len(values)), len(values) - 1)]
    low, high = (math.log(end) if domain.log else end for end in (domain.low, domain.high))
    value = low + coordinate * (high - low)
    value = math.exp(value) if domain.log else value
    value = round(value) if isinstance(domain, Int) else value
    return min(domain.high, max(domain.low, value))  # rounding may have taken it out
