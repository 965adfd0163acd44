"""Files are replaced whole or not at all, and never through a link."""

import os
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from study_common import files
from study_common.errors import LinkError, UserError
from study_common.files import (
    STALE_S,
    check_unpacked_size,
    expanded,
    open_without_links,
    real,
    refuse_links,
    remove_parts,
    replacing,
)


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path, versions = tmp_path / "curve.csv", [bytes([digit]) * 200_000 for digit in b"01"]
    path.write_bytes(versions[0])
    read: set[bytes] = set()
    ended = threading.Event()

    def reader() -> None:
        while not ended.is_set():
            read.add(path.read_bytes())

    thread = threading.Thread(target=reader)
    thread.start()
    for number in range(100):
        with replacing(path) as part, part.open("wb") as file:
            for start in range(0, 200_000, 50_000):
                file.write(versions[number % 2][start : start + 50_000])
                file.flush()
    ended.set()
    thread.join()
    assert read <= set(versions)


@contextmanager
def _writing(path: Path, content: bytes) -> Iterator[None]:
    with replacing(path) as part:
        part.write_bytes(content)
        yield


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.binary(max_size=20),
    written=st.binary(max_size=20),
    error=st.sampled_from([OSError, KeyboardInterrupt]),
)
def test_an_error_leaves_the_old_file_and_nothing_beside_it(
    before: bytes, written: bytes, error: type[BaseException], tmp_path: Path
) -> None:
    path = tmp_path / "front.csv"
    path.write_bytes(before)
    with pytest.raises(error), _writing(path, written):
        raise error
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["front.csv"]


def test_links_that_lead_to_each_other_are_no_path_but_raise_nothing(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    assert real(tmp_path / "one").parent == tmp_path
    (tmp_path / "three").symlink_to(tmp_path)
    assert real(tmp_path / "three" / "file") == tmp_path / "file"
    with pytest.raises(UserError, match=r"'a\\x00b' is not a path; leave out the NUL in it"):
        real("a\0b")


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    with replacing(tmp_path / "link") as part:
        part.write_text("new")
    assert not (tmp_path / "link").is_symlink()
    assert ((tmp_path / "link").read_text(), (tmp_path / "mine").read_text()) == ("new", "mine")


@pytest.mark.parametrize("through_link", [False, True])
def test_what_is_no_file_is_not_replaced(through_link: bool, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with (tmp_path / "file").open() as opened:
        (tmp_path / "stdout").symlink_to(f"/proc/self/fd/{opened.fileno()}")  # as /dev/stdout is
        for name in ("pipe", "folder", "stdout"):
            path = tmp_path / name
            if through_link and name != "stdout":
                path = tmp_path / f"to-{name}"
                path.symlink_to(tmp_path / name)
            before = sorted(os.listdir(tmp_path))
            with (
                pytest.raises(UserError, match=f"{path} is not a file that can be replaced; choose"),
                replacing(path),
            ):
                pass
            assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "stdout").is_symlink()


def test_a_file_that_cannot_be_made_is_named_as_it_was_given(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "front.csv"
    with pytest.raises(FileNotFoundError) as caught, replacing(path):
        pass
    assert caught.value.filename == str(path)


def test_a_home_that_nobody_has_is_told() -> None:
    assert expanded("~/a") == Path.home() / "a"
    assert expanded("a/~") == Path("a/~")
    with pytest.raises(
        UserError, match="~nobody-x/a begins with the home of a user that is not known here; write"
    ):
        expanded("~nobody-x/a")


def test_only_old_temporary_files_of_the_same_name_are_removed(tmp_path: Path) -> None:
    names = {
        ".front.csv.old.part": 2 * STALE_S,
        ".front.csv.new.part": 0.0,
        ".other.csv.old.part": 2 * STALE_S,
    }
    for name, age in names.items():
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    with replacing(tmp_path / "front.csv"):
        pass
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"front.csv", ".front.csv.new.part", ".other.csv.old.part"}


def test_every_temporary_file_goes_where_no_process_writes(tmp_path: Path) -> None:
    (tmp_path / "3").mkdir()
    (tmp_path / "mine").mkdir()
    for file in ("3/.curve.csv.0123.part", ".log.0123.part", "3/curve.csv", "mine/.a.0123.part"):
        (tmp_path / file).touch()
    (tmp_path / "3" / "link").symlink_to(tmp_path / "mine")
    remove_parts(tmp_path / "3")
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert left == [".log.0123.part", "3/curve.csv", "mine/.a.0123.part"]


def test_a_zip_file_is_measured_before_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(2**21))
    check_unpacked_size(tmp_path / "a.npz")
    monkeypatch.setattr(files, "MAX_UNPACKED_BYTES", 2**20)
    with pytest.raises(ValueError, match="it holds more than 1 MiB"):
        check_unpacked_size(tmp_path / "a.npz")
    (tmp_path / "b.npz").write_bytes(b"no zip file")
    with pytest.raises(ValueError, match="not a zip file"):
        check_unpacked_size(tmp_path / "b.npz")


@pytest.mark.parametrize("link", ["trials", "trials/0", "trials/0/log.txt"])
def test_a_link_anywhere_between_a_file_and_its_study_is_named(link: str, tmp_path: Path) -> None:
    study = tmp_path / "s"
    (study / link).parent.mkdir(parents=True)
    (study / link).symlink_to(tmp_path)
    with pytest.raises(LinkError, match=f"{study / link} is a link; copy the study with its files in it"):
        refuse_links(study / "trials" / "0" / "log.txt", study)


def test_the_study_itself_may_be_reached_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "s").symlink_to(tmp_path / "real")
    refuse_links(tmp_path / "s" / "log.txt", tmp_path / "s")
    with pytest.raises(AssertionError, match="is not in"):
        refuse_links(tmp_path / "real" / "log.txt", tmp_path / "s")


def test_a_file_is_made_only_if_that_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_without_links(tmp_path / "driver.lock", os.O_RDWR)
    os.close(open_without_links(tmp_path / "driver.lock", os.O_RDWR | os.O_CREAT))
    assert (tmp_path / "driver.lock").is_file()


def test_what_is_no_plain_file_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    os.mkfifo(tmp_path / "pipe")  # which would wait for a reader
    (tmp_path / "folder").mkdir()
    for name in ("link", "pipe", "folder"):
        with pytest.raises(LinkError, match=f"{name} is not a plain file; remove it"):
            open_without_links(tmp_path / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        with pytest.raises(LinkError, match=f"{name} is not a plain file; remove it"):
            open_without_links(tmp_path / name, os.O_RDONLY)
    assert (tmp_path / "mine").read_text() == "mine"
