"""The cascading randomisation check (Adebayo et al. 2018): do the maps change when the weights are drawn again?

A map that does not change after the weights were replaced by random ones shows the image, not the model.
"""

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from trainables.audit.agreement import rank_correlation
from trainables.data import Data
from trainables.quantisation.quantisers import calibrate
from trainables.saliency.attribution import saliency_maps
from trainables.training.config import Config
from trainables.training.inputs import scale_of
from trainables.training.network import new_model

LIMIT = 0.5
"""The check is passed if the rank correlation with the maps of entirely new weights is below this."""
CALIBRATION = 128
"""The number of images to which the quantisers of the new weights are fitted."""


def cascade(
    model: nn.Module, fresh: nn.Module, X: Tensor, target: Tensor, *, method: str
) -> dict[str, float]:
    """Replace the weights of a model layer by layer, from the last one on, and compare the maps with its own.

    Args:
        model: In evaluation mode, from images to logits; it is not changed.
        fresh: The same model with new random weights, see `redraw`.
        X: Normalised images, (n, C, H, W).
        target: The classes that the maps explain, (n,), int64.
        method: One of `choices.ATTRIBUTIONS`.

    Returns:
        For each layer, the last one first: the rank correlation of the maps with those after this layer and all behind
        it have the weights of `fresh`; the mean over images, in [-1, 1].
    """
    own = saliency_maps(model, X, target, method=method)
    forgetful = copy.deepcopy(model)
    found = {}
    for name in reversed(_layers(model)):
        drawn = {key: t for key, t in fresh.state_dict().items() if key.startswith(f"{name}.")}
        forgetful.load_state_dict(drawn, strict=False)
        with parametrize.cached():
            maps = saliency_maps(forgetful, X, target, method=method)
        found[name] = rank_correlation(own, maps).mean().item()
    return found


def redraw(config: Config, data: Data) -> nn.Module:
    """Return the model of a configuration with the weights of another seed, and quantisers fitted to them."""
    model = new_model(replace(config, seed=(config.seed + 1) % 2**31, init="", pretrained=""), data).model.to(
        memory_format=torch.channels_last
    )
    images = data.train.images[:CALIBRATION]
    calibrate(
        model,
        scale_of(data, torch.device("cpu"))(images),
        start=config.alpha_start,
        percentile=config.alpha_percentile,
    )
    return model.eval()


def _layers(model: nn.Module) -> list[str]:
    """Return the name of every layer with weights or statistics, in order; a quantiser belongs to its layer."""
    kinds = (nn.Conv2d, nn.Linear, nn.modules.batchnorm._BatchNorm)
    return [name for name, m in model.named_modules() if isinstance(m, kinds)]
