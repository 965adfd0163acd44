"""`pip install .` alone, in an environment of its own: the report of a copied study, with neither Ray nor torch."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from study_common import layout

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_analysis_alone_renders_a_copied_study(study_path, tmp_path):
    copy = shutil.copytree(study_path, tmp_path / "copied")
    source = shutil.copytree(
        ROOT, tmp_path / "source", ignore=shutil.ignore_patterns(".*", "build", "runs", "*.egg-info")
    )
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    python = tmp_path / "env" / "bin" / "python"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", source], check=True, env=environment, cwd=tmp_path
    )
    shutil.rmtree(source)

    def run(*command: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python, *command], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
        )

    for absent in ("ray", "torch"):
        assert "ModuleNotFoundError" in run("-c", f"import {absent}").stderr
    done = run("-W", "error", "-m", "results.report", copy)
    assert (done.returncode, done.stderr) == (0, "")
    assert (copy / layout.REPORT_FILE).stat().st_size > 4_000_000
    for command in (["front", copy], ["select", copy, "--prefer", "accuracy"], ["compare", "--paper"]):
        assert run("-m", f"results.{command[0]}", *command[1:]).returncode == 0
