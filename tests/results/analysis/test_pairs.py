"""Paired differences: planted effects are found, configurations are clusters, and the intervals cover."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution
from scipy import stats

from results.analysis.pairs import paired_differences
from study_common.errors import UserError

WIDTHS = CategoricalDistribution([2, 4, 8])


def study_of(study, rows):
    """A study with complete trials of (bits, lambda1, seed, accuracy)."""
    trials = pd.DataFrame(rows, columns=["params.bits", "params.lambda1", "seed", "metrics.accuracy"])
    trials = trials.assign(
        number=range(len(trials)), state="complete", feasible=True,
        **{"metrics.flops": 1.0, "metrics.faithfulness": 0.5, "metrics.faithfulness.road": 0.1},
    )  # fmt: skip
    return replace(study, trials=trials, distributions={"bits": WIDTHS, "lambda1": WIDTHS})


def test_a_planted_effect_is_found_exactly_whatever_the_configuration_and_the_seed(study):
    rows = [
        (bits, lambda1, seed, 0.1 * bits + lambda1 + seed)
        for bits in (2, 4, 8)
        for lambda1 in (1.0, 2.0)
        for seed in (0, 1)
    ]
    found = paired_differences([study_of(study, rows)], "bits", ["accuracy"])
    assert found[["value", "against", "pairs", "configurations"]].to_numpy().tolist() == [
        [2, 8, 4, 2],
        [4, 8, 4, 2],
    ]
    for column in ("difference", "low", "high"):
        assert found[column].to_list() == pytest.approx([-0.6, -0.4])
    reverse = paired_differences([study_of(study, rows)], "bits", ["accuracy"], against=2)
    assert reverse["difference"].to_list() == pytest.approx([0.2, 0.6])


def test_trials_without_a_partner_do_not_count(study):
    rows = [(2, 1.0, 0, 0.5), (8, 1.0, 0, 0.6), (2, 1.0, 1, 0.1), (8, 2.0, 0, 0.9)]
    found = paired_differences([study_of(study, rows)], "bits", ["accuracy"]).iloc[0]
    assert (found["difference"], found["pairs"], found["configurations"]) == (pytest.approx(-0.1), 1, 1)
    assert np.isnan(found["low"])


def test_with_one_configuration_the_interval_is_students_of_the_pairs(study):
    rng = np.random.default_rng(0)
    rows = [(bits, 1.0, seed, rng.normal()) for seed in range(9) for bits in (2, 8)]
    found = paired_differences([study_of(study, rows)], "bits", ["accuracy"]).iloc[0]
    values = np.array([row[3] for row in rows]).reshape(-1, 2)
    expected = stats.ttest_rel(values[:, 0], values[:, 1]).confidence_interval(0.95)
    assert (found["low"], found["high"]) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_with_one_seed_the_interval_is_students_of_the_configurations(study):
    rng = np.random.default_rng(0)
    rows = [(bits, float(c), 0, rng.normal()) for c in range(9) for bits in (2, 8)]
    found = paired_differences([study_of(study, rows)], "bits", ["accuracy"]).iloc[0]
    values = np.array([row[3] for row in rows]).reshape(-1, 2)
    expected = stats.ttest_rel(values[:, 0], values[:, 1]).confidence_interval(0.95)
    assert (found["low"], found["high"]) == (pytest.approx(expected.low), pytest.approx(expected.high))


def test_the_interval_covers_the_mean_effect_where_configurations_differ(study):
    """Pairs taken as independent would cover far less: three of each configuration share its effect."""
    rng, covered = np.random.default_rng(1), 0
    for _ in range(100):
        effects = rng.normal(0.3, 0.2, 12)
        rows = [
            (bits, float(c), seed, (bits == 2) * effects[c] + rng.normal(0, 0.05))
            for c in range(12)
            for seed in range(3)
            for bits in (2, 8)
        ]
        found = paired_differences([study_of(study, rows)], "bits", ["accuracy"]).iloc[0]
        covered += found["low"] <= 0.3 <= found["high"]
    assert covered >= 88


def test_studies_are_pooled_and_their_settings_belong_to_the_configuration(study):
    one = study_of(study, [(2, 1.0, 0, 0.5), (8, 1.0, 0, 0.6)])
    two = study_of(study, [(2, 1.0, 1, 0.5), (8, 1.0, 1, 0.8)])
    found = paired_differences([one, two], "bits", ["accuracy"]).iloc[0]
    assert (found["difference"], found["pairs"], found["configurations"]) == (pytest.approx(-0.2), 2, 1)
    other = replace(two, request={**two.request, "fixed": {"lr": 0.1}})
    assert paired_differences([one, other], "bits", ["accuracy"]).iloc[0]["configurations"] == 2


def test_the_default_metrics_are_the_scores_and_their_removals(study):
    one = study_of(study, [(2, 1.0, 0, 0.5), (8, 1.0, 0, 0.6)])
    assert set(paired_differences([one], "bits")["metric"]) == {
        "accuracy",
        "faithfulness",
        "faithfulness.road",
    }


def test_what_was_not_searched_or_not_tried_is_an_error(study):
    one = study_of(study, [(2, 1.0, 0, 0.5), (8, 1.0, 0, 0.6)])
    with pytest.raises(UserError, match="parameter"):
        paired_differences([one], "bit")
    with pytest.raises(UserError, match="no complete trial has bits = 3; it has 2, 8"):
        paired_differences([one], "bits", against=3)
    with pytest.raises(UserError, match="no complete trial"):
        paired_differences([study_of(study, [])], "bits")
