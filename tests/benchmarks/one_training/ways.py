"""Other ways to train the shared model, measured: python -m tests.benchmarks.one_training.ways [--work DIR]

distilled   in the passes of smaller widths, cross-entropy with the probabilities of the greatest widths in place of the
            labels (in-place distillation). Its table, and 21 configurations fine-tuned from it
fixed       lambda1 = 1 in the shared training, and another lambda1 in the fine-tuning, as `--init shared` does
drawn       lambda1 drawn anew for each step of the shared training, from 0.1 to 10, and fixed in the fine-tuning
scratch     trainings from random weights of the same six configurations at lambda1 0.1, 1 and 10

Rows are added to `ways.csv` as soon as each is there; a row that is there is not measured again (12 minutes of one
core for all). Then it prints what they say.
"""

import argparse
import csv
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import torch
from torch import Tensor

import trainables
from tests.benchmarks.one_training import judgement, problem, record, rows
from trainables.training import sgt
from trainables.training.run import Run

FILE = Path(__file__).with_name("ways.csv")
COLUMNS = ("way", "kind", "seed", "widths", "lambda1", "accuracy", "loss", "faithfulness", "flops")
LAMBDAS = (0.1, 1.0, 10.0)
SOME = ((8, 8, 8, 8), (2, 2, 2, 2), (4, 4, 4, 4), (4, 2, 2, 4), (8, 4, 2, 4), (2, 4, 4, 2))
TUNED = (*problem.ALONE, *random.Random(1).sample(problem.POINTS[len(problem.ALONE) :], 12))
Row = tuple[str, str, int, str, float]


def main() -> None:
    """Record what is missing, and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.one_training.ways")
    parser.add_argument(
        "--work", type=Path, default=Path("runs/one_training"), help="shared models are kept here"
    )
    work = parser.parse_args().work
    trainables.prepare_process()
    known = {tuple(row) for row in read()[list(COLUMNS[:5])].itertuples(index=False)}
    for way, kind, seed, point, lambda1 in wanted():
        row = (way, kind, seed, "-".join(map(str, point)), lambda1)
        if row not in known:
            add(row, measure(way, kind, seed, point, lambda1, work))
    print(distillation())
    print(lambdas())


def wanted() -> Iterator[tuple[str, str, int, tuple[int, ...], float]]:
    """Each row: way, kind (as in `record`), seed, widths and lambda1."""
    for seed in problem.SEEDS:
        for kind, points in (("table", problem.POINTS), ("tuned", TUNED)):
            yield from (("distilled", kind, seed, point, 1.0) for point in points)
        for way, point, lambda1 in product(("fixed", "drawn", "scratch"), SOME, LAMBDAS):
            yield way, "grid" if way == "scratch" else "tuned", seed, point, lambda1


def measure(
    way: str, kind: str, seed: int, point: tuple[int, ...], lambda1: float, work: Path
) -> dict[str, float]:
    """Measure a row; the shared model of its way and seed is trained if it is not there."""
    if kind == "grid":
        return record.trained(problem.config(point, seed=seed, lambda1=lambda1))
    with SHARED_TRAINING[way]():
        start = str(record.shared_model(seed, work / way))
    if kind == "table":
        return trainables.estimate(problem.config(point, seed=seed, init=start).flat())
    return record.trained(problem.config(point, seed=seed, lambda1=lambda1, init=start, epochs=problem.TUNED))


@contextmanager
def as_shipped() -> Iterator[None]:
    """Train as `--init shared` does."""
    yield


@contextmanager
def distilling() -> Iterator[None]:
    """Give every pass of a step but its first the probabilities of the first as labels."""
    step, cross_entropy = Run.step, sgt.cross_entropy
    taught: list[Tensor] = []

    def begun(run: Run, *batch: Any) -> Tensor:
        taught.clear()
        return step(run, *batch)

    def soft(o: Tensor, y: Tensor, weights: Tensor | None = None) -> Tensor:
        if taught:
            return -(taught[0] * o.log_softmax(1)).sum(1).mean()
        taught.append(o.detach().softmax(1))
        return cross_entropy(o, y, weights)

    with patch.object(Run, "step", begun), patch.object(sgt, "cross_entropy", soft):
        yield


@contextmanager
def drawing() -> Iterator[None]:
    """Draw lambda1 for each step, log-uniformly from 0.1 to 10."""
    step = Run.step

    def drawn(run: Run, *batch: Any) -> Tensor:
        kept = run.config
        run.config = replace(kept, lambda1=10 ** float(torch.empty(()).uniform_(-1, 1)))
        try:
            return step(run, *batch)
        finally:
            run.config = kept

    with patch.object(Run, "step", drawn):
        yield


SHARED_TRAINING: dict[str, Callable[[], Any]] = {
    "distilled": distilling, "fixed": as_shipped, "drawn": drawing,
}  # fmt: skip


def read() -> pd.DataFrame:
    """Return all rows."""
    return pd.read_csv(FILE) if FILE.exists() else pd.DataFrame(columns=list(COLUMNS))


def add(row: Row, metrics: dict[str, float]) -> None:
    """Add a row."""
    new = not FILE.exists()
    with FILE.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(COLUMNS)
        writer.writerow([*row, *(f"{metrics[name]:.6g}" for name in COLUMNS[5:])])


def distillation() -> str:
    """What it changes: rank correlations of the table, and the trials fine-tuned from it, paired by seed and widths."""
    frame, plain = read().query("way == 'distilled'"), rows.read()
    points = judgement.recorded(plain)
    frame["point"] = [tuple(map(int, text.split("-"))) for text in frame["widths"]]
    grid, tuned = (judgement.cube(plain, kind, points)[..., 0] for kind in ("grid", "tuned"))
    said = []
    for name, tables in (("as shipped", plain), ("distilled", frame)):
        table = judgement.cube(tables, "table", points)[..., 0]
        said.append(
            f"{name}: tau of the table {judgement.table_tau(table, grid):.2f} with trainings from random weights, "
            f"{judgement.table_tau(table, tuned):.2f} with the recorded fine-tuned trials"
        )
    pairs = frame.query("kind == 'tuned'").merge(
        plain[plain["kind"] == "tuned"], on=["seed", "widths"], suffixes=("", "_plain")
    )
    for name in problem.MEASURED:
        said.append(
            f"fine-tuned trials, distilled less as shipped, {name}: {_of_seeds(pairs, name, 'plain')}"
        )
    return "\n".join(said)


def lambdas() -> str:
    """Trials by lambda1, of both ways and from random weights; the drawn less the fixed, paired by seed and widths."""
    frame = read().query("way != 'distilled'")
    means = frame.pivot_table(index="lambda1", columns="way", values=list(problem.MEASURED)).round(3)
    fixed, drawn = (frame[frame["way"] == way] for way in ("fixed", "drawn"))
    pairs = drawn.merge(fixed, on=["seed", "widths", "lambda1"], suffixes=("", "_fixed"))
    said = [means.to_string()]
    for (value, some), name in product(pairs.groupby("lambda1"), problem.MEASURED):
        said.append(f"lambda1 {value:g}, drawn less fixed, {name}: {_of_seeds(some, name, 'fixed')}")
    return "\n".join(said)


def _of_seeds(pairs: pd.DataFrame, name: str, other: str) -> str:
    """Mean and standard error over seeds of a paired difference."""
    by_seed = (pairs[name] - pairs[f"{name}_{other}"]).groupby(pairs["seed"]).mean()
    return f"{by_seed.mean():+.3f} +- {by_seed.sem():.3f}"


if __name__ == "__main__":
    main()
