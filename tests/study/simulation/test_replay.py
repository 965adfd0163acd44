"""Replayed studies: a small table, the same searcher and scheduler, a clock that is counted by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from study.simulation.replay import Engine, replay
from study.simulation.table import Table
from tests.study.simulation.test_table import table as table


@pytest.mark.parametrize("workers", [1, 4, 12, 64])
def test_fifo_takes_the_time_that_arithmetic_says(table: Table, workers: int) -> None:
    done = replay(table, Engine(table, table.request), workers)
    assert done.seconds[-1] == 2.0 * 9 * math.ceil(12 / workers)
    assert done.epochs[-1] == 12 * 9
    assert done.hypervolume[-1] == pytest.approx(1.0)
    assert (np.diff(done.hypervolume) >= -1e-12).all()


def test_stopping_trials_early_saves_epochs(table: Table) -> None:
    asha = replay(table, Engine(table, replace(table.request, scheduler="pareto_asha")), 1)
    assert asha.epochs[-1] < 12 * 9 * 2 / 3
    assert 0 < asha.hypervolume[-1] <= 1 + 1e-9


@pytest.mark.parametrize("sampler", ["sms_ego", "tpe", "random"])
def test_a_replay_repeats_itself(table: Table, sampler: str) -> None:
    request = replace(table.request, sampler=sampler, scheduler="pareto_asha", seed=5)
    first, again = (replay(table, Engine(table, request), 3) for _ in range(2))
    assert np.array_equal(first.hypervolume, again.hypervolume)
    assert np.array_equal(first.epochs, again.epochs)


def test_the_share_that_is_enough_ends_it(table: Table) -> None:
    whole = replay(table, Engine(table, table.request), 1)
    share = float(whole.hypervolume[3])
    short = replay(table, Engine(table, table.request), 1, enough=share)
    assert short.epochs_to(share) == whole.epochs_to(share)
    assert short.epochs[-1] <= whole.epochs[-1]
    assert whole.epochs_to(1.1) == math.inf
