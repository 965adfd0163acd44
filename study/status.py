"""How studies stand: python -m study.status [NAME]"""

from collections.abc import Sequence

from study_common.commands import StudyParser, add_record_options, exit_code, needs, tell
from study_common.errors import UserError
from study_common.layout import find_study, study_names
from study_common.output import show


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 2 if a study is damaged or does not exist."""
    return exit_code(lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    parser = StudyParser("study.status", __doc__)
    parser.add_argument("name", nargs="?", metavar="NAME", help="name of a study, or its path (default: all)")
    add_record_options(parser, ray=False)
    arguments = parser.parse_args(argv)
    needs("ray")
    from study.execution.status_line import status_line

    chosen = [arguments.name] if arguments.name else study_names(arguments.runs_dir)
    if not chosen:
        print(
            f"no studies under {arguments.runs_dir}; start one with python -m study.launch --space mixed_bits"
        )
    code = 0
    for name in chosen:
        try:
            show(status_line(find_study(name, arguments.runs_dir), arguments.storage))
        except UserError as error:
            tell(str(error))
            code = 2
    return code


if __name__ == "__main__":
    raise SystemExit(main())
