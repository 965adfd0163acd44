"""The examples run as they stand."""

import os
import subprocess
import sys
from pathlib import Path

from tests.results.sample import trials, write_study

ROOT = Path(__file__).parents[1]


def run(*words: object) -> str:
    """Run an example in a process of its own; return what it printed."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_one_run_prints_costs_and_each_epoch(tmp_path):
    out = run("examples/one_run.py", "--epochs", 1, "--out", tmp_path / "run")
    assert "bit-operations" in out
    assert "epoch 1: accuracy" in out
    assert (tmp_path / "run" / "checkpoint.safetensors").exists()


def test_choose_a_model_prints_the_front_and_a_trial(tmp_path):
    write_study(tmp_path / "s", trials(30))
    out = run("examples/choose_a_model.py", tmp_path / "s")
    assert "hypervolume 0." in out
    assert "bit-operations: trial " in out
