"""The README's main job at its true means, and with a shared model first.

    python -m tests.benchmarks.main_job [--seeds 10] [--runs-dir DIR] [--json FILE]

Per seed of the study two studies run, `plain` and `shared`. Each member of a front is trained again with a fresh seed,
its shared model too, and measured on the test split; the hypervolume of a front is that of these figures. With
--runs-dir it goes on where it was stopped. A seed takes about ten minutes of two cores.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import results
from results.analysis.fronts import volume
from study_common import objectives
from tests.study.drive import ROOT

ARMS = {
    "plain": (),
    "shared": ("--init", "shared", "--init-set", "epochs=3", "--epochs", "1", "--trials", "18"),
}


def run(module: str, *words: str) -> None:
    """Run a command of the project; CalledProcessError if it fails."""
    subprocess.run([sys.executable, "-m", module, *words], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def measured(arm: str, seed: int, runs: Path) -> dict[str, float]:
    """Run a study to its end, confirm its front, and return what that front is at fresh seeds on the test split."""
    name, place = f"{arm}{seed}", ("--runs-dir", str(runs))
    if (runs / name).exists():
        run("study.resume", name, *place)
    else:
        words = ("--space", "mixed_bits", "--workers", "2", "--seed", str(seed), "--name", name)
        run("study.launch", *words, *ARMS[arm], *place)
    members = ",".join(map(str, results.load(runs / name).front()["number"]))
    run("study.confirm", name, "--trials", members, "--seeds", "1", *place)
    study = results.load(runs / name)
    metrics = [
        {goal: row[f"metrics.{goal}"] for goal in study.objectives}
        for row in study.confirmations.to_dict("records")
    ]
    gains = np.array([objectives.gains(study.objectives, each) for each in metrics])
    return {
        "hypervolume": float(volume(1 - gains)),
        "accuracy": max(each["accuracy"] for each in metrics),
        "members": len(metrics),
    }


def main() -> None:
    """Run both studies of each seed and print how they differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--runs-dir", type=Path, help="where the studies are kept")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        runs = (arguments.runs_dir or Path(scratch)).absolute()
        found: dict[str, list[dict[str, float]]] = {arm: [] for arm in ARMS}
        for seed in range(arguments.seeds):
            for arm in ARMS:
                found[arm].append(measured(arm, seed, runs))
                print(seed, arm, found[arm][-1], flush=True)
    less = pd.DataFrame(found["shared"]) - pd.DataFrame(found["plain"])
    print(pd.DataFrame({"shared less plain": less.mean(), "standard error": less.sem()}).to_string())
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
