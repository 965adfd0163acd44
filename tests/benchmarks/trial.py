"""What a trial costs beside its training steps, and a launch before the first of them, in CPU seconds.

    python -m tests.benchmarks.trial [--json FILE]

`outside_steps_share` is the part of a trial of `--space mixed_bits` (every layer at 4 bits, the default images and
epochs) that is not spent in `Run.step`: starting, drawing batches, evaluation, faithfulness, saving. A worker imports
once for all of its trials, so imports are a figure of their own, `imports_cpu_s`.
`launch_to_first_step_cpu_s` is the time of all processes of a launch, Ray's own among them, from the command to the end
of the first training step.
Linux only: it reads /proc. Under two minutes.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
MARK = "BENCHMARK_OF_FIRST_STEP"
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print both figures and what the first is made of."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.trial", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    figures: dict[str, float] = {}
    for measure in (launch, trial):
        found = measure()
        figures |= found
        for name, value in found.items():
            print(f"{name:32} {value:8.3f}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


def trial() -> dict[str, float]:
    """CPU seconds of each part of one trial, and the share outside of the steps."""
    began = time.process_time()
    import torchmetrics.functional.classification  # noqa: F401  # else the first measurement would import it

    import study
    import trainables
    from trainables.training import run as module

    trainables.prepare_process()
    imports = time.process_time() - began
    config = study.plan(study.Spec(space="mixed_bits")).config({"bits": 4})
    spent: Counter[str] = Counter()

    def timed(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            began = time.process_time()
            try:
                return work(*args, **kwargs)
            finally:
                spent[name] += time.process_time() - began

        return wrapped

    for name in ("__init__", "step", "settle"):
        setattr(
            module.Run, name, timed("starting" if name == "__init__" else name, getattr(module.Run, name))
        )
    module.evaluate = timed("evaluation", module.evaluate)  # type: ignore[attr-defined]
    module.measure_faithfulness = timed("faithfulness", module.measure_faithfulness)  # type: ignore[attr-defined]
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        for epoch in trainables.epochs(config):
            timed("saving", epoch.save)(Path(folder))
    whole = time.process_time() - began
    parts = {f"{name}_cpu_s": seconds for name, seconds in spent.items()}
    return {
        "imports_cpu_s": imports,
        "trial_cpu_s": whole,
        **parts,
        "outside_steps_share": 1 - spent["step"] / whole,
    }


def launch() -> dict[str, float]:
    """Launch a study in a process of its own, and add up the time of all its processes at the first step's end."""
    with tempfile.TemporaryDirectory() as folder:
        mark = Path(folder, "stepped")
        code = "import sys; from tests.benchmarks.trial import launched; launched(sys.argv[1])"
        environment = {**os.environ, MARK: str(mark), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", code, f"{folder}/runs"]
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL)
        while not mark.exists() and process.poll() is None:
            time.sleep(0.02)
        assert mark.exists(), "the launch ended without a step; its error is above"
        own = list(marked(str(mark)))
        seconds = sum(cpu_seconds(number) for number in own)
        for number in own:
            with contextlib.suppress(OSError):
                os.kill(number, signal.SIGKILL)
        process.wait()
    return {"launch_to_first_step_cpu_s": seconds, "launch_processes": len(own)}


def launched(runs_dir: str) -> None:
    """Do what `python -m study.launch --space mixed_bits` does, with steps that tell of the first."""
    import study

    study.run_study(study.Spec(space="mixed_bits", workers=1, runs_dir=Path(runs_dir)), train=telling)


def telling(flat: Mapping[str, Any], directory: Path) -> Iterator[Any]:
    """Train as every study does; the first step writes the mark and then waits to be counted."""
    from study.execution.worker import train
    from trainables.training.run import Run

    own = Run.step

    def step(self: Run, *args: Any) -> Any:
        own(self, *args)
        Path(os.environ[MARK]).touch()
        time.sleep(600)

    Run.step = step  # type: ignore[method-assign]
    return train(flat, directory)


def marked(mark: str) -> Iterator[int]:
    """The processes that inherited the mark."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"{MARK}={mark}".encode() in path.read_bytes().split(b"\0"):
                yield int(path.parent.name)
        except OSError:  # it has just ended, or is not ours
            continue


def cpu_seconds(process: int) -> float:
    """User and system time of a process and of those of its children that have ended."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / TICKS


if __name__ == "__main__":
    main()
