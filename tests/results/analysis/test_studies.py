"""Reading a study directory: the same as Optuna reads, whatever state it is in, or one clear line."""

import os
import shutil
import sqlite3

import numpy as np
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
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


def test_columns_are_the_contract(study):
    names = list(study.trials)
    assert names[:3] == ["number", "state", "feasible"]
    assert names[-4:] == ["epochs", "seed", "duration_s", "error"]
    middle = names[3:-4]
    assert middle == [n for n in middle if n.startswith("params.")] + [
        n for n in middle if n.startswith("metrics.")
    ]
    assert {"metrics.accuracy", "metrics.flops", "metrics.faithfulness", "params.lambda1"} <= set(middle)


def test_every_state_and_what_was_rejected(study):
    assert set(study.trials["state"]) == {"complete", "stopped", "failed", "running"}
    assert study.rejected == {"infeasible": 3, "repeat": 1}
    running = study.trials.index[study.trials["state"] == "running"]
    assert study.spans.loc[running, "finished"].isna().all()
    assert str(study.spans["started"].dt.tz) == "UTC"


def test_conditional_mixed_and_integer_parameters(tmp_path):
    space = {
        "mask": CategoricalDistribution(["ratio", "threshold"]),
        "gamma": FloatDistribution(1e-3, 1e-1, log=True),
        "batch_size": IntDistribution(64, 256, step=64),
        "conditional": IntDistribution(1, 9),
        "flag": CategoricalDistribution([True, False]),
        "odd": CategoricalDistribution(["auto", 0.5]),
    }
    common = {"batch_size": 128, "flag": True, "odd": 0.5}
    drawn = [
        {"mask": "ratio", **common},
        {"mask": "threshold", "gamma": 0.01, "conditional": 3, **common, "odd": "auto"},
    ]
    metrics = {"accuracy": 0.5, "flops": 1.0, "faithfulness": 0.1}
    rows = [
        sample.trial(params, sample.result(k, [metrics], [1]), space=space) for k, params in enumerate(drawn)
    ]
    trials = results.load(sample.write_study(tmp_path / "s", rows)).trials
    assert trials["params.mask"].to_list() == ["ratio", "threshold"]
    assert np.isnan(trials["params.gamma"][0])
    assert trials["params.gamma"][1] == 0.01
    assert str(trials["params.batch_size"].dtype) == "int64"
    assert str(trials["params.conditional"].dtype) == "Int64"
    assert trials["params.conditional"].to_list() == [pd.NA, 3]
    assert trials["params.flag"].to_list() == [True, True]
    assert trials["params.odd"].to_list() == ["0.5", "auto"]
    trials.to_parquet(tmp_path / "trials.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "trials.parquet"), trials)


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


def test_infeasible_by_the_constraints_of_the_study(tmp_path):
    rows = list(sample.trials(12))
    bound = 1.5e6
    study = results.load(sample.write_study(tmp_path / "s", rows, constraints={"flops": bound}))
    assert study.trials["feasible"].to_list() == (study.trials["metrics.flops"] <= bound).to_list()
    assert 0 < study.trials["feasible"].sum() < 12
    assert (study.front()["metrics.flops"] <= bound).all()


def test_curves_come_from_the_record_and_rather_from_the_files(study, study_path, tmp_path):
    points = results.curves(study, [0, 2])
    assert points[points["number"] == 0]["epoch"].to_list() == [1, 3, 9]
    with sample.opened(study_path) as theirs:
        rungs = theirs.trials[2].user_attrs[layout.RESULT]["rungs"]
    mine = points[points["number"] == 2]
    assert mine["metrics.accuracy"].to_list() == [rung["metrics"]["accuracy"] for rung in rungs]

    copy = shutil.copytree(study_path, tmp_path / "copy")
    (copy / "trials" / "2").mkdir(parents=True)
    (copy / "trials" / "2" / "curve.csv").write_text("epoch,seconds,accuracy\n1,2.0,0.25\n2,2.0,0.5\n")
    points = results.curves(results.load(copy), [0, 2])
    assert points[points["number"] == 2]["metrics.accuracy"].to_list() == [0.25, 0.5]
    assert len(points) == 5
    (copy / "trials" / "2" / "curve.csv").write_text("")
    pd.testing.assert_frame_equal(results.curves(results.load(copy), [2]), mine.reset_index(drop=True))


def test_curves_of_no_trial_are_an_empty_frame(study):
    assert list(results.curves(study, [])) == ["number", "epoch", "seconds"]


def test_a_study_is_read_while_its_driver_writes(tmp_path):
    path = sample.write_study(tmp_path / "s", sample.trials(4))
    with sqlite3.connect(path / layout.RECORD_FILE, isolation_level=None) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE trials SET state = 'FAIL' WHERE number = 0")
        assert results.load(path).trials["state"][0] == "complete"  # not committed yet
        writer.execute("COMMIT")
        assert (
            results.load(path).trials["state"][0] == "failed"
        )  # in the write-ahead log, not yet in the file
    writer.close()


@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_reading_leaves_the_record_as_it_was(study_path, tmp_path, mode):
    copy = shutil.copytree(study_path, tmp_path / "copy")
    sample.set_journal(copy, mode)
    before = (copy / layout.RECORD_FILE).read_bytes()
    results.load(copy)
    assert (copy / layout.RECORD_FILE).read_bytes() == before
    assert sorted(os.listdir(copy)) == sorted(os.listdir(study_path))


def test_a_study_on_read_only_media_is_read(read_only):
    assert len(results.load(read_only).trials) == 60


@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.3, 0.6, 0.95])
def test_a_record_cut_short_is_one_clear_line(study_path, tmp_path, share):
    copy = shutil.copytree(study_path, tmp_path / "copy")
    file = copy / layout.RECORD_FILE
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    with pytest.raises(UserError, match=r"study.db cannot be read as a record .*; copy the study again"):
        results.load(copy)


def test_a_damaged_result_is_one_clear_line(study_path, tmp_path):
    copy = shutil.copytree(study_path, tmp_path / "copy")
    with sqlite3.connect(copy / layout.RECORD_FILE) as connection:
        connection.execute("UPDATE trial_user_attributes SET value_json = substr(value_json, 1, 40)")
    connection.close()
    with pytest.raises(UserError, match="copy the study again"):
        results.load(copy)


def test_results_of_another_version_are_one_clear_line(tmp_path):
    older = sample.result(0, [sample.outcome(dict.fromkeys(sample.SPACE, 4), np.random.default_rng(0))], [1])
    older["worker"] = older.pop("intervals")[0]["worker"]
    path = sample.write_study(tmp_path / "s", [sample.trial({"lambda1": 1.0}, older)])
    with pytest.raises(
        ValueError, match=r"study.db was written by another version; .* \[versions\]"
    ) as caught:
        results.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (layout.REQUEST_FILE, None, "is not a study: it has no study.toml"),
        (layout.RECORD_FILE, None, "study.db is missing"),
        (layout.REQUEST_FILE, "format = 1\nname = 'sample'", "has format 1 and this version reads 2"),
        (layout.REQUEST_FILE, "format = 2\nname = ", "study.toml cannot be read"),
        (layout.REQUEST_FILE, "format = 2\nname = 'sample'", "lacks constraints, objectives"),
        (layout.RECORD_FILE, "not a database, but long enough to have a header" * 9, "file is not a database"),
    ],
)  # fmt: skip
def test_what_is_no_study_is_one_clear_line(study_path, tmp_path, file, content, message):
    copy = shutil.copytree(study_path, tmp_path / "copy")
    (copy / file).unlink()
    if content is not None:
        (copy / file).write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        results.load(copy)
    assert "\n" not in str(caught.value)


def test_a_record_kept_elsewhere_that_is_not_copied_yet_is_one_clear_line(tmp_path):
    asked = {**sample.request()["request"], "storage": "postgresql://me@host/studies"}
    path = sample.write_study(tmp_path / "s", sample.trials(3), request=asked)
    assert len(results.load(path).trials) == 3
    (path / layout.RECORD_FILE).unlink()
    with pytest.raises(UserError, match=r"is in postgresql://me@host/studies .* study.resume s") as caught:
        results.load(path)
    assert "\n" not in str(caught.value)


def test_a_record_of_another_study_is_one_clear_line(study_path, tmp_path):
    copy = shutil.copytree(study_path, tmp_path / "copy")
    text = (copy / layout.REQUEST_FILE).read_text()
    (copy / layout.REQUEST_FILE).write_text(text.replace('name = "sample"', 'name = "other"'))
    with pytest.raises(UserError, match="holds no study named 'other'"):
        results.load(copy)
