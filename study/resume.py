"""Continue a study from where its record stands: python -m study.resume NAME"""

import argparse
import math
from collections.abc import Sequence

import study
from study.store.options import LOGS, Options, check_rules, duration, flags
from study_common.commands import StudyParser, add_record_options, exit_code
from study_common.errors import UserError
from study_common.layout import find_study


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code, as `study.launch` does."""
    return exit_code(lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    parser = StudyParser("study.resume", __doc__)
    parser.add_argument("name", metavar="NAME", help="name of the study, or its path")
    parser.add_argument(
        "--trials", type=int, metavar="N", help="the new total: more to extend, fewer to end early"
    )
    parser.add_argument(
        "--replicates",
        type=int,
        metavar="N",
        help="how many of them, the last ones, train again with fresh seeds",
    )
    parser.add_argument(
        "--time-budget",
        type=_budget,
        metavar="30m|none",
        help="stop after this time, from now on; none: no limit",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="trials at a time, from now on")
    parser.add_argument(
        "--gpus-per-trial",
        type=float,
        metavar="F",
        help="GPUs per trial, from now on: a share of one, or several",
    )
    parser.add_argument(
        "--log", choices=[*LOGS, "none"], help="show the trials in this tool, from now on; none: in none"
    )
    add_record_options(parser)
    arguments = parser.parse_args(argv)
    changes = {
        "trials": arguments.trials,
        "replicates": arguments.replicates,
        "time_budget_s": arguments.time_budget,
        "workers": arguments.workers,
        "gpus_per_trial": arguments.gpus_per_trial,
        "log": "" if arguments.log == "none" else arguments.log,
    }
    check_rules(Options, dict.fromkeys(flags(Options)) | changes)
    directory = find_study(arguments.name, arguments.runs_dir)
    return study.resume_study(
        directory, address=arguments.address, changes=study.Changes(**changes), storage_url=arguments.storage
    ).code


def _budget(text: str) -> float:
    if text == "none":
        return math.inf
    try:
        return duration(text)
    except UserError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    raise SystemExit(main())
