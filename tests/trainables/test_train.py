"""`python -m trainables.train`: what it prints, and one line for what is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from trainables.train import main

Settings = dict[str, object]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trainables.train", *arguments], capture_output=True, text=True
    )


def test_the_command_trains_and_ends_with_its_metrics(settings: Settings, tmp_path: Path) -> None:
    typed = [word for k, v in (settings | {"epochs": 2}).items() for word in ("--set", f"{k}={v}")]
    done = command(*typed, "--out", str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    metrics = json.loads(lines[-1])
    assert metrics["macs"] > 0
    assert "faithfulness" in metrics


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("lamda1=1", "lambda1"),
        ("bits=5", "bit-width"),
        ("dataset=kvasir", "data"),
        ("batch_size=9999", "batch_size"),
    ],
)
def test_the_command_says_in_one_line_what_is_wrong(
    typed: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--set", typed]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert len(err.strip().splitlines()) == 1, err
