"""A checkpoint on an outside test set: all images of the same classes from elsewhere, never to choose a trial by."""

from collections.abc import Set
from pathlib import Path
from typing import Any

import numpy as np
import torch

from study_common.errors import UserError
from study_common.files import real
from trainables.data import Preparation
from trainables.data.image_folder import FOLDERS, list_images
from trainables.data.images.deduplication import Contents
from trainables.data.images.image_cache import contents_of
from trainables.data.listing.folder_listing import Listing
from trainables.training import checkpoint
from trainables.training.config import Config
from trainables.training.description import check_finished
from trainables.training.inputs import positive_index, preparation_of
from trainables.training.prediction import CHUNK, Predictor
from trainables.training.quality import confusion, quality

OUTSIDE = "outside"
"""What the metrics say of their split."""


def outside_metrics(path: Path, data_dir: str, labels: str = "") -> dict[str, Any] | None:
    """Measure a checkpoint on images that its run did not have.

    All usable images are measured, whatever part of a split they lie in; of files with the same bytes one counts, and
    files with the bytes of one of the run's images are left out.

    Args:
        path: The checkpoint of a run on a folder of images.
        data_dir: The other folder: class folders, parts that hold them, or what `labels` lists.
        labels: A CSV file of paths and classes.

    Returns:
        `split`, the number of `images`, the number of images of the run that were `left_out` (None if that is not
        known, because the run's images are not where they were), the metrics of `quality`, and the `recall` of each
        class. None if the folder is that of the run or holds its very images, or the run's images are in no folder.

    Raises:
        UserError: The folder cannot be read, holds other classes than the model knows, or only images of the run in one
            of them, or an image cannot be used.
    """
    _, about = checkpoint.read(path)
    check_finished(path, about)
    config = Config.parse(about["config"])
    if config.dataset not in FOLDERS or (not labels and real(data_dir) == real(config.data_dir)):
        return None
    listing, contents = _listed(config, about["fingerprint"], Path(data_dir), labels)
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
    own = _of_the_run(config, about["fingerprint"])
    images = [
        image
        for image, digest in zip(contents.images, contents.digests, strict=True)
        if digest not in (own or ())
    ]
    if missing := sorted({*range(len(names))} - {image.label for image in images}):
        raise UserError(
            f"{data_dir} is no test set for {path}: of the class {listing.class_names[missing[0]]} it holds only "
            "images of the run; give others, or measure the test images of the run with study.confirm"
        )
    predictor = Predictor(path)
    files = [listing.root / image.file.path for image in images]
    logits = torch.cat([
        predictor.logits(torch.from_numpy(np.stack([predictor.images.read(file) for file in files[i : i + CHUNK]])))
        for i in range(0, len(files), CHUNK)
    ])  # fmt: skip
    truth = torch.tensor([names.index(listing.class_names[image.label]) for image in images])
    matrix = confusion(logits, truth)
    recall = (matrix.diagonal() / matrix.sum(1)).tolist()
    return {
        "split": OUTSIDE,
        "images": len(files),
        "left_out": None if own is None else len(contents.images) - len(images),
        **quality(logits, truth, positive_index(config, names)),
        "recall": dict(zip(names, recall, strict=True)),
    }


def _listed(config: Config, fingerprint: str, data_dir: Path, labels: str) -> tuple[Listing, Contents]:
    """List a folder as the run's images were, or else as class folders.

    The run's file of labels says nothing of other images, so it is read to find the images of the run alone.
    """
    if labels:
        return _contents("csv", data_dir, Preparation(labels=labels))
    own = Preparation(labels=config.labels, group=config.group)
    try:
        listing, contents = _contents(config.dataset, data_dir, own)
        if config.dataset != "csv" or contents.fingerprint == fingerprint:
            return listing, contents
    except UserError:
        pass
    try:
        return _contents("folder", data_dir, Preparation())
    except UserError as error:
        raise UserError(
            f"{error}; or list the images of an outside test set in a file (--labels FILE.csv)"
        ) from None


def _of_the_run(config: Config, fingerprint: str) -> Set[str] | None:
    """Return the digests of the run's images, if these are still where they were."""
    try:
        _, contents = _contents(config.dataset, Path(config.data_dir), preparation_of(config))
    except UserError:
        return None
    return {*contents.digests} if contents.fingerprint == fingerprint else None


def _contents(kind: str, data_dir: Path, preparation: Preparation) -> tuple[Listing, Contents]:
    listing = list_images(kind, data_dir, preparation)
    return listing, contents_of(listing)
