"""The figures of the report, by section. A section whose data is missing has none."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from results import figures
from results.analysis import confirmation, fronts, importance, selection
from results.analysis.studies import Study, curves
from results.analysis.thinning import evenly
from results.page.gallery import Strip

MOST_CURVES = 300
"""Trials in the figure of learning curves."""

MOST_PAIRS = 6
"""Pairs of objectives shown: all of up to four."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One figure and its heading."""

    id: str
    title: str
    figure: go.Figure


def panels(study: Study, drawn: pd.DataFrame, strips: Sequence[Strip]) -> dict[str, list[Panel]]:
    """Return the figures of each section of the report.

    Args:
        study: what is reported.
        drawn: :func:`results.analysis.thinning.drawn` of it.
        strips: the trials in the saliency gallery.
    """
    made = {
        "front": _front(study, drawn),
        "hypervolume": _hypervolume(study, drawn),
        "widths": _widths(study, drawn),
        "parallel": _parallel(study, drawn),
        "importances": _importances(study),
        "curves": _curves(study, drawn),
        "confirmed": _confirmed(study),
        "saliency": _saliency(strips),
        "workers": _workers(study, drawn),
    }
    return {
        section: [
            Panel(id=f"{section}-{k}", title=title, figure=figure) for k, (title, figure) in enumerate(titled)
        ]
        for section, titled in made.items()
    }


Titled = Iterator[tuple[str, go.Figure]]


def _front(study: Study, drawn: pd.DataFrame) -> Titled:
    names = list(study.objectives)
    if not drawn["role"].isin(figures.CLOUD).any():
        return
    if len(names) > 2:
        yield "The front in three objectives", figures.front_3d(drawn, study.directions)
    for x, y in list(combinations(names, 2))[:MOST_PAIRS]:
        yield f"{y} over {x}", figures.pair(drawn, x, y)


def _hypervolume(study: Study, drawn: pd.DataFrame) -> Titled:
    ended = study.spans[study.trials["state"] != "running"].sort_values("finished")
    if not drawn["role"].isin(figures.CLOUD).any():
        return
    minutes = ((ended["finished"] - ended["started"].min()).dt.total_seconds() / 60).to_numpy()
    points = 200 if len(study.objectives) <= fronts.EXACT_UP_TO else 30
    growth = fronts.history(study.trials.loc[ended.index], study.objectives, points)
    growth["minutes"] = minutes[growth["trials"] - 1]
    order = pd.DataFrame({"trials": np.arange(1, len(ended) + 1), "minutes": minutes}, index=ended.index)
    marked = drawn.join(order)
    known = np.concatenate([[0.0], growth["hypervolume"]])
    marked["hypervolume"] = known[np.searchsorted(growth["trials"], marked["trials"], side="right")]
    yield "By trials", figures.hypervolume(growth, marked, "trials", "trials ended")
    yield "By time", figures.hypervolume(growth, marked, "minutes", "minutes since the first trial started")


def _widths(study: Study, drawn: pd.DataFrame) -> Titled:
    front = drawn[drawn["role"] == "front"]
    layers = selection.searched_widths(study)
    if layers and len(front):
        cost = f"metrics.{selection.cost_metric(study)}"
        rows = front.sort_values(cost) if cost in front else front
        yield "Widths of the front, from cheap to dear", figures.widths(rows, layers)


def _parallel(study: Study, drawn: pd.DataFrame) -> Titled:
    if drawn["role"].isin(["dominated", "front"]).any():
        yield "Parallel coordinates", figures.parallel(drawn, study.directions, study.distributions)


def _importances(study: Study) -> Titled:
    shares = importance.importances(study)
    if not shares.empty:
        yield "Importance of each parameter", figures.importances(shares)
    effects = importance.width_effects(study)
    if not effects.empty:
        yield "What halving the width of a layer does", figures.width_effects(effects)


def _curves(study: Study, drawn: pd.DataFrame) -> Titled:
    some = _few(study, drawn)
    points = curves(study, some["number"].tolist())
    roles = some.set_index("number")["role"]
    for name in dict.fromkeys([*study.objectives, "kl"]):
        column = f"metrics.{name}"
        if name not in selection.COSTS and column in points and points[column].notna().any():
            yield name, figures.curves(points, roles, name)


def _few(study: Study, drawn: pd.DataFrame) -> pd.DataFrame:
    """Return at most `MOST_CURVES` of the trials: the recommended, then the front, then others."""
    recommended = [row["number"] for row in selection.recommend(study).values()]
    groups = np.select([drawn["number"].isin(recommended), drawn["role"] == "front"], [0, 1], 2)
    kept: list[int] = []
    for group in range(3):
        kept += evenly(drawn[groups == group], MOST_CURVES - len(kept)).index.tolist()
    return drawn.loc[sorted(kept)]


def _confirmed(study: Study) -> Titled:
    table = confirmation.confirmed(study)
    for name in table.loc[table["sd"] > 0, "objective"].unique():
        yield name, figures.confirmations(table, name)


def _saliency(strips: Sequence[Strip]) -> Titled:
    points = [strip.removal.assign(number=strip.number) for strip in strips if len(strip.removal)]
    if points:
        yield "Predictions that stay as pixels are removed", figures.removal(pd.concat(points), "kept")
        yield "Accuracy as pixels are removed", figures.removal(pd.concat(points), "accuracy")


def _workers(study: Study, drawn: pd.DataFrame) -> Titled:
    intervals = study.intervals[study.intervals["number"].isin(drawn["number"])]
    if len(intervals):
        yield "Workers", figures.workers(intervals, drawn.set_index("number")["role"])
