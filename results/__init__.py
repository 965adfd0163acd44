"""What the runs of a study say: its trials, fronts, figures and report. Needs neither Ray nor torch.

The public names are loaded on first use, so that a command parses its arguments before it imports pandas.

    study = results.load("runs/demo")
    study.front()
    results.pareto_front(study.trials, {"accuracy": "max", "bops": "min"})
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from results.analysis.classes import class_metrics, confusion_matrix
    from results.analysis.comparison import attainment, compare_studies, coverage
    from results.analysis.confirmation import confirmed, probability_nondominated
    from results.analysis.fronts import hypervolume, hypervolume_history, pareto_front
    from results.analysis.importance import importances, width_effects
    from results.analysis.membership import configurations
    from results.analysis.pairs import paired_differences
    from results.analysis.papers import compare_with_papers
    from results.analysis.selection import recommend, select_trials
    from results.analysis.studies import Study, curves, load
    from results.analysis.thinning import shown_trials
    from results.page.writing import write_results
    from study_common.objectives import Objective

__all__ = [
    "Objective",
    "Study",
    "attainment",
    "class_metrics",
    "compare_studies",
    "compare_with_papers",
    "configurations",
    "confirmed",
    "confusion_matrix",
    "coverage",
    "curves",
    "hypervolume",
    "hypervolume_history",
    "importances",
    "load",
    "paired_differences",
    "pareto_front",
    "probability_nondominated",
    "recommend",
    "select_trials",
    "shown_trials",
    "width_effects",
    "write_results",
]

_HOMES = {
    "Objective": "study_common.objectives",
    "Study": "results.analysis.studies",
    "attainment": "results.analysis.comparison",
    "class_metrics": "results.analysis.classes",
    "compare_studies": "results.analysis.comparison",
    "compare_with_papers": "results.analysis.papers",
    "configurations": "results.analysis.membership",
    "confirmed": "results.analysis.confirmation",
    "confusion_matrix": "results.analysis.classes",
    "coverage": "results.analysis.comparison",
    "curves": "results.analysis.studies",
    "hypervolume": "results.analysis.fronts",
    "hypervolume_history": "results.analysis.fronts",
    "importances": "results.analysis.importance",
    "load": "results.analysis.studies",
    "paired_differences": "results.analysis.pairs",
    "pareto_front": "results.analysis.fronts",
    "probability_nondominated": "results.analysis.confirmation",
    "recommend": "results.analysis.selection",
    "select_trials": "results.analysis.selection",
    "shown_trials": "results.analysis.thinning",
    "width_effects": "results.analysis.importance",
    "write_results": "results.page.writing",
}
"""The module of each public name."""


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'results' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the public names, loaded or not."""
    return sorted({*globals(), *__all__})
