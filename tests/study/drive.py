"""A driver in a process of its own, to be killed: python -m tests.study.drive RUNS TRIALS PAUSE RAY INIT STORAGE NAME

Starts the study NAME under RUNS, or resumes it; an epoch takes PAUSE seconds. RAY is the address of one
to join, or ""; INIT and STORAGE are those of --init and --storage.
"""

# ruff: noqa: E402
import sys
from functools import partial
from pathlib import Path

from study_common.output import reserve_standard_descriptors

reserve_standard_descriptors()  # as a command does, before Ray is imported

import study
from study_common.layout import REQUEST_FILE
from tests.study import toys

ROOT = Path(__file__).parents[2]


def command(
    runs: Path,
    trials: int,
    pause: float,
    address: str = "",
    init: str = "",
    storage: str = "",
    name: str = "s",
) -> list[str]:
    """Return the words that start it, in the directory `ROOT`."""
    words = [str(runs), str(trials), str(pause), address, init, storage, name]
    return [sys.executable, "-m", "tests.study.drive", *words]


def drive(runs: str, trials: str, pause: str, address: str, init: str, storage: str, name: str) -> int:
    """Run the study to its end and return the exit code."""
    train = partial(toys.toy, pause=float(pause))
    estimate = partial(toys.estimate, pause=float(pause) / 20)
    directory = Path(runs) / name
    if (directory / REQUEST_FILE).exists():
        return study.resume_study(directory, address=address, train=train, estimate=estimate).code
    given = {"space": "mixed_bits", "name": name, "runs_dir": runs, "trials": int(trials), "epochs": 3}
    spec = study.Spec(**given, workers=2, address=address, init=init, storage=storage)  # type: ignore[arg-type]
    return study.run_study(spec, train, estimate).code


if __name__ == "__main__":
    raise SystemExit(drive(*sys.argv[1:]))
