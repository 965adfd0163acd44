"""What faithfulness costs inside a trial, as a share of the trial's training."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from trainables.training.config import Config
from trainables.training.evaluation import measure_faithfulness
from trainables.training.run import Run

ROUNDS = 3


def cost_share() -> float:
    """Return the processor time of the measurements over that of the epochs, for a trial by the defaults.

    Four epochs with rungs at 1 and 4: the removals of the objective at the first rung, the whole suite at the end.
    """
    torch.set_num_threads(1)
    run = Run(Config.parse({"bits": 4}))
    seconds: dict[str, list[float]] = {"epoch": [], "objective": [], "suite": []}

    def timed(name: str, work: Callable[[], Any]) -> None:
        began = time.process_time()
        work()
        seconds[name].append(time.process_time() - began)

    def measure(whole_suite: bool) -> None:
        split = run.data.validation
        measure_faithfulness(run.model, split, run.data, run.scale, run.config, whole_suite=whole_suite)

    for number in range(1, ROUNDS + 1):
        timed("epoch", lambda number=number: run.epoch(number))
        timed("objective", lambda: measure(False))
        timed("suite", lambda: measure(True))
    middle = {name: float(np.median(values)) for name, values in seconds.items()}
    print(", ".join(f"{name} {value:.2f} s" for name, value in middle.items()))
    return (middle["objective"] + middle["suite"]) / (run.config.epochs * middle["epoch"])
