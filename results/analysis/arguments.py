"""How metrics are written on a command line: objectives and bounds. Plain Python, so that commands start fast."""

import argparse
import math
from collections.abc import Sequence

from study_common.errors import UserError


def directions(text: str) -> dict[str, str]:
    """Read objectives as they are typed.

    >>> directions("accuracy:max,flops:min")
    {'accuracy': 'max', 'flops': 'min'}
    """
    pairs = [part.strip().partition(":") for part in text.split(",")]
    if wrong := [name for name, _, direction in pairs if direction not in ("max", "min")]:
        raise argparse.ArgumentTypeError(f"{wrong[0]!r} needs ':max' or ':min' after it")
    names = [name for name, _, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise argparse.ArgumentTypeError(f"the objective {twice[0]} is given twice; name it once")
    return {name: direction for name, _, direction in pairs}


def bound(text: str) -> tuple[str, float]:
    """Read a bound as it is typed.

    >>> bound("bops=3e6")
    ('bops', 3000000.0)
    """
    name, _, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=NUMBER")
    return name.strip(), number


def bounds(option: str, given: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Return the bounds by metric.

    Raises:
        UserError: Two bounds of one metric.
    """
    names = [name for name, _ in given]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"{option} {twice[0]} is given twice; give each bound once")
    return dict(given)
