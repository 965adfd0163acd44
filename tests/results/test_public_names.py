"""The package as it is imported: public names, and commands that parse before they import pandas."""

import ast
import os
import pkgutil
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import results

COMMANDS = ("compare", "front", "report", "select")


def test_no_public_name_is_a_module() -> None:
    modules = {module.name for module in pkgutil.iter_modules(results.__path__)}
    assert set(COMMANDS) <= modules
    assert not modules & set(results.__all__)
    assert set(results.__all__) <= set(dir(results))


def test_names_for_mypy_are_those_that_load_on_first_use() -> None:
    tree = ast.parse(Path(results.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: f.module for f in block.body if isinstance(f, ast.ImportFrom) for alias in f.names}
    assert seen == results._HOMES
    assert sorted(seen) == sorted(results.__all__)


def test_functions_and_methods_agree(study) -> None:
    """Every function of trials is called, and the methods of a study give the same for its configurations."""
    trials, directions = study.configurations, study.directions
    assert results.pareto_front(trials, directions).equals(study.front())
    assert results.hypervolume(trials, study.objectives) == study.hypervolume()
    chosen = results.recommend(trials, directions)
    assert {name: trial["number"] for name, trial in chosen.items()} == {
        name: trial["number"] for name, trial in study.recommend().items()
    }
    bounds = {"at_most": {"flops": 2e6}, "prefer": "accuracy"}
    assert results.select_trials(trials, directions, **bounds).equals(study.select(**bounds))
    assert results.configurations(study.trials, directions, study.confirmations).equals(trials)
    assert len(results.shown_trials(study)) == len(study.trials)
    assert len(results.hypervolume_history(study.trials, study.objectives)) == len(study.trials)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_imports_no_library(name: str) -> None:
    """In at most 0.7 s of CPU; what it takes is a tenth of that."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", f"results.{name}", "--help"],
        capture_output=True, text=True, check=True, env=os.environ,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.7
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not imported & {"numpy", "pandas", "optuna", "plotly", "rich", "moocore"}
