"""A data set in memory: its training and validation images, and what every trial needs to know of them."""

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from search_spaces import unknown
from study_common.errors import UserError
from trainables.choices import DATASETS
from trainables.data import medmnist_files, mnist_files
from trainables.data.image_folder import FOLDERS, GIVE_IT, open_folder
from trainables.data.images.decoded_files import open_part
from trainables.data.images.file_account import FileRow, file_account
from trainables.data.images.image_cache import Decoded, report
from trainables.data.images.normalisation import mean_and_std
from trainables.data.images.preparation import Preparation
from trainables.data.listing.splits import stratified

EMBEDDED = Path(__file__).parent / "fashion_mnist_small"
assert ("fashion_mnist_small", *mnist_files.RELEASES, "medmnist", *FOLDERS) == DATASETS
_DEFAULT = Preparation()
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
    depth: int = 0
    """The bits that count of the 16-bit files of a folder, 0 if there are none."""
    left_out: tuple[str, ...] = ()
    """The images of a folder that are not used, each with the reason."""

    def in_colour(self) -> "Data":
        """Return the same images with three channels; grey ones have three equal channels and take no more memory."""
        return _in_colour(self) if len(self.mean) == 1 else self


@lru_cache(maxsize=2)
def _in_colour(data: Data) -> Data:
    return replace(
        data,
        train=split_in_colour(data.train),
        validation=split_in_colour(data.validation),
        mean=data.mean * 3,
        std=data.std * 3,
    )


def split_in_colour(split: Split) -> Split:
    """Return the same images with three channels; see `Data.in_colour`."""
    return Split(split.images.expand(-1, 3, -1, -1), split.labels)


@lru_cache(maxsize=2)
def load(name: str, data_dir: str | Path | None = None, preparation: Preparation = _DEFAULT) -> Data:
    """Load the training and validation images of the data set `name`, once per process.

    Validation is always the same part of the training images, stratified, unless the data set states its parts.

    Args:
        name: One of `choices.DATASETS`.
        data_dir: The folder of the files. `fashion_mnist_small` comes with the package and needs none; `mnist` and
            `fashion_mnist` are downloaded into the user's cache folder if none is given; for `medmnist` it may be the
            .npz file itself.
        preparation: How `kvasir`, `folder` and `csv` become images of one size. Their files are decoded once and then
            shared by the trials on a machine. Unless parts are stated, 80 % are for training, 10 % for validation and
            10 % for testing.

    Raises:
        UserError: The name is unknown, or files are missing, damaged, ambiguous or of another data set.

    >>> data = load("fashion_mnist_small")
    >>> data.train.images.shape, data.validation.images.shape
    (torch.Size([5000, 1, 28, 28]), torch.Size([1000, 1, 28, 28]))
    """
    _check_choices(name, preparation)
    if name in FOLDERS:
        listing, decoded = open_folder(name, data_dir, preparation)
        report(decoded)
        return Data(
            name=name,
            class_names=listing.class_names,
            train=_part(decoded, "train"),
            validation=_part(decoded, "validation"),
            mean=tuple(decoded.facts["mean"]),
            std=tuple(decoded.facts["std"]),
            fingerprint=decoded.fingerprint,
            depth=decoded.facts["depth"],
            left_out=tuple(map(str, decoded.left_out)),
        )
    class_names, train, validation = _arrays(name, data_dir)
    mean, std = mean_and_std([train.images.numpy()])
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
        return _part(open_folder(name, data_dir, preparation)[1], "test")
    if name == "medmnist":
        return _medmnist(data_dir)["test"]
    return _embedded("test", data_dir) if name == "fashion_mnist_small" else _official(name, "test", data_dir)


def list_files(
    name: str, data_dir: str | Path | None = None, preparation: Preparation = _DEFAULT
) -> list[FileRow]:
    """Return what became of each file of a data set that is a folder; nothing for another; see `load`."""
    if name not in FOLDERS:
        return []
    return file_account(*open_folder(name, data_dir, preparation))


def _check_choices(name: str, preparation: Preparation) -> None:
    """Refuse choices that would have no effect on the data set."""
    if name not in FOLDERS and (preparation.group or preparation.group_near_duplicates):
        raise UserError(
            f"groups are for images in a folder ({', '.join(FOLDERS)}), not for {name}; leave them out"
        )
    if (name == "csv") != bool(preparation.labels):
        raise UserError(
            "the data set csv needs a file of paths and classes; give it with --labels FILE.csv (--set labels=FILE.csv)"
            if name == "csv"
            else f"a file of labels is for the data set csv, not for {name}; ask for the data set csv, or leave it out"
        )


def _arrays(name: str, data_dir: str | Path | None) -> tuple[tuple[str, ...], Split, Split]:
    """Return the names of the classes, the training and the validation images of a set that comes as arrays."""
    if name == "fashion_mnist_small":
        return _FASHION, _embedded("train", data_dir), _embedded("validation", data_dir)
    if name == "medmnist":
        parts = _medmnist(data_dir)
        classes = int(parts["train"].labels.max()) + 1
        return tuple(map(str, range(classes))), parts["train"], parts["validation"]
    everything = _official(name, "train", data_dir)
    chosen = torch.zeros(len(everything.labels), dtype=torch.bool)
    chosen[stratified(everything.labels, VALIDATION)] = True
    train, validation = (Split(*(tensor[part] for tensor in everything)) for part in (~chosen, chosen))
    return tuple("0123456789") if name == "mnist" else _FASHION, train, validation


def _medmnist(data_dir: str | Path | None) -> dict[str, Split]:
    if not data_dir:
        raise UserError(f"the data set medmnist needs its .npz file; {GIVE_IT}")
    parts = medmnist_files.read_parts(Path(data_dir))
    return {part: Split(*map(torch.from_numpy, arrays)) for part, arrays in parts.items()}


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


def _part(decoded: Decoded, part: str) -> Split:
    images, labels = open_part(decoded.folder, decoded.facts, part)
    return Split(torch.from_numpy(images), torch.from_numpy(labels))
