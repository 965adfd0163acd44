"""The randomisation sanity check (Adebayo et al. 2018): do the maps change when the model forgets what it learned?

A map that stays as it is once the weights are drawn anew shows the image, not the model.
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
"""The check is passed if the rank correlation with the maps of all-new weights is below this."""
CALIBRATION = 128  # images that the quantisers of the new weights are fitted to


def cascade(
    model: nn.Module, fresh: nn.Module, X: Tensor, target: Tensor, *, method: str
) -> dict[str, float]:
    """Let a model forget layer by layer, and compare the maps with its own.

    Args:
        model: in evaluation mode.
        fresh: the same model with weights drawn anew, see `redraw`.
        X: images (n, C, H, W), as the model reads them.
        target: classes (n,) that the maps explain.
        method: one of `choices.ATTRIBUTIONS`.

    Returns:
        For each layer, the last one first: the rank correlation of the maps with those after this layer and all behind
        it took the weights of `fresh`; the mean over images, in [-1, 1].
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
    """The configuration's model with weights of another seed and quantisers fitted to them."""
    model = new_model(replace(config, seed=(config.seed + 1) % 2**31, init="", pretrained=""), data).to(
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
    """Every layer with weights or statistics of its own, in order; quantisers belong to theirs."""
    kinds = (nn.Conv2d, nn.Linear, nn.modules.batchnorm._BatchNorm)
    return [name for name, m in model.named_modules() if isinstance(m, kinds)]
