"""Points to try first: the corners of a space, and the front of an earlier study."""

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from math import sqrt
from pathlib import Path
from typing import Any

import pandas as pd

import results
from search_spaces import Choice, Domain, Space
from search_spaces.bits import is_width
from study_common.errors import StudyWarning, UserError

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


def front_of(directory: Path, space: Space, defaults: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the configurations on the front of the study in `directory`, brought into `space`.

    Values outside their range move to its nearest end; parameters that the study did not search take their default, and
    what it searched beside those of `space` is dropped. A `StudyWarning` names both.

    Raises:
        UserError: The two have no parameter in common, or the space lists its points and none of them is on the front.
    """
    study = results.load(directory)
    front = study.front()
    columns = [name for name in front.columns if name.startswith("params.")]
    rows = front[columns].astype(object).to_dict("records")
    earlier = [
        {str(name).removeprefix("params."): _plain(v) for name, v in row.items() if not pd.isna(v)}
        for row in rows
    ]
    searched = {name.removeprefix("params.") for name in columns}
    if space.points or not searched & space.parameters.keys():
        found = [point for point in earlier if point in space]
    else:
        found = [_inside(space, point, defaults) for point in earlier]
        _tell_changes(directory.name, searched, space)
    if not found:
        raise UserError(
            f"none of the {len(front)} configurations on the front of {directory.name} is in space {space.name}; "
            "leave out --warm-start"
        )
    return [point for n, point in enumerate(found) if point not in found[:n]]


def _inside(space: Space, point: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration of `space` that is nearest to `point`."""
    found: dict[str, Any] = {}
    for name, domain in space.parameters.items():
        if space.active(name, found):
            found[name] = (
                _nearest(domain, point[name], defaults.get(name))
                if name in point
                else _central(domain, defaults.get(name))
            )
    return found


def _nearest(domain: Domain, value: Any, default: Any) -> Any:
    """Return the value of a domain that is nearest to `value`, or its default if there is no distance."""
    if value in domain:
        return value
    values = domain.finite() or (domain.low, domain.high)  # type: ignore[union-attr]  # without any, it is a range
    if not all(isinstance(each, int | float) for each in (*values, value)):
        return _central(domain, default)
    return min(values, key=lambda each: abs(each - value))


def _tell_changes(study: str, searched: Collection[str], space: Space) -> None:
    added, dropped = sorted(space.parameters.keys() - searched), sorted(searched - space.parameters.keys())
    said = [f"takes the default of {', '.join(added)}"] * bool(added)
    said += [f"drops {', '.join(dropped)}"] * bool(dropped)
    if said:
        warnings.warn(f"the warm start from {study} {' and '.join(said)}", StudyWarning, stacklevel=4)


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
