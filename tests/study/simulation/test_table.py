"""Recorded learning curves: a table has no gaps, reads back as it was, and finds a configuration by its values."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import search_spaces
from search_spaces import Space
from study.execution.worker import Report
from study.simulation.table import ABOUT, Table
from study.store.request import Request
from study_common.errors import UserError
from tests.benchmarks.tables import RECORDED
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


def test_the_committed_tables_are_of_this_version() -> None:
    assert {len(Table.read(path).points) for path in RECORDED.values()} == {243}


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


def test_a_missing_configuration_or_epoch_is_a_gap(table: Table) -> None:
    with pytest.raises(
        UserError, match="11 complete trials inside a space of 12 configurations are not a table"
    ):
        Table(table.request, table.points[1:], table.curves[1:])
    for gap in (table.curves[0][:-1], table.curves[0][1:], [*table.curves[0][::-1]]):
        with pytest.raises(UserError, match=f"has {len(gap)} of 9 epochs on disk"):
            Table(table.request, table.points, [gap, *table.curves[1:]])


def test_a_space_without_end_has_no_table(request_of: Callable[..., Request], table: Table) -> None:
    with pytest.raises(UserError, match="a space of infinitely many configurations"):
        Table(request_of(), table.points, table.curves)


def test_bounds_are_what_left_the_gap(table: Table) -> None:
    bounded = replace(table.request, constraints={"bops": 1e9})
    with pytest.raises(UserError, match="record one without bounds on bops, with --sampler grid"):
        Table(bounded, table.points[1:], table.curves[1:])


def test_a_configuration_is_found_whatever_its_seed(table: Table) -> None:
    for row, point in enumerate(table.points):
        assert table.row(table.request.flat(point) | {"seed": row + 1}) == row
    with pytest.raises(KeyError):
        table.row(table.request.flat(table.points[0]) | {"lambda1": 0.5})


def test_gains_are_those_of_the_last_epoch(table: Table) -> None:
    targets = table.request.objectives
    assert table.gains.shape == (12, len(targets))
    for column, (name, target) in enumerate(targets.items()):
        last = np.array([curve[-1].metrics[name] for curve in table.curves])
        order = last if target.direction == "max" else -last
        assert np.array_equal(
            np.argsort(table.gains[:, column], kind="stable"), np.argsort(order, kind="stable")
        )


def test_a_launch_tries_the_corners_that_were_recorded_first(table: Table) -> None:
    launched = table.launched(sampler="random", seed=3, trials=5)
    assert (launched.sampler, launched.seed, launched.trials) == ("random", 3, 5)
    assert launched.queue
    assert all(point in table.points for point in launched.queue), "the float corner was not recorded"
    assert table.launched(sampler="grid").queue == []


def test_a_metric_that_only_some_epochs_have_reads_back(table: Table, tmp_path: Path) -> None:
    """Faithfulness is measured at rungs only."""
    first = [replace(report, metrics={"accuracy": 0.5}) for report in table.curves[0][:-1]]
    last = replace(table.curves[0][-1], metrics={"accuracy": 0.5, "faithfulness": 0.25})
    Table(table.request, table.points, [[*first, last], *table.curves[1:]]).write(tmp_path / "table")
    again = Table.read(tmp_path / "table")
    assert [report.metrics for report in again.curves[0]] == [report.metrics for report in (*first, last)]


def test_a_table_is_never_overwritten(table: Table, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(UserError, match="mine exists already; choose another --table"):
        table.write(tmp_path / "mine")
    assert (tmp_path / "mine").read_text() == "mine"
    (tmp_path / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(UserError, match="link exists already; choose another --table"):
        table.write(tmp_path / "link")
    assert not (tmp_path / "outside").exists()
    with pytest.raises(UserError, match="cannot write"):
        table.write(tmp_path / "nowhere" / "table")


@pytest.mark.parametrize("about", [None, "[1]", "{}", "no JSON", "[" * 100_000], ids=range(5))
def test_a_file_that_is_no_table_names_the_command_that_makes_one(about: str | None, tmp_path: Path) -> None:
    made = pa.table({"trial": [0], "epoch": [1], "seconds": [1.0]})
    pq.write_table(made.replace_schema_metadata({ABOUT: about} if about else None), tmp_path / "table")
    with pytest.raises(UserError, match=r"is not a table of learning curves .*; make one with --record NAME"):
        Table.read(tmp_path / "table")
    with pytest.raises(UserError, match="there is no file"):
        Table.read(tmp_path / "nowhere")
