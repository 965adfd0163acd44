"""A study for a device: its space, its settings and its first configurations held against a `Target`."""

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import search_spaces
import trainables
from search_spaces import Space, Target
from search_spaces.bits import is_width
from study_common.errors import StudyWarning, UserError, located
from trainables import Config


def settings(given: Mapping[str, Any], target: Target) -> dict[str, Any]:
    """Return the settings that a user fixed with those that the target needs.

    Raises:
        UserError: The user gave another value.
    """
    for name, value in target.settings.items():
        if given.get(name, value) != value:
            raise UserError(
                f"target {target.name} needs {name}={value}; leave --set {name}={given[name]} out"
            )
    return {**given, **target.settings}


def restrict(space: Space, fixed: Mapping[str, Any], target: Target) -> tuple[Space, dict[str, Any]]:
    """Restrict a resolved space to what a target takes; return it with the settings that all its trials share.

    Args:
        space: The space, resolved for the model.
        fixed: The settings of every trial by flat name.
        target: The device.

    Raises:
        UserError: The target takes none of the widths of a layer, or not one that the space leaves as it is.
    """
    layers = trainables.layers(Config.parse(fixed))
    with located(f"space {space.name}"):
        points = tuple(p for p in space.points if target.accepts(Config.parse({**fixed, **p}).flat()))
        if space.points and not points:
            target.check(Config.parse({**fixed, **space.points[0]}).flat())
        if left_out := len(space.points) - len(points):
            warnings.warn(
                f"target {target.name} does not take {left_out} of the {len(space.points)} points of space "
                f"{space.name}: they are left out", StudyWarning, stacklevel=3,
            )  # fmt: skip
        space = replace(target.restrict(space, layers), points=points)
        varied = {n: d.finite() or () for n, d in space.parameters.items() if is_width(n) and not d.when}
        single = {name: values[0] for name, values in varied.items() if len(values) == 1}
        shared = {**fixed, **single}
        target.check(
            Config.parse({**shared, **{n: v[0] for n, v in varied.items()}, **_first(points)}).flat()
        )
        space = space.fix(single)
        if not (space.parameters or space.points):
            raise UserError(f"target {target.name} leaves nothing to search; give the space more than widths")
    return space, shared


def _first(points: tuple[search_spaces.Point, ...]) -> Mapping[str, Any]:
    return points[0] if points else {}
