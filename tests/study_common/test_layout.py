"""Studies are found by name and by path; the digest of a result tells each change."""

from json import dumps
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from study_common import layout
from study_common.errors import UserError
from study_common.layout import REQUEST_FILE, STATES, find_study, result_digest, study_names
from tests.results import sample


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """The studies `one` and `two`, a draft of a third, and a folder that is no study."""
    for name in ("two", "one", ".three-0a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / REQUEST_FILE).touch()
    (tmp_path / "other").mkdir()
    return tmp_path


def test_the_studies_are_the_folders_with_a_request_but_no_drafts(runs: Path) -> None:
    assert study_names(str(runs)) == ["one", "two"]
    assert study_names(str(runs / "nowhere")) == []


def test_a_study_is_found_by_its_name_and_by_its_path(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_study("one", str(runs)) == runs / "one"
    assert find_study(str(runs / "one"), "runs") == runs / "one"
    monkeypatch.chdir(runs)
    assert find_study("two", "runs") == Path("two")


def test_a_name_under_the_runs_goes_before_a_folder_here(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = runs / "other"
    (here / "one").mkdir()
    (here / "one" / REQUEST_FILE).touch()
    monkeypatch.chdir(here)
    assert find_study("one", str(runs)) == runs / "one"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("tow", "no study 'tow' under .*; did you mean 'two'\\?"),
        ("other", "no study 'other'"),
        ("nowhere/one", "no study at nowhere/one: it has no study.toml; give a study's name or directory"),
    ],
)
def test_a_study_that_is_not_there_is_told_with_the_remedy(name: str, says: str, runs: Path) -> None:
    with pytest.raises(UserError, match=says):
        find_study(name, str(runs))


def test_without_any_study_the_remedy_is_to_launch_one(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"start one with python -m study\.launch, or say with --runs-dir"):
        find_study("one", str(tmp_path))


RESULT: dict[str, Any] = dict(sample.result(0, [{"accuracy": 0.5, "flops": 1e6}], [1]))
PARAMS = {"lambda1": 1.25, "bits": 1.0}


@given(st.sampled_from(sorted(RESULT.keys() - {"rungs", "digest"})), st.integers() | st.text())
def test_the_digest_tells_a_change_of_each_field(name: str, value: object) -> None:
    changed = RESULT | {name: value}
    assert (result_digest(changed, PARAMS) == result_digest(RESULT, PARAMS)) == (
        dumps(value) == dumps(RESULT[name])
    )


@given(st.sampled_from(sorted(PARAMS)), st.floats(allow_nan=False))
def test_the_digest_tells_a_change_of_each_parameter(name: str, value: float) -> None:
    changed = PARAMS | {name: value}
    assert (result_digest(RESULT, changed) == result_digest(RESULT, PARAMS)) == (value == PARAMS[name])


def test_the_digest_does_not_depend_on_order_rungs_or_itself() -> None:
    digest = result_digest(RESULT, PARAMS)
    assert len(digest) == 16
    again = dict(reversed(RESULT.items())) | {"rungs": [], "digest": digest}
    assert result_digest(again, dict(reversed(PARAMS.items()))) == digest
    assert result_digest(RESULT, {**PARAMS, "bits": 1}) == digest, "Optuna may return 1 for 1.0"


def test_each_state_of_optuna_has_a_name() -> None:
    assert STATES.keys() == {state.name for state in TrialState}


def test_no_two_files_have_the_same_name() -> None:
    names = [value for name, value in vars(layout).items() if name.endswith(("_FILE", "_DIR"))]
    assert len(names) > 20
    assert len(set(names)) == len(names)
