"""Why a study stops: the first reason counts, and signals end it in two steps."""

import math
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import pytest

from study.execution.interrupt import Interrupt

SIGNALS = [signal.SIGINT, signal.SIGTERM]


def untroubled(time_budget_s: float = math.inf) -> Interrupt:
    return Interrupt(time_budget_s, faults=lambda: "")


def test_without_a_reason_a_study_continues() -> None:
    interrupt = untroubled()
    interrupt.start_clock()
    interrupt.stop("")
    assert not interrupt.stop_all()
    assert (interrupt.reason, interrupt.code) == ("", 0)
    assert not interrupt("a trial", {"report": None}), "a single trial is never stopped"


def test_the_first_reason_is_kept() -> None:
    faults = iter(["", "the record is locked", "the disk is full"])
    interrupt = Interrupt(math.inf, faults=lambda: next(faults))
    assert [interrupt.stop_all() for _ in range(3)] == [False, True, True]
    interrupt.stop("something else")
    assert (interrupt.reason, interrupt.code) == ("the record is locked", 1)


def test_a_time_budget_counts_from_the_first_start_of_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    interrupt = untroubled(time_budget_s=60.0)
    now = 5000.0
    assert not interrupt.stop_all(), "the clock has not started"
    interrupt.start_clock()
    now = 5059.0
    interrupt.start_clock()
    assert not interrupt.stop_all()
    now = 5061.0
    assert interrupt.stop_all()
    assert (interrupt.reason, interrupt.code) == ("the time budget is used up", 0)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_stops_the_study_with_the_code_of_the_shell(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupt = untroubled()
    before = [signal.getsignal(each) for each in SIGNALS]
    with interrupt.catching_signals():
        os.kill(os.getpid(), number)
        assert interrupt.stop_all()
    assert (interrupt.reason, interrupt.code) == (f"stopped by {number.name}", 128 + number)
    assert "once more to stop at once" in capsys.readouterr().err
    assert [signal.getsignal(each) for each in SIGNALS] == before


@pytest.mark.parametrize(("first", "second"), [SIGNALS, SIGNALS[::-1]])
def test_the_second_signal_ends_the_process_at_once(first: signal.Signals, second: signal.Signals) -> None:
    program = (
        "import os, math; from study.execution.interrupt import Interrupt\n"
        "with Interrupt(math.inf, lambda: '').catching_signals():\n"
        f"    os.kill(os.getpid(), {first:d}); print('first', flush=True)\n"
        f"    os.kill(os.getpid(), {second:d}); print('second', flush=True)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert (ended.returncode, ended.stdout) == (128 + second, "first\n")


def test_handlers_are_put_back_after_an_error() -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    with pytest.raises(RuntimeError), untroubled().catching_signals():
        raise RuntimeError
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_in_another_thread_signals_are_left_as_they_are() -> None:
    seen: list[object] = []

    def study() -> None:
        with untroubled().catching_signals():
            seen.append([signal.getsignal(each) for each in SIGNALS])

    thread = threading.Thread(target=study)
    thread.start()
    thread.join()
    assert seen == [[signal.getsignal(each) for each in SIGNALS]]


def test_the_copy_that_tune_keeps_is_empty() -> None:
    """What finds the faults holds the record, which cannot be pickled."""
    assert vars(pickle.loads(pickle.dumps(untroubled()))) == {}
