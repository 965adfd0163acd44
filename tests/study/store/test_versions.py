"""The versions that a study runs with, and what differs between two of them."""

import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.store import versions as module
from study.store.versions import differences, git_commit, versions

VERSIONS = st.dictionaries(st.sampled_from(["python", "torch", "ray"]), st.text("0123456789.", max_size=4))


def test_the_versions_are_those_of_what_is_installed() -> None:
    found = versions()
    assert found["python"] == platform.python_version()
    assert {name: found[name] for name in ("torch", "ray", "optuna")} == {
        name: version(name) for name in ("torch", "ray", "optuna")
    }
    assert all(isinstance(each, str) for each in found.values()), "TOML has no None"


def test_a_package_that_is_not_installed_has_an_empty_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module._DISTRIBUTIONS, "sgt_pact_study", "no-such-distribution")
    assert versions()["sgt_pact_study"] == ""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new repository with the module in it."""
    if not shutil.which("git"):
        pytest.skip("no git on this machine")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    monkeypatch.setattr(module, "__file__", str(tmp_path / "versions.py"))
    return tmp_path


def test_the_commit_is_that_of_the_checkout(checkout: Path) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    git = ["git", "-C", str(checkout), *who]
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    log = subprocess.run([*git, "log", "--format=%H"], check=True, capture_output=True, text=True).stdout
    assert git_commit() == log.strip()


def test_without_a_commit_a_repository_or_git_there_is_none(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert git_commit() == "", "no commit yet"
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(checkout.parent))
    shutil.rmtree(checkout / ".git")
    assert git_commit() == "", "no repository"
    monkeypatch.setenv("PATH", str(checkout))
    assert git_commit() == "", "no git"


@given(VERSIONS, VERSIONS)
def test_each_package_that_differs_is_told_and_no_other(before: dict[str, str], now: dict[str, str]) -> None:
    told = differences(before, now)
    assert differences(now, now) == []
    different = {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}
    assert sorted(line.split()[0] for line in told) == sorted(different)


def test_a_package_that_is_new_or_gone_has_a_question_mark() -> None:
    assert differences({"ray": "2.50"}, {"torch": "2.9"}) == ["ray 2.50 -> ?", "torch ? -> 2.9"]


def test_the_digest_of_the_code_is_that_of_its_files_wherever_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PACKAGES", ("travelling",))
    found = []
    for number, text in enumerate(("value = 1", "value = 1", "value = 2")):
        source = tmp_path / str(number) / "travelling" / "part" / "module.py"
        source.parent.mkdir(parents=True)
        source.write_text(text)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(tmp_path / str(number)))
            found.append(module.code_digest.__wrapped__())
    assert found[0] == found[1] != found[2]
