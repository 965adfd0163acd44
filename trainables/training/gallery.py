"""`saliency.npz`: the arrays from which a report draws the saliency maps of a trial, so that it needs no torch."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from study_common.digests import sealed
from trainables.data import Data
from trainables.data.images.normalisation import Scale
from trainables.models.passes import extra_pass
from trainables.saliency.attribution import saliency_maps
from trainables.saliency.faithfulness import predict
from trainables.saliency.suite import Assessment
from trainables.training.config import Config
from trainables.training.evaluation import FAITHFULNESS_IMAGES, choose

IMAGES = 12


def write(path: Path, model: nn.Module, data: Data, scale: Scale, config: Config, found: Assessment) -> None:
    """Write the maps of `IMAGES` validation images, the same for every trial on the data set, and removal curves.

    images        uint8 (n, H, W), or (n, H, W, 3) in colour
    labels        int64 (n,)
    predictions   int64 (n,): the class that each map explains
    maps          float16 (n, H, W), each divided by its largest value; 0 throughout if it is constant 0
    class_names   str (classes,)
    curve_*       the columns of `Assessment.objective_curves`: order, fraction, kept, probability, accuracy

    Args:
        path: The file.
        model: The model, from normalised images to logits.
        data: The data set of the model.
        scale: Its normalisation, on the device of the model.
        config: The configuration of the run; its `attribution` makes the maps.
        found: The assessment of the model's maps on the validation images.

    Raises:
        NonFiniteError: A map has NaN.
    """
    gallery, measured = choose(data.validation, IMAGES), choose(data.validation, FAITHFULNESS_IMAGES)
    X = scale(gallery.images)
    with extra_pass(model):
        predictions = predict(model, X)
        maps = saliency_maps(model, X, predictions, method=config.attribution)
    drop = found.objective_curves(measured.labels.to(X.device))
    largest = maps.amax((1, 2), keepdim=True).clamp(min=torch.finfo(maps.dtype).tiny)
    arrays: dict[str, Any] = {
        "images": gallery.images.permute(0, 2, 3, 1).squeeze(-1).numpy(),
        "labels": gallery.labels.numpy(),
        "predictions": predictions.cpu().numpy(),
        "maps": (maps / largest).half().cpu().numpy(),
        "class_names": np.array(data.class_names),
        **{f"curve_{name}": np.array(drop[name].tolist()) for name in drop},
    }
    with sealed(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)
