"""Locks that say what they wait for, and documents that tell whether they are whole."""

import os
import subprocess
import sys
import time

import pytest

from trainables.data.images import cache_files
from trainables.data.images.cache_files import locked, read_checked, write_checked

HOLD = """
import sys, time
from pathlib import Path
from trainables.data.images.cache_files import locked
with locked(Path(sys.argv[1]), "holds it"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_who_waits_long_says_for_what_and_a_killed_holder_frees_the_lock(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(cache_files, "SILENT_WAIT_S", 0.2)
    path = tmp_path / "x.lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        start = time.monotonic()
        monkeypatch.setattr(time, "sleep", _kill_after(1.0, start, holder, time.sleep))
        with locked(path, "decodes the images in /pictures"):
            pass
    assert caplog.messages == [f"waiting: process {holder.pid} decodes the images in /pictures ({path})"]


def _kill_after(seconds, start, process, sleep):
    def sleep_or_kill(duration):
        if time.monotonic() - start > seconds:
            process.kill()
        sleep(duration)

    return sleep_or_kill


def test_a_free_lock_is_silent(tmp_path, caplog):
    for _ in range(2):
        with locked(tmp_path / "x.lock", "works"):
            pass
    assert not caplog.messages


@pytest.mark.parametrize("document", [{}, [1, "é", None], {"a": {"b": [1.5]}}, "x" * 1000])
def test_any_damaged_byte_of_a_document_is_noticed(tmp_path, document):
    path = tmp_path / "x.json"
    write_checked(path, document)
    assert read_checked(path) == document
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert read_checked(path) is None
        path.write_bytes(whole[:place])
        assert read_checked(path) is None


@pytest.mark.timeout(10)
def test_what_is_no_document_is_none(tmp_path):
    assert read_checked(tmp_path / "nowhere") is None
    assert read_checked(tmp_path) is None
    os.mkfifo(tmp_path / "pipe")
    assert read_checked(tmp_path / "pipe") is None
