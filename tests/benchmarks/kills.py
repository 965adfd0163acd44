"""Kill a driver at random moments, resume the study each time, and count what was lost.

    python -m tests.benchmarks.kills [--json FILE] [--quick] [--init shared]

A study of 60 trials on 2 workers; `kill -9` of the driver at 20 random moments, some before the first trial. A kill is
survived if every trial that had ended is still there as it was, and at the end there are exactly 60 and none runs.
With --init shared there are 15 trials, and kills fall into the training of the shared model, its table and the trials.
Then no row of the table may be lost or changed, and at the end it has as many configurations as are to be estimated.
"""

import argparse
import json
import random
import subprocess
import tempfile
import time
from pathlib import Path

import pandas as pd

import results
from results.analysis.run_files import RunFiles
from study.search.estimated import Estimable
from study.store.request import Request
from study_common.layout import REQUEST_FILE
from tests.study import drive

PAUSE = 0.6
"""Seconds that an epoch takes."""
POLL = 0.2
"""Seconds between two looks at the record, each of which takes the processor from the study."""


def main() -> None:
    """Kill, resume, count and print."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.kills", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--quick", action="store_true", help="3 kills of a study of 12 trials")
    parser.add_argument("--init", choices=("", "shared"), default="", help="the model that trials start from")
    arguments = parser.parse_args()
    kills, trials = (3, 12) if arguments.quick else (20, 60)
    if arguments.init:
        kills, trials = 10, 15
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as runs:
        directory = Path(runs) / "s"
        unharmed, known, rows = [], pd.DataFrame(), pd.DataFrame()
        for kill in range(kills):
            driver = start(runs, trials, arguments.init)
            more, after = (
                (0, rng.uniform(1.0, 15.0)) if arguments.init else (rng.randint(0, 4), rng.uniform(0.0, 0.8))
            )
            wait_for(directory, driver, more, after)
            driver.kill()
            driver.wait()
            now = ended(directory)
            unharmed.append(same(known, now) and same(rows, table(directory)))
            rows = table(directory)
            if arguments.init:
                print(f"kill {kill + 1}: the table has {len(rows)} rows", flush=True)
            print(
                f"kill {kill + 1}: {len(now)} trials have ended, earlier ones as they were: {unharmed[-1]}",
                flush=True,
            )
            known = now
        finished = start(runs, trials, arguments.init).wait() == 0
        last = results.load(directory).trials
        exact = finished and len(last) == trials and not (last["state"] == "running").any()
        kept = same(known, ended(directory)) and same(rows, table(directory))
        if arguments.init:
            exact = exact and len(table(directory)) == Estimable.of(Request.read(directory)).most
    figures = {"kills": kills, "survived": sum(unharmed) if exact and kept else 0, "trials": len(last)}
    print(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


def start(runs: str, trials: int, init: str) -> "subprocess.Popen[bytes]":
    """Start a driver that begins or resumes the study."""
    return subprocess.Popen(
        drive.command(Path(runs), trials, PAUSE, init=init), cwd=drive.ROOT, stdout=subprocess.DEVNULL
    )


def wait_for(directory: Path, driver: "subprocess.Popen[bytes]", more: int, after: float) -> None:
    """Wait for so many `more` epochs in the record, and then for `after` seconds; or until the driver ends."""
    while not (directory / REQUEST_FILE).exists() and driver.poll() is None:
        time.sleep(POLL)
    wanted = trained(directory) + more
    while trained(directory) < wanted and driver.poll() is None:
        time.sleep(POLL)
    time.sleep(after)


def same(known: pd.DataFrame, now: pd.DataFrame) -> bool:
    """Tell whether all trials of `known` are in `now` with the same values."""
    if known.empty:
        return True
    return set(known.index) <= set(now.index) and known.equals(now.loc[known.index, known.columns])


def table(directory: Path) -> pd.DataFrame:
    """Return the width table, by configuration; nothing if there is none."""
    rows = RunFiles(directory).width_table()
    return pd.DataFrame() if rows is None else rows.set_index("point", verify_integrity=True)


def trained(directory: Path) -> int:
    """Return the epochs that the record knows of."""
    try:
        return int(results.load(directory).trials["epochs"].sum())
    except ValueError:  # killed, or looked at, before the record was made
        return 0


def ended(directory: Path) -> pd.DataFrame:
    """Return the trials that have ended, by number."""
    try:
        frame = results.load(directory).trials.set_index("number")
    except ValueError:  # as above
        return pd.DataFrame()
    return frame[frame["state"] != "running"]


if __name__ == "__main__":
    main()
