"""Where the record of a study is, and when it is gone."""

import errno
import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from study.execution import driver
from study.execution.cluster import Cluster
from study.planning.spec import Spec
from study.store.directory import create, record_url
from study.store.request import Request
from study_common.errors import UserError
from study_common.layout import RECORD_FILE, TRIALS_DIR


def test_a_record_is_in_the_directory_unless_it_is_elsewhere(
    request_of: Callable[..., Request], tmp_path: Path
) -> None:
    request = request_of()
    ours = f"sqlite:///{tmp_path / RECORD_FILE}"
    assert record_url(request, tmp_path) == ours, "of a launch that was cut short before the record"
    (tmp_path / TRIALS_DIR).mkdir()
    assert record_url(request, tmp_path) == ours, "nothing was trained yet"
    (tmp_path / TRIALS_DIR / "0").mkdir()
    (tmp_path / RECORD_FILE).write_bytes(b"SQLite format 3")
    assert record_url(request, tmp_path) == ours
    url = "postgresql://me@db/studies"
    assert record_url(replace(request, storage=url), tmp_path) == url


@pytest.mark.parametrize("harm", ["missing", "empty"])
def test_trials_without_a_record_are_half_a_study(
    harm: str, request_of: Callable[..., Request], tmp_path: Path
) -> None:
    (tmp_path / TRIALS_DIR / "0").mkdir(parents=True)
    if harm == "empty":
        (tmp_path / RECORD_FILE).touch()
    with pytest.raises(UserError, match="missing or empty though there are trials; copy the whole study"):
        record_url(request_of(), tmp_path)
    elsewhere = replace(request_of(), storage="postgresql://me@db/studies")
    assert record_url(elsewhere, tmp_path) == elsewhere.storage


def test_trials_are_never_taken_for_those_of_a_new_record(
    request_of: Callable[..., Request], tmp_path: Path
) -> None:
    directory = create(request_of(storage=f"sqlite:///{tmp_path}/gone.db"), str(tmp_path))
    (directory / TRIALS_DIR / "0").mkdir(parents=True)
    with pytest.raises(UserError, match=r"gone.db has no record of mixed_bits-1 though there are trials"):
        driver.resume(directory)
    assert not (tmp_path / "gone.db").exists()


def test_a_record_in_a_file_is_found_from_everywhere(
    request_of: Callable[..., Request], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert request_of(storage="sqlite:///studies.db").storage == f"sqlite:///{tmp_path}/studies.db"


def test_a_disk_without_locks_keeps_nothing(
    spec_of: Callable[..., Spec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: object, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(
        driver, "connected", lambda address, workers: nullcontext(Cluster(dashboard="", cpus=2))
    )
    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(UserError, match="use a --runs-dir on a disk that has locks"):
        driver.run(spec_of(storage=f"sqlite:///{tmp_path}/elsewhere.db"))
    assert not list(tmp_path.iterdir())
