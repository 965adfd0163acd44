"""Record the problem: python -m tests.benchmarks.one_training.record [--work DIR] [KIND ...]

Rows are added to `rows.csv`, one per measurement, as soon as each is there; a row that is there is not measured again.
Kinds: `grid`, a training of each configuration from random weights; `table`, the shared model, and each configuration
with its weights; `tuned`, each configuration fine-tuned from it, first those that the tables find promising; `curves`,
the trainings of `grid` again, measured at rungs and ended after the last, in `curves.csv`, one seed after the other.
"""

import argparse
import time
from itertools import product
from pathlib import Path

import trainables
from tests.benchmarks.one_training import judgement, problem, rows
from tests.benchmarks.one_training.judgement import candidates
from trainables.training.evaluation import evaluate, measure_faithfulness
from trainables.training.network import costs
from trainables.training.run import Run, epochs

KINDS = ("grid", "table", "tuned", "curves")


def main() -> None:
    """Record what is missing."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.one_training.record")
    parser.add_argument(
        "--work", type=Path, default=Path("runs/one_training"), help="shared models are kept here"
    )
    parser.add_argument("kinds", nargs="*", choices=KINDS, default=KINDS, metavar="KIND")
    arguments = parser.parse_args()
    trainables.prepare_process()
    for kind in arguments.kinds:
        if kind == "curves":
            record_curves()
            continue
        for point, seed in product(wanted(kind), problem.SEEDS):
            if (kind, seed, point) in rows.known():
                continue
            if kind != "grid":
                shared_model(seed, arguments.work)  # not in the time of a row
            began = time.process_time()
            metrics = measure(kind, point, seed, arguments.work)
            rows.add(kind, seed, point, metrics, time.process_time() - began)


def record_curves() -> None:
    """Record the missing curves; all rungs of a training are added together, when the last is measured."""
    for seed, point in product(problem.SEEDS, problem.POINTS):
        if (rows.epoch(problem.RUNGS[-1]), seed, point) in rows.known(rows.CURVES):
            continue
        began, run = time.process_time(), Run(problem.config(point, seed=seed))
        found = []
        for number in range(1, problem.RUNGS[-1] + 1):
            run.epoch(number)
            if number in problem.RUNGS:
                found.append((number, measured(run), time.process_time() - began))
        for number, metrics, spent in found:
            rows.add(rows.epoch(number), seed, point, metrics, spent, rows.CURVES)


def wanted(kind: str) -> list[tuple[int, ...]]:
    """Return the configurations of a kind, the most wanted first."""
    first = {"grid": lambda _: [], "table": judgement.recorded, "tuned": candidates}[kind](rows.read())
    return list(dict.fromkeys([*first, *problem.POINTS]))


def measure(kind: str, point: tuple[int, ...], seed: int, work: Path) -> dict[str, float]:
    """Measure a configuration."""
    if kind == "grid":
        return trained(problem.config(point, seed=seed))
    start = str(shared_model(seed, work))
    if kind == "table":
        return trainables.estimate(problem.config(point, seed=seed, init=start).flat())
    return trained(problem.config(point, seed=seed, init=start, epochs=problem.TUNED))


def trained(config: trainables.Config) -> dict[str, float]:
    """Train a configuration and measure it once, at its end."""
    run = Run(config)
    for number in range(1, config.epochs + 1):
        run.epoch(number)
    return measured(run)


def measured(run: Run) -> dict[str, float]:
    """Measure a run as it is."""
    split, config = run.data.validation, run.config
    found = measure_faithfulness(run.model, split, run.data, run.scale, config, whole_suite=False).metrics()
    return {**evaluate(run.model, split, run.scale, config).metrics, **found, **costs(config)}


def shared_model(seed: int, work: Path) -> Path:
    """Return the checkpoint of the shared model of a seed, training it if it is not there."""
    folder = work / f"shared-{seed}"
    path = folder / "checkpoint.safetensors"
    config = problem.shared(seed)
    if not (folder / "done").exists():
        began = time.process_time()
        for epoch in epochs(config, resume=folder):
            epoch.save(folder)
        (folder / "done").write_text(f"{time.process_time() - began:.1f}")
    return path


if __name__ == "__main__":
    main()
