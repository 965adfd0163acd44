"""How well a width table ranks the trials."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from results import Study
from results.analysis.estimates import LEAST, agreement
from search_spaces.bits import is_width


def table_of(study: Study, noise: float) -> pd.DataFrame:
    """A table with the widths of every trial, whose accuracy is the trial's with noise."""
    rows = study.trials[[n for n in study.trials if is_width(n.removeprefix("params."))]].copy()
    random = np.random.default_rng(0)
    for name in study.objectives:
        rows[f"metrics.{name}"] = study.trials[f"metrics.{name}"] + noise * random.standard_normal(len(rows))
    return rows


def slow_tau(a: list[float], b: list[float]) -> float:
    pairs = list(combinations(range(len(a)), 2))
    signs = [np.sign(a[i] - a[j]) * np.sign(b[i] - b[j]) for i, j in pairs]
    ties = [sum(x[i] == x[j] for i, j in pairs) for x in (a, b)]
    return sum(signs) / np.sqrt((len(pairs) - ties[0]) * (len(pairs) - ties[1]))


def test_tau_is_that_of_all_pairs_of_complete_trials(study: Study) -> None:
    found = agreement(study, table := table_of(study, 0.05)).set_index("objective")
    assert list(found.index) == [name for name in study.objectives if name not in ("flops", "bops")]
    complete = study.trials["state"] == "complete"
    widths = [n for n in table if n.startswith("params.")]
    first = table.drop_duplicates(widths).set_index(widths)["metrics.accuracy"]
    own = study.trials[complete]
    other = [first[tuple(row)] for row in own[widths].to_numpy()]
    expected = slow_tau(own["metrics.accuracy"].tolist(), other)
    row = found.loc["accuracy"]
    assert row["tau"] == pytest.approx(expected)
    assert row["low"] < row["tau"] < row["high"]
    assert row["trials"] == complete.sum()
    more = own["metrics.accuracy"].to_numpy() - np.array(other)
    assert row["gain"] == pytest.approx(more.mean())
    assert row["gain_se"] == pytest.approx(stats.sem(more))


def test_a_trial_of_another_alpha_init_is_not_compared(study: Study) -> None:
    table = table_of(study, 0.05)
    alpha = "params.alpha_init"
    same = study.trials.assign(**{alpha: 3.0})
    other = same.assign(**{alpha: np.where(same["number"] % 2, 3.0, 7.5)})
    for trials, values, count in ((same, 3.0, 1.0), (other, 3.0, 1.0), (other, (3.0, 9.0), 0.5)):
        known = pd.concat([table.assign(**{alpha: value}) for value in np.atleast_1d(values)])
        found = agreement(replace(study, trials=trials), known)
        complete = trials[trials["state"] == "complete"]
        kept = complete if count == 1 else complete[complete[alpha] == 3.0]
        assert (found["trials"] == len(kept)).all()


def test_too_few_trials_have_no_tau(study: Study) -> None:
    table = table_of(study, 0.0)
    complete = study.trials.index[study.trials["state"] == "complete"]
    assert agreement(study, table.loc[complete[: LEAST - 1]]).empty
    assert agreement(study, table[[n for n in table if n.startswith("metrics.")]]).empty
