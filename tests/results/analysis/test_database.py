"""The record read in bulk: as Optuna reads it, whoever writes at that time, and nothing that is damaged."""

import os
import shutil
import sqlite3

import numpy as np
import pytest

import results
from results.analysis.database import read_rows, read_rungs
from study_common import layout
from study_common.errors import UserError
from study_common.objectives import Objective
from tests.results import sample

OBJECTIVES = {name: Objective(**pair) for name, pair in sample.OBJECTIVES.items()}


@pytest.fixture
def record(study_path, tmp_path):
    """A copy of the study, to damage."""
    return shutil.copytree(study_path, tmp_path / "copy") / layout.RECORD_FILE


def change(record, sql):
    """Change the record and close it."""
    with sqlite3.connect(record) as connection:
        assert connection.execute(sql).rowcount
    connection.close()


def test_rows_are_what_optuna_reads(study_path):
    rows = read_rows(study_path / layout.RECORD_FILE, "sample", OBJECTIVES)
    with sample.opened(study_path) as theirs:
        trials = theirs.get_trials()
    assert rows.directions == ["max", "min", "max"]
    assert rows.states == {trial.number: trial.state.name for trial in trials}
    for trial in trials:
        whole = trial.user_attrs[layout.RESULT]
        assert rows.results[trial.number] == {key: value for key, value in whole.items() if key != "rungs"}
        stored = {name: values[trial.number] for (name, _), values in rows.params.items()}
        assert stored == {
            name: trial.distributions[name].to_internal_repr(v) for name, v in trial.params.items()
        }


def test_rungs_are_read_of_the_trials_asked_for_alone(study_path):
    with sample.opened(study_path) as theirs:
        trials = theirs.get_trials()
    rungs = read_rungs(study_path / layout.RECORD_FILE, "sample", [7, 2])
    assert rungs == {number: trials[number].user_attrs[layout.RESULT]["rungs"] for number in (2, 7)}
    assert read_rungs(study_path / layout.RECORD_FILE, "sample", []) == {}


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        (
            "UPDATE trial_values SET value = value + 0.001 WHERE trial_id = 1",
            "the objectives of trial 0 differ",
        ),
        (
            "UPDATE trial_params SET param_value = 0.4 WHERE param_name = 'mask_ratio'",
            "differs from its digest",
        ),
        (
            "UPDATE trial_params SET param_value = 'x' WHERE param_name = 'lambda1'",
            "a value of lambda1 is not a number",
        ),
        ("UPDATE trials SET number = 99 WHERE number = 3", "its trials are not numbered 0, 1, 2"),
        ("UPDATE studies SET study_id = 7", "a row of trials is of no study"),
        ("CREATE VIEW endless AS SELECT 1", "it has views or triggers"),
        ("CREATE TRIGGER t AFTER INSERT ON trials BEGIN SELECT 1; END", "it has views or triggers"),
        ("UPDATE trial_user_attributes SET value_json = zeroblob(70000000) WHERE trial_id = 1", "too big"),
    ],
)
def test_a_value_changed_by_hand_is_found(record, sql, why):
    change(record, sql)
    with pytest.raises(UserError, match=rf"cannot be read as a record \(.*{why}.*\); copy the study again"):
        read_rows(record, "sample", OBJECTIVES)


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("SET value_json = replace(value_json, '\"seed\": 1', '\"seed\": 9')", "differs from its digest"),
        ("SET study_id = 7", "a row of study_user_attributes is of no study"),
    ],
)
def test_a_damaged_confirmation_is_found(sql, why, record):
    members = results.load(record.parent).front().head(1)
    sample.confirm(record.parent, members, np.random.default_rng(0))
    assert len(results.load(record.parent).confirmations) == 4
    change(record, f"UPDATE study_user_attributes {sql} WHERE key = '{layout.CONFIRMATIONS}'")
    with pytest.raises(UserError, match=why):
        results.load(record.parent)


def test_a_damaged_rung_is_found(record):
    """It is three quarters of the record, drawn as a curve, and what the search learns from."""
    change(
        record,
        "UPDATE trial_user_attributes SET value_json = json_replace(value_json, '$.rungs[0].seconds', 9) "
        f"WHERE key = '{layout.RESULT}'",
    )
    read_rows(record, "sample", OBJECTIVES)
    with pytest.raises(UserError, match="the rungs of trial 2 differ from their digest"):
        read_rungs(record, "sample", [2])


def test_a_damaged_page_is_found_though_no_row_of_ours_is_on_it(record):
    """What was read would be whole; but a file that lost one page may lose others at the next write."""
    with sqlite3.connect(record) as connection:
        unread = "SELECT rootpage FROM sqlite_master WHERE name = 'alembic_version'"
        (page,), (size,) = (connection.execute(sql).fetchone() for sql in (unread, "PRAGMA page_size"))
    connection.close()
    content = bytearray(record.read_bytes())
    content[(page - 1) * size : (page - 1) * size + 8] = b"x" * 8
    record.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot be read as a record \(.*Page \d+.*\); copy"):
        read_rows(record, "sample", OBJECTIVES)


def test_a_record_of_other_objectives_is_rejected(record):
    others = {"accuracy": OBJECTIVES["accuracy"], "flops": OBJECTIVES["flops"]}
    with pytest.raises(UserError, match=r"study\.toml has other objectives than study\.db"):
        read_rows(record, "sample", others)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "study.db is missing"),
        ("not a database, but long enough to have a header" * 9, "file is not a database"),
    ],
)
def test_a_study_without_a_record_is_one_clear_line(record, content, message):
    record.unlink()
    if content is not None:
        record.write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        results.load(record.parent)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_the_file_of_another_program_is_not_read_through_a_link(record, tmp_path, suffix):
    other = tmp_path / "other.db"
    other.write_bytes(record.read_bytes())
    before = sorted(os.listdir(tmp_path))
    link = record.with_name(record.name + suffix)
    link.unlink(missing_ok=True)
    link.symlink_to(other)
    with pytest.raises(UserError, match=f"{link} is a link; copy the study with its files in it"):
        results.load(record.parent)
    assert sorted(os.listdir(tmp_path)) == before


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


def test_a_record_of_another_study_is_one_clear_line(study_path, tmp_path):
    copy = shutil.copytree(study_path, tmp_path / "copy")
    text = (copy / layout.REQUEST_FILE).read_text()
    sample.write(copy / layout.REQUEST_FILE, text.replace('name = "sample"', 'name = "other"'))
    with pytest.raises(UserError, match="holds no study named 'other'"):
        results.load(copy)
