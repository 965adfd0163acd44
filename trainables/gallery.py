"""`saliency.npz`: what the pictures of a trial are drawn from, so that a report needs no torch."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from trainables.attribution import saliency_maps
from trainables.config import Config
from trainables.data import Data
from trainables.evaluation import choose, evaluating
from trainables.pixels import Scale

FILE = "saliency.npz"
IMAGES = 12


def write(path: Path, model: nn.Module, data: Data, scale: Scale, config: Config) -> None:
    """Write the maps of `IMAGES` validation images, the same for every trial on the data set.

    images        uint8 (n, H, W), or (n, H, W, 3) in colour
    labels        int64 (n,)
    predictions   int64 (n,): the class that each map explains
    maps          float16 (n, H, W), each divided by its largest value; 0 throughout if it is constant 0
    class_names   str (classes,)

    Raises NonFiniteError for maps with NaN.
    """
    gallery = choose(data.validation, IMAGES)
    X = scale(gallery.images)
    with evaluating(model):
        with torch.no_grad():
            predictions = model(X).argmax(1)
        maps = saliency_maps(model, X, predictions, method=config.attribution)
    largest = maps.amax((1, 2), keepdim=True).clamp(min=torch.finfo(maps.dtype).tiny)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.savez_compressed(
            file,
            images=gallery.images.permute(0, 2, 3, 1).squeeze(-1).numpy(),
            labels=gallery.labels.numpy(),
            predictions=predictions.cpu().numpy(),
            maps=(maps / largest).half().cpu().numpy(),
            class_names=np.array(data.class_names),
        )
    part.replace(path)
