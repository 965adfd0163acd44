"""The width table beside the trials: estimates of a shared model, which were not trained."""

import pandas as pd
import plotly.graph_objects as go

from results.figures.objectives import pair
from results.figures.style import COLOURS, short

ESTIMATE = "estimate, not trained"


def estimates(table: pd.DataFrame, shown: pd.DataFrame, x: str, y: str) -> go.Figure:
    """The rows of a width table in two objectives, and the complete trials over them.

    Args:
        table: `metrics.*` of `widths.parquet`, accuracies by `analysis.estimates.by_loss`.
        shown: `results.shown_trials` of the study.
        x: The objective of the horizontal axis.
        y: The objective of the vertical axis.
    """
    made = pair(shown, x, y)
    cloud = go.Scatter(
        x=short(table[f"metrics.{x}"]),
        y=short(table[f"metrics.{y}"]),
        mode="markers",
        name=ESTIMATE,
        hoverinfo="skip",
        marker={"symbol": "circle-open", "size": 5, "color": COLOURS["excluded"]},
    )
    return go.Figure(data=[cloud, *made.data], layout=made.layout)
