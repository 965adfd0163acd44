"""All that is asked of a front member's maps beyond its faithfulness: other fills, robustness, agreement, sanity."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from study_common import layout
from study_common.errors import UserError
from study_common.files import replacing
from trainables.audit.agreement import agreement
from trainables.audit.robustness import NOISE, infidelity, max_sensitivity
from trainables.audit.sanity_check import LIMIT, cascade, redraw
from trainables.data.normalisation import Scale
from trainables.models.passes import extra_pass
from trainables.saliency.attribution import saliency_maps
from trainables.saliency.faithfulness import curves, faithfulness, predict
from trainables.training.evaluation import FAITHFULNESS_IMAGES, choose
from trainables.training.inputs import check_images, data_of, scale_of
from trainables.training.network import load_checkpoint

FILLS = ("mean", "zero", "uniform")
"""What removed pixels become; faithfulness as an objective is that of the first."""
FEW = 50  # images for what takes many passes an image: robustness and sanity
FILL_SEED = 1  # of the uniform fill; not that of the random order, which would follow the fill's values


@dataclass(frozen=True, kw_only=True)
class Examination:
    """What was found."""

    metrics: dict[str, float]
    """See `examine`."""
    curves: pd.DataFrame
    """Columns order, fraction, kept, accuracy, fill: `removal.curves` for each fill."""

    def write(self, directory: Path) -> None:
        """Write the curves as removal.csv and then faithfulness.json, in one step: where that is, all is."""
        directory.mkdir(parents=True, exist_ok=True)
        self.curves.to_csv(directory / layout.REMOVAL_FILE, index=False)
        with replacing(directory / layout.FAITHFULNESS_FILE) as part:
            part.write_text(json.dumps(self.metrics, indent=1) + "\n")


def examine(path: Path, *, reference: Path | None = None, data_dir: str = "") -> Examination:
    """Examine the maps of a checkpoint on validation images, by the attribution that it was configured with.

    faithfulness                       with _se and _images, as a trial records it: removed pixels become the mean
    faithfulness_zero, _uniform        removed pixels become black, or random values; each with its _se
    infidelity, infidelity_share, max_sensitivity     see `robustness`
    sanity.LAYER                       rank correlation with the maps once this layer and all behind it are redrawn
    sanity_spearman, sanity_passed     the same for all layers, and whether it is below `LIMIT`
    spearman, top_iou, ssim            agreement with the maps of the `reference`, a float model's checkpoint

    The images are looked for in `data_dir`, or for "" where the run had them.
    Raises ValueError, in one sentence, for files that cannot be used, and NonFiniteError for maps with NaN.
    """
    model, config, about = load_checkpoint(path, data_dir)
    other = _reference(reference, about) if reference else None
    data = data_of(config)
    check_images(path, about, data, config.data_dir)
    scale = scale_of(data, torch.device("cpu"))
    split = choose(data.validation, FAITHFULNESS_IMAGES)
    X, method = scale(split.images), config.attribution
    few = slice(None, None, max(1, len(X) // FEW))  # spread, should the images be sorted by class
    with extra_pass(model):
        target = predict(model, X)
        maps = saliency_maps(model, X, target, method=method)
        metrics, drops = _removals(model, X, split.labels, maps, scale)
        metrics |= _robustness(model, X[few], target[few], method, scale)
        if other:
            metrics |= agreement(maps, saliency_maps(other, X, target, method=method))
    sanity = cascade(model, redraw(config, data), X[few], target[few], method=method)
    metrics |= {f"sanity.{layer}": found for layer, found in sanity.items()}
    last = list(sanity.values())[-1]
    metrics |= {"sanity_spearman": last, "sanity_passed": last < LIMIT}
    return Examination(metrics=metrics, curves=drops)


def _removals(
    model: nn.Module, X: Tensor, labels: Tensor, maps: Tensor, scale: Scale
) -> tuple[dict[str, float], pd.DataFrame]:
    metrics: dict[str, float] = {}
    drops = []
    for kind in FILLS:
        fill = scale.fill(kind, torch.Generator().manual_seed(FILL_SEED))(X)
        found = faithfulness(model, X, maps, fill=fill)
        drops.append(curves(model, X, labels, found, fill=fill).assign(fill=kind))
        if kind == FILLS[0]:
            metrics |= found.metrics()
        else:
            metrics |= {f"faithfulness_{kind}": found.score, f"faithfulness_{kind}_se": found.standard_error}
    return metrics, pd.concat(drops, ignore_index=True)


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
            f"{path} was trained on other images, or such of another size; name a reference trained on the same"
        )
    return model
