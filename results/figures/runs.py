"""Figures of how it went: learning curves and what the workers did when."""

import pandas as pd
import plotly.graph_objects as go

from results.figures.style import COLOURS, SYMBOLS, axis, figure, short, text

ORDER = ("dominated", "excluded", "stopped", "failed", "running", "front")
"""The roles in the order they are drawn."""


def curves(points: pd.DataFrame, roles: pd.Series, metric: str) -> go.Figure:
    """How ``metric`` grew over the epochs of each trial, where each ended marked by its role.

    Args:
        points: :func:`results.curves`.
        roles: role of each trial, by number.
        metric: a metric of ``points``.
    """
    points = points[points[f"metrics.{metric}"].notna()]
    role = points["number"].map(roles)
    traces = []
    for name in ORDER:
        rows = points[role == name].sort_values(["number", "epoch"])
        if rows.empty:
            continue
        last = ~rows.duplicated("number", keep="last")
        gaps = rows.loc[last.to_numpy()].assign(**{f"metrics.{metric}": float("nan"), "epoch": float("nan")})
        line = pd.concat([rows, gaps]).sort_values("number", kind="stable")  # a gap after each trial
        ends = rows[last.to_numpy()]
        shared = {"legendgroup": name, "name": name}
        traces += [
            go.Scatter(
                x=short(line["epoch"]),
                y=short(line[f"metrics.{metric}"]),
                customdata=line["number"].tolist(),
                mode="lines",
                line={"color": COLOURS[name], "width": 1.5},
                opacity=0.9 if name == "front" else 0.45,
                showlegend=False,
                **shared,
            ),
            go.Scatter(
                x=short(ends["epoch"]),
                y=short(ends[f"metrics.{metric}"]),
                customdata=ends["number"].tolist(),
                mode="markers",
                marker={"color": COLOURS[name], "symbol": SYMBOLS[name], "size": 8},
                **shared,
            ),
        ]
    whole = max(1, -(-int(points["epoch"].max()) // 10))  # about ten ticks, at whole epochs
    return figure(traces, xaxis={**axis("epoch"), "rangemode": "tozero", "dtick": whole}, yaxis=axis(metric))


def workers(spans: pd.DataFrame, roles: pd.Series) -> go.Figure:
    """What each worker trained when, in minutes since the first trial started.

    Args:
        spans: rows of ``study.spans``.
        roles: role of each trial, by number.
    """
    spans = spans[spans["started"].notna()]
    start = spans["started"].min()
    end = spans[["started", "finished"]].max().max()
    minutes = pd.DataFrame(
        {
            "from": (spans["started"] - start).dt.total_seconds() / 60,
            "length": (spans["finished"].fillna(end) - spans["started"]).dt.total_seconds() / 60,
            "role": spans["number"].map(roles),
        }
    )
    bars = []
    for name in ORDER:
        rows = minutes[minutes["role"] == name]
        mine = spans.loc[rows.index]
        if len(rows):
            bars.append(
                go.Bar(
                    base=short(rows["from"]),
                    x=short(rows["length"]),
                    y=[text(worker) for worker in mine["worker"]],
                    customdata=mine["number"].tolist(),
                    orientation="h",
                    name=name,
                    marker={"color": COLOURS[name], "line": {"width": 1, "color": "rgba(128,128,128,0.6)"}},
                )
            )
    return figure(
        bars,
        height=140 + 32 * spans["worker"].nunique(),
        barmode="overlay",
        xaxis=axis("minutes since the first trial started"),
        yaxis={"type": "category", "automargin": True},
    )
