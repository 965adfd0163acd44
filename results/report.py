"""Write trials.parquet, front.csv and report.html of a study: python -m results.report NAME"""

import argparse

from study_common import layout
from study_common.commands import StudyParser, exit_code
from study_common.layout import find_study
from study_common.output import show


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = StudyParser("results.report", "Write trials.parquet, front.csv and report.html of a study.")
    parser.add_argument("name", metavar="NAME", help="name of the study, or its path")
    arguments = parser.parse_args(argv)
    return exit_code(lambda: _report(arguments))


def _report(arguments: argparse.Namespace) -> None:
    from results.page.writing import write_results

    study = write_results(find_study(arguments.name, arguments.runs_dir))
    show(str(study.path / layout.REPORT_FILE))


if __name__ == "__main__":
    raise SystemExit(main())
