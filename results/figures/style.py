"""How marks and axes look: one colour and one shape per role, from the colour-blind safe Okabe-Ito palette.

Ink, paper and grid are the page's own (light or dark), so figures do not set them.
"""

import html
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

COLOURS = {
    "front": "#D55E00",
    "dominated": "#56B4E9",
    "replicate": "#0072B2",
    "excluded": "#999999",
    "stopped": "#E69F00",
    "failed": "#CC79A7",
    "running": "#009E73",
}
SYMBOLS = {
    "front": "diamond",
    "dominated": "circle",
    "replicate": "square-open",
    "excluded": "x",
    "stopped": "x",
    "failed": "cross",
    "running": "circle-open",
}
SERIES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999", "#F0E442")
"""Colours of series that are not trials: objectives, ways of training."""

NAMES = {
    "flops": "effective FLOPs",
    "bops": "bit-operations",
    "size_bytes": "size in bytes",
    "macs": "multiply-accumulates",
}


def figure(traces: list[Any], height: int = 420, **layout: Any) -> go.Figure:
    """A figure on transparent paper, with its legend above."""
    return go.Figure(
        data=traces,
        layout={
            "template": "none",
            "height": height,
            "margin": {"l": 60, "r": 15, "t": 35, "b": 50},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": "system-ui, sans-serif"},
            "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
            "hovermode": "closest",
            **layout,
        },
    )


def axis(name: str, values: pd.Series | None = None) -> dict[str, Any]:
    """The axis of a metric or parameter; logarithmic if `values` are positive and span a factor of 20."""
    settings: dict[str, Any] = {
        "title": {"text": text(NAMES.get(name, name))},
        "automargin": True,
        "zeroline": False,
    }
    if values is not None:
        finite = values[np.isfinite(values)]
        if len(finite) and finite.min() > 0 and finite.max() / finite.min() > 20:
            settings["type"] = "log"
    return settings


def text(value: object) -> str:
    """`value` with nothing in it that Plotly would take for markup."""
    return html.escape(str(value), quote=False)


def short(values: pd.Series) -> list[Any]:
    """Numbers as a list, to the six digits that a figure can show; None where not finite."""
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values.astype(float)]
