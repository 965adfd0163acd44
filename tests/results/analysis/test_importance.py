"""Importances against Optuna on the record itself; effects of widths against a planted law."""

import warnings
from dataclasses import replace

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState

import results
from results.analysis import importance
from tests.results import sample


def test_importances_are_optunas_of_the_record(study, study_path):
    """Directly from the record: negated targets for what is maximised, and no target for the front."""
    shares = results.importances(study)
    with sample.opened(study_path) as theirs, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        signs = {"accuracy": -1, "flops": 1, "faithfulness": -1}
        for position, (name, sign) in enumerate(signs.items()):
            expected = optuna.importance.get_param_importances(
                theirs, target=lambda t, p=position, s=sign: s * t.values[p]
            )
            assert shares[name].to_dict() == pytest.approx(expected)
        assert shares[importance.FRONT_COLUMN].to_dict() == pytest.approx(
            optuna.importance.get_param_importances(theirs)
        )


def test_the_sample_s_law_is_found(study):
    shares = results.importances(study)
    assert shares["faithfulness"].idxmax() == "lambda1"
    assert shares.sum().to_list() == pytest.approx([1.0] * 4)


def test_a_constant_objective_and_a_short_study_have_none(study):
    constant = replace(study, trials=study.trials.assign(**{"metrics.accuracy": 0.5}))
    assert "accuracy" not in results.importances(constant)
    assert results.importances(replace(study, trials=study.trials.head(30))).empty


def test_mixed_choices_have_importances(tmp_path):
    rng = np.random.default_rng(0)
    space = {"odd": optuna.distributions.CategoricalDistribution(["auto", 0.5])}
    rows = []
    for k in range(40):
        value = space["odd"].choices[k % 2]
        metrics = {
            "accuracy": rng.random() / 10 + 0.5 * (value == "auto"),
            "flops": 1.0,
            "faithfulness": rng.random(),
        }
        rows.append(
            sample.trial({"odd": value}, sample.result(k, [metrics], [1]), TrialState.COMPLETE, space=space)
        )
    shares = results.importances(results.load(sample.write_study(tmp_path / "s", rows)))
    assert shares.at["odd", "accuracy"] == 1.0


def test_effects_of_widths_find_a_planted_law(study):
    """accuracy = 0.9 - 0.03 per halving of conv1, nothing for the others, and noise."""
    rng = np.random.default_rng(5)
    accuracy = (
        0.9 + 0.03 * np.log2(study.trials["params.bits.conv1"].astype(float)) + rng.normal(0, 0.005, 60)
    )
    planted = replace(study, trials=study.trials.assign(**{"metrics.accuracy": accuracy}))
    effects = results.width_effects(planted)
    assert set(effects["objective"]) == {"accuracy", "faithfulness"}  # a cost is known, not estimated
    mine = effects[effects["objective"] == "accuracy"].set_index("parameter")
    assert mine.at["bits.conv1", "low"] < -0.03 < mine.at["bits.conv1", "high"]
    assert mine.at["bits.conv1", "high"] < 0
    for layer in ("conv2", "fc1", "fc2"):
        assert abs(mine.at[f"bits.{layer}", "effect"]) < 0.01


def test_a_float_trial_does_not_hide_the_effects_of_widths(study):
    names = [f"params.bits.{layer}" for layer in ("conv1", "conv2", "fc1", "fc2")]
    corner = study.trials[study.trials["state"] == "complete"].head(1).assign(number=60)
    corner[names] = 32
    with_it = replace(study, trials=pd.concat([study.trials, corner], ignore_index=True))
    pd.testing.assert_frame_equal(results.width_effects(with_it), results.width_effects(study))


def test_widths_that_change_together_and_constants_have_no_effects(study):
    tied = study.trials.assign(**{"params.bits.conv2": study.trials["params.bits.conv1"]})
    assert results.width_effects(replace(study, trials=tied)).empty
    constant = replace(study, trials=study.trials.assign(**{"metrics.accuracy": 0.5}))
    assert set(results.width_effects(constant)["objective"]) == {"faithfulness"}


def test_effects_are_ordinary_least_squares(study):
    rows = study.trials[study.trials["state"] == "complete"]
    names = [name for name in study.distributions if name.startswith("bits.")]
    design = np.column_stack(
        [np.ones(len(rows)), *(-np.log2(rows[f"params.{n}"].astype(float)) for n in names)]
    )
    expected, *_ = np.linalg.lstsq(design, rows["metrics.faithfulness"].to_numpy(), rcond=None)
    effects = results.width_effects(study)
    mine = effects[effects["objective"] == "faithfulness"]
    assert mine["parameter"].to_list() == names
    assert mine["effect"].to_list() == pytest.approx(expected[1:].tolist())


def test_the_interval_of_an_effect_covers(study):
    """In 300 studies of five trials, one width and pure noise, 95 % of the intervals hold 0."""
    rng = np.random.default_rng(0)
    one = replace(study, distributions={"bits.conv1": study.distributions["bits.conv1"]})
    five = study.trials[study.trials["state"] == "complete"].head(5)
    covered = []
    for _ in range(300):
        changed = {
            "params.bits.conv1": rng.permutation(sample.WIDTHS),
            "metrics.accuracy": rng.normal(0.8, 0.01, 5),
        }
        effect = results.width_effects(replace(one, trials=five.assign(**changed))).iloc[0]
        covered.append(effect["low"] <= 0 <= effect["high"])
    assert np.mean(covered) == pytest.approx(0.95, abs=0.038)  # three standard errors


def test_too_few_trials_tell_no_effect(study):
    assert results.width_effects(replace(study, trials=study.trials.head(9))).empty
