"""Figures of what was varied: widths of the front, parallel coordinates, importances, effects of widths."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from optuna.distributions import BaseDistribution, CategoricalDistribution

from results.figures.style import COLOURS, SERIES, axis, figure, short, text

MAX_AXES = 14
"""Axes of the parallel coordinates, objectives included."""

MAX_BARS = 15
"""Parameters in the figure of importances."""

MARKS = ("circle", "diamond", "square", "cross")
"""Shapes of series that are not trials."""

LEVELS = ("dominated", "front", "pinned")
"""What the colour of a line of the parallel coordinates means: 0, 1, and 2 in the page's ink."""


def widths(rows: pd.DataFrame, layers: Sequence[str]) -> go.Figure:
    """The width of every layer (`bits.conv1`, ...) of the trials `rows`, one column per trial."""
    values = rows[[f"params.{layer}" for layer in layers]].to_numpy(dtype=float, na_value=np.nan).T
    numbers = rows["number"].tolist()
    used = np.unique(values[np.isfinite(values)])
    shown = len(rows) <= 40
    heat = go.Heatmap(
        z=np.log2(values).round(4).tolist(),
        x=[f"#{number}" for number in numbers],
        y=[text(layer) for layer in layers],
        customdata=[numbers] * len(layers),
        text=[["" if np.isnan(v) else f"{v:g}" for v in row] for row in values] if shown else None,
        texttemplate="%{text}" if shown else None,
        colorscale="Cividis",
        colorbar={
            "title": {"text": "bits"},
            "tickvals": np.log2(used).tolist(),
            "ticktext": [f"{v:g}" for v in used],
        },
        xgap=1 if shown else 0,
        ygap=1,
    )
    return figure(
        [heat],
        height=140 + 26 * len(layers),
        xaxis={"type": "category", "title": {"text": "trial of the front"}, "automargin": True},
        yaxis={"type": "category", "automargin": True, "autorange": "reversed"},
    )


def parallel(
    shown: pd.DataFrame, directions: Mapping[str, str], distributions: Mapping[str, BaseDistribution]
) -> go.Figure:
    """Objectives and parameters of the complete trials as parallel coordinates; dragging along an axis filters.

    One trace whatever the number of trials. Conditional parameters have no value for some trials and are left out.
    """
    rows = shown[shown["role"].isin(["dominated", "front"])]
    whole = {name: one for name, one in distributions.items() if rows[f"params.{name}"].notna().all()}
    dimensions = [_measured(name, rows[f"metrics.{name}"]) for name in directions]
    dimensions += [_searched(name, rows[f"params.{name}"], one) for name, one in whole.items()]
    return figure(
        [
            go.Parcoords(
                dimensions=dimensions[:MAX_AXES],
                customdata=rows["number"].tolist(),
                line={
                    "color": [LEVELS.index(role) for role in rows["role"]],
                    "colorscale": [[0, COLOURS["dominated"]], [0.5, COLOURS["front"]], [1, "black"]],
                    "cmin": 0,
                    "cmax": 2,
                },
                labelangle=-15,
                labelfont={"size": 13},
            )
        ],
        height=460,
        margin={"l": 55, "r": 55, "t": 90, "b": 30},
    )


def importances(shares: pd.DataFrame) -> go.Figure:
    """Bars of `results.importances`, the most important parameter on top."""
    most = shares.loc[shares.max(axis=1).sort_values(ascending=False).index[:MAX_BARS]]
    bars = [
        go.Bar(
            x=short(most[name]),
            y=[text(parameter) for parameter in most.index],
            orientation="h",
            name=text(name),
            marker={"color": SERIES[k % len(SERIES)]},
            hovertemplate="%{y}: %{x:.0%}<extra></extra>",
        )
        for k, name in enumerate(most)
    ]
    return figure(
        bars,
        height=150 + 12 * len(most) * len(most.columns),
        barmode="group",
        xaxis={**axis("share of importance"), "tickformat": ".0%"},
        yaxis={"type": "category", "automargin": True, "autorange": "reversed"},
    )


def width_effects(effects: pd.DataFrame) -> go.Figure:
    """The effect of halving each width on each objective, with 95 % intervals: `results.width_effects`."""
    parameters = list(effects["parameter"].unique())
    objectives = list(effects["objective"].unique())
    traces = []
    for k, objective in enumerate(objectives):
        rows = effects[effects["objective"] == objective]
        aside = 0.3 * ((k + 0.5) / len(objectives) - 0.5)  # beside each other on a parameter's line
        traces.append(
            go.Scatter(
                x=short(rows["effect"]),
                y=[parameters.index(name) + aside for name in rows["parameter"]],
                mode="markers",
                name=text(objective),
                error_x={"array": short(rows["high"] - rows["effect"]), "thickness": 2},
                marker={"size": 9, "symbol": MARKS[k % len(MARKS)], "color": SERIES[k % len(SERIES)]},
                hovertemplate="%{x:.4f}<extra></extra>",
            )
        )
    names = [text(name) for name in parameters]
    return figure(
        traces,
        height=150 + 34 * len(parameters),
        xaxis={**axis("change when the width is halved"), "zeroline": True},
        yaxis={
            "tickvals": list(range(len(names))),
            "ticktext": names,
            "range": [len(names) - 0.5, -0.5],
            "automargin": True,
            "zeroline": False,
        },
    )


def _searched(name: str, values: pd.Series, distribution: BaseDistribution) -> dict[str, Any]:
    """The axis of a parameter: its choices evenly spaced, numbers to scale."""
    if not isinstance(distribution, CategoricalDistribution):
        return _measured(name, values)
    kinds = sorted(values.unique())
    codes = {kind: code for code, kind in enumerate(kinds)}
    ticks = [text(f"{kind:g}" if pd.api.types.is_number(kind) else kind) for kind in kinds]
    return {
        "label": text(name),
        "values": [codes[value] for value in values],
        "tickvals": list(codes.values()),
        "ticktext": ticks,
    }


def _measured(name: str, values: pd.Series) -> dict[str, Any]:
    """The axis of a number, logarithmic as `axis` says; parallel coordinates have no such axis of their own."""
    if axis(name, values).get("type") != "log":
        return {"label": text(name), "values": short(values)}
    low, high = np.log10(values.min()), np.log10(values.max())
    powers = [10.0**k for k in range(int(np.ceil(low)), int(np.floor(high)) + 1)]
    return {
        "label": text(name),
        "values": short(np.log10(values)),
        "tickvals": np.log10(powers).tolist(),
        "ticktext": [f"{power:g}" for power in powers],
    }
