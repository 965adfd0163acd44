"""Each command answers --help before it imports what it will need."""

import os
import resource
import subprocess
import sys

import pytest

from study.__main__ import COMMANDS

HEAVY = {
    "captum", "fastapi", "matplotlib", "moocore", "numpy", "onnx", "onnxruntime", "optuna", "pandas", "plotly", "ray",
    "rich", "scipy", "sqlalchemy", "starlette", "torch", "torchmetrics", "torchvision", "uvicorn",
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_help_imports_no_heavy_library(name: str) -> None:
    """In at most 0.7 s of CPU; what it takes is a tenth of that."""
    package, _ = COMMANDS[name]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", f"{package}.{name}", "--help"],
        capture_output=True, text=True, check=True, env=os.environ,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.7
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not imported & HEAVY
