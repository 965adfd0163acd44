"""Every model trains under every pair of settings: a covering array, one step per row, on tiny images."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations, product
from typing import Any

import pytest
import torch

from tests.trainables.models.names import EACH_KIND
from trainables.choices import ATTRIBUTIONS, CHOICES, WEIGHT_QUANTISERS
from trainables.models.catalogue import SMALLEST
from trainables.saliency.attribution import saliency_maps
from trainables.training.config import Config
from trainables.training.run import Run

FACTORS: dict[str, tuple[Any, ...]] = {
    "attribution": ATTRIBUTIONS,
    "saliency": CHOICES["saliency"],
    "lambda1": (0.0, 1.0),
    "lambda2": (0.0, 1e-3),
    "mask": CHOICES["mask"],
    "weight_quantiser": WEIGHT_QUANTISERS,
    "precision": ("float32", "bfloat16"),
}
Row = dict[str, Any]


def pairs_of(row: Row) -> set[frozenset[tuple[str, Any]]]:
    return {frozenset(pair) for pair in combinations(row.items(), 2)}


@lru_cache
def covering_array() -> list[Row]:
    """Rows in which each pair of values of two factors occurs: each row has as many new pairs as possible."""
    every = [dict(zip(FACTORS, values, strict=True)) for values in product(*FACTORS.values())]
    open_pairs = set().union(*map(pairs_of, every))
    rows = []
    while open_pairs:
        best = max(every, key=lambda row: len(pairs_of(row) & open_pairs))
        rows.append(best)
        open_pairs -= pairs_of(best)
    return rows


def every_pair() -> Iterator[frozenset[tuple[str, Any]]]:
    for (a, of_a), (b, of_b) in combinations(FACTORS.items(), 2):
        yield from (frozenset([(a, x), (b, y)]) for x, y in product(of_a, of_b))


def test_the_array_has_every_pair_and_few_rows() -> None:
    assert set(every_pair()) <= set().union(*map(pairs_of, covering_array()))
    assert len(covering_array()) <= 16


@pytest.mark.parametrize("model", EACH_KIND)
def test_every_model_trains_under_every_pair_of_settings(model: str, settings: Row) -> None:
    size = SMALLEST[model]
    for row in covering_array():
        config = Config.parse(
            settings | row | {"model": model, "image_size": max(size, 8), "batch_size": 4, "epochs": 1}
        )
        run = Run(config)
        run.model.train()
        images, labels = (tensor[:2] for tensor in run.data.train)
        fill = run.scale.fill(config.fill, torch.Generator().manual_seed(0))
        assert run.step(run.scale(images), labels, fill).isfinite().all(), row
        gradients = {name: p.grad for name, p in run.model.named_parameters() if p.requires_grad}
        assert all(grad is None or grad.isfinite().all() for grad in gradients.values()), row
        maps = saliency_maps(
            run.model.eval(), run.scale(images), torch.tensor([0, 1]), method=config.attribution
        )
        assert maps.shape == (2, *images.shape[2:]), row
