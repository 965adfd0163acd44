"""Tables in a terminal."""

import sys
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from results.analysis.formatting import format_metric
from study_common.output import one_line

PIPE_WIDTH = 240
"""Columns of a table that goes to a file or a pipe."""


def print_table(table: pd.DataFrame, title: str = "") -> None:
    """Print `table` as wide as the terminal."""
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
    printed = Table(title=escape(one_line(title)) or None, title_justify="left")
    for column in table:
        numeric = pd.api.types.is_numeric_dtype(table[column])
        printed.add_column(
            escape(one_line(_label(column))), justify="right" if numeric else "left", overflow="fold"
        )
    for row in table.to_dict("records"):
        printed.add_row(*(escape(one_line(_cell(_label(column), value))) for column, value in row.items()))
    console.print(printed)


def _label(column: object) -> str:
    return str(column).removeprefix("metrics.").removeprefix("params.")


def _cell(name: str, value: Any) -> str:
    if pd.isna(value):
        return "-"
    return format_metric(name, value) if isinstance(value, float) else str(value)
