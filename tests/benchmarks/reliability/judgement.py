"""How reliable a score is: the share of its variance that belongs to the configuration, and what the other scores say.

A candidate is a removal, or the mean or worst of several; an attribution; hard or soft; a number of images; last or
average weights. `table` has one row for each configuration and seed.
"""

import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from tests.benchmarks.reliability.models import configurations
from tests.benchmarks.reliability.scores import DONORS, LEVERS, OUTSIDE_TRAINING, PLAIN, VARIANTS
from trainables.saliency.removal import REMOVALS

LEAST_ICC, LEAST_WITHIN, LEAST_MARGIN = 0.7, 0.5, 0.3
OTHERS = {"attribution": "gradient", "images": 100, "weights": "last"}
"""How the other removals look at a model that a candidate is compared with."""
_HOW = ("attribution", "kind", "images", "weights")
LAMBDA1 = {number: settings["lambda1"] for number, settings in enumerate(configurations())}


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A score that could be the objective."""

    removals: tuple[str, ...]
    combined: str
    """"mean" or "worst" of the removals."""
    attribution: str
    kind: str
    """"hard" or "soft"."""
    images: int
    weights: str
    """"last" or "average"."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the study found out about a candidate."""

    icc: float
    low: float
    high: float
    """90 % interval of the ICC."""
    within: dict[float, float]
    """The ICC inside each lambda1."""
    tau: float
    """Kendall's rank correlation of the configurations' means with those of the mean of the other removals."""
    margin: float
    """What a planted oracle scores above the better of a random and an edge map."""
    cost: float
    """Processor seconds of one measurement."""

    @property
    def missed(self) -> list[str]:
        """The conditions that do not hold."""
        conditions = {
            f"ICC at least {LEAST_ICC}": self.icc >= LEAST_ICC,
            f"ICC at least {LEAST_WITHIN} inside every lambda1": min(self.within.values()) >= LEAST_WITHIN,
            f"oracle at least {LEAST_MARGIN} above random and edge": self.margin >= LEAST_MARGIN,
            "Kendall's tau with the other removals above 0": self.tau > 0,
        }
        return [name for name, holds in conditions.items() if not holds]


def candidates() -> Iterator[Candidate]:
    """Every removal alone, and the mean and worst of those that are outside training, as far as they are measured."""
    sets = [((name,), "mean") for name in (*REMOVALS, DONORS)]
    for size in (2, 3):
        for some in itertools.combinations(OUTSIDE_TRAINING, size):
            sets += [(some, "mean"), (some, "worst")]
    for one, (removals, combined), kind in itertools.product((PLAIN, *LEVERS), sets, ("hard", "soft")):
        if set(removals) <= set(one.removals):
            for images in one.images:
                yield Candidate(
                    removals=removals,
                    combined=combined,
                    attribution=one.attribution,
                    kind=kind,
                    images=images,
                    weights=one.weights,
                )


def judge(rows: pd.DataFrame, candidate: Candidate, margins: pd.DataFrame) -> Verdict:
    """Judge a candidate by rows of several seeds."""
    scores = _scores(rows, candidate)
    table = scores[list(candidate.removals)].agg("mean" if candidate.combined == "mean" else "min", axis=1)
    everything = _scores(rows, replace(candidate, **OTHERS))
    own = {VARIANTS[name][0] for name in candidate.removals}
    others = everything[[name for name in REMOVALS if name not in own]].mean(axis=1)
    value, low, high = icc(table)
    number = table.index.get_level_values("number")
    within = {}
    for lambda1 in sorted(set(LAMBDA1.values())):
        some = table[[LAMBDA1[n] == lambda1 for n in number]]
        if some.index.get_level_values("number").nunique() > 1:
            within[lambda1] = icc(some)[0]
    means = pd.DataFrame({"own": table, "others": others}).groupby("number").mean()
    margin = margins.loc[[VARIANTS[name][0] for name in candidate.removals], candidate.kind]
    return Verdict(
        icc=value,
        low=low,
        high=high,
        within=within,
        tau=float(stats.kendalltau(means["own"], means["others"]).statistic),
        margin=float(margin.mean() if candidate.combined == "mean" else margin.min()),
        cost=cost(rows, candidate),
    )


def measured(rows: pd.DataFrame, candidate: Candidate) -> bool:
    """Tell whether every model of the rows has the scores that a candidate is made of."""
    found = _scores(rows, candidate)
    models = rows.groupby(["number", "seed"]).ngroups
    return set(candidate.removals) <= set(found) and len(found[list(candidate.removals)].dropna()) == models


def cost(rows: pd.DataFrame, candidate: Candidate) -> float:
    """Processor seconds of a measurement: the maps once, and every removal."""
    some = rows[(rows["attribution"] == candidate.attribution) & rows["removal"].isin(candidate.removals)]
    some = some[some["images"] == candidate.images]
    each = some.groupby("removal")[["maps_s", "score_s"]].median()
    return float(candidate.images * (each["maps_s"].iloc[0] + each["score_s"].sum()))


def _scores(rows: pd.DataFrame, candidate: Candidate) -> pd.DataFrame:
    """One row for each model, one column for each removal."""
    chosen = asdict(candidate)
    same = np.logical_and.reduce([rows[name] == chosen[name] for name in _HOW])
    return rows[same].set_index(["number", "seed", "removal"])["score"].unstack("removal")


def icc(table: pd.Series, confidence: float = 0.9) -> tuple[float, float, float]:
    """Return the one-way intraclass correlation of a score and its interval (Shrout and Fleiss 1979, case 1).

    Args:
        table: scores with the index levels `number`, the configuration, and `seed`; at least two seeds each.
        confidence: of the two-sided interval.
    """
    groups = table.groupby("number")
    counts = groups.size()
    groups = table[table.index.get_level_values("number").isin(counts[counts > 1].index)].groupby("number")
    sizes, means = groups.size(), groups.mean()
    total = sizes.sum()
    between_df, within_df = len(sizes) - 1, total - len(sizes)
    grand = (sizes * means).sum() / total
    between = (sizes * (means - grand) ** 2).sum() / between_df
    within = (groups.var(ddof=1) * (sizes - 1)).sum() / within_df
    size = (total - (sizes**2).sum() / total) / between_df
    ratio = between / within if within else np.inf
    tail = (1 - confidence) / 2
    low = ratio / stats.f.ppf(1 - tail, between_df, within_df)
    high = ratio * stats.f.ppf(1 - tail, within_df, between_df)
    value, low, high = (1.0 if np.isinf(f) else (f - 1) / (f + size - 1) for f in (ratio, low, high))
    return float(value), float(low), float(high)


def consistency(values: NDArray[np.float64]) -> float:
    """Return the share of variance that belongs to the configuration among trainings of one seed, of (seeds, n).

    ICC(C,1) of McGraw and Wong (1996): two-way, of a single training; what a seed adds to all configurations does not
    count. The trials of a study share their seed.
    """
    k, n = values.shape
    rows, columns = values.mean(0), values.mean(1, keepdims=True)
    between = k * rows.var(ddof=1)
    within = ((values - rows - columns + values.mean()) ** 2).sum() / ((k - 1) * (n - 1))
    return float((between - within) / (between + (k - 1) * within))


def summary(verdict: Verdict) -> dict[str, Any]:
    """A row of a printed table."""
    return {
        "ICC": f"{verdict.icc:.2f} ({verdict.low:.2f} to {verdict.high:.2f})",
        "inside": " ".join(f"{value:.2f}" for value in verdict.within.values()),
        "tau": round(verdict.tau, 2),
        "margin": round(verdict.margin, 2),
        "cost": round(verdict.cost, 2),
        "missed": "; ".join(verdict.missed) or "-",
    }
