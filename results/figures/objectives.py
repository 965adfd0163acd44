"""Figures of what was reached: the front in three objectives and in pairs, hypervolume, confirmations."""

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from results.figures.style import COLOURS, SERIES, SYMBOLS, axis, figure, short, text

CLOUD = ("excluded", "dominated", "front")
"""The roles whose objectives are final, in the order of drawing."""

UNCERTAIN = "front, uncertain"
"""The series of the members of the front that are more likely not on it."""


def front_3d(shown: pd.DataFrame, directions: Mapping[str, str]) -> go.Figure:
    """The complete trials in the first three objectives."""
    names = list(directions)[:3]
    traces = []
    for name, role, rows in _cloud(shown):
        x, y, z = (short(rows[f"metrics.{objective}"]) for objective in names)
        traces.append(
            go.Scatter3d(x=x, y=y, z=z, **_marks(name, role, rows, size=5 if role == "front" else 3))
        )
    axes = dict(zip("xyz", (axis(name, shown[f"metrics.{name}"]) for name in names), strict=True))
    scene = {
        f"{letter}axis": {k: v for k, v in one.items() if k != "automargin"} for letter, one in axes.items()
    }
    return figure(traces, height=560, scene=scene, margin={"l": 0, "r": 0, "t": 35, "b": 0})


def pair(shown: pd.DataFrame, x: str, y: str) -> go.Figure:
    """The complete trials in two objectives."""
    traces = []
    for name, role, rows in _cloud(shown):
        values = {"x": short(rows[f"metrics.{x}"]), "y": short(rows[f"metrics.{y}"])}
        traces.append(go.Scatter(**values, **_marks(name, role, rows, size=9 if role == "front" else 6)))
    return figure(traces, xaxis=axis(x, shown[f"metrics.{x}"]), yaxis=axis(y, shown[f"metrics.{y}"]))


def hypervolume(growth: pd.DataFrame, shown: pd.DataFrame, x: str, title: str) -> go.Figure:
    """The hypervolume over `x`, a column of `growth` and of `shown`; the trials where they entered.

    Args:
        growth: `x` and `hypervolume` of `results.hypervolume_history`, ascending.
        shown: The trials to mark, with `x` at which they finished and the `hypervolume` then.
        x: The column of the horizontal axis.
        title: The title of that axis.
    """
    line = go.Scatter(
        x=short(growth[x]),
        y=short(growth["hypervolume"]),
        mode="lines",
        name="hypervolume",
        hoverinfo="skip",
        line={"shape": "hv", "color": SERIES[0]},
    )
    traces = [line]
    for name, role, rows in _cloud(shown[shown[x].notna()]):
        places = {"x": short(rows[x]), "y": short(rows["hypervolume"])}
        traces.append(go.Scatter(**places, **_marks(name, role, rows, size=9 if role == "front" else 6)))
    return figure(
        traces,
        xaxis={**axis(title), "rangemode": "tozero"},
        yaxis={**axis("hypervolume"), "rangemode": "tozero"},
    )


def confirmations(table: pd.DataFrame, objective: str) -> go.Figure:
    """Validation beside test (mean and 95 % interval) of each confirmed trial in one objective.

    `table` is `results.confirmed` of the study.
    """
    rows = table[table["objective"] == objective]
    labels = [
        f"trial {trial}{' refit' if refit else ''}"
        for trial, refit in zip(rows["trial"], rows["refit"], strict=True)
    ]
    numbers = rows["trial"].tolist()
    half = (rows["high"] - rows["mean"]).fillna(0.0)
    common = {"y": labels, "customdata": numbers, "mode": "markers"}
    return figure(
        [
            go.Scatter(
                x=short(rows["validation"]),
                name="validation",
                **common,
                marker={"symbol": "circle-open", "size": 11, "color": SERIES[1], "line": {"width": 2}},
            ),
            go.Scatter(
                x=short(rows["mean"]),
                name="test, mean and 95 % interval",
                error_x={"array": short(half), "thickness": 2},
                **common,
                marker={"symbol": "diamond", "size": 9, "color": SERIES[0]},
            ),
        ],
        height=130 + 28 * len(rows),
        xaxis=axis(objective),
        yaxis={"type": "category", "automargin": True, "autorange": "reversed"},
    )


def _cloud(shown: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """Return name, role and rows of each series; uncertain members of the front are one of their own."""
    uncertain = (shown["role"] == "front") & ~shown["likely"].astype(bool)
    series = [(role, role, shown[(shown["role"] == role) & ~uncertain]) for role in CLOUD]
    series.append((UNCERTAIN, "front", shown[uncertain]))
    return [(name, role, rows) for name, role, rows in series if len(rows)]


def _marks(name: str, role: str, rows: pd.DataFrame, size: int) -> dict[str, object]:
    opacity = 1.0 if name == "front" else 0.35 if name == UNCERTAIN else 0.5
    return {
        "mode": "markers",
        "name": text(name),
        "customdata": rows["number"].tolist(),
        "marker": {"color": COLOURS[role], "symbol": SYMBOLS[role], "size": size, "opacity": opacity},
    }
