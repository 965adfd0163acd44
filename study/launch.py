"""Start a study: python -m study.launch --space mixed_bits"""

import argparse
from collections.abc import Sequence
from typing import Any

from study.execution.driver import run
from study.planning.command_line import command, duration, setting
from study.planning.dry_run import describe
from study.planning.spec import TRIALS, Spec, plan
from study.store.request import INITS, SAMPLERS, SCHEDULERS
from study_common.commands import StudyParser, exit_code


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 2 for bad input, 1 for a fault, 128 + n after signal n."""
    return exit_code(lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    arguments = vars(_parser().parse_args(argv))
    dry_run = arguments.pop("dry_run")
    time_budget = arguments.pop("time_budget")
    given: dict[str, Any] = {name: value for name, value in arguments.items() if value is not None}
    given["fixed"] = dict(map(setting, given["fixed"]))
    if time_budget is not None:
        given["time_budget_s"] = duration(time_budget)
    spec = Spec(**given, command=command("study.launch", argv, given.get("storage", "")))
    if dry_run:
        print(describe(plan(spec)))
        return 0
    return run(spec).code


def _parser() -> argparse.ArgumentParser:
    parser = StudyParser("study.launch", __doc__)
    add = parser.add_argument
    add(
        "--space",
        required=True,
        metavar="NAME|FILE",
        help="what to search: a space of the package, or a .toml file",
    )
    add("--name", help="of the study (default: the space's, with the next free number)")
    add("--dataset", help="such as fashion_mnist_small, the default")
    add("--data-dir", metavar="DIR", help="where the files of the data set are")
    add("--model", help="such as paper_cnn, the default")
    add(
        "--weights",
        metavar="NAME|FILE",
        help="pretrained weights: torchvision's name (IMAGENET1K_V1) or a state dict",
    )
    add("--preset", help="a recipe of training settings")
    add(
        "--trials",
        type=int,
        metavar="N",
        help=f"configurations to try (default: {TRIALS}, or a smaller finite space)",
    )
    add("--epochs", type=int, metavar="N", help="of a trial that completes (default: the preset's)")
    add("--time-budget", metavar="30m", help="stop then; a resume goes on")
    add("--workers", type=int, metavar="N", help="trials at a time (default: one a CPU)")
    add(
        "--gpus-per-trial",
        type=float,
        metavar="F",
        help="a share of a GPU, or several (default: 0, on a CPU)",
    )
    add("--objectives", metavar="NAME:max|min,...", help=f"(default: {Spec.objectives})")
    add("--max-bops", type=float, metavar="X", help="never train a configuration with more bit-operations")
    add("--max-size", type=float, metavar="BYTES", help="never train a configuration with a larger file")
    add(
        "--sampler", metavar="|".join(SAMPLERS), help=f"who proposes configurations (default: {Spec.sampler})"
    )
    add(
        "--scheduler",
        metavar="|".join(SCHEDULERS),
        help=f"who decides which trials go on (default: {Spec.scheduler})",
    )
    add(
        "--reduction-factor",
        type=int,
        metavar="N",
        help="of pareto_asha: the best one in N goes on at each rung",
    )
    add("--warm-start", metavar="NAME", help="try the front of that study after the corners")
    add("--init", metavar="|".join(INITS), help="start every trial from one float model, trained first")
    add("--seed", type=int, metavar="S", help="of the sampler and of every trial (default: 0)")
    add(
        "--storage",
        metavar="URL",
        help="keep the record in this database, such as postgresql://user@host/database",
    )
    add("--address", metavar="RAY", help="join this Ray, or 'auto'")
    add(
        "--set",
        dest="fixed",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of every trial",
    )
    add("--dry-run", action="store_true", help="print the space, the range of costs and a time estimate")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
