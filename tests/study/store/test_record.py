"""The record tells when it was damaged."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

import results
from study.planning.plan import plan
from study.planning.spec import Spec
from study.store.record import Record, new_result
from study.store.request import Request
from study_common import layout
from study_common.errors import UserError

SPACE = {"lambda1": FloatDistribution(0.1, 10.0, log=True), "bits": CategoricalDistribution((2, 4, 8))}
METRICS = {"accuracy": 0.5, "flops": 1e6, "faithfulness": 0.1, "kl": 0.25}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A study of one complete and one running trial, as the driver writes them."""
    request = plan(Spec(space="mixed_bits", name="s", runs_dir=str(tmp_path), epochs=1))
    path = tmp_path / "s"
    path.mkdir()
    request.write(path)
    url = f"sqlite:///{path / layout.RECORD_FILE}"
    with Record.open(url, "s", request.objectives, new=True) as record:
        for _ in range(2):
            record.add({"lambda1": 1.25, "bits": 4}, SPACE, new_result(seed=7))
        ended = new_result(seed=7) | {"epochs": 1, "metrics": METRICS, "finished": new_result(7)["started"]}
        record.finish(0, TrialState.COMPLETE, ended)
    with Record.open(url, "s", request.objectives) as record:  # another driver goes on with it
        record.trials(1)
        record.update(1, new_result(seed=7) | {"metrics": METRICS})
    return path


def damage(directory: Path, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(directory / layout.RECORD_FILE)) as connection:
        assert connection.execute(sql, values).rowcount > 0
        connection.commit()


def test_an_intact_record_is_read(directory: Path) -> None:
    trials = results.load(directory).trials
    assert trials["params.bits"].to_list() == [4, 4]
    assert trials["metrics.kl"].to_list() == [0.25, 0.25]


@pytest.mark.parametrize("name", ["kl", "accuracy"])
def test_another_metric_is_damage(directory: Path, name: str) -> None:
    with closing(sqlite3.connect(directory / layout.RECORD_FILE)) as connection:
        (text,) = connection.execute(
            "SELECT value_json FROM trial_user_attributes WHERE trial_id = 1 AND key = 'result'"
        ).fetchone()
    result = json.loads(text)
    result["metrics"][name] += 1e-9
    damage(
        directory,
        "UPDATE trial_user_attributes SET value_json = ? WHERE trial_id = 1 AND key = 'result'",
        json.dumps(result),
    )
    with pytest.raises(
        UserError, match=r"study.db cannot be read .*trial 0 differs from its digest.*copy the study"
    ):
        results.load(directory)


def test_another_rung_is_damage(directory: Path) -> None:
    """The search would learn from it on resume."""
    rungs = [{"epoch": 1, "seconds": 1.0, "metrics": {"accuracy": 0.9}}]
    damage(
        directory,
        "UPDATE trial_user_attributes SET value_json = json_set(value_json, '$.rungs', json(?)) WHERE trial_id = 1",
        json.dumps(rungs),
    )
    objectives = Request.read(directory).objectives
    with (
        Record.open(f"sqlite:///{directory / layout.RECORD_FILE}", "s", objectives) as record,
        pytest.raises(UserError, match="the rungs of trial 0 differ from their digest; restore"),
    ):
        record.trials(1)


def test_another_parameter_is_damage(directory: Path) -> None:
    damage(
        directory, "UPDATE trial_params SET param_value = 1.26 WHERE param_name = 'lambda1' AND trial_id = 2"
    )
    with pytest.raises(UserError, match="trial 1 differs from its digest"):
        results.load(directory)
