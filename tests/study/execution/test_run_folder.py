"""A run folder is read only by the configuration that it belongs to, and written through no link."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import trainables
from study.execution import run_folder
from study.execution.worker import Job, reports
from study_common import layout
from study_common.errors import UserError
from tests.study.toys import toy

FLAT = trainables.Config.parse({"epochs": 2, "bits": 4}).flat()
OTHER = trainables.Config.parse({"epochs": 2, "bits": 2}).flat()


def job_in(study: Path, flat: dict[str, Any] = FLAT, data: str = "images") -> Job:
    (study / layout.LOCK_FILE).write_text('{"token": "ours"}')
    folder = study / layout.TRIALS_DIR / "0"
    return Job(number=0, flat=flat, directory=folder, study=study, token="ours", data=data)


@pytest.mark.parametrize("other", ["settings", "images", "version"])
def test_a_finished_run_of_another_configuration_is_set_aside(
    other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its curve used to be reported as that of the trial, and its config.toml was overwritten."""
    before = [report.metrics for report in reports(job_in(tmp_path, OTHER), toy)]
    config = (tmp_path / "trials" / "0" / layout.CONFIG_FILE).read_text()
    now = {"settings": job_in(tmp_path), "images": job_in(tmp_path, OTHER, data="others")}.get(other)
    if other == "version":
        monkeypatch.setattr(run_folder, "RUN_VERSION", 99)
    first, last = reports(now or job_in(tmp_path, OTHER), toy)
    aside = tmp_path / "trials" / "0.aside-1"
    assert first.notice == (
        f"{tmp_path}/trials/0 held another configuration's run; it is now 0.aside-1, and the run starts from the "
        "beginning"
    )
    assert last.notice == ""
    assert first.is_new
    assert last.is_new
    assert (aside / layout.CONFIG_FILE).read_text() == config
    assert (last.metrics == before[-1]) == (other != "settings")


def test_a_folder_without_an_identity_is_set_aside_only_if_it_holds_a_run(tmp_path: Path) -> None:
    list(reports(job_in(tmp_path), toy))
    folder = tmp_path / "trials" / "0"
    (folder / layout.IDENTITY_FILE).unlink()
    notice = next(reports(job_in(tmp_path), toy)).notice
    assert "has no readable identity.json; it is now 0.aside-1" in notice
    for file in folder.iterdir():
        if file.name != layout.LOG_FILE:
            file.unlink()
    assert not next(reports(job_in(tmp_path), toy)).notice


@pytest.mark.parametrize(
    "name", [layout.RESUME_FILE, layout.CURVE_FILE, layout.LOG_FILE, layout.DIGESTS_FILE]
)
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_a_folder_with_something_else_in_the_place_of_a_file_is_set_aside(
    name: str, make: Callable[[Path], None], tmp_path: Path
) -> None:
    """The first save ended in a traceback: a file cannot replace a folder."""
    path = tmp_path / "trials" / "0" / name
    next(reports(job_in(tmp_path), toy))
    path.unlink(missing_ok=True)
    make(path)
    told = list(reports(job_in(tmp_path), toy))
    assert f"has something else in the place of the file {name}; it is now 0.aside-1" in told[0].notice
    assert not [report for report in told if report.error]
    assert all(report.is_new for report in told)


def test_what_was_set_aside_before_stays(tmp_path: Path) -> None:
    for flat in (FLAT, OTHER, FLAT):
        list(reports(job_in(tmp_path, flat), toy))
    assert sorted(path.name for path in (tmp_path / "trials").iterdir()) == ["0", "0.aside-1", "0.aside-2"]


def test_a_study_that_was_moved_keeps_its_runs(tmp_path: Path) -> None:
    """Images and the float model are elsewhere then; pretrained weights are known by their content."""
    weights = tmp_path / "weights.pth"
    weights.write_bytes(b"1")
    there = FLAT | {"data_dir": "/a", "init": "/runs/s/init/model", "pretrained": str(weights)}
    here = there | {"data_dir": "/b", "init": "/copies/t/init/model"}
    one = run_folder.identity(there, Path("/runs/s"), "images")
    assert run_folder.identity(here, Path("/copies/t"), "images") == one
    assert json.loads(json.dumps(one)) == one
    weights.write_bytes(b"2")
    assert run_folder.identity(here, Path("/copies/t"), "images") != one


@pytest.mark.parametrize("name", ["trials", "trials/0", "trials/0/log.txt", "trials/0/config.toml"])
def test_nothing_is_written_through_a_link(name: str, tmp_path: Path) -> None:
    study, elsewhere = tmp_path / "s", tmp_path / "elsewhere"
    link = study / name
    link.parent.mkdir(parents=True)
    if "." in name:
        elsewhere.write_text("mine")
    else:
        elsewhere.mkdir()
    link.symlink_to(elsewhere)
    (only,) = reports(job_in(study), toy)
    assert f"{link} is a link" in str(only.error)
    assert only.halts, "it is no fault of the configuration"
    assert elsewhere.read_text() == "mine" if "." in name else not list(elsewhere.iterdir())


def test_a_run_that_was_not_begun_by_us_is_seen_before_anything_is_read(tmp_path: Path) -> None:
    list(reports(job_in(tmp_path), toy))
    stolen = replace(job_in(tmp_path, OTHER), recorded=1)
    assert [report.epoch for report in reports(stolen, toy)] == [1, 2], (
        "the record keeps what it knows of epoch 1"
    )


def test_a_link_outside_is_no_matter(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    study = tmp_path / "linked"
    assert not run_folder.prepare(study / "trials" / "0", {"a": 1}, study)
    (study / "trials" / "1").symlink_to(tmp_path)
    with pytest.raises(UserError, match="is a link"):
        run_folder.prepare(study / "trials" / "1", {"a": 1}, study)
