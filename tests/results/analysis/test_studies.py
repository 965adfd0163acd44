"""Reading a study directory: the same as Optuna reads, whatever state it is in, or one clear line."""

import shutil
import sqlite3

import numpy as np
import pandas as pd
import pytest
from optuna.trial import TrialState

import results
from study_common import layout
from study_common.errors import UserError
from tests.results import sample


def test_trials_are_what_optuna_says(study, study_path):
    with sample.opened(study_path) as theirs:
        trials = theirs.get_trials()
    assert study.trials["number"].to_list() == [trial.number for trial in trials]
    assert study.trials["state"].to_list() == [layout.STATES[trial.state.name] for trial in trials]
    for trial, (_, row) in zip(trials, study.trials.iterrows(), strict=True):
        assert {name: row[f"params.{name}"] for name in trial.params} == trial.params
        for name, value in zip(study.objectives, trial.values or (), strict=False):
            assert row[f"metrics.{name}"] == value
        result = trial.user_attrs[layout.RESULT]
        assert [row["seed"], row["epochs"], row["duration_s"]] == [
            result["seed"],
            result["epochs"],
            result["duration_s"],
        ]
        assert row["error"] == result["error"] or pd.isna(row["error"])
    assert study.distributions == trials[0].distributions


def test_every_state_and_what_was_rejected(study):
    assert set(study.trials["state"]) == {"complete", "stopped", "failed", "running"}
    assert study.rejected == {"infeasible": 3, "repeat": 1}
    running = study.trials.index[study.trials["state"] == "running"]
    assert study.spans.loc[running, "finished"].isna().all()
    assert str(study.spans["started"].dt.tz) == "UTC"


def test_nan_in_a_result_is_read_and_kept_out_of_the_front(tmp_path):
    params = {"lambda1": 1.0}
    good = {"accuracy": 0.5, "flops": 1.0, "faithfulness": 0.1}
    bad = {"accuracy": float("nan"), "flops": 0.5, "faithfulness": float("inf")}
    path = sample.write_study(tmp_path / "s", [
        sample.trial(params, sample.result(0, [good, good], [1, 3])),
        sample.trial(params, sample.result(1, [bad], [1]), TrialState.FAIL),
    ])  # fmt: skip
    with sqlite3.connect(path / layout.RECORD_FILE) as connection:
        connection.execute("UPDATE trials SET state = 'COMPLETE'")  # worse than any driver would write
    connection.close()
    study = results.load(path)
    assert np.isnan(study.trials["metrics.accuracy"][1])
    assert np.isposinf(study.trials["metrics.faithfulness"][1])
    assert study.front()["number"].to_list() == [0]


def test_curves_come_from_the_record_and_rather_from_the_files(study, study_path, tmp_path):
    points = results.curves(study, [0, 2])
    assert points[points["number"] == 0]["epoch"].to_list() == [1, 3, 9]
    with sample.opened(study_path) as theirs:
        rungs = theirs.trials[2].user_attrs[layout.RESULT]["rungs"]
    mine = points[points["number"] == 2]
    assert mine["metrics.accuracy"].to_list() == [rung["metrics"]["accuracy"] for rung in rungs]

    copy = shutil.copytree(study_path, tmp_path / "copy")
    (copy / "trials" / "2").mkdir(parents=True)
    sample.write(copy / "trials" / "2" / "curve.csv", "epoch,seconds,accuracy\n1,2.0,0.25\n2,2.0,0.5\n")
    points = results.curves(results.load(copy), [0, 2])
    assert points[points["number"] == 2]["metrics.accuracy"].to_list() == [0.25, 0.5]
    assert len(points) == 5
    (copy / "trials" / "2" / "curve.csv").write_text("")
    pd.testing.assert_frame_equal(results.curves(results.load(copy), [2]), mine.reset_index(drop=True))


def test_curves_of_no_trial_are_an_empty_frame(study):
    assert list(results.curves(study, [])) == ["number", "epoch", "seconds"]


def test_a_record_kept_elsewhere_that_is_not_copied_yet_is_one_clear_line(tmp_path):
    asked = {**sample.request()["request"], "storage": "postgresql://me@host/studies"}
    path = sample.write_study(tmp_path / "s", sample.trials(3), request=asked)
    assert len(results.load(path).trials) == 3
    (path / layout.RECORD_FILE).unlink()
    with pytest.raises(UserError, match=r"is in postgresql://me@host/studies .* study.resume s") as caught:
        results.load(path)
    assert "\n" not in str(caught.value)
