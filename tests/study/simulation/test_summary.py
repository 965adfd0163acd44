"""The summary of replays: one row per number of workers, with medians over the seeds."""

import math

import numpy as np
import pytest

from study.simulation.replay import Engine, Replay, replay
from study.simulation.summary import TARGET, _row, show_replays
from study.simulation.table import Table
from tests.study.simulation.test_table import table as table

OPTIONS = {"sampler": "random", "scheduler": "fifo", "trials": None, "seeds": 3}


def shown(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    lines = [line.replace("┃", "│") for line in capsys.readouterr().out.splitlines()]
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if "│" in line]


def test_each_number_of_workers_is_a_row_of_medians(table: Table, capsys: pytest.CaptureFixture[str]) -> None:
    show_replays(table, [1, 4], **OPTIONS)  # type: ignore[arg-type]
    heading, *rows = shown(capsys)
    assert heading[0] == "workers"
    assert heading[1] == "minutes to 95% of the hypervolume"
    assert [row[0] for row in rows] == ["1", "4"]
    for row, workers in zip(rows, (1, 4), strict=True):
        requests = [
            table.launched(sampler="random", scheduler="fifo", trials=12, seed=seed) for seed in range(3)
        ]
        done = [replay(table, Engine(table, request), workers) for request in requests]
        told = dict(zip(heading, row, strict=True))
        reached = np.median([each.seconds_to(TARGET) for each in done]) / 60
        assert float(told[heading[1]]) == pytest.approx(reached, abs=0.005)
        assert float(told["epochs"]) == 12 * 9
        assert float(told["minutes to the end"]) == pytest.approx(
            2 * 9 * math.ceil(12 / workers) / 60, abs=0.005
        )
        assert float(told["hypervolume"]) == pytest.approx(1, abs=1e-3)


def test_given_trials_are_a_bound(table: Table, capsys: pytest.CaptureFixture[str]) -> None:
    show_replays(table, [1], **OPTIONS | {"trials": 3, "seeds": 1})  # type: ignore[arg-type]
    heading, row = shown(capsys)
    assert float(row[heading.index("epochs")]) == 3 * 9


def test_a_target_that_most_replays_miss_is_infinitely_far() -> None:
    def ending(hypervolume: float) -> Replay:
        return Replay(np.array([60.0, 120.0]), np.array([9, 18]), np.array([0.5, hypervolume]))

    row = _row(2, [ending(0.9), ending(0.9), ending(1.0)])
    assert row["minutes to 95% of the hypervolume"] == math.inf
    assert (row["minutes to the end"], row["epochs"], row["hypervolume"]) == (2.0, 18.0, 0.9)
    assert _row(2, [ending(0.9), ending(1.0), ending(1.0)])["epochs to 95% of the hypervolume"] == 18.0
