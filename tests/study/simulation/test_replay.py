"""Replayed studies: a small table, the same searcher and scheduler, a clock that is counted by hand."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import search_spaces
from search_spaces import Space
from study.execution.worker import Report
from study.simulation.replay import Engine, replay
from study.simulation.table import Table
from study.store.request import Request
from tests.study.toys import metrics_of

SPACE = search_spaces.parse(
    {
        "parameters": {"lambda1": {"type": "choice", "values": [0.1, 1.0, 10.0]}},
        "bits": {"layers": "conv*", "values": [2, 8]},
    },
    "small",
)


CONDITIONAL = search_spaces.parse(
    {
        "parameters": {
            "mask": {"type": "choice", "values": ["ratio", "threshold"]},
            "gamma": {"type": "choice", "values": [0.01, 0.1], "when": {"mask": ["threshold"]}},
        }
    },
    "conditional",
)


def table_over(space: Space, request: Request) -> Table:
    """Every configuration of a space, 9 epochs of 2 seconds each."""
    points = list(space.grid())
    request = replace(request, space=space, queue=[], trials=len(points), sampler="random", scheduler="fifo")
    curves = [
        [
            Report(epoch=e, seconds=2.0, metrics=metrics_of(request.flat(p), e), last=e == 9)
            for e in range(1, 10)
        ]
        for p in points
    ]
    return Table(request, points, curves)


@pytest.fixture
def table(request_of: Callable[..., Request]) -> Table:
    """Twelve configurations."""
    return table_over(SPACE.resolve(["conv1", "conv2", "fc1", "fc2"]), request_of())


def test_a_table_reads_back_as_it_was(
    request_of: Callable[..., Request], table: Table, tmp_path: Path
) -> None:
    for name, written in {"plain": table, "conditional": table_over(CONDITIONAL, request_of())}.items():
        written.write(tmp_path / name)
        again = Table.read(tmp_path / name)
        assert (again.request, again.points, again.curves) == (
            (written.request, written.points, written.curves)
        )


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
