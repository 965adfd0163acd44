"""A checkpoint on an outside test set: all images of the same classes from elsewhere, never to choose a trial by."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from study_common.errors import UserError
from trainables.data import Preparation
from trainables.data.image_folder import FOLDERS, list_images
from trainables.data.images.deduplication import Contents
from trainables.data.images.image_cache import contents_of
from trainables.data.listing.folder_listing import Listing
from trainables.training import checkpoint
from trainables.training.config import Config
from trainables.training.inputs import positive_index
from trainables.training.prediction import CHUNK, Predictor
from trainables.training.quality import confusion, quality

OUTSIDE = "outside"
"""What the metrics say of their split."""


def outside_metrics(path: Path, data_dir: str, labels: str = "") -> dict[str, Any] | None:
    """Measure a checkpoint on images that its run did not know.

    All usable images are measured, whatever part of a split they lie in; of files with the same bytes one counts.

    Args:
        path: The checkpoint of a run on a folder of images.
        data_dir: The other folder: class folders, parts that hold them, or what `labels` lists.
        labels: A CSV file of paths and classes.

    Returns:
        `split`, `images`, the metrics of `quality`, and the `recall` of each class. None if the folder holds the very
        images of the run, or the run's images are in no folder.

    Raises:
        UserError: The folder cannot be read, holds other classes than the model knows, or an image cannot be used.
    """
    _, about = checkpoint.read(path)
    config = Config.parse(about["config"])
    if config.dataset not in FOLDERS:
        return None
    listing, contents = _listed(config, Path(data_dir), labels)
    if contents.fingerprint == about["fingerprint"]:
        return None
    names = tuple(about["class_names"])
    if unlike := sorted({*listing.class_names} ^ {*names}):
        known = "knows" if unlike[0] in names else "does not know"
        raise UserError(
            f"{data_dir} is no test set for {path}: the model {known} the class {unlike[0]}; give images of "
            f"{', '.join(names)}"
        )
    if contents.unusable and config.on_bad_image == "refuse":
        raise UserError(
            f"{len(contents.unusable)} images cannot be used ({contents.unusable[0]}); remove them"
        )
    predictor = Predictor(path)
    files = [listing.root / image.file.path for image in contents.images]
    logits = torch.cat([
        predictor.logits(torch.from_numpy(np.stack([predictor.images.read(file) for file in files[i : i + CHUNK]])))
        for i in range(0, len(files), CHUNK)
    ])  # fmt: skip
    truth = torch.tensor([names.index(listing.class_names[image.label]) for image in contents.images])
    matrix = confusion(logits, truth)
    recall = (matrix.diagonal() / matrix.sum(1)).tolist()
    return {
        "split": OUTSIDE,
        "images": len(files),
        **quality(logits, truth, positive_index(config, names)),
        "recall": dict(zip(names, recall, strict=True)),
    }


def _listed(config: Config, data_dir: Path, labels: str) -> tuple[Listing, Contents]:
    """List a folder as the run's images were, or else as class folders."""
    own = {"labels": config.labels, "group": config.group}
    kinds: list[tuple[str, Mapping[str, str]]] = [(config.dataset, own), ("folder", {})]
    if labels:
        kinds = [("csv", {"labels": labels})]
    refused: list[UserError] = []
    for kind, given in kinds:
        try:
            listing = list_images(kind, data_dir, Preparation(**given))  # type: ignore[arg-type]
            return listing, contents_of(listing)
        except UserError as error:
            refused.append(error)
    raise refused[-1]
