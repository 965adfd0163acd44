"""``python -m results.report NAME``: writes trials.parquet, front.csv and report.html of a study."""

from results.page.writing import write
from study_common import layout
from study_common.commands import StudyParser, exit_code
from study_common.layout import find_study


def main(argv: list[str] | None = None) -> int:
    """Write the report of a study and say where it is."""
    parser = StudyParser("results.report", "Write trials.parquet, front.csv and report.html of a study.")
    parser.add_argument("name", metavar="NAME", help="a study's name, or its path")
    arguments = parser.parse_args(argv)
    return exit_code(lambda: _report(arguments.name, arguments.runs_dir))


def _report(name: str, runs_dir: str) -> None:
    study = write(find_study(name, runs_dir))
    print(study.path / layout.REPORT_FILE)


if __name__ == "__main__":
    raise SystemExit(main())
