"""Confirm trials on the test split: python -m study.confirm NAME --top 3 --seeds 3

Each chosen configuration is trained again with fresh seeds, to its last epoch, and measured once on the test split.
This is the only reader of that split, and every reading is logged in the record.
"""

from collections.abc import Sequence

from study_common.commands import StudyParser, add_record_options, exit_code, needs
from study_common.errors import UserError
from study_common.layout import find_study


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return exit_code(lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    parser = StudyParser("study.confirm", __doc__.splitlines()[0])
    parser.add_argument("name", metavar="NAME", help="name of the study, or its path")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--trials", metavar="0,1,2", help="numbers of complete trials")
    which.add_argument(
        "--top", type=int, metavar="K", help="the K front members that are best in the first objective"
    )
    parser.add_argument(
        "--seeds", type=int, default=3, metavar="S", help="trainings per trial (default: %(default)s)"
    )
    parser.add_argument("--refit", action="store_true", help="train on train + validation")
    add_record_options(parser)
    arguments = parser.parse_args(argv)
    if arguments.seeds < 1:
        raise UserError(f"--seeds is {arguments.seeds}; it must be above 0")
    if arguments.top is not None and arguments.top < 1:
        raise UserError(f"--top is {arguments.top}; it must be above 0")
    directory = find_study(arguments.name, arguments.runs_dir)
    needs("ray")
    from study.execution import confirmation

    chosen = confirmation.chosen(directory, arguments.trials, arguments.top)
    return confirmation.confirm_and_show(
        directory,
        chosen,
        arguments.seeds,
        refit=arguments.refit,
        address=arguments.address,
        storage_url=arguments.storage,
    )


if __name__ == "__main__":
    raise SystemExit(main())
