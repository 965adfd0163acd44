"""The figures of the report, by section, and their headings. A section whose data is missing has none."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from results import figures
from results.analysis import confirmation, estimates, fronts, importance
from results.analysis.configurations import searched_widths
from results.analysis.metrics import COST_METRICS
from results.analysis.run_files import RunFiles
from results.analysis.selection import cost_metric
from results.analysis.studies import Study, curves
from results.analysis.thinning import spread_evenly
from results.page.gallery import SaliencyStrip

MAX_CURVES = 300
"""Trials in the figure of learning curves."""

MAX_PAIRS = 6
"""Pairs of objectives shown: all of up to four."""


CLIPPING = {"alpha": "Clipping level of each layer (alpha)", "step": "Step size of each layer"}
"""What the quantisers learn per layer and epoch: prefixes of columns of `curve.csv`, and headings."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One figure and its heading."""

    id: str
    title: str
    figure: go.Figure


def panels(
    study: Study, shown: pd.DataFrame, strips: Sequence[SaliencyStrip], run_files: RunFiles
) -> dict[str, list[Panel]]:
    """Return the figures of each section of the report.

    Args:
        study: What is reported.
        shown: `shown_trials` of it.
        strips: The models in the saliency gallery.
        run_files: The reader of learning curves.
    """
    made = {
        "front": _front(study, shown),
        "hypervolume": _hypervolume(study, shown),
        "widths": _widths(study, shown),
        "estimates": _estimates(study, shown, run_files),
        "parallel": _parallel(study, shown),
        "importances": _importances(study),
        "curves": _curves(study, shown, run_files),
        "clipping": _clipping(study, run_files),
        "confirmed": _confirmed(study),
        "saliency": _saliency(strips),
        "workers": _workers(study, shown),
    }
    return {
        section: [
            Panel(id=f"{section}-{k}", title=title, figure=figure) for k, (title, figure) in enumerate(titled)
        ]
        for section, titled in made.items()
    }


Titled = Iterator[tuple[str, go.Figure]]


def _front(study: Study, shown: pd.DataFrame) -> Titled:
    names = list(study.objectives)
    if not shown["role"].isin(figures.CLOUD).any():
        return
    if len(names) > 2:
        yield "The front in three objectives", figures.front_3d(shown, study.directions)
    for x, y in list(combinations(names, 2))[:MAX_PAIRS]:
        yield f"{y} over {x}", figures.pair(shown, x, y)


def _hypervolume(study: Study, shown: pd.DataFrame) -> Titled:
    ended = study.spans[study.trials["state"] != "running"].sort_values("finished")
    if not shown["role"].isin(figures.CLOUD).any():
        return
    minutes = ((ended["finished"] - ended["started"].min()).dt.total_seconds() / 60).to_numpy()
    points = 200 if len(study.objectives) <= fronts.MAX_EXACT_OBJECTIVES else 30
    growth = fronts.hypervolume_history(study.trials.loc[ended.index], study.objectives, points)
    growth["minutes"] = minutes[growth["trials"] - 1]
    order = pd.DataFrame({"trials": np.arange(1, len(ended) + 1), "minutes": minutes}, index=ended.index)
    marked = shown.join(order)
    known = np.concatenate([[0.0], growth["hypervolume"]])
    marked["hypervolume"] = known[np.searchsorted(growth["trials"], marked["trials"], side="right")]
    yield "By trials", figures.hypervolume(growth, marked, "trials", "trials ended")
    yield "By time", figures.hypervolume(growth, marked, "minutes", "minutes since the first trial started")


def _widths(study: Study, shown: pd.DataFrame) -> Titled:
    front = shown[shown["role"] == "front"]
    layers = searched_widths(study)
    if layers and len(front):
        cost = f"metrics.{cost_metric(study.directions)}"
        rows = front.sort_values(cost) if cost in front else front
        yield (
            f"Widths of the front, by increasing {cost_metric(study.directions)}",
            figures.widths(rows, layers),
        )


def _estimates(study: Study, shown: pd.DataFrame, run_files: RunFiles) -> Titled:
    """The width table beside the complete trials, each score over the cost."""
    table, cost = run_files.width_table(), cost_metric(study.directions)
    if table is None or not shown["role"].isin(figures.CLOUD).any():
        return
    for name in study.objectives:
        if name not in COST_METRICS and {f"metrics.{name}", f"metrics.{cost}"} <= {*table} & {*shown}:
            yield (
                f"Estimates: {name} over {cost}",
                figures.estimates(estimates.by_loss(table), shown, cost, name),
            )


def _parallel(study: Study, shown: pd.DataFrame) -> Titled:
    if shown["role"].isin(["dominated", "front"]).any():
        yield "Parallel coordinates", figures.parallel(shown, study.directions, study.distributions)


def _importances(study: Study) -> Titled:
    shares = importance.importances(study)
    if not shares.empty:
        yield "Importance of each parameter", figures.importances(shares)
    effects = importance.width_effects(study)
    if not effects.empty:
        yield "Effect of halving the width of a layer", figures.width_effects(effects)


def _curves(study: Study, shown: pd.DataFrame, run_files: RunFiles) -> Titled:
    some = _few(study, shown)
    points = curves(study, some["number"].tolist(), run_files)
    roles = some.set_index("number")["role"]
    for name in dict.fromkeys([*study.objectives, "kl"]):
        column = f"metrics.{name}"
        if name not in COST_METRICS and column in points and points[column].notna().any():
            yield name, figures.curves(points, roles, name)


def _clipping(study: Study, run_files: RunFiles) -> Titled:
    """The clipping levels and step sizes of the layers of the recommended trials, if their curves have them."""
    numbers = list(dict.fromkeys(int(trial["number"]) for trial in study.recommend().values()))
    points = curves(study, numbers, run_files)
    for prefix, title in CLIPPING.items():
        columns = [name for name in map(str, points) if name.startswith(f"metrics.{prefix}.")]
        if columns and points[columns].notna().any(axis=None):
            yield title, figures.layer_curves(points, columns, prefix)


def _few(study: Study, shown: pd.DataFrame) -> pd.DataFrame:
    """Return at most `MAX_CURVES` of the trials: the recommended, then the front, then others."""
    recommended = [trial["number"] for trial in study.recommend().values()]
    groups = np.select([shown["number"].isin(recommended), shown["role"] == "front"], [0, 1], 2)
    kept: list[int] = []
    for group in range(3):
        kept += spread_evenly(shown[groups == group], MAX_CURVES - len(kept)).index.tolist()
    return shown.loc[sorted(kept)]


def _confirmed(study: Study) -> Titled:
    table = confirmation.confirmed(study)
    for name in table.loc[table["sd"] > 0, "objective"].unique():
        yield name, figures.confirmations(table, name)


def _saliency(strips: Sequence[SaliencyStrip]) -> Titled:
    points = [strip.removal.assign(number=strip.number) for strip in strips if len(strip.removal)]
    if points:
        yield "Predictions kept as pixels are removed", figures.removal(pd.concat(points), "kept")
        yield "Accuracy as pixels are removed", figures.removal(pd.concat(points), "accuracy")


def _workers(study: Study, shown: pd.DataFrame) -> Titled:
    intervals = study.intervals[study.intervals["number"].isin(shown["number"])]
    if len(intervals):
        yield "Workers", figures.workers(intervals, shown.set_index("number")["role"])
