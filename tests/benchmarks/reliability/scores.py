"""The rows of a model: its score by each removal, attribution and number of images, hard or soft, for both weights.

A hard score counts the images that keep their class; a soft one adds up the probability of that class.
"""

import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from tests.benchmarks.reliability.models import ABOUT, AVERAGE, LAST
from trainables.models.passes import extra_pass
from trainables.saliency.attribution import CHUNK, saliency_maps
from trainables.saliency.controls import CONTROLS
from trainables.saliency.faithfulness import FRACTIONS, _ranks, predict, standard_error
from trainables.saliency.removal import REMOVALS, Background, Removal, Sources, seeds_of
from trainables.training.evaluation import background_of, choose
from trainables.training.inputs import data_of, scale_of
from trainables.training.network import load_checkpoint

IMAGES = (50, 100, 200)
MOST = {
    "last": {"gradient": 200, "integrated_gradients": 100, **dict.fromkeys(CONTROLS, 50)},
    "average": {"gradient": 100},
}
"""For each set of weights, the maps that are scored, and on how many images at most."""
NINTHS = tuple(q / 10 for q in range(1, 10))
TODAY = "mean_nine"
"""The score of version 0.1 so far: the mean fill, nine fractions, 100 images."""


def rows(folder: Path, most: Mapping[str, Mapping[str, int]] = MOST) -> pd.DataFrame:
    """Score a model; `most` has for each set of weights the maps, and the number of images."""
    about = json.loads((folder / ABOUT).read_text())
    found = [
        {**about, "weights": weights, **row}
        for weights, maps in most.items()
        for row in _of_weights(folder / {"last": LAST, "average": AVERAGE}[weights], maps)
    ]
    return pd.DataFrame(found)


def _of_weights(path: Path, most: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    model, config, _ = load_checkpoint(path)
    data = data_of(config)
    scale = scale_of(data, torch.device("cpu"))
    chosen = choose(data.validation, max(IMAGES))
    X, background = scale(chosen.images), background_of(data, scale)
    with extra_pass(model):
        predicted = predict(model, X)
        accuracy = (
            (predict(model, scale(data.validation.images)) == data.validation.labels).double().mean().item()
        )
        for name, images in most.items():
            part = slice(None, None, max(IMAGES) // images)
            began = time.process_time()
            maps = (
                CONTROLS[name](X[part], background)
                if name in CONTROLS
                else saliency_maps(model, X[part], predicted[part], method=name)
            )
            maps_s = (time.process_time() - began) / len(maps)
            wanted = dict.fromkeys(REMOVALS, FRACTIONS) | ({TODAY: NINTHS} if name == "gradient" else {})
            for removal, fractions in wanted.items():
                began = time.process_time()
                function = REMOVALS.get(removal, REMOVALS["mean"])
                kinds = answers(model, X[part], predicted[part], maps, function, background, fractions)
                score_s = (time.process_time() - began) / len(maps)
                for kind, each in kinds.items():
                    for n in IMAGES:
                        if n > len(each):
                            continue
                        some = each[:: len(each) // n]
                        yield {
                            "accuracy": accuracy,
                            "attribution": name,
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
) -> dict[str, Tensor]:
    """The hard and the soft score of every image, each (n,)."""
    seeds = seeds_of(X)
    parts: dict[str, list[Tensor]] = {"hard": [], "soft": []}
    ranks = (_ranks(maps), _ranks(maps, descending=True))
    for start in range(0, len(X), CHUNK):
        s = slice(start, start + CHUNK)
        gaps: dict[str, list[Tensor]] = {"hard": [], "soft": []}
        for draw, q in enumerate(fractions):
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
