"""Output that breaks is given up, and what is printed cannot drive a terminal."""

import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study_common import output
from study_common.output import TolerantStream, discard, printable, say, waiting


class Broken(io.StringIO):
    """A stream whose reader has left; it counts the attempts."""

    attempts = 0

    def write(self, text: str) -> int:
        self.attempts += 1
        raise BrokenPipeError("nobody reads")


@given(st.text(), st.sampled_from(["ascii", "latin-1", "utf-8"]))
def test_any_text_is_written_in_any_encoding(text: str, encoding: str) -> None:
    narrow = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    stream = TolerantStream(narrow)
    assert stream.write(text) == len(text)
    stream.flush()
    written = narrow.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert written == text.encode(encoding, "replace").decode(encoding)


def test_a_long_wait_says_for_what_and_a_short_one_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with waiting("for nothing"):
        pass
    monkeypatch.setattr(output, "SILENT_WAIT_S", 0.05)
    with waiting("for Ray to start"):
        time.sleep(0.5)
    assert capsys.readouterr().out == "waiting for Ray to start\n"


def test_a_broken_stream_is_tried_once() -> None:
    broken = Broken()
    stream = TolerantStream(broken)
    assert [stream.write("a"), stream.write("bc")] == [1, 2]
    stream.flush()
    assert broken.attempts == 1
    assert not stream.isatty()


def test_a_closed_stream_is_given_up() -> None:
    closed = io.StringIO()
    closed.close()
    stream = TolerantStream(closed)
    assert not stream.isatty()
    stream.flush()
    assert stream.write("nobody reads") == 12


def test_a_stream_that_is_not_there_has_no_descriptor() -> None:
    stream = TolerantStream(None)
    assert (stream.encoding, stream.isatty()) == ("utf-8", False)
    with pytest.raises(OSError, match="there is no stream"):
        stream.fileno()


@given(st.text())
def test_no_control_character_is_left(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert all(character.isprintable() or character in "\n\t" for character in shown)
    assert printable(shown) == shown


def test_a_line_goes_to_stdout_or_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    say("done \x1b[2J")
    say("stopping", error=True)
    assert capsys.readouterr() == ("done ?[2J\n", "stopping\n")


def test_what_is_discarded_never_reaches_its_file(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as file:
        file.write("buffered")
        discard(file)
    assert (tmp_path / "out").read_text() == ""
    discard(None)


def test_closed_descriptors_are_taken_before_a_file_gets_their_numbers(tmp_path: Path) -> None:
    program = (
        "import os, sys; from study_common.output import reserve_standard_descriptors as reserve; reserve(); "
        "file = open('record', 'w'); print('library'); print('library', file=sys.stderr); sys.stdout.flush(); "
        "file.write(str(file.fileno() > 2)); file.close()"
    )
    shell = ["bash", "-c", '"$@" <&- >&- 2>&-', "bash", sys.executable, "-c", program]
    path = os.pathsep.join(sys.path)
    done = subprocess.run(shell, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, check=False)
    assert done.returncode == 0
    assert (tmp_path / "record").read_text() == "True"
