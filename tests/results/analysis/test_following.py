"""Looks at a study that goes on: each says what a reading from scratch says, whatever happened in between."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import optuna
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import TrialState
from sqlalchemy import event

import results
from results.analysis import following, sampled_fronts, study_file
from results.analysis.following import Following, Look, spliced
from results.page.page import page
from study_common import layout
from study_common.errors import UserError
from study_common.objectives import Objective
from tests.results import sample

OBJECTIVES = {name: Objective(**pair) for name, pair in sample.OBJECTIVES.items()}
SPACE = {**sample.SPACE, "some": IntDistribution(1, 9), "flag": CategoricalDistribution([True, False])}
"""With two parameters that only some trials have."""


def look_at(path: Path, looks: Following, *, is_driven: bool = True) -> Look:
    request = study_file.read_study_file(path / layout.REQUEST_FILE)
    return looks.look(path, request, OBJECTIVES, is_driven=is_driven)


def assert_same(found: results.Study, expected: results.Study) -> None:
    for name in ("trials", "spans", "intervals", "confirmations", "configurations"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(expected, name))
    assert found.distributions == expected.distributions
    assert list(found.distributions) == list(expected.distributions)
    assert (found.rejected, found.test_reads) == (expected.rejected, expected.test_reads)
    pd.testing.assert_frame_equal(results.importances(found), results.importances(expected))


def _without_waiting_for_the_disk(connection: sqlite3.Connection, _: Any) -> None:
    connection.execute("PRAGMA synchronous=OFF")


class Writer:
    """Does to a record what a driver does, and other programs, by Optuna's own storage."""

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        self.rng = np.random.default_rng(seed)
        self.storage = optuna.storages.RDBStorage(f"sqlite:///{path / layout.RECORD_FILE}")
        event.listen(self.storage.engine, "connect", _without_waiting_for_the_disk)
        self.storage.engine.dispose()
        self.study = self.storage.get_all_studies()[0]._study_id

    def close(self) -> None:
        self.storage.remove_session()
        self.storage.engine.dispose()

    def begin(self) -> None:
        """A trial, sometimes a replicate of an earlier one."""
        old = [trial for trial in self.storage.get_all_trials(self.study) if trial.params]
        params = {name: sample._draw(one, self.rng) for name, one in sample.SPACE.items()}
        if self.rng.random() < 0.4:
            params["some"] = int(self.rng.integers(1, 10))
        if self.rng.random() < 0.4:
            params["flag"] = bool(self.rng.random() < 0.5)
        if old and self.rng.random() < 0.2:
            params = old[self.rng.integers(len(old))].params
        number = len(self.storage.get_all_trials(self.study))
        result = sample.result(number, [], [], finished=None)
        trial = sample.trial(params, result, TrialState.RUNNING, space=SPACE)
        self.storage.create_new_trial(self.study, template_trial=trial)

    def report(self) -> None:
        """A rung of an open trial; some metrics are only measured at some of them."""
        if trial := self.open():
            known = trial.user_attrs[layout.RESULT]
            metrics = sample.outcome(trial.params, self.rng)
            if self.rng.random() < 0.3:
                metrics = {"early": 1.0, **metrics}
            if self.rng.random() < 0.3:
                del metrics["kl"]
            self.write(trial, {**known, "epochs": known["epochs"] + 1, "metrics": metrics})

    def end(self) -> None:
        """An open trial completes, fails, or is stopped."""
        if trial := self.open():
            known = {**trial.user_attrs[layout.RESULT], "finished": sample.START.isoformat()}
            kinds = [TrialState.FAIL, TrialState.PRUNED]
            state = kinds[self.rng.integers(2)]
            if known["metrics"] and self.rng.random() < 0.7:
                state = TrialState.COMPLETE
            if state == TrialState.FAIL:
                known["error"] = "it failed"
            self.write(trial, known)
            values = [known["metrics"][name] for name in OBJECTIVES] if state == TrialState.COMPLETE else None
            self.storage.set_trial_state_values(trial._trial_id, state, values)

    def pause(self) -> None:
        """An open trial pauses, or runs again."""
        if trial := self.open():
            running = trial.state == TrialState.RUNNING
            state = TrialState.WAITING if running else TrialState.RUNNING
            self.storage.set_trial_state_values(trial._trial_id, state)

    def enqueue(self) -> None:
        """Another program adds a row."""
        row = optuna.trial.create_trial(state=TrialState.WAITING, system_attrs={"fixed_params": {}})
        self.storage.create_new_trial(self.study, template_trial=row)

    def reject(self) -> None:
        """An attribute of the study changes."""
        self.storage.set_study_user_attr(self.study, layout.REJECTED, {"repeat": int(self.rng.integers(99))})

    def open(self) -> Any:
        rows = [
            trial
            for trial in self.storage.get_all_trials(self.study)
            if not trial.state.is_finished() and layout.RESULT in trial.user_attrs
        ]
        return rows[self.rng.integers(len(rows))] if rows else None

    def write(self, trial: Any, known: dict[str, Any]) -> None:
        stored = {name: SPACE[name].to_internal_repr(value) for name, value in trial.params.items()}
        sealed = {**known, "digest": layout.result_digest(known, stored)}
        self.storage.set_trial_user_attr(trial._trial_id, layout.RESULT, sealed)


ACTIONS: list[Callable[[Writer], None]] = [
    Writer.begin,
    Writer.begin,
    Writer.report,
    Writer.report,
    Writer.end,
    Writer.end,
    Writer.pause,
    Writer.enqueue,
    Writer.reject,
]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample.write_study(tmp_path_factory.mktemp("following") / "s", [])


@settings(max_examples=8)
@given(
    st.lists(st.lists(st.sampled_from(ACTIONS), min_size=4, max_size=12), min_size=2, max_size=4),
    st.integers(0, 99),
)
def test_each_look_says_what_a_reading_from_scratch_says(
    empty: Path, tmp_path_factory: pytest.TempPathFactory, bursts: list[list[Any]], seed: int
) -> None:
    path = tmp_path_factory.mktemp("drawn") / "s"
    shutil.copytree(empty, path)
    looks, writer = Following(), Writer(path, seed)
    with closing(writer), mock.patch.object(sampled_fronts, "SIMULATIONS", 60):
        for burst in bursts:
            for act in burst:
                act(writer)
            look, scratch = look_at(path, looks), look_at(path, Following())
            assert_same(look.study, scratch.study)
            assert (look.states, look.attributes) == (scratch.states, scratch.attributes)
            assert look.workers == scratch.workers


@pytest.fixture(scope="module")
def original(empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of 40 trials, one of which runs."""
    path = tmp_path_factory.mktemp("original") / "s"
    shutil.copytree(empty, path)
    with closing(Writer(path, 0)) as writer:
        for trial in sample.trials(40):
            writer.storage.create_new_trial(writer.study, template_trial=trial)
    return path


@pytest.fixture
def study(original: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    shutil.copytree(original, tmp_path / "s")
    return tmp_path / "s"


@pytest.fixture
def writer(study: Path) -> Iterator[Writer]:
    with closing(Writer(study, 0)) as opened:
        yield opened


def test_a_page_of_a_look_is_the_page_of_a_reading_from_scratch(study: Path, writer: Writer) -> None:
    looks = Following()
    page(look_at(study, looks).study)
    for act in (Writer.begin, Writer.report, Writer.end, Writer.begin):
        act(writer)
    assert page(look_at(study, looks).study) == page(results.load(study))


def test_what_has_ended_is_not_read_again_while_a_driver_writes(
    study: Path, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[set[int]] = []
    rows_of = following.rows_of

    def counted(*given: Any) -> Any:
        rows = rows_of(*given)
        read.append(set(rows.results))
        return rows

    monkeypatch.setattr(following, "rows_of", counted)
    looks = Following()
    look_at(study, looks)
    look_at(study, looks)
    writer.begin()
    look_at(study, looks)
    writer.report()
    look_at(study, looks)
    look_at(study, looks, is_driven=False)
    assert [len(numbers) for numbers in read] == [40, 0, 1, 1, 41]


def test_the_first_look_is_what_the_analysis_loads(study: Path) -> None:
    assert_same(look_at(study, Following()).study, results.load(study))


def test_another_file_in_the_place_of_the_record_is_read_whole(
    study: Path, empty: Path, tmp_path: Path
) -> None:
    looks = Following()
    look_at(study, looks)
    shutil.copy(empty / layout.RECORD_FILE, tmp_path / "other.db")
    (tmp_path / "other.db").replace(study / layout.RECORD_FILE)
    assert_same(look_at(study, looks).study, results.load(study))


def test_a_record_that_lost_a_trial_is_read_whole_and_its_damage_told(study: Path) -> None:
    looks = Following()
    look_at(study, looks)
    with closing(sqlite3.connect(study / layout.RECORD_FILE)) as connection, connection:
        connection.execute("DELETE FROM trials WHERE number = 20")
    with pytest.raises(UserError, match="cannot be read as a record"):
        look_at(study, looks)


def test_integers_stay_integers_beside_the_missing() -> None:
    old = pd.DataFrame({"number": [0, 2], "a": [1, 2], "b": [True, False]})
    new = pd.DataFrame({"number": [1, 2], "a": [5, 6]})
    found = spliced(old, new, ["number", "b", "a"])
    assert found["number"].to_list() == [0, 1, 2]
    assert found["a"].to_list() == [1, 5, 6]
    assert found["b"].to_list() == [True, pd.NA, pd.NA]
    assert found.dtypes.astype(str).to_list() == ["int64", "boolean", "int64"]
