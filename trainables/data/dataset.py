"""A data set in memory: its training and validation images, and what every trial needs to know of them."""

import hashlib
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from search_spaces import unknown
from study_common.errors import UserError
from trainables.choices import DATASETS
from trainables.data import mnist_files
from trainables.data.cache_files import mapped
from trainables.data.folder_listing import list_folder, list_kvasir
from trainables.data.image_cache import Decoded, Preparation, open_images
from trainables.data.normalisation import mean_and_std
from trainables.data.splits import stratified

EMBEDDED = Path(__file__).parent / "fashion_mnist_small"
FOLDERS = {"kvasir": list_kvasir, "folder": list_folder}
assert ("fashion_mnist_small", *mnist_files.RELEASES, *FOLDERS) == DATASETS
_DEFAULT = Preparation()
_GIVE_IT = "give it with --data-dir (--set data_dir=DIR of trainables.train)"
VALIDATION = 5000
"""Images of the full MNIST and Fashion-MNIST training sets that are kept for validation."""

_FASHION = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


class Split(NamedTuple):
    """Images and their labels."""

    images: Tensor
    """uint8 (n, C, H, W)"""
    labels: Tensor
    """int64 (n,), classes 0 ... c - 1"""


@dataclass(frozen=True, kw_only=True)
class Data:
    """The training and validation images of a data set; never its test images."""

    name: str
    class_names: tuple[str, ...]
    train: Split
    validation: Split
    mean: tuple[float, ...]
    """The mean of each channel over the training images, in [0, 1]."""
    std: tuple[float, ...]
    """The standard deviation of each channel over the training images, in [0, 1]."""
    fingerprint: str
    """16 hexadecimal digits of a SHA-256 over the content: classes, images and labels."""
    left_out: tuple[str, ...] = ()
    """The files of an image folder that are not used, each with the reason."""


@lru_cache(maxsize=2)
def load(name: str, data_dir: str | Path | None = None, preparation: Preparation = _DEFAULT) -> Data:
    """Load the training and validation images of the data set `name`, once per process.

    Validation is a stratified part of the training images, always the same. ValueError, in one sentence, for
    an unknown name and for files that are missing, damaged or of another data set.

    Parameters
    ----------
    data_dir
        the folder of the files. `fashion_mnist_small` comes with the package and needs none; `mnist` and
        `fashion_mnist` are downloaded there if it has no such files, by default to the user's cache folder.
    preparation
        how `kvasir` and `folder` become images of one size. Their files are decoded once and then shared by
        the trials on a node; 80 % of them are for training, 10 % for validation, 10 % for testing.

    >>> data = load("fashion_mnist_small")
    >>> data.train.images.shape, data.validation.images.shape
    (torch.Size([5000, 1, 28, 28]), torch.Size([1000, 1, 28, 28]))
    """
    if name in FOLDERS:
        class_names, decoded = _open_folder(name, data_dir, preparation)
        return Data(
            name=name,
            class_names=class_names,
            train=_mapped(decoded.folder, "train"),
            validation=_mapped(decoded.folder, "validation"),
            mean=decoded.mean,
            std=decoded.std,
            fingerprint=decoded.fingerprint,
            left_out=decoded.left_out,
        )
    if name == "fashion_mnist_small":
        train, validation = _embedded("train", data_dir), _embedded("validation", data_dir)
    else:
        everything = _official(name, "train", data_dir)
        chosen = torch.zeros(len(everything.labels), dtype=torch.bool)
        chosen[stratified(everything.labels, VALIDATION)] = True
        train, validation = (Split(*(tensor[part] for tensor in everything)) for part in (~chosen, chosen))
    class_names = tuple("0123456789") if name == "mnist" else _FASHION
    mean, std = mean_and_std(train.images.numpy())
    digest = hashlib.sha256(repr(class_names).encode())
    for tensor in (*train, *validation):
        digest.update(tensor.numpy().data)
    return Data(
        name=name,
        class_names=class_names,
        train=train,
        validation=validation,
        mean=mean,
        std=std,
        fingerprint=digest.hexdigest()[:16],
    )


def load_test(name: str, data_dir: str | Path | None = None, preparation: Preparation = _DEFAULT) -> Split:
    """Load the test images of the data set `name`, which only a confirmation reads; see `load`."""
    if name in FOLDERS:
        return _mapped(_open_folder(name, data_dir, preparation)[1].folder, "test")
    return _embedded("test", data_dir) if name == "fashion_mnist_small" else _official(name, "test", data_dir)


def _embedded(split: str, data_dir: str | Path | None) -> Split:
    if data_dir:
        raise UserError(
            f"fashion_mnist_small comes with the package and does not read {data_dir}; name the data set that is there "
            "(--dataset), or leave data_dir out"
        )
    with np.load(EMBEDDED / f"{split}.npz") as arrays:
        return _bytes(arrays["images"], arrays["labels"])


def _official(name: str, split: str, data_dir: str | Path | None) -> Split:
    if name not in mnist_files.RELEASES:
        raise unknown("dataset", name, DATASETS)
    return _bytes(*mnist_files.read(mnist_files.RELEASES[name], split, Path(data_dir) if data_dir else None))


def _bytes(images: np.ndarray, labels: np.ndarray) -> Split:
    return Split(torch.tensor(images)[:, None], torch.tensor(labels).long())


def _open_folder(
    name: str, data_dir: str | Path | None, preparation: Preparation
) -> tuple[tuple[str, ...], Decoded]:
    if not data_dir:
        raise UserError(f"the data set {name} needs the folder of its images; {_GIVE_IT}")
    if not Path(data_dir).is_dir():
        raise UserError(f"no such folder: {data_dir}; {_GIVE_IT}")
    if not os.access(data_dir, os.R_OK | os.X_OK):
        raise UserError(f"the folder {data_dir} may not be read; change its permissions")
    listing = FOLDERS[name](Path(data_dir))
    return listing.class_names, open_images(listing, preparation)


def _mapped(folder: Path, split: str) -> Split:
    return Split(
        torch.from_numpy(mapped(folder / f"{split}.npy")),
        torch.from_numpy(np.load(folder / f"{split}_labels.npy")),
    )
