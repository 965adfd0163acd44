"""The learning curves of `four_layers.toml` by the seed that they were trained with, and the mean of several."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from study.execution.worker import Report
from study.simulation.table import Table

RECORDED = {seed: Path(__file__).with_name(f"four_layers_seed{seed}.parquet") for seed in (0, 1, 2)}
"""docs/benchmarks.md has the commands, and says which are for making choices in `study/` and which judge them."""


def read(paths: Sequence[Path]) -> Table:
    """Return the table of one file; of several of the same configurations, the mean of each metric and duration."""
    first, *others = aligned(paths)
    curves = zip(first.curves, *(table.curves for table in others), strict=True)
    return Table(first.request, first.points, [list(map(_mean, *same)) for same in curves])


def aligned(paths: Sequence[Path]) -> list[Table]:
    """Return the tables of files that have the same configurations, in the order of the first."""
    first, *others = map(Table.read, paths)
    return [first, *(_ordered(table, first) for table in others)]


def _ordered(table: Table, like: Table) -> Table:
    rows = [table.row(table.request.flat(point)) for point in like.points]
    return Table(table.request, like.points, [table.curves[row] for row in rows])


def _mean(*same: Report) -> Report:
    names = set.intersection(*(set(report.metrics) for report in same))
    return replace(
        same[0],
        seconds=float(np.mean([report.seconds for report in same])),
        metrics={name: float(np.mean([report.metrics[name] for report in same])) for name in sorted(names)},
    )
