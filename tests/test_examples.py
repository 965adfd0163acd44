"""The examples run as they stand."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import results
from study_common import layout
from tests.results.sample import trials, write_study

ROOT = Path(__file__).parents[1]


def run(*words: object, warnings: str = "error") -> str:
    """Run an example in a process of its own; return what it printed."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": warnings}
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


@pytest.mark.parametrize(("model", "size"), [("own_network:OwnNetwork", 16), ("timm/test_efficientnet", 32)])
def test_a_model_of_ones_own_goes_from_a_launch_to_an_export(model, size, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    for name, level in (("dark", 40), ("bright", 180)):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(10):
            pixels = generator.integers(level, level + 40, (size, size, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / name / f"{number}.png")
    out = run(
        "examples/own_model.py", "--model", model, "--data-dir", tmp_path / "set", "--image-size", size,
        "--runs-dir", tmp_path, "--", "--trials", 2, "--epochs", 1, "--workers", 1, "--set", "batch_size=8",
        warnings="default",  # Ray has some of its own
    )  # fmt: skip
    assert "lambda2 above 0: yes" in out
    study = tmp_path / "own"
    assert (results.load(study).trials["state"] == "complete").all()
    assert (study / layout.REPORT_FILE).read_text().count(model) > 0
    assert len((study / layout.FILES_FILE).read_text().splitlines()) == 1 + 20
    assert {layout.ONNX_FILE, layout.PACKED_FILE} <= {path.name for path in (study / "model").iterdir()}
    assert str(tmp_path).encode() not in (study / "model" / layout.PACKED_FILE).read_bytes()
    assert str(tmp_path) not in (study / "model" / layout.CARD_FILE).read_text()
