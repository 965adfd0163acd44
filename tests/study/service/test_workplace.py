"""The directory that is served: ours, writable, and served once."""

import os
import stat
from pathlib import Path

import pytest

from study.service.workplace import FOLDER, Workplace
from study_common.errors import UserError


def test_a_new_directory_is_made_and_only_its_owner_reads_the_secrets(tmp_path: Path) -> None:
    workplace = Workplace(tmp_path / "a" / "runs")
    key = workplace.key()
    workplace.keep_token("secret")
    assert workplace.key() == key
    assert workplace.token_file.read_text() == "secret\n"
    for path in (workplace.folder, workplace.token_file, workplace.folder / "key"):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077


def test_the_key_survives_a_second_start(runs: Path) -> None:
    assert Workplace(runs).key() == Workplace(runs).key()


def test_a_damaged_key_is_replaced(runs: Path) -> None:
    workplace = Workplace(runs)
    key = workplace.key()
    (workplace.folder / "key").write_text("zz")
    assert workplace.key() not in (key, b"")


def test_a_directory_of_other_things_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UserError, match="no study"):
        Workplace(tmp_path)
    assert not (tmp_path / FOLDER).exists()


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(UserError, match="choose another"):
        Workplace(tmp_path / "runs")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_the_directory_of_another_user_is_refused(runs: Path) -> None:
    os.chown(runs, 12345, 12345)
    with pytest.raises(UserError, match="another user"):
        Workplace(runs)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_directory_that_cannot_be_written_is_refused(runs: Path) -> None:
    runs.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written"):
        Workplace(runs)


def test_a_link_in_place_of_its_folder_is_refused(runs: Path, tmp_path: Path) -> None:
    (runs / FOLDER).symlink_to(tmp_path)
    with pytest.raises(UserError, match="is a link"):
        Workplace(runs)


def test_a_second_service_is_refused_and_told_of_the_first(workplace: Workplace, runs: Path) -> None:
    told = rf"process {os.getpid()} on .*, http://127.0.0.1:8000/"
    with workplace.held("http://127.0.0.1:8000/"), pytest.raises(UserError, match=told):
        Workplace(runs).held("http://127.0.0.1:8001/").__enter__()
    with Workplace(runs).held("http://127.0.0.1:8001/"):
        pass
