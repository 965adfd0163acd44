"""What commands about studies share: studies by name, metrics as they are typed, tables in a terminal."""

import argparse
import math
import sys
from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from results.analysis import formatting
from study_common.errors import UserError

WIDE = 240
"""Columns of a table that goes to a file or a pipe."""


def directions(text: str) -> dict[str, str]:
    """Read objectives as they are typed.

    >>> directions("accuracy:max,flops:min")
    {'accuracy': 'max', 'flops': 'min'}
    """
    pairs = [part.strip().partition(":") for part in text.split(",")]
    if wrong := [name for name, _, way in pairs if way not in ("max", "min")]:
        raise argparse.ArgumentTypeError(f"{wrong[0]!r} needs ':max' or ':min' after it")
    names = [name for name, _, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise argparse.ArgumentTypeError(f"the objective {twice[0]} is given twice; name it once")
    return {name: way for name, _, way in pairs}


def bounds(option: str, given: Sequence[tuple[str, float]]) -> dict[str, float]:
    """Return bounds by metric; ValueError for two of one metric."""
    names = [name for name, _ in given]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"{option} {twice[0]} is given twice; give each bound once")
    return dict(given)


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


def show(frame: pd.DataFrame, title: str = "") -> None:
    """Print ``frame`` as a table, as wide as the terminal."""
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    table = Table(title=escape(title) or None, title_justify="left")
    for column in frame:
        numeric = pd.api.types.is_numeric_dtype(frame[column])
        table.add_column(escape(_label(column)), justify="right" if numeric else "left", overflow="fold")
    for row in frame.to_dict("records"):
        table.add_row(*(escape(_cell(_label(column), value)) for column, value in row.items()))
    console.print(table)


def _label(column: object) -> str:
    return str(column).removeprefix("metrics.").removeprefix("params.")


def _cell(name: str, value: Any) -> str:
    if pd.isna(value):
        return "-"
    return formatting.tell(name, value) if isinstance(value, float) else str(value)
