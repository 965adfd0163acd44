"""The models of the study: fifteen configurations, trained with several seeds, with the average of their weights."""

import itertools
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from study_common.files import replacing
from trainables.training import checkpoint
from trainables.training.config import Config
from trainables.training.inputs import described
from trainables.training.run import Run

EPOCHS = 9
CHOOSING, JUDGING = (11, 12), (17, 18)
"""The score is chosen on the models of the former, and confirmed on those of the latter, which nobody had seen."""
SEEN = (13, 14, 15, 16)
"""They judged earlier choices, and were looked at more than once."""
SEEDS = (*CHOOSING, *SEEN, *JUDGING)
DECAY = 0.995  # of the average of the weights, per step: it reaches back about two and a half epochs
LAST, AVERAGE, ABOUT = "last.safetensors", "average.safetensors", "about.json"


def configurations() -> Iterator[dict[str, Any]]:
    """Nine of 2, 4, 8 bits and three lambda1; six more of other mask ratios and clipping levels."""
    for lambda1, bits in itertools.product((0.1, 1.0, 10.0), (2, 4, 8)):
        yield {"bits": bits, "lambda1": lambda1}
    for lambda1, low, high in ((0.1, 0.2, 0.8), (1.0, 0.8, 0.2), (10.0, 0.2, 0.8)):
        yield {"bits": 4, "lambda1": lambda1, "mask_ratio": low, "alpha_init": 1.0}
        yield {"bits": 4, "bits.fc1": 2, "lambda1": lambda1, "mask_ratio": high, "alpha_init": 8.0}


class Averaging(Run):
    """A run that keeps the exponential average of its weights."""

    average: dict[str, Tensor]
    taken = 0

    def step(self, *args: Any) -> Any:
        """Take a step, and move the average towards where it ended."""
        found = super().step(*args)
        state = self.model.state_dict()
        if not self.taken:
            self.average = {name: tensor.clone() for name, tensor in state.items()}
        self.taken += 1
        decay = min(DECAY, self.taken / (self.taken + 9))
        for name, tensor in state.items():
            if tensor.is_floating_point():
                self.average[name].lerp_(tensor, 1 - decay)
            else:
                self.average[name].copy_(tensor)
        return found


def train(
    out: Path, seeds: tuple[int, ...], numbers: tuple[int, ...], base: Mapping[str, Any] | None = None
) -> None:
    """Train what is not there yet, with the settings of `base` too; each model in the folder NUMBER-SEED."""
    every = list(configurations())
    for seed, number in itertools.product(seeds, numbers):
        folder = out / f"{number:02}-{seed}"
        if (folder / ABOUT).exists():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        began = time.process_time()
        run = Averaging(Config.parse({**(base or {}), **every[number], "seed": seed, "epochs": EPOCHS}))
        for epoch in range(1, EPOCHS + 1):
            run.epoch(epoch)
        about = {"config": run.config.flat(), "metrics": {}, **described(run.data)}
        checkpoint.write(folder / LAST, run.model.state_dict(), about)
        checkpoint.write(folder / AVERAGE, run.average, about)
        seconds = time.process_time() - began
        with replacing(folder / ABOUT) as part:
            part.write_text(json.dumps({"number": number, "seed": seed, "train_s": seconds}))
        print(f"{folder.name} {every[number]} {seconds:.0f} s", flush=True)
