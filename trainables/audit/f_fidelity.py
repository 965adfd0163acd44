"""F-Fidelity: faithfulness of a map by a copy of the model that is used to missing pixels.

The usual score shows a model images that it never met, and favours one that trained on masks, as SGT does. So a copy is
fine-tuned on images with random pixels missing, whatever their saliency, and then no more pixels are removed than it
met (Zheng et al., "F-Fidelity: A Robust Framework for Faithfulness Evaluation of Explainable AI", ICLR 2025).
"""

from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from trainables.data import batches
from trainables.models.passes import extra_pass
from trainables.saliency.controls import CONTROLS
from trainables.saliency.faithfulness import Faithfulness, faithfulness, predict, standard_error
from trainables.saliency.removal import Background, Sources
from trainables.training.config import Config
from trainables.training.device import arranged
from trainables.training.run import Run

SHARE = 0.3
"""Of the pixels of an image: the most that go missing, in fine-tuning and in the score."""
STEPS = 80
"""Of fine-tuning, at most; an epoch if that is shorter."""
SLOWER = 0.2
"""The step size of fine-tuning, as a share of the run's own."""


def f_fidelity(
    model: nn.Module, tuned: nn.Module, X: Tensor, maps: Tensor, background: Background
) -> dict[str, float]:
    """Return the score of a model's maps by the fine-tuned copy, and by how much they beat the edges.

    f_fidelity             MoRF and LeRF as in `faithfulness`, but of the pixels that they name at most `SHARE` of the
                           image is removed, drawn at random; removed pixels get the mean. In [-1, 1], 0 for a random
                           order and for a constant predictor; with _se
    f_fidelity.over_edge   less the score of the image's edges, with the _se of the paired difference
    f_fidelity_images      how many images count: those that both models take for the same class; the others are
                           left out if it is below 2

    Args:
        model: In evaluation mode, from images to logits.
        tuned: Its copy, see `fine_tuned`.
        X: Normalised images, (n, C, H, W).
        maps: Saliency maps (n, H, W) for the classes that `model` predicts.
        background: Of the data set of X.
    """
    with extra_pass(tuned):
        same = predict(model, X) == predict(tuned, X)
        some = X[same]
        if len(some) < 2:
            return {"f_fidelity_images": float(len(some))}

        def scored(of: Tensor) -> Faithfulness:
            return faithfulness(tuned, some, of, removal=_some_of, background=background)

        own, edge = scored(maps[same]).each, scored(CONTROLS["edge"](some, background)).each
    return {
        "f_fidelity": own.mean().item(),
        "f_fidelity_se": standard_error(own),
        "f_fidelity.over_edge": (own - edge).mean().item(),
        "f_fidelity.over_edge_se": standard_error(own - edge),
        "f_fidelity_images": float(len(own)),
    }


def fine_tuned(model: nn.Module, config: Config) -> nn.Module:
    """Return a copy of a model that has trained on images with random pixels missing; by cross-entropy alone.

    Args:
        model: The model of a finished run; it is not changed.
        config: That of its run.
    """
    assert not parametrize._cache_enabled, "inside extra_pass the copy would keep its first weights"
    plain = replace(
        config, lambda1=0.0, lambda2=0.0, init="", pretrained="", epochs=1, rungs=(), masks="",
        lr=SLOWER * config.lr, lr_alpha=SLOWER * config.lr_alpha, schedule="cosine",
    )  # fmt: skip
    run = Run(plain)
    run.model.load_state_dict(model.state_dict())
    run.steps = min(run.steps, STEPS)
    generator = torch.manual_seed(config.seed)
    run.model.train()
    fill = run.scale.fill("mean", generator)
    drawn = batches(run.images, config.batch_size, generator, drop_last=True)
    for step, (images, labels) in enumerate(islice(drawn, run.steps)):
        run.schedule(step)
        X = arranged(_without_pixels(run.scale(images.to(run.device)), generator))
        run.step(X, labels.to(run.device), fill)
    run.settle(generator)
    return run.model.eval()


def _without_pixels(X: Tensor, generator: torch.Generator) -> Tensor:
    """Return images (n, C, H, W) in which each lacks its own random share of pixels, up to `SHARE`."""
    share = SHARE * torch.rand(len(X), 1, 1, 1, generator=generator)
    missing = torch.rand(len(X), 1, *X.shape[2:], generator=generator) < share
    return torch.where(missing.to(X.device), 0.0, X)


def _some_of(images: Tensor, removed: Tensor, sources: Sources) -> Tensor:
    """Replace with the mean a random part of the `removed` pixels, at most `SHARE` of the image."""
    noise = torch.where(removed, sources.noise[:, :1], 2.0).flatten(1)
    rank = noise.argsort(1).argsort(1).view_as(removed)
    return torch.where(removed & (rank < round(SHARE * rank[0].numel())), 0.0, images)
