"""What becomes of a study that really trains when its processes are killed or frozen.

    python -m tests.benchmarks.faults [--json FILE] [--kills 8]

Kills: `kill -9` of the driver at random moments of a study of 8 trials, which is resumed each time. A kill is survived
if every trial that had ended is still there as it was; at the end there must be 8 trials, and each that is complete
must have the figures of the same configuration trained in one go. A frozen worker: SIGSTOP of the process that trains,
which must be replaced after 5 minutes, with no trial failed. A frozen driver: SIGSTOP, another driver takes the study
over and completes it, and the first one, which goes on then, must stop by itself and change nothing.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import results
import trainables
from study_common import layout
from tests.benchmarks.kills import ended, same, trained, wait_for
from tests.study.drive import ROOT
from tests.study.execution.test_signals import descendants

TRIALS = 8
OUTPUT = "out.txt"


def main() -> None:
    """Do harm, count and print."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.faults", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--kills", type=int, default=8)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pictures = make_pictures(Path(folder) / "pictures")
        os.environ["XDG_CACHE_HOME"] = os.environ["XDG_STATE_HOME"] = folder
        figures = {
            "killed driver": killed(Path(folder) / "killed", pictures, arguments.kills),
            "frozen driver": frozen_driver(Path(folder) / "driver", pictures),
            "frozen worker": frozen_worker(Path(folder) / "worker", pictures),
        }
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


def make_pictures(folder: Path) -> Path:
    """Write two classes of small pictures that differ in brightness."""
    rng = np.random.default_rng(0)
    for name, level in (("dark", 60), ("light", 90)):
        (folder / name).mkdir(parents=True)
        for number in range(200):
            pixels = (level + rng.integers(0, 100, (16, 16, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def start(runs: Path, pictures: Path, trials: int = TRIALS) -> "subprocess.Popen[bytes]":
    """Launch or resume the study `s` by its command, as a user does."""
    if (runs / "s" / layout.REQUEST_FILE).exists():
        words = ["study.resume", "s"]
    else:
        words = ["study.launch", "--space", "mixed_bits", "--name", "s", "--trials", trials, "--epochs", 3]
        words += ["--workers", 2, "--dataset", "folder", "--data-dir", pictures]
        words += ["--set", "image_size=16", "--set", "batch_size=16"]
    runs.mkdir(exist_ok=True)
    with (runs / OUTPUT).open("w") as output:
        return subprocess.Popen(
            [sys.executable, "-m", *map(str, words), "--runs-dir", str(runs)],
            cwd=ROOT, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip


def wait(driver: "subprocess.Popen[bytes]", runs: Path) -> str:
    """Wait for the end of the driver that was started last; what it printed."""
    driver.wait()
    said = (runs / OUTPUT).read_text()
    print(said, flush=True)
    return said


def killed(runs: Path, pictures: Path, kills: int) -> dict[str, int]:
    """Kill the driver again and again."""
    rng, survived = random.Random(0), 0
    for _ in range(kills):
        known = ended(runs / "s")
        driver = start(runs, pictures)
        wait_for(runs / "s", driver, trained, more=rng.randint(0, 2), after=rng.uniform(0, 2))
        driver.kill()
        driver.wait()
        now = ended(runs / "s")
        survived += same(known, now)
        print(
            f"killed with {len(now)} trials ended, earlier ones as they were: {same(known, now)}", flush=True
        )
    wait(start(runs, pictures), runs)
    study = results.load(runs / "s")
    complete = study.trials.loc[study.trials["state"] == "complete", "number"]
    return {
        "kills": kills,
        "survived": survived,
        "trials": len(study.trials),
        "running": int((study.trials["state"] == "running").sum()),
        "complete": len(complete),
        "as trained in one go": sum(is_as_in_one_go(runs / "s", int(number)) for number in complete),
        "temporary files": len(list((runs / "s").rglob(".*.part"))),
    }


def is_as_in_one_go(study: Path, number: int) -> bool:
    """Train the configuration of a trial without a break, and compare the figures of its last epoch."""
    torch.set_num_threads(1)  # as a worker of one CPU
    run = study / layout.TRIALS_DIR / str(number)
    config = trainables.Config.parse(tomllib.loads((run / layout.CONFIG_FILE).read_text()))
    *_, last = trainables.epochs(config)
    row = results.load(study).trials.set_index("number").loc[number]
    return all(
        np.array_equal(row[f"metrics.{name}"], value, equal_nan=True) for name, value in last.metrics.items()
    )


def frozen_driver(runs: Path, pictures: Path) -> dict[str, object]:
    """Freeze a driver, let another one take over, and let the first one go on."""
    frozen = start(runs, pictures)
    wait_for(runs / "s", frozen, trained, more=3, after=0.5)
    frozen.send_signal(signal.SIGSTOP)
    known = ended(runs / "s")
    (runs / "s" / layout.LOCK_FILE).unlink()  # as if it ran on another machine, which locks do not reach
    (runs / OUTPUT).rename(runs / "first.txt")
    second = start(runs, pictures)
    wait(second, runs)
    before = ended(runs / "s")
    frozen.send_signal(signal.SIGCONT)
    frozen.wait()
    out = (runs / "first.txt").read_text()
    print(out, flush=True)
    after = ended(runs / "s")
    return {
        "exit code of the second": second.returncode,
        "exit code of the first": frozen.returncode,
        "it names the other": "another driver" in out,
        "trials": len(after),
        "kept": same(known, before) and before.equals(after),
    }


def frozen_worker(runs: Path, pictures: Path) -> dict[str, object]:
    """Freeze a process that trains."""
    driver = start(runs, pictures, trials=4)
    wait_for(runs / "s", driver, trained, more=1, after=0.0)
    worker = next(pid for pid in descendants(driver.pid) if name_of(pid).startswith("ray::_Inner"))
    os.kill(worker, signal.SIGSTOP)
    start_s, epochs = time.monotonic(), trained(runs / "s")
    out = wait(driver, runs)
    trials = results.load(runs / "s").trials
    return {
        "exit code": driver.returncode,
        "seconds": round(time.monotonic() - start_s),
        "epochs before": epochs,
        "trials": len(trials),
        "failed": int((trials["state"] == "failed").sum()),
        "said": "no progress for" in out,
    }


def name_of(process: int) -> str:
    """Return the command line of a process, "" if it has ended."""
    try:
        return Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return ""


if __name__ == "__main__":
    main()
