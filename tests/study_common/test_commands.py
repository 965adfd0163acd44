"""How commands end: the exit code, and one line on stderr for each fault, warning and missing package."""

import errno
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from study_common.commands import Parser, StudyParser, add_record_options, exit_code, needs, tell
from study_common.errors import StudyWarning, UserError


def raising(error: BaseException) -> Callable[[], int]:
    def action() -> int:
        raise error

    return action


@pytest.fixture(autouse=True)
def _warnings_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """`exit_code` sets it for the process that it ends."""
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (1, 1), (143, 143)])
def test_a_command_ends_with_the_code_that_it_returns(returned: int | None, code: int) -> None:
    assert exit_code(lambda: returned) == code


def test_what_a_user_can_put_right_is_one_line_and_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(raising(UserError("no such\n  study"))) == 2
    assert capsys.readouterr() == ("", "error: no such study\n")


def test_a_deleted_folder_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, a library ended the process with words of its own."""
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert exit_code(lambda: 0) == 2
    assert capsys.readouterr().err == "error: the current folder was deleted; change into another one\n"


def test_ctrl_c_has_the_code_of_the_shell_and_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("fault", [ValueError("ours"), KeyError("ours"), AssertionError("ours")])
def test_a_fault_of_this_program_keeps_its_traceback(fault: Exception) -> None:
    with pytest.raises(type(fault), match="ours"):
        exit_code(raising(fault))


@pytest.mark.parametrize(
    ("number", "path", "remedy"),
    [
        (errno.ENAMETOOLONG, "a" * 300, "choose a shorter path"),
        (errno.ELOOP, "runs", "remove the links that lead to each other"),
        (errno.EACCES, "runs", "change its permissions, or choose another path"),
        (errno.ENOSPC, None, "free some space, or choose another path"),
    ],
)
def test_a_path_that_cannot_be_used_is_one_line(
    number: int, path: str | None, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(raising(OSError(number, os.strerror(number), path))) == 2
    out, error = capsys.readouterr()
    shown = "the disk" if path is None else f"...{path[-80:]}" if len(path) > 80 else path
    assert (out, error) == ("", f"error: cannot use {shown}: {os.strerror(number)}; {remedy}\n")


def test_a_file_of_ours_that_is_missing_keeps_its_traceback() -> None:
    with pytest.raises(FileNotFoundError):
        exit_code(raising(FileNotFoundError(errno.ENOENT, "No such file", "presets")))


def test_output_that_a_full_disk_does_not_take_is_bad_input(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert exit_code(lambda: print("a table")) == 2
    assert "stdout cannot be written to (No space left on device)" in capsys.readouterr().err


def test_a_wrong_word_is_one_line_that_names_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        Parser("study.status", "How studies stand.").parse_args(["--colour"])
    assert ended.value.code == 2
    said = "error: unrecognized arguments: --colour; see python -m study.status --help\n"
    assert capsys.readouterr() == ("", said)


def test_the_home_in_a_runs_dir_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    parser = StudyParser("study.status", None)
    assert parser.parse_args([]).runs_dir == "runs"
    assert parser.parse_args(["--runs-dir=~/runs"]).runs_dir == "/home/me/runs"


def test_a_command_without_ray_takes_no_address(capsys: pytest.CaptureFixture[str]) -> None:
    with_ray, without = Parser("with", None), Parser("without", None)
    add_record_options(with_ray)
    add_record_options(without, ray=False)
    assert vars(with_ray.parse_args(["--address", "auto"])) == {"storage": "", "address": "auto"}
    with pytest.raises(SystemExit):
        without.parse_args(["--address", "auto"])
    assert "--address" in capsys.readouterr().err


def test_what_is_missing_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    needs("tomllib")
    with pytest.raises(
        ModuleNotFoundError, match=r"this needs no_such; install it with pip install '.*\[study\]'"
    ):
        needs("no_such")
    monkeypatch.setattr(sys, "argv", ["-m"])  # as it is while `python -m study.status` imports study
    with pytest.raises(SystemExit) as ended:
        needs("no_such")
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_warning_of_ours_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert exit_code(lambda: warnings.warn("flops cannot vary", StudyWarning, stacklevel=1)) == 0
    assert capsys.readouterr().err == "warning: flops cannot vary\n"


def test_another_warning_says_where_it_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert exit_code(lambda: warnings.warn("old", FutureWarning, stacklevel=1)) == 0
    assert "test_commands.py" in (said := capsys.readouterr().err)
    assert "FutureWarning: old" in said


def test_an_error_of_several_lines_is_told_in_one(capsys: pytest.CaptureFixture[str]) -> None:
    tell("first\n\tsecond  third")
    assert capsys.readouterr().err == "error: first second third\n"
