"""``python -m results.select NAME --max bops=3e6 --min accuracy=0.9``: the best trial within bounds."""

import argparse

from results.analysis import command_line, formatting, selection
from results.analysis.studies import load
from study_common.commands import StudyParser, exit_code
from study_common.layout import find_study


def main(argv: list[str] | None = None) -> int:
    """Print the best trial within bounds, and the command that exports it."""
    parser = StudyParser("results.select", "Choose the best trial within bounds.")
    parser.add_argument("name", metavar="NAME", help="a study's name, or its path")
    for option, what in (("--max", "largest"), ("--min", "smallest")):
        parser.add_argument(
            option,
            type=command_line.bound,
            action="append",
            default=[],
            metavar="METRIC=VALUE",
            help=f"the {what} value of a metric to accept; may be repeated",
        )
    parser.add_argument(
        "--prefer",
        default="knee",
        metavar="METRIC",
        help="what decides among the front within the bounds (knee)",
    )
    arguments = parser.parse_args(argv)
    return exit_code(lambda: _select(arguments))


def _select(arguments: argparse.Namespace) -> None:
    study = load(find_study(arguments.name, arguments.runs_dir))
    row = selection.select(
        study,
        at_most=command_line.bounds("--max", arguments.max),
        at_least=command_line.bounds("--min", arguments.min),
        prefer=arguments.prefer,
    )
    print(f"trial {row['number']} of {study.name}")
    for column in (name for name in row.index if name.startswith("metrics.")):
        metric = column.removeprefix("metrics.")
        print(f"  {metric:20} {formatting.tell(metric, row[column])}")
    for name, value in selection.configuration(study, row).items():
        print(f"  {name:20} {value}")
    print(selection.export_command(study, row))


if __name__ == "__main__":
    raise SystemExit(main())
