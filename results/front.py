"""``python -m results.front NAME``: the front of a study as a table."""

import argparse

from results import commands, fronts
from results.choosing import COSTS
from results.studies import load
from search_spaces.commands import exit_code


def main(argv: list[str] | None = None) -> int:
    """Print the front of a study."""
    parser = commands.Parser("results.front", "Print the non-dominated trials of a study.")
    parser.add_argument("name", metavar="NAME", help="a study's name, or its path")
    parser.add_argument(
        "--objectives",
        type=commands.directions,
        metavar="accuracy:max,flops:min",
        help="any metrics to compare by (default: the study's objectives)",
    )
    arguments = parser.parse_args(argv)
    return exit_code(lambda: _show(arguments))


def _show(arguments: argparse.Namespace) -> None:
    study = load(commands.locate(arguments.name, arguments.runs_dir))
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
    commands.show(ordered[columns], f"{study.name}: {len(front)} of {len(study.trials)} trials")
    if directions == study.directions:
        print(f"hypervolume {fronts.hypervolume(front, study.objectives):.4f}")


if __name__ == "__main__":
    raise SystemExit(main())
