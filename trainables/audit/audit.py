"""The examination of a checkpoint's maps: every removal, controls, robustness, agreement and the sanity check."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from study_common import layout
from study_common.digests import sealed
from study_common.errors import UserError
from trainables.audit.agreement import agreement
from trainables.audit.f_fidelity import f_fidelity, fine_tuned
from trainables.audit.robustness import NOISE, infidelity, max_sensitivity
from trainables.audit.sanity_check import LIMIT, cascade, redraw
from trainables.data.images.normalisation import Scale
from trainables.models.passes import extra_pass
from trainables.saliency.attribution import saliency_maps
from trainables.saliency.faithfulness import predict
from trainables.training.evaluation import (
    FAITHFULNESS_IMAGES,
    background_of,
    choose,
    measure_faithfulness,
)
from trainables.training.inputs import check_images, data_of, scale_of
from trainables.training.network import load_checkpoint

FEW = 50
"""The number of images for measures that need many passes per image: robustness and the sanity check."""


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What was found about the maps of one checkpoint."""

    metrics: dict[str, float]
    """See `examine`."""
    curves: pd.DataFrame
    """Columns removal, order, fraction, kept, probability, accuracy: see `suite.Assessment.curves`."""

    def write(self, directory: Path) -> None:
        """Write removal.csv, and then faithfulness.json atomically: where that exists, the examination is complete.

        Args:
            directory: The folder to write into; it is created if needed.
        """
        directory.mkdir(parents=True, exist_ok=True)
        with sealed(directory / layout.REMOVAL_FILE) as part:
            self.curves.to_csv(part, index=False)
        with sealed(directory / layout.FAITHFULNESS_FILE) as part:
            part.write_text(json.dumps(self.metrics, indent=1) + "\n")


def examine(path: Path, *, reference: Path | None = None, data_dir: str = "") -> Examination:
    """Examine the maps of a checkpoint on validation images, by the attribution that it was configured with.

    faithfulness, faithfulness.*       as a trial records them, see `suite.Assessment.metrics`
    infidelity, infidelity_share, max_sensitivity     see `robustness`
    f_fidelity, f_fidelity.*           by a copy that is fine-tuned on images without random pixels, see `f_fidelity`
    sanity.LAYER                       rank correlation with the maps after this layer and all behind it were redrawn
    sanity_spearman, sanity_passed     the same for all layers, and whether it is below `LIMIT`
    spearman, top_iou, ssim            agreement with the maps of the `reference`

    Args:
        path: A checkpoint of a finished model.
        reference: The checkpoint of a float model trained on the same images, whose maps are compared.
        data_dir: The folder of the images now; "" for the folder that the run used.

    Returns:
        The metrics, and the removal curves.

    Raises:
        UserError: A file is missing or damaged, the images changed, or the reference was trained on other images.
        NonFiniteError: A map has NaN.
    """
    model, config, about = load_checkpoint(path, data_dir)
    other = _reference(reference, about) if reference else None
    data = data_of(config)
    check_images(path, about, data, config.data_dir)
    scale = scale_of(data, torch.device("cpu"))
    split = choose(data.validation, FAITHFULNESS_IMAGES)
    X, method = scale(split.images), config.attribution
    few = slice(None, None, max(1, len(X) // FEW))  # spread out, in case the images are sorted by class
    found = measure_faithfulness(model, data.validation, data, scale, config)
    metrics = found.metrics()
    tuned = fine_tuned(model, config)
    with extra_pass(model):
        target = predict(model, X)
        metrics |= _robustness(model, X[few], target[few], method, scale)
        maps = saliency_maps(model, X, target, method=method)
        if other:
            metrics |= agreement(maps, saliency_maps(other, X, target, method=method))
        metrics |= f_fidelity(model, tuned, X, maps, background_of(data, scale))
    sanity = cascade(model, redraw(config, data), X[few], target[few], method=method)
    metrics |= {f"sanity.{layer}": correlation for layer, correlation in sanity.items()}
    last = list(sanity.values())[-1]
    metrics |= {"sanity_spearman": last, "sanity_passed": last < LIMIT}
    return Examination(metrics=metrics, curves=found.curves(split.labels))


def _robustness(model: nn.Module, X: Tensor, target: Tensor, method: str, scale: Scale) -> dict[str, float]:
    noise = NOISE / scale.std.mean().item()
    return {
        **infidelity(model, X, target, method=method, noise=noise),
        "max_sensitivity": max_sensitivity(model, X, target, method=method, radius=noise),
    }


def _reference(path: Path, about: Mapping[str, Any]) -> nn.Module:
    model, config, other = load_checkpoint(path)
    dataset = about["config"]["dataset"]
    if config.dataset != dataset:
        raise UserError(f"{path} was trained on {config.dataset}; name a reference for {dataset}")
    cropped = config.crop_border != about["config"]["crop_border"]
    if cropped or any(other[name] != about[name] for name in ("signature", "fingerprint", "class_names")):
        raise UserError(
            f"{path} was trained on other images, or on images of another size; name a reference trained on the same"
        )
    return model
