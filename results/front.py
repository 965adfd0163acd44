"""``python -m results.front NAME``: the front of a study as a table."""

import argparse

from results.analysis import command_line, fronts
from results.analysis.selection import COSTS
from results.analysis.studies import load
from study_common.commands import StudyParser, exit_code
from study_common.layout import find_study


def main(argv: list[str] | None = None) -> int:
    """Print the front of a study."""
    parser = StudyParser("results.front", "Print the non-dominated trials of a study.")
    parser.add_argument("name", metavar="NAME", help="a study's name, or its path")
    parser.add_argument(
        "--objectives",
        type=command_line.directions,
        metavar="accuracy:max,flops:min",
        help="any metrics to compare by (default: the study's objectives)",
    )
    arguments = parser.parse_args(argv)
    return exit_code(lambda: _show(arguments))


def _show(arguments: argparse.Namespace) -> None:
    study = load(find_study(arguments.name, arguments.runs_dir))
    directions = arguments.objectives or study.directions
    front = fronts.front(study.trials, directions)
    first = next(iter(directions))
    telling = [
        name for name in COSTS if f"metrics.{name}" in front and front[f"metrics.{name}"].nunique() > 1
    ]
    metrics = dict.fromkeys([*directions, *telling])
    columns = [
        "number",
        *(f"metrics.{name}" for name in metrics),
        *(f"params.{n}" for n in study.distributions),
    ]
    ordered = front.sort_values(f"metrics.{first}", ascending=directions[first] == "min")
    command_line.show(ordered[columns], f"{study.name}: {len(front)} of {len(study.trials)} trials")
    if directions == study.directions:
        print(f"hypervolume {fronts.hypervolume(front, study.objectives):.4f}")


if __name__ == "__main__":
    raise SystemExit(main())
