"""When a run that shows no progress counts as dead."""

import math
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from study.execution.patience import FAST, FROZEN_S, LEAST_FIRST_S, LEAST_S, Patience
from study.store.record import new_result
from study.store.request import Request
from study_common.layout import RESULT


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def wait(patience: Patience, clock: list[float], until: float) -> list[str]:
    """Look every 20 seconds, as a driver does more often; what is overdue at the end."""
    while clock[0] < until:
        patience.overdue()
        clock[0] = min(clock[0] + 20.0, until)
    return patience.overdue()


def test_a_run_is_overdue_after_a_multiple_of_the_longest_epoch(clock: list[float]) -> None:
    patience = Patience(20.0)
    patience.started("a")
    patience.started("b")
    wait(patience, clock, 60.0)
    patience.reported("a", 50.0, is_new=True)
    assert patience.limit == 1200.0
    assert wait(patience, clock, 1200.0) == []
    assert wait(patience, clock, 1201.0) == ["b"]
    patience.ended("b")
    assert patience.overdue() == []


def test_short_epochs_leave_time_for_an_evaluation(clock: list[float]) -> None:
    patience = Patience(20.0)
    patience.started("a")
    clock[0] = 0.1
    patience.reported("a", 0.1, is_new=True)
    assert patience.limit == LEAST_S


def test_epochs_that_were_on_disk_are_reported_at_once_and_took_what_they_took(clock: list[float]) -> None:
    """A resumed run whose epochs take ten minutes was killed after five, since its first reports came in no time."""
    patience = Patience(20.0)
    patience.started("a")
    patience.reported("a", 600.0, is_new=False)
    assert patience.limit == 12_000.0


def test_the_first_epoch_has_an_hour_or_what_its_multiplications_take(clock: list[float]) -> None:
    assert Patience(20.0).limit == LEAST_FIRST_S
    assert Patience(20.0, macs=1e13).limit == pytest.approx(20 * 1e13 / FAST)
    patience = Patience(20.0)
    patience.started("a")
    assert wait(patience, clock, LEAST_FIRST_S + 1) == ["a"]


def test_without_a_factor_nothing_is_overdue(clock: list[float]) -> None:
    patience = Patience(0.0, macs=1e9)
    patience.started("a")
    assert wait(patience, clock, 1e5) == []
    assert patience.limit == math.inf


def test_a_driver_that_was_frozen_itself_does_not_blame_its_workers(clock: list[float]) -> None:
    """It killed every worker when it went on, and took its own silence for the length of an epoch."""
    patience = Patience(20.0)
    patience.started("a")
    wait(patience, clock, 10.0)
    patience.reported("a", 10.0, is_new=True)
    patience.started("b")
    clock[0] = 1e5
    assert patience.overdue() == []
    patience.reported("a", 10.0, is_new=True)
    assert patience.limit == 20 * FROZEN_S
    assert wait(patience, clock, 1e5 + 20 * FROZEN_S + 1) == ["a", "b"]


def test_a_resumed_study_knows_how_long_its_epochs_took(request_of: Callable[..., Request]) -> None:
    request = request_of(trial_timeout=10.0)
    fresh = Patience.of(request, [])
    assert fresh.limit == LEAST_FIRST_S
    known = [{**new_result(0), "epochs": epochs, "duration_s": 900.0} for epochs in (0, 3, 9)]
    trials = [cast(Any, SimpleNamespace(user_attrs={RESULT: result})) for result in known[1:]]
    assert Patience.of(request, trials).limit == 3000.0
