"""The package as it is imported: public names, and commands that parse before they import pandas."""

import ast
import pkgutil
from pathlib import Path

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
