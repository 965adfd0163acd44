"""Continue a study from where its record stands: python -m study.resume NAME"""

from collections.abc import Sequence

import study
from study_common.commands import StudyParser, exit_code
from study_common.errors import UserError
from study_common.layout import find_study


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code, as `study.launch` does."""
    return exit_code(lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    parser = StudyParser("study.resume", __doc__)
    parser.add_argument("name", metavar="NAME", help="of the study, or its path")
    parser.add_argument(
        "--trials", type=int, metavar="N", help="the new total: more to extend, fewer to end early"
    )
    parser.add_argument("--address", default="", metavar="RAY", help="join this Ray, or 'auto'")
    arguments = parser.parse_args(argv)
    if arguments.trials is not None and arguments.trials < 1:
        raise UserError(f"--trials is {arguments.trials}; it must be above 0")
    directory = find_study(arguments.name, arguments.runs_dir)
    return study.resume_study(directory, arguments.trials, arguments.address).code


if __name__ == "__main__":
    raise SystemExit(main())
