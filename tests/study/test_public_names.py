"""The package as it is imported: public names, and commands that parse before they import Ray."""

import importlib
import inspect
import os
import pkgutil
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import study
from study_common import commands
from tests.conftest import Command

COMMANDS = ("resume", "status", "confirm", "simulate")


def test_public_names_stay_what_they_are_whatever_is_imported() -> None:
    for module in pkgutil.walk_packages(study.__path__, "study."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in study.__all__:
        assert callable(getattr(study, name)), name
        assert not inspect.ismodule(getattr(study, name)), name
    assert set(study.__all__) <= set(dir(study))
    with pytest.raises(AttributeError, match="no attribute 'run'"):
        study.run  # noqa: B018


@pytest.mark.parametrize("name", COMMANDS)
def test_help_imports_neither_ray_nor_torch(name: str) -> None:
    """In at most 0.7 s of CPU; what it takes is about a seventh of that."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", f"study.{name}", "--help"],
        capture_output=True, text=True, check=True, env=os.environ,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.7
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not imported & {"ray", "torch", "optuna", "pandas", "numpy"}


@pytest.mark.parametrize(
    "words",
    ["launch --space mixed_bits", "status", "resume s", "confirm s --top 1", "simulate --table t.parquet"],
)
def test_without_ray_a_command_names_the_remedy(
    words: str, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(commands, "find_spec", lambda name: None)
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "study.toml").touch()
    name, *rest = words.split()
    code, out, error = command(f"study.{name}", *rest, "--runs-dir", str(tmp_path))
    assert (code, out) == (2, "")
    assert error == "error: this needs ray; install it with pip install 'sgt-pact-study[study]'\n"
