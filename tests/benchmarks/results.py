"""Time and size of fronts and reports, beside Optuna's own tools on the same study in the same run.

    python -m tests.benchmarks.results [--json FILE] [--trials 100000] [--rows 1000000]

The studies are made up (tests/results/sample.py), their record is real. A report is timed as the command
`python -m results.report`, start of the interpreter included; Optuna's figures are timed in this process, without.
Optuna's reading of a study is given apart: its figures start from trials that are in memory already.
"""

import argparse
import json
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import moocore
import numpy as np
import optuna
import pandas as pd
from optuna.visualization import plot_parallel_coordinate, plot_pareto_front

import results
from study_common import layout
from tests.results import sample

REPEAT = 3


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.results", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--trials", type=int, default=100_000, help="trials of the long study")
    parser.add_argument("--rows", type=int, default=1_000_000, help="trials whose front is timed")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    measured: dict[str, float] = {}
    for name, value in measurements(arguments.rows, {"200": 200, "100k": arguments.trials}):
        print(f"{name:36} {value:10.3f}", flush=True)
        measured[name] = value
    if arguments.json:
        arguments.json.write_text(json.dumps(measured, indent=2))


def measurements(rows: int, studies: Mapping[str, int]) -> Iterator[tuple[str, float]]:
    """Measure everything, ours before Optuna's; ``studies`` are the numbers of trials by label."""
    yield from front_of(rows).items()
    with tempfile.TemporaryDirectory() as folder:
        for label, count in studies.items():
            path = sample.write_study(Path(folder) / label, [])
            insert(path / layout.RECORD_FILE, sample.trials(count))
            yield from ((name.format(label), value) for name, value in report_of(path).items())
            yield f"scroll_{label}_ms", scroll_of(path / layout.REPORT_FILE)
        for label in studies:
            yield from (
                (f"optuna_{name}_{label}_s", value) for name, value in optuna_of(Path(folder) / label)
            )


def seconds(action: Callable[[], Any], repeat: int = 1) -> float:
    """Return the median time of ``action``."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def front_of(rows: int) -> dict[str, float]:
    """Time the front and its hypervolume, and what moocore alone needs for the front."""
    points = np.random.default_rng(0).random((rows, 3))
    frame = pd.DataFrame(points, columns=["metrics.a", "metrics.b", "metrics.c"])
    frame = frame.assign(state=pd.array(["complete"] * rows, dtype="str"), feasible=True)
    pair = results.Objective(direction="min", ideal=0.0, reference=1.0)
    objectives = {"a": pair, "b": pair, "c": pair}

    def both() -> None:
        results.hypervolume(results.pareto_front(frame, dict.fromkeys("abc", "min")), objectives)

    return {
        "front_1e6_s": seconds(both, 5),
        "moocore_front_1e6_s": seconds(lambda: moocore.is_nondominated(points), 5),
    }


def report_of(path: Path) -> dict[str, float]:
    """Time the command and weigh the report."""
    command = [sys.executable, "-m", "results.report", str(path)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken = seconds(lambda: subprocess.run(command, check=True, capture_output=True), REPEAT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "report_{}_s": taken,
        "report_{}_cpu_s": (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / REPEAT,
        "report_{}_mb": (path / layout.REPORT_FILE).stat().st_size / 1e6,
        "load_{}_s": seconds(lambda: results.load(path)),
    }


def optuna_of(path: Path) -> Iterator[tuple[str, float]]:
    """Time Optuna's tools on the same record."""
    with sample.opened(path) as stored:
        yield "read", seconds(lambda: stored.get_trials(deepcopy=False))
        study = optuna.create_study(directions=stored.directions)
        study.add_trials(
            stored.get_trials(deepcopy=False)
        )  # in memory, so that each figure does not read anew
    yield "best_trials", seconds(lambda: study.best_trials)
    yield "plot_pareto_front", seconds(lambda: plot_pareto_front(study, target_names=list(sample.OBJECTIVES)))
    first = {"target": lambda trial: trial.values[0], "target_name": "accuracy"}
    yield "plot_parallel_coordinate", seconds(lambda: plot_parallel_coordinate(study, **first))


def scroll_of(report: Path) -> float:
    """Return the median time between frames, in ms, while the page scrolls from top to bottom; NaN without chromium."""
    from playwright.sync_api import sync_playwright

    from tests.results.page.test_browser import ARGUMENTS, CHROMIUM, opened

    if CHROMIUM is None:
        return float("nan")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = opened(browser, report)
        frames = page.evaluate(
            """() => new Promise((done) => {
              const times = [];
              const step = (now) => {
                times.push(now);
                scrollBy(0, 60);
                const below = document.body.scrollHeight - innerHeight - scrollY;
                if (below > 1) requestAnimationFrame(step); else done(times);
              };
              requestAnimationFrame(step);
            })"""
        )
        browser.close()
    return float(np.median(np.diff(frames)))


def insert(file: Path, trials: Iterable[optuna.trial.FrozenTrial]) -> None:
    """Put ``trials`` into an empty record in one transaction; Optuna's own takes one or more for each trial."""
    with sqlite3.connect(file) as connection:
        for key, trial in enumerate(trials, start=1):
            connection.execute(
                "INSERT INTO trials (trial_id, number, study_id, state, datetime_start, datetime_complete) "
                "VALUES (?, ?, 1, ?, ?, ?)",
                (
                    key,
                    key - 1,
                    trial.state.name,
                    *map(stored_time, (trial.datetime_start, trial.datetime_complete)),
                ),
            )
            connection.executemany(
                "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) VALUES (?, ?, ?, ?)",
                [
                    (
                        key,
                        name,
                        one.to_internal_repr(trial.params[name]),
                        optuna.distributions.distribution_to_json(one),
                    )
                    for name, one in trial.distributions.items()
                ],
            )
            connection.executemany(
                "INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES (?, ?, ?, 'FINITE')",
                [(key, position, value) for position, value in enumerate(trial.values or [])],
            )
            connection.execute(
                "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (?, ?, ?)",
                (key, layout.RESULT, json.dumps(trial.user_attrs[layout.RESULT])),
            )
    connection.close()


def stored_time(moment: datetime | None) -> str | None:
    """A moment as Optuna's tables hold it."""
    return moment and moment.strftime("%Y-%m-%d %H:%M:%S.%f")


if __name__ == "__main__":
    main()
