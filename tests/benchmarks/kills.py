"""Kill a driver at random moments, resume the study each time, and count what was lost.

    python -m tests.benchmarks.kills [--json FILE] [--quick] [--init shared] [--postgresql]

A study of 60 trials on 2 workers; `kill -9` of the driver at 20 random moments, some before the first trial. A kill is
survived if every trial that had ended is still there as it was, and at the end there are exactly 60 and none runs.
With --init shared there are 15 trials, and of 10 kills 3 fall into the shared training, 3 into its table, 4 among the
trials. Then no row of the table may be lost or changed, and at the end it has as many as are to be estimated.
With --postgresql the record is in a PostgreSQL server of this benchmark's own.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pandas as pd

import results
from results.analysis.run_files import RunFiles
from study.execution import run_folder
from study.search.estimated import Estimable
from study.store.record import Record
from study.store.request import Request
from study_common.layout import DIGESTS_FILE, INIT_DIR, RECORD_FILE, REQUEST_FILE
from tests.study import drive, postgresql

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
    parser.add_argument("--postgresql", action="store_true", help="keep the record in a PostgreSQL server")
    arguments = parser.parse_args()
    kills, trials = (3, 12) if arguments.quick else (20, 60)
    if arguments.init:
        kills, trials = 10, 15
    database = postgresql.running() if arguments.postgresql else nullcontext()
    with database as server, tempfile.TemporaryDirectory() as runs:
        os.environ |= {"PGPASSWORD": postgresql.PASSWORD, "XDG_STATE_HOME": f"{runs}/state"}
        url = server.bare_url if server else ""
        figures = measure(Path(runs), kills, trials, arguments.init, url)
    print(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


def measure(runs: Path, kills: int, trials: int, init: str, url: str) -> dict[str, int]:
    """Kill the driver of a study so many times; `url` is that of its record, "" for a file."""
    rng = random.Random(0)
    directory = runs / "s"
    unharmed, known, rows = [], pd.DataFrame(), pd.DataFrame()
    while len(unharmed) < kills:
        kill = len(unharmed)
        driver = start(runs, trials, init, url)
        phase = (start_epochs, table_rows, trained)[min(kill // 3, 2)] if init else trained
        more = 1 if init else rng.randint(0, 4)
        wait_for(directory, driver, phase, more, rng.uniform(0.0, 0.8), url)
        if driver.poll() not in (None, 0):
            continue  # Ray did not start on a busy machine: nothing was killed
        driver.kill()
        driver.wait()
        now = ended(directory, url)
        unharmed.append(same(known, now) and same(rows, table(directory)))
        rows = table(directory)
        if init:
            epochs = start_epochs(directory)
            print(
                f"kill {kill + 1}: the shared model has {epochs} epochs, the table {len(rows)} rows",
                flush=True,
            )
        print(
            f"kill {kill + 1}: {len(now)} trials have ended, earlier ones as they were: {unharmed[-1]}",
            flush=True,
        )
        known = now
    finished = start(runs, trials, init, url).wait() == 0
    last = results.load(directory).trials
    exact = finished and len(last) == trials and not (last["state"] == "running").any()
    kept = same(known, ended(directory, url)) and same(rows, table(directory))
    if init:
        exact = exact and len(table(directory)) == Estimable.of(Request.read(directory)).most
    return {"kills": kills, "survived": sum(unharmed) if exact and kept else 0, "trials": len(last)}


def start(runs: Path, trials: int, init: str, url: str) -> "subprocess.Popen[bytes]":
    """Start a driver that begins or resumes the study."""
    command = drive.command(runs, trials, PAUSE, init=init, storage=url)
    return subprocess.Popen(command, cwd=drive.ROOT, stdout=subprocess.DEVNULL)


def wait_for(
    directory: Path,
    driver: "subprocess.Popen[bytes]",
    count: Callable[[Path, str], int],
    more: int,
    after: float,
    url: str = "",
) -> None:
    """Wait until `count` is so much `more`, and then for `after` seconds; or until the driver ends."""
    while not (directory / REQUEST_FILE).exists() and driver.poll() is None:
        time.sleep(POLL)
    wanted = count(directory, url) + more
    while count(directory, url) < wanted and driver.poll() is None:
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
    if rows is None:
        return pd.DataFrame()
    assert rows["point"].is_unique, "a configuration was measured twice"
    return rows.set_index("point")


def table_rows(directory: Path, url: str = "") -> int:
    """Return how many configurations the width table has."""
    return len(table(directory))


def start_epochs(directory: Path, url: str = "") -> int:
    """Return the epochs of the shared model, 0 if there is none."""
    return len(run_folder.curve(directory / INIT_DIR))


def trained(directory: Path, url: str = "") -> int:
    """Return the epochs that the record knows of."""
    frame = recorded(directory, url)
    return 0 if frame.empty else int(frame["epochs"].sum())


def ended(directory: Path, url: str = "") -> pd.DataFrame:
    """Return the trials that have ended, by number."""
    frame = recorded(directory, url)
    return frame if frame.empty else frame[frame["state"] != "running"].set_index("number")


def recorded(directory: Path, url: str) -> pd.DataFrame:
    """Return the trials of the record, none before it was made; one in a database is copied for that."""
    try:
        if url:
            request, copy = Request.read(directory), directory.parent / "copy"
            copy.mkdir(exist_ok=True)
            for name in (REQUEST_FILE, DIGESTS_FILE):
                shutil.copy(directory / name, copy)
            with Record.open(url, request.name, request.objectives) as record:
                record.snapshot(copy / RECORD_FILE)
            directory = copy
        return results.load(directory).trials
    except ValueError:  # killed, or looked at, before the record was made
        return pd.DataFrame()


if __name__ == "__main__":
    main()
