"""When a trial that shows no progress counts as dead."""

import math
import time

import pytest

from study.execution.patience import LEAST_S, Patience


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_trial_is_overdue_after_a_multiple_of_the_longest_epoch(clock: list[float]) -> None:
    patience = Patience(20.0)
    patience.started("a")
    patience.started("b")
    clock[0] = 60.0
    patience.reported("a")
    assert patience.limit == 1200.0
    clock[0] = 1200.0
    assert patience.overdue() == []
    clock[0] = 1201.0
    assert patience.overdue() == ["b"]
    patience.ended("b")
    assert patience.overdue() == []


def test_short_epochs_leave_time_for_an_evaluation(clock: list[float]) -> None:
    patience = Patience(20.0)
    patience.started("a")
    clock[0] = 0.1
    patience.reported("a")
    assert patience.limit == LEAST_S


@pytest.mark.parametrize("factor", [0.0, 20.0])
def test_without_a_factor_or_an_epoch_to_go_by_nothing_is_overdue(factor: float, clock: list[float]) -> None:
    patience = Patience(factor)
    patience.started("a")
    clock[0] = 1e9
    if not factor:
        patience.reported("a")
    assert patience.limit == math.inf
    assert patience.overdue() == []
