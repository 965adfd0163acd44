"""A record elsewhere is known once the user has named it for a study, on this machine."""

from pathlib import Path

import pytest

from study.store.known_records import is_known, remember

URL = "postgresql://me@db/studies"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which nothing is remembered yet."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def test_a_record_is_known_once_it_was_named(tmp_path: Path) -> None:
    assert not is_known(tmp_path / "s", URL)
    remember(tmp_path / "s", URL)
    remember(tmp_path / "s", URL)
    assert is_known(tmp_path / "s", URL)


def test_neither_another_database_nor_another_study_is_known_with_it(tmp_path: Path) -> None:
    remember(tmp_path / "s", URL)
    assert not is_known(tmp_path / "s", URL + "2")
    assert not is_known(tmp_path / "t", URL)


def test_a_study_is_the_same_by_whatever_path_it_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "s")
    remember(tmp_path / "link", URL)
    monkeypatch.chdir(tmp_path)
    assert is_known(Path("s"), URL)


def test_others_can_read_neither_the_url_nor_what_is_remembered(tmp_path: Path, home: Path) -> None:
    remember(tmp_path / "s", URL)
    (file,) = (path for path in home.rglob("*") if path.is_file())
    assert file.read_bytes() == b""
    assert set(file.name) <= set("0123456789abcdef"), "a digest"
    assert file.parent.stat().st_mode & 0o077 == 0


def test_without_a_home_nothing_is_remembered_and_nothing_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    remember(tmp_path / "s", URL)
    assert not is_known(tmp_path / "s", URL)


def test_without_a_state_home_the_usual_one_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    remember(tmp_path / "s", URL)
    assert (tmp_path / "me" / ".local" / "state" / "sgt-pact-study" / "records").is_dir()
