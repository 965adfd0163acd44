"""The problem: four layers of a tiny CNN at 2, 4 or 8 bits, on the embedded images; 81 configurations at one lambda1.

The CNN is narrow, so that its widths matter: docs/benchmarks.md has the pilot that chose it. A run is measured as the
trials of a study are, by accuracy and by faithfulness on the shipped number of images.
"""

from itertools import product
from random import Random
from typing import Any

import trainables
from study_common import objectives
from study_common.objectives import Objective
from trainables import Config

WIDTHS = (2, 4, 8)
EPOCHS = 6
"""Epochs of a training from random weights, and of the shared model, of which each costs as much as three."""
RUNGS = (1, 2, 3)
"""Epochs after which peers that stop trainings early compare them: MOASHA after 1 and 3, PriMO after 2."""
TUNED = 2
"""Epochs of a trial that starts from the shared model."""
PASSES = 3
SETTINGS: dict[str, Any] = {
    "model": "tiny_cnn", "batch_size": 256, "lr": 3e-3, "lambda1": 1.0, "augment": False, "epochs": EPOCHS,
}  # fmt: skip
LAYERS = trainables.layers(Config.parse(SETTINGS))
SEEDS = (0, 1, 2)
"""The seeds of the recording."""
JUDGED = SEEDS
"""Those that judge: all of them."""


_MOST = (max(WIDTHS),) * len(LAYERS)
ALONE = (_MOST, *((*_MOST[:i], w, *_MOST[i + 1 :]) for i in range(len(LAYERS)) for w in WIDTHS[:-1]))
"""The trainings of an additive model: all but one layer at the greatest width."""


def _points() -> tuple[tuple[int, ...], ...]:
    others = sorted(set(product(WIDTHS, repeat=len(LAYERS))) - set(ALONE))
    Random(0).shuffle(others)
    return (*ALONE, *others)


POINTS = _points()
"""The widths of the layers of each configuration: first `ALONE`, and then the others in random order, so that a
recording that was cut short is a random part of the grid."""
MEASURED = ("accuracy", "faithfulness")
"""The objectives that need a training; the third is flops."""


def config(point: tuple[int, ...], **changes: Any) -> Config:
    """Return the run of these widths."""
    widths = {f"bits.{layer}": bits for layer, bits in zip(LAYERS, point, strict=True)}
    return Config.parse({**SETTINGS, **widths, **changes})


def shared(seed: int) -> Config:
    """Return the run of the shared model."""
    return Config.parse(
        {**SETTINGS, "bits": max(WIDTHS), "seed": seed} | {f"widths.bits.{layer}": WIDTHS for layer in LAYERS}
    )


def goals() -> dict[str, Objective]:
    """Return the objectives of a study, with their (ideal, reference)."""
    return objectives.parse(objectives.DEFAULT, 10, trainables.costs(Config.parse({**SETTINGS, "bits": 32})))
