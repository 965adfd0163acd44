"""The rows of a model: its score by each removal, attribution and number of images, hard or soft, for both weights.

A hard score counts the images that keep their class; a soft one adds up the probability of that class.
"""

import itertools
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from tests.benchmarks.reliability.models import ABOUT, AVERAGE, LAST
from trainables.models.passes import extra_pass
from trainables.saliency.attribution import CHUNK, saliency_maps
from trainables.saliency.faithfulness import FRACTIONS, _ranks, predict, standard_error
from trainables.saliency.removal import REMOVALS, Background, Removal, Sources, seeds_of
from trainables.training.evaluation import background_of, choose
from trainables.training.inputs import data_of, scale_of
from trainables.training.network import load_checkpoint

NINTHS = tuple(q / 10 for q in range(1, 10))
TODAY = "mean_nine"
"""The score of version 0.1 so far: the mean fill, nine fractions, 100 images."""
DONORS = "other_images"
"""Other image, the mean over `DRAWS` draws of the donors."""
DRAWS = 4
VARIANTS: Mapping[str, tuple[str, tuple[float, ...], int]] = {
    **{name: (name, FRACTIONS, 1) for name in REMOVALS},
    TODAY: ("mean", NINTHS, 1),
    DONORS: ("other_image", FRACTIONS, DRAWS),
}
"""For each removal of a row that of the suite, the fractions, and the number of draws."""
BASE = 200
"""Images of which smaller numbers are evenly spread parts."""


@dataclass(frozen=True)
class Measurement:
    """What is scored of every model."""

    weights: str
    """"last" or "average"."""
    attribution: str
    removals: tuple[str, ...]
    images: tuple[int, ...]


OUTSIDE_TRAINING = ("other_image", "blur", "road")
"""The removals that SGT trains on under no `fill`."""
PLAIN = Measurement("last", "gradient", (*REMOVALS, TODAY), (50, 100))
SIZES = (
    Measurement("last", "gradient", ("other_image", TODAY), (250,)),
    Measurement("last", "gradient", ("other_image", TODAY), (200, 400)),
)
"""The objective, and the score that it replaced, on more images."""
LEVERS = (
    Measurement("last", "gradient", (DONORS,), (50, 100)),
    Measurement("last", "gradient", OUTSIDE_TRAINING, (200, 400)),
    Measurement("last", "integrated_gradients", (*REMOVALS, DONORS), (50, 100)),
    Measurement("average", "gradient", tuple(REMOVALS), (50, 100)),
    Measurement("average", "integrated_gradients", OUTSIDE_TRAINING, (50, 100)),
)
"""What might make a score more reliable."""


def rows(folder: Path, measurements: Sequence[Measurement]) -> pd.DataFrame:
    """Score a model by each of the measurements."""
    about = json.loads((folder / ABOUT).read_text())
    found = [
        {**about, "weights": weights, **row}
        for weights, file in (("last", LAST), ("average", AVERAGE))
        for row in _of_weights(folder / file, [m for m in measurements if m.weights == weights])
    ]
    return pd.DataFrame(found)


def scored(rows: pd.DataFrame, removal: str, kind: str, images: int) -> pd.DataFrame:
    """The rows of one removal and number of images: gradient maps, last weights."""
    wanted = pd.Series(
        {"removal": removal, "kind": kind, "images": images, "attribution": "gradient", "weights": "last"}
    )
    return rows[(rows[list(wanted.index)] == wanted).all(axis=1)]


def _of_weights(path: Path, measurements: Sequence[Measurement]) -> Iterator[dict[str, Any]]:
    model, config, _ = load_checkpoint(path)
    data = data_of(config)
    scale = scale_of(data, torch.device("cpu"))
    background, validation = background_of(data, scale), data.validation
    with extra_pass(model):
        hits = predict(model, scale(validation.images)) == validation.labels
        for one in measurements:
            most = max(one.images)
            X = scale(choose(validation, max(most, BASE)).images[:: max(BASE // most, 1)])
            predicted = predict(model, X)
            began = time.process_time()
            maps = saliency_maps(model, X, predicted, method=one.attribution)
            maps_s = (time.process_time() - began) / len(maps)
            for removal in one.removals:
                name, fractions, draws = VARIANTS[removal]
                began = time.process_time()
                kinds = answers(model, X, predicted, maps, REMOVALS[name], background, fractions, draws=draws)
                score_s = (time.process_time() - began) / len(maps)
                for (kind, each), n in itertools.product(kinds.items(), one.images):
                    some = each[:: most // n]
                    yield {
                        "accuracy": hits.double().mean().item(),
                        "attribution": one.attribution,
                        "removal": removal,
                        "kind": kind,
                        "images": n,
                        "score": some.mean().item(),
                        "se": standard_error(some),
                        "maps_s": maps_s,
                        "score_s": score_s,
                    }


@torch.no_grad()
def answers(
    model: nn.Module,
    X: Tensor,
    predicted: Tensor,
    maps: Tensor,
    removal: Removal,
    background: Background,
    fractions: tuple[float, ...],
    draws: int = 1,
) -> dict[str, Tensor]:
    """The hard and the soft score of every image, each (n,)."""
    seeds = seeds_of(X)
    parts: dict[str, list[Tensor]] = {"hard": [], "soft": []}
    ranks = (_ranks(maps), _ranks(maps, descending=True))
    for start in range(0, len(X), CHUNK):
        s = slice(start, start + CHUNK)
        gaps: dict[str, list[Tensor]] = {"hard": [], "soft": []}
        for draw, q in enumerate(fractions * draws):
            sources = Sources(background=background, seeds=[seed + draw for seed in seeds[s]])
            lerf, morf = (
                model(removal(X[s], rank[s, None] < round(q * rank[0].numel()), sources)).softmax(1)
                for rank in ranks
            )
            gaps["soft"].append((lerf - morf).gather(1, predicted[s, None])[:, 0].double())
            kept = [(p.argmax(1) == predicted[s]).double() for p in (lerf, morf)]
            gaps["hard"].append(kept[0] - kept[1])
        for kind, values in gaps.items():
            parts[kind].append(torch.stack(values).mean(0))
    return {kind: torch.cat(values) for kind, values in parts.items()}
