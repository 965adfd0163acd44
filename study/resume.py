"""Continue a study from where its record stands: python -m study.resume NAME"""

from collections.abc import Sequence

from results.commands import Parser, locate
from search_spaces.commands import exit_code
from study.driver import resume


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code, as `study.launch` does."""
    return exit_code(lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    parser = Parser("study.resume", __doc__)
    parser.add_argument("name", metavar="NAME", help="of the study, or its path")
    parser.add_argument(
        "--trials", type=int, metavar="N", help="the new total: more to extend, fewer to end early"
    )
    parser.add_argument("--address", default="", metavar="RAY", help="join this Ray, or 'auto'")
    arguments = parser.parse_args(argv)
    if arguments.trials is not None and arguments.trials < 1:
        raise ValueError(f"--trials is {arguments.trials}; it must be above 0")
    directory = locate(arguments.name, arguments.runs_dir)
    return resume(directory, arguments.trials, arguments.address).code


if __name__ == "__main__":
    raise SystemExit(main())
