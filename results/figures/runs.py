"""Figures of how the runs went: learning curves, learned clipping, removal of pixels, the workers."""

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from results.figures.style import COLOURS, SERIES, SYMBOLS, axis, figure, short, text

ORDER = ("dominated", "replicate", "excluded", "stopped", "failed", "running", "front")
"""The roles in the order of drawing."""

DASHES = ("solid", "dot", "dash")
"""Dashes that tell trials apart."""

REMOVALS = {"lerf": "least salient first", "random": "in random order", "morf": "most salient first"}
"""The orders in which pixels are removed."""


def curves(points: pd.DataFrame, roles: pd.Series, metric: str) -> go.Figure:
    """How `metric` grew over the epochs of each trial; the last epoch is marked by the role of the trial.

    Args:
        points: `results.curves` of the study.
        roles: Role of each trial, by number.
        metric: A metric of `points`.
    """
    y = f"metrics.{metric}"
    points = points[points[y].notna()]
    role = points["number"].map(roles)
    traces = []
    for name in ORDER:
        rows = points[role == name].sort_values(["number", "epoch"])
        if rows.empty:
            continue
        ends = rows.drop_duplicates("number", keep="last")
        shared = {"legendgroup": name, "name": name}
        traces += [
            go.Scatter(
                **_lines(rows, "epoch", y),
                line={"color": COLOURS[name], "width": 1.5},
                opacity=0.9 if name == "front" else 0.45,
                showlegend=False,
                **shared,
            ),
            go.Scatter(
                x=short(ends["epoch"]),
                y=short(ends[y]),
                customdata=ends["number"].tolist(),
                mode="markers",
                marker={"color": COLOURS[name], "symbol": SYMBOLS[name], "size": 8},
                **shared,
            ),
        ]
    whole = max(1, -(-int(points["epoch"].max()) // 10))  # about ten ticks, at whole epochs
    return figure(traces, xaxis={**axis("epoch"), "rangemode": "tozero", "dtick": whole}, yaxis=axis(metric))


def layer_curves(points: pd.DataFrame, columns: Sequence[str], title: str) -> go.Figure:
    """How a quantity of each layer changed over the epochs of a few trials: colour per layer, dashes per trial.

    Args:
        points: number, epoch and `columns`, as `results.curves` gives them.
        columns: One column per layer, such as metrics.alpha.conv1.
        title: The title of the vertical axis.
    """
    traces = []
    for dash, (number, rows) in zip(DASHES * len(points), points.groupby("number"), strict=False):
        for k, column in enumerate(columns):
            layer = column.removeprefix(f"metrics.{title}.")
            traces.append(
                go.Scatter(
                    x=short(rows["epoch"]),
                    y=short(rows[column]),
                    mode="lines+markers",
                    name=text(layer),
                    legendgroup=layer,
                    showlegend=dash == DASHES[0],
                    line={"color": SERIES[k % len(SERIES)], "dash": dash},
                    marker={"size": 4},
                    hovertemplate=f"trial {number}, {text(layer)}: %{{y:.4g}}<extra></extra>",
                )
            )
    return figure(traces, xaxis={**axis("epoch"), "rangemode": "tozero"}, yaxis=axis(title))


def removal(points: pd.DataFrame, y: str) -> go.Figure:
    """How `y` (kept, accuracy) falls as a growing share of the pixels is removed, one line per trial and order.

    `points`: number, order, fraction, kept, accuracy. With a faithful map it falls at once when the most salient
    pixels are removed first, and late when the least salient are.
    """
    traces = []
    for k, (order, name) in enumerate(REMOVALS.items()):
        rows = points[points["order"] == order].sort_values(["number", "fraction"])
        line = {"color": SERIES[k], "dash": ("solid", "dot", "dash")[k]}
        traces.append(go.Scatter(**_lines(rows, "fraction", y), name=name, line=line))
    title = {"kept": "share that keeps its class"}.get(y, y)
    return figure(
        traces, xaxis=axis("share of the pixels removed"), yaxis={**axis(title), "rangemode": "tozero"}
    )


def workers(intervals: pd.DataFrame, roles: pd.Series) -> go.Figure:
    """Which trial each worker trained when, in minutes since the first trial started.

    Args:
        intervals: Rows of `study.intervals`.
        roles: Role of each trial, by number.
    """
    minutes = pd.DataFrame(
        {
            "from": (intervals["started"] - intervals["started"].min()).dt.total_seconds() / 60,
            "length": (intervals["ended"] - intervals["started"]).dt.total_seconds() / 60,
            "role": intervals["number"].map(roles),
        }
    )
    bars = []
    for name in ORDER:
        rows = minutes[minutes["role"] == name]
        mine = intervals.loc[rows.index]
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
        height=140 + 32 * intervals["worker"].nunique(),
        barmode="overlay",
        xaxis=axis("minutes since the first trial started"),
        yaxis={"type": "category", "automargin": True},
    )


def _lines(rows: pd.DataFrame, x: str, y: str) -> dict[str, object]:
    """Return `rows` (number, x, y; sorted) as one trace of lines, with a gap after each trial."""
    gaps = rows.drop_duplicates("number", keep="last").assign(**{x: float("nan"), y: float("nan")})
    line = pd.concat([rows, gaps]).sort_values("number", kind="stable")
    return {"x": short(line[x]), "y": short(line[y]), "customdata": line["number"].tolist(), "mode": "lines"}
