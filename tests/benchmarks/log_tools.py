"""What the tools of --log cost, beside the training that they show.

    python -m tests.benchmarks.log_tools [--json FILE]

Each tool, in a process of its own, is told of a study of `TRIALS` trials, a third of which train all epochs, as the
default study has it, and writes into files. `share_TOOL` is the user and system time of that process and its children,
with what it imports, creates and waits for at its end, over the time that those epochs take to train. An epoch, without
faithfulness, is trained in the same run. A tool that is not installed is left out.
"""

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
from pathlib import Path

import trainables
from study.execution import tracking
from study.execution.trackers import telling
from study.execution.tracking import Entry
from study.planning.plan import plan
from study.planning.spec import Spec
from study.store.options import LOGS
from study.store.request import Request
from study_common.errors import MissingPackageError

TRIALS = 15
EPOCHS = (1, 3, 9)
METRICS = 14
"""Of an epoch."""


def main() -> None:
    """Measure each tool and print the shares."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.log_tools", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    epoch = epoch_cpu_s()
    epochs = sum(EPOCHS[trial % 3] for trial in range(TRIALS))
    figures = {"epoch_cpu_s": epoch, "epochs": float(epochs)}
    pool = multiprocessing.get_context("spawn")
    for name in LOGS:
        ours, theirs = pool.Pipe()
        process = pool.Process(target=tell, args=(name, theirs))
        process.start()
        if seconds := ours.recv():
            figures[f"cpu_s_{name}"] = seconds
            figures[f"share_{name}"] = seconds / (epochs * epoch)
        process.join()
    for name, value in figures.items():
        print(f"{name:28} {value:10.4f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


def epoch_cpu_s() -> float:
    """Return what the second epoch of a run takes, which is no rung."""
    config = trainables.Config.parse({"bits": 4, "epochs": 3, "rungs": (3,)})
    run = trainables.epochs(config)
    next(run)
    start = cpu_s()
    next(run)
    return cpu_s() - start


def tell(name: str, answer: "multiprocessing.connection.Connection") -> None:
    """Send what it costs to tell one tool of the study; 0 if it is not installed."""
    os.environ["WANDB_MODE"] = "offline"
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    with tempfile.TemporaryDirectory() as folder:
        try:
            request = plan(Spec(space="mixed_bits", runs_dir=folder, log=name))
        except MissingPackageError:
            answer.send(0.0)
            return
        start = cpu_s()
        study(request, Path(folder))
        if name == "wandb":
            import wandb

            wandb.teardown()  # its process ends, and its time counts
        answer.send(cpu_s() - start)


def study(request: Request, folder: Path) -> None:
    """Tell of all trials."""
    metrics = {f"metric_{k}": k / 7 for k in range(METRICS)}
    tracking.PATIENCE_S = 600.0
    with telling(request, folder, print) as put:
        for number in range(TRIALS):
            values = dict(request.queue[0])

            def entry(
                state: str, epoch: int, number: int = number, values: dict = values, **more: object
            ) -> Entry:
                return Entry(number=number, values=values, state=state, epoch=epoch, **more)

            put(entry("running", 0))
            last = EPOCHS[number % 3]
            for epoch in range(1, last + 1):
                put(entry("running", epoch, metrics=metrics))
                if epoch in EPOCHS and epoch < last:
                    put(entry("paused", epoch))
                    put(entry("running", epoch))
            put(entry("complete" if last == EPOCHS[-1] else "stopped", last))


def cpu_s() -> float:
    """Return the user and system time of this process and of its children that have ended."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


if __name__ == "__main__":
    main()
