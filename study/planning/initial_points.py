"""Points to try first: the corners of a space, and the front of an earlier study."""

from collections.abc import Callable, Mapping, Sequence
from math import sqrt
from pathlib import Path
from typing import Any

import pandas as pd

import results
from search_spaces import Choice, Domain, Space
from search_spaces.bits import is_width
from study_common.errors import UserError

FLOAT = 32
"""The width that leaves a layer untouched: the third corner, whatever widths the space has."""


def corners(space: Space, defaults: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the points with every width at its least, at its greatest and at 32; empty without widths.

    The other parameters have their default, or the middle of their domain if the default is outside it.
    """
    widths = {name: domain.finite() or () for name, domain in space.parameters.items() if is_width(name)}
    if not widths:
        return []
    found: list[dict[str, Any]] = []
    pick: Callable[[Sequence[Any]], Any]
    for pick in (min, max, lambda _: FLOAT):
        point: dict[str, Any] = {}
        for name, domain in space.parameters.items():
            if space.active(name, point):
                point[name] = pick(widths[name]) if name in widths else _central(domain, defaults.get(name))
        if point not in found:
            found.append(point)
    return found


def front_of(directory: Path, space: Space) -> list[dict[str, Any]]:
    """Return the searched values of the front of the study in `directory`, those that lie in `space`.

    ValueError if none does.
    """
    study = results.load(directory)
    front = study.front()
    columns = [name for name in front.columns if name.startswith("params.")]
    rows = front[columns].astype(object).to_dict("records")
    candidates = [
        {str(name).removeprefix("params."): _plain(v) for name, v in row.items() if not pd.isna(v)}
        for row in rows
    ]
    found = [point for point in candidates if point in space]
    if not found:
        raise UserError(
            f"none of the {len(front)} configurations on the front of {directory.name} is in space {space.name}; "
            "leave out --warm-start"
        )
    return found


def _central(domain: Domain, default: Any) -> Any:
    if default in domain:
        return default
    if isinstance(domain, Choice):
        return domain.values[len(domain.values) // 2]
    if values := domain.finite():
        return values[len(values) // 2]
    return sqrt(domain.low * domain.high) if domain.log else (domain.low + domain.high) / 2


def _plain(value: Any) -> Any:
    """Return a cell of a data frame as the Python number it stands for."""
    value = value.item() if hasattr(value, "item") else value
    return int(value) if isinstance(value, float) and value.is_integer() else value
