"""Entries reach a tool in order, and a tool that fails, blocks or falls behind neither ends nor delays a study."""

import threading
import time
from collections.abc import Callable

import pytest

from study.execution import tracking
from study.execution.tracking import Entry, Tracking


def entry(number: int, state: str = "running", **more: object) -> Entry:
    return Entry(number=number, state=state, **{"values": {"seed": 0}, "epoch": 0, **more})  # type: ignore[arg-type]


class Tool:
    """Keeps what it is told; `before` is called first."""

    place = "here"

    def __init__(self, before: Callable[[], object] = lambda: None) -> None:
        self.told: list[tuple[int, str, int]] = []
        self._before = before

    def write(self, entry: Entry) -> None:
        self._before()
        self.told.append((entry.number, entry.state, entry.epoch))


def test_entries_come_in_order_and_what_still_runs_is_interrupted() -> None:
    tool, said = Tool(), list[str]()
    tracked = Tracking("mlflow", lambda: tool, said.append)
    for one in (
        entry(0), entry(1), entry(0, epoch=1, metrics={"accuracy": 0.5}), entry(0, "complete", epoch=1), entry(2),
        entry(2, "paused"),
    ):  # fmt: skip
        tracked.put(one)
    tracked.close()
    ended = [(0, "complete", 1), (2, "running", 0), (2, "paused", 0), (1, "interrupted", 0)]
    assert tool.told == [(0, "running", 0), (1, "running", 0), (0, "running", 1), *ended]
    assert said == ["--log mlflow: here"]


@pytest.mark.parametrize("error", [OSError("the server\nis gone"), SystemExit("no key")])
def test_a_tool_that_fails_is_left_out_after_one_warning(error: BaseException) -> None:
    def fail() -> None:
        raise error

    said: list[str] = []
    tool = Tool(fail)
    for connect in (lambda: tool, lambda: fail() or tool):
        said.clear()
        tracked = Tracking("wandb", connect, said.append)
        for number in range(3):
            tracked.put(entry(number))
            time.sleep(0.02)
        tracked.close()
        warnings = [
            line for line in said if line.startswith("warning: --log wandb failed and the study goes on")
        ]
        assert len(warnings) == 1
        assert " ".join(str(error).split()) in warnings[0]
    assert tool.told == []


def test_a_tool_that_blocks_delays_nothing_but_the_end_and_that_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tracking, "PATIENCE_S", 0.2)
    released = threading.Event()
    said: list[str] = []
    tracked = Tracking("mlflow", lambda: Tool(lambda: released.wait(60)), said.append)
    start = time.monotonic()
    for number in range(1000):
        tracked.put(entry(number))
    put = time.monotonic() - start
    tracked.close()
    closed = time.monotonic() - start - put
    released.set()
    assert put < 1
    assert 0.2 <= closed < 5
    assert "had not taken everything" in said[-1]


def test_a_tool_that_falls_behind_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "MOST_WAITING", 5)
    released = threading.Event()
    said: list[str] = []
    tracked = Tracking("mlflow", lambda: Tool(lambda: released.wait(60)), said.append)
    for number in range(20):
        tracked.put(entry(number))
    released.set()
    tracked.close()
    assert [line for line in said if "warning" in line] == [
        "warning: --log mlflow failed and the study goes on without it (it cannot keep up)"
    ]
