"""What a study prints: a table on a terminal that is up to date at the end, plain lines elsewhere."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from optuna.trial import TrialState

from study.execution.progress import Progress
from study.execution.view import View, figures
from study.store.record import new_result
from study.store.request import Request

RequestOf = Callable[..., Request]


class Terminal(io.StringIO):
    """A terminal that keeps what is written to it."""

    def isatty(self) -> bool:
        return True


def play(request: Request, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> str:
    """Show a study of two trials of which one ends after the last time that the figures were shown."""
    monkeypatch.setattr(sys, "stdout", stream)
    progress = Progress(request)
    progress.add_new()
    with View(request, Path("runs/s")) as view:
        view.begin("")
        view.show(progress)
        progress.change_state(
            TrialState.RUNNING, TrialState.FAIL, new_result(0) | {"error": "ValueError: no"}
        )  # type: ignore[arg-type]
        view.end("", progress)
    return stream.getvalue()


def test_the_last_table_is_drawn_after_the_last_event(
    request_of: RequestOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    said = play(request_of(trials=2), Terminal(), monkeypatch)
    assert said.rindex("1/2") > said.rindex("0/2")
    assert "1 of 1 trials failed" in said
    assert "  1 x ValueError: no" in said


def test_a_dumb_terminal_gets_lines(request_of: RequestOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    said = play(request_of(trials=2), Terminal(), monkeypatch)
    assert "\ntrials 0/2, running 1" in said
    assert "\ntrials 1/2, failed 1" in said
    assert "\x1b" not in said


def test_a_log_has_no_cursor_codes_whatever_the_environment(
    request_of: RequestOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    said = play(request_of(trials=2), io.StringIO(), monkeypatch)
    assert "\ntrials 1/2, failed 1" in said
    assert "\x1b" not in said


def test_a_stream_that_breaks_is_given_up(request_of: RequestOf, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError("nobody reads")

    assert play(request_of(trials=2), Broken(), monkeypatch) == ""


def test_names_cannot_drive_the_terminal(request_of: RequestOf, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    with View(request_of(trials=2), Path("runs/s")) as view:
        view.say("a \x1b[2J b")
    assert stream.getvalue() == "a ?[2J b\n"


def test_a_hypervolume_that_vanishes_says_why(request_of: RequestOf) -> None:
    request = request_of(trials=2)
    for better, word in ((True, ""), (False, " (an objective was never better than its reference)")):
        progress = Progress(request)
        progress.add_new()
        metrics = {
            name: goal.ideal if better else goal.reference for name, goal in request.objectives.items()
        }
        progress.change_state(TrialState.RUNNING, TrialState.COMPLETE, new_result(0) | {"metrics": metrics})  # type: ignore[arg-type]
        assert figures(progress)["hypervolume"] == f"{float(better):.4f}{word}"
