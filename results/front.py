"""Print the front of a study as a table: python -m results.front NAME"""

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

from results.analysis.arguments import directions
from study_common.commands import StudyParser, exit_code
from study_common.layout import find_study
from study_common.output import show

if TYPE_CHECKING:
    import pandas as pd

    from results.analysis.studies import Study


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = StudyParser("results.front", "Print the non-dominated configurations of a study.")
    parser.add_argument("name", metavar="NAME", help="name of the study, or its path")
    parser.add_argument(
        "--objectives",
        type=directions,
        metavar="accuracy:max,flops:min",
        help="any metrics to compare by (default: the study's objectives)",
    )
    arguments = parser.parse_args(argv)
    return exit_code(lambda: _show(arguments))


def _show(arguments: argparse.Namespace) -> None:
    from results.analysis import fronts, membership
    from results.analysis.doubts import doubts
    from results.analysis.studies import load
    from results.analysis.terminal import print_table

    study = load(find_study(arguments.name, arguments.runs_dir))
    objectives = arguments.objectives or study.directions
    configurations = membership.configurations(study.trials, objectives, study.confirmations)
    front = fronts.pareto_front(configurations, objectives)
    print_table(_table(study, front, objectives), f"{study.name}: {len(front)} of {len(study.trials)} trials")
    doubtful = front.assign(doubt=doubts(configurations)).dropna(subset="doubt")
    for number, doubt in zip(doubtful["number"], doubtful["doubt"], strict=True):
        show(f"the maps of trial {number} are {doubt}")
    if objectives == study.directions:
        show(f"hypervolume {study.hypervolume():.4f}")
        for warning in fronts.hypervolume_warnings(study.trials, study.objectives):
            show(warning)
    if caveat := membership.caveat(configurations, study.confirmations):
        show(f"p_front: {caveat}")


def _table(study: "Study", front: "pd.DataFrame", objectives: Mapping[str, str]) -> "pd.DataFrame":
    """Return the columns to print, in the order of the first objective."""
    from results.analysis.configurations import compact_widths
    from results.analysis.metrics import COST_METRICS

    first = next(iter(objectives))
    costs = [
        name for name in COST_METRICS if f"metrics.{name}" in front and front[f"metrics.{name}"].nunique() > 1
    ]
    columns = ["number", "p_front"]
    if (front["draws"] > 1).any():
        columns.append("draws")
    columns += [f"metrics.{name}" for name in dict.fromkeys([*objectives, *costs])]
    front, parameters = compact_widths(front, list(study.distributions))
    columns += [f"params.{name}" for name in parameters]
    return front.sort_values(f"metrics.{first}", ascending=objectives[first] == "min")[columns]


if __name__ == "__main__":
    raise SystemExit(main())
