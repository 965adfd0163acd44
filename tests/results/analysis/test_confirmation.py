"""Confirmed fronts against closed forms and simulated experiments."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import results


def with_confirmations(study, rows):
    """``study`` with confirmations (trial, seed, refit, accuracy, faithfulness, flops)."""
    columns = ["trial", "seed", "refit", "metrics.accuracy", "metrics.faithfulness", "metrics.flops"]
    return replace(study, confirmations=pd.DataFrame(rows, columns=columns).assign(time=""))


def test_mean_sd_and_interval(study):
    rows = study.confirmations
    table = results.confirmed(study)
    assert len(table) == 3 * rows["trial"].nunique()
    for _, entry in table.iterrows():
        values = rows.loc[rows["trial"] == entry["trial"], f"metrics.{entry['objective']}"]
        assert entry["mean"] == pytest.approx(np.mean(values))
        assert entry["sd"] == pytest.approx(np.std(values, ddof=1))
        assert entry["validation"] == study.trials[f"metrics.{entry['objective']}"][entry["trial"]]
        if entry["sd"] > 0:
            low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
            assert [entry["low"], entry["high"]] == pytest.approx([low, high])
        else:
            assert [entry["low"], entry["high"]] == pytest.approx([entry["mean"]] * 2)


def test_the_interval_covers(study):
    """800 experiments: 95 % of the intervals hold the truth."""
    rng = np.random.default_rng(3)
    rows = [(n, s, False, rng.normal(0.8, 0.01), 0.3, 1e6) for n in range(800) for s in range(4)]
    trials = pd.DataFrame({"number": range(800), **dict.fromkeys(study.trials.filter(like="metrics."), 0.5)})
    table = results.confirmed(with_confirmations(replace(study, trials=trials), rows))
    table = table[table["objective"] == "accuracy"]
    covered = (table["low"] <= 0.8) & (table["high"] >= 0.8)
    assert covered.mean() == pytest.approx(0.95, abs=0.02)


@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_luck_is_flagged_as_often_as_promised(study, seeds):
    """2.5 % of 900 honest trials, whose seeds share 1,000 test images and were chosen on 1,000 others."""
    images, trials = study.request["data"]["validation"], 900
    rng = np.random.default_rng(seeds)

    def right(skills):
        """Share of fresh images, easy and hard, that models of these skills (k,) get right, and its error."""
        share = (rng.random(images)[:, None] < skills).mean(axis=0)
        return share, np.sqrt(share * (1 - share) / images)

    seen = [(*share, *error) for share, error in (right(rng.normal(0.85, 0.0097, 1)) for _ in range(trials))]
    rows = [
        (trial, seed, False, *pair)
        for trial in range(trials)
        for seed, pair in enumerate(zip(*right(rng.normal(0.85, 0.0097, seeds)), strict=True))
    ]
    columns = ["trial", "seed", "refit", "metrics.accuracy", "metrics.accuracy_se"]
    honest = replace(
        study,
        objectives={"accuracy": study.objectives["accuracy"]},
        trials=pd.DataFrame(seen, columns=columns[3:]).assign(number=range(trials)),
        confirmations=pd.DataFrame(rows, columns=columns),
    )
    assert results.confirmed(honest)["lucky"].mean() == pytest.approx(
        0.025, abs=0.015
    )  # three standard errors


def test_a_lucky_choice_is_flagged_where_the_errors_of_both_splits_are_known(study):
    seen = study.trials["metrics.accuracy"][0]
    rows = [(0, s, False, seen - 0.06 + 0.001 * s, 0.3, 1e6) for s in range(4)]
    confirmed = with_confirmations(study, rows)
    assert not results.confirmed(confirmed)["lucky"].any()  # how many test images?
    tests = confirmed.confirmations.assign(**{"metrics.accuracy_se": 0.011})
    table = results.confirmed(replace(confirmed, confirmations=tests)).set_index("objective")
    assert table.at["accuracy", "lucky"]
    assert not table.at["flops", "lucky"]  # no noise, no luck


def test_probability_of_the_sure_and_the_even(study):
    near = [0.79, 0.80, 0.81]
    rows = [(0, s, False, a, 0.3, 1e6) for s, a in enumerate(near)]
    rows += [
        (1, s, False, a, 0.3, 1e6) for s, a in enumerate(near)
    ]  # its equal: one of the two wins each draw
    rows += [(3, s, False, a - 0.5, 0.3, 2e6) for s, a in enumerate(near)]  # dominated for certain
    rows += [(4, s, False, a - 0.5, 0.3, 1e5) for s, a in enumerate(near)]  # the cheapest for certain
    chances = results.probability_nondominated(with_confirmations(study, rows))
    assert chances[0, False] == pytest.approx(0.5, abs=0.03)
    assert chances[1, False] == pytest.approx(0.5, abs=0.03)
    assert chances[3, False] < 0.01
    assert chances[4, False] == 1.0


def test_probability_is_the_t_distributions(study):
    """Two trials, one objective apart: the chance is that of a difference of two t variables, here by quadrature."""
    rows = [(0, s, False, a, 0.3, 1e6) for s, a in enumerate([0.80, 0.81, 0.82, 0.83])]
    rows += [(1, s, False, a, 0.3, 1e6) for s, a in enumerate([0.81, 0.82, 0.83, 0.85])]
    chances = results.probability_nondominated(with_confirmations(study, rows))
    means, scales = (
        [0.815, 0.8275],
        [np.std([0.80, 0.81, 0.82, 0.83], ddof=1) / 2, np.std([0.81, 0.82, 0.83, 0.85], ddof=1) / 2],
    )
    x = np.linspace(0.5, 1.1, 200_001)
    density = stats.t.pdf((x - means[1]) / scales[1], 3) / scales[1]
    above = stats.t.sf((x - means[0]) / scales[0], 3)
    assert chances[0, False] == pytest.approx(np.trapezoid(density * above, x), abs=0.02)


def test_one_seed_has_no_interval_and_refits_compete_apart(study):
    rows = [(0, 0, False, 0.8, 0.3, 1e6)]
    rows += [(1, s, False, 0.5 + 0.01 * s, 0.1, 2e6) for s in range(2)]
    rows += [(1, s, True, 0.9 + 0.01 * s, 0.1, 2e6) for s in range(2)]
    confirmed = with_confirmations(study, rows)
    chances = results.probability_nondominated(confirmed)
    assert np.isnan(chances[0, False])
    assert chances[1, False] == chances[1, True] == 1.0  # each alone in its class
    table = results.confirmed(confirmed)
    assert table[table["trial"] == 0][["sd", "low", "high"]].isna().all(axis=None)
    assert not table["lucky"][table["trial"] == 0].any()


def test_a_test_figure_that_is_missing_is_not_counted(study):
    rows = [(0, s, False, 0.8 + 0.01 * s, np.nan if s else 0.3, 1e6) for s in range(3)]
    rows += [(1, s, False, 0.5 + 0.01 * s, 0.1, 2e6) for s in range(3)]
    confirmed = with_confirmations(study, rows)
    table = results.confirmed(confirmed).set_index(["trial", "objective"])
    assert table.at[(0, "faithfulness"), "seeds"] == 1
    assert table.at[(0, "accuracy"), "seeds"] == 3
    chances = results.probability_nondominated(confirmed)
    assert np.isnan(chances[0, False])
    assert chances[1, False] == 1.0
    without = replace(confirmed, confirmations=confirmed.confirmations.drop(columns="metrics.faithfulness"))
    assert set(results.confirmed(without)["objective"]) == {"accuracy", "flops"}
    assert results.probability_nondominated(without).isna().all()


def test_nothing_confirmed(study):
    empty = replace(study, confirmations=study.confirmations.iloc[:0])
    assert results.confirmed(empty).empty
    assert results.probability_nondominated(empty).empty
