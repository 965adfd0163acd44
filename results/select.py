"""Print the best trial within bounds: python -m results.select NAME --max bops=3e6 --min accuracy=0.9"""

import argparse
from itertools import chain

from results.analysis.arguments import bound, bounds
from study_common.commands import StudyParser, exit_code
from study_common.layout import find_study
from study_common.output import say, show


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = StudyParser(
        "results.select", "Print the best trial within bounds, and the command that exports it."
    )
    parser.add_argument("name", metavar="NAME", help="name of the study, or its path")
    for option, what in (("--max", "largest"), ("--min", "smallest")):
        parser.add_argument(
            option,
            type=bound,
            action="append",
            default=[],
            metavar="METRIC=VALUE",
            help=f"the {what} value of a metric to accept; may be repeated",
        )
    parser.add_argument(
        "--prefer",
        default="knee",
        metavar="METRIC",
        help="what decides among the front within the bounds (default: %(default)s)",
    )
    arguments = parser.parse_args(argv)
    return exit_code(lambda: _select(arguments))


def _select(arguments: argparse.Namespace) -> None:
    at_most, at_least = bounds("--max", arguments.max), bounds("--min", arguments.min)
    from results.analysis.configurations import configuration, export_command
    from results.analysis.formatting import format_metric
    from results.analysis.metrics import metric_names
    from results.analysis.run_files import RunFiles
    from results.analysis.studies import load
    from study_common.errors import located

    study = load(find_study(arguments.name, arguments.runs_dir))
    with located(study.name):
        best = study.select(at_most=at_most, at_least=at_least, prefer=arguments.prefer).iloc[0]
    show(f"trial {best['number']} of {study.name}")
    for metric in metric_names(best.to_frame().T):
        show(f"  {metric:20} {format_metric(metric, best[f'metrics.{metric}'])}")
    show(f"  {'p_front':20} {format_metric('p_front', best['p_front'])}")
    files = RunFiles(study.path)
    for name, value in configuration(study, best, files).items():
        show(f"  {name:20} {value}")
    for message in chain.from_iterable(files.damaged.values()):
        say(f"warning: {message}; the configuration is that of the record", error=True)
    show(export_command(study, best))


if __name__ == "__main__":
    raise SystemExit(main())
