"""The main job as a user types it: real images, a real Ray, and everything that the study leaves behind."""

import json
import shutil
import sqlite3
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import results

TRIALS, EPOCHS = 4, 2


def run(*words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, timeout=280)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def launch(runs: Path, name: str, *more: str) -> Path:
    run("study.launch", "--space", "mixed_bits", "--runs-dir", str(runs), "--name", name, "--epochs", str(EPOCHS),
        "--trials", str(TRIALS), *more)  # fmt: skip
    return runs / name


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small main job: 4 trials of 2 epochs on the embedded images."""
    return launch(tmp_path_factory.mktemp("runs"), "demo", "--workers", "2")


@pytest.fixture(scope="module")
def trials(study: Path) -> pd.DataFrame:
    return pd.read_parquet(study / "trials.parquet")


def test_the_directory_is_the_whole_study(study: Path, trials: pd.DataFrame) -> None:
    document = tomllib.loads((study / "study.toml").read_text())
    assert list(document["objectives"]) == ["accuracy", "flops", "faithfulness"]
    assert document["objectives"]["flops"]["reference"] == 11_992_448
    assert (study / "report.html").stat().st_size > 1e6
    for number, state in zip(trials["number"], trials["state"], strict=True):
        folder = study / "trials" / str(number)
        assert {"config.toml", "curve.csv", "checkpoint.safetensors", "log.txt"} <= {
            p.name for p in folder.iterdir()
        }
        for last in ("saliency.npz", "confusion.csv"):
            assert (folder / last).exists() == (state == "complete")


def test_every_trial_is_what_it_says(trials: pd.DataFrame) -> None:
    assert len(trials) == TRIALS
    assert set(trials["state"]) <= {"complete", "stopped"}
    assert (trials.loc[trials["state"] == "complete", "epochs"] == EPOCHS).all()
    assert (trials.loc[trials["state"] == "stopped", "epochs"] < EPOCHS).all()
    for name in ("accuracy", "flops", "faithfulness"):
        assert trials[f"metrics.{name}"].nunique() > 1


def test_the_record_agrees(study: Path, trials: pd.DataFrame) -> None:
    with sqlite3.connect(study / "study.db") as record:
        states = [state for (state,) in record.execute("select state from trials order by number")]
    names = {"complete": "COMPLETE", "stopped": "PRUNED"}
    assert states == [names[state] for state in trials["state"]]


def test_the_front_is_the_brute_force_front(study: Path, trials: pd.DataFrame) -> None:
    gain = {"accuracy": 1, "flops": -1, "faithfulness": 1}
    able = trials[(trials["state"] == "complete") & trials["feasible"]]
    points = np.stack([sign * able[f"metrics.{name}"].to_numpy(float) for name, sign in gain.items()], 1)
    able, points = able[np.isfinite(points).all(1)], points[np.isfinite(points).all(1)]
    kept = [
        number
        for number, p in zip(able["number"], points, strict=True)
        if not any((q >= p).all() and (q > p).any() for q in points)
    ]
    assert sorted(pd.read_csv(study / "front.csv")["number"]) == sorted(kept)
    assert kept


def complete(study: Path) -> int:
    frame = results.load(study).trials
    return int(frame.loc[frame["state"] == "complete", "number"].iloc[0])


def test_a_checkpoint_gives_its_metrics_again(study: Path, trials: pd.DataFrame, tmp_path: Path) -> None:
    number = complete(study)
    shutil.copy(study / "trials" / str(number) / "checkpoint.safetensors", tmp_path)
    printed = json.loads(
        run("trainables.evaluate", str(tmp_path / "checkpoint.safetensors")).stdout.splitlines()[-1]
    )
    row = trials.set_index("number").loc[number]
    assert {name: row[f"metrics.{name}"] for name in printed} == printed


def test_a_confirmation_reads_the_test_split_once(study: Path) -> None:
    number = complete(study)
    words = (
        "study.confirm",
        "demo",
        "--runs-dir",
        str(study.parent),
        "--trials",
        str(number),
        "--seeds",
        "1",
    )
    run(*words)
    first = results.load(study).confirmations
    assert first["trial"].tolist() == [number]
    assert 0.1 < first["metrics.accuracy"].iloc[0] < 1
    assert "infidelity" in json.loads((study / "trials" / str(number) / "faithfulness.json").read_text())
    run(*words)
    assert results.load(study).confirmations.equals(first)


def test_a_name_that_exists_says_how_to_go_on(study: Path) -> None:
    before = (study / "study.db").read_bytes()
    done = run(
        "study.launch", "--space", "mixed_bits", "--runs-dir", str(study.parent), "--name", "demo", code=2
    )
    assert "study.resume" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert (study / "study.db").read_bytes() == before


def test_an_extended_study_keeps_what_it_had(study: Path, trials: pd.DataFrame, tmp_path: Path) -> None:
    shutil.copytree(study, tmp_path / "demo")
    run("study.resume", "demo", "--runs-dir", str(tmp_path), "--trials", str(TRIALS + 1))
    longer = pd.read_parquet(tmp_path / "demo" / "trials.parquet")
    assert len(longer) == TRIALS + 1
    pd.testing.assert_frame_equal(longer.iloc[:TRIALS][trials.columns], trials)


@pytest.mark.slow
def test_one_worker_and_a_seed_give_the_same_front_twice(tmp_path: Path) -> None:
    first, again = (launch(tmp_path, name, "--workers", "1", "--seed", "3") for name in ("first", "again"))
    assert (first / "front.csv").read_bytes() == (again / "front.csv").read_bytes()
