"""Figures of what was reached: the front in three objectives and in pairs, hypervolume, confirmations."""

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from results.figures.style import COLOURS, SERIES, SYMBOLS, axis, figure, short, text

CLOUD = ("excluded", "dominated", "front")
"""The roles whose objectives are final, in the order they are drawn."""


def front_3d(drawn: pd.DataFrame, directions: Mapping[str, str]) -> go.Figure:
    """The complete trials in the first three objectives."""
    names = list(directions)[:3]
    traces = []
    for role, rows in _cloud(drawn):
        x, y, z = (short(rows[f"metrics.{name}"]) for name in names)
        marker = {"size": 5 if role == "front" else 3, "opacity": 1.0 if role == "front" else 0.5}
        traces.append(go.Scatter3d(x=x, y=y, z=z, **_marks(role, rows, marker)))
    axes = dict(zip("xyz", (axis(name, drawn[f"metrics.{name}"]) for name in names), strict=True))
    scene = {
        f"{letter}axis": {k: v for k, v in one.items() if k != "automargin"} for letter, one in axes.items()
    }
    return figure(traces, height=560, scene=scene, margin={"l": 0, "r": 0, "t": 35, "b": 0})


def pair(drawn: pd.DataFrame, x: str, y: str) -> go.Figure:
    """The complete trials in two objectives."""
    traces = []
    for role, rows in _cloud(drawn):
        marker = {"size": 9 if role == "front" else 6, "opacity": 1.0 if role == "front" else 0.5}
        values = {"x": short(rows[f"metrics.{x}"]), "y": short(rows[f"metrics.{y}"])}
        traces.append(go.Scatter(**values, **_marks(role, rows, marker)))
    return figure(traces, xaxis=axis(x, drawn[f"metrics.{x}"]), yaxis=axis(y, drawn[f"metrics.{y}"]))


def hypervolume(growth: pd.DataFrame, drawn: pd.DataFrame, x: str, title: str) -> go.Figure:
    """The hypervolume over ``x``, a column of ``growth`` and of ``drawn``; the front where it entered.

    Args:
        growth: ``x`` and ``hypervolume`` of :func:`results.history`, ascending.
        drawn: the trials to mark, with ``x`` at which they finished and the ``hypervolume`` then.
        x: the column to draw over.
        title: what it is called.
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
    for role, rows in _cloud(drawn[drawn[x].notna()]):
        marker = {"size": 9 if role == "front" else 6, "opacity": 1.0}
        traces.append(
            go.Scatter(x=short(rows[x]), y=short(rows["hypervolume"]), **_marks(role, rows, marker))
        )
    return figure(
        traces,
        xaxis={**axis(title), "rangemode": "tozero"},
        yaxis={**axis("hypervolume"), "rangemode": "tozero"},
    )


def confirmations(table: pd.DataFrame, objective: str) -> go.Figure:
    """Validation beside test (mean and 95 % interval) of each confirmed trial in one objective.

    ``table`` is :func:`results.confirmed`.
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


def _cloud(drawn: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    parts = [(role, drawn[drawn["role"] == role]) for role in CLOUD]
    return [(role, rows) for role, rows in parts if len(rows)]


def _marks(role: str, rows: pd.DataFrame, marker: Mapping[str, object]) -> dict[str, object]:
    return {
        "mode": "markers",
        "name": text(role),
        "customdata": rows["number"].tolist(),
        "marker": {"color": COLOURS[role], "symbol": SYMBOLS[role], **marker},
    }
