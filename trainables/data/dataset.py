"""A data set in memory: its training and validation images, and what every trial needs to know of them."""

import hashlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from search_spaces import unknown
from trainables.data import idx
from trainables.data.splits import stratified

EMBEDDED = Path(__file__).parent / "fashion_mnist_small"
NAMES = ("fashion_mnist_small", "mnist", "fashion_mnist")
_LEVELS = np.arange(256) / 255
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

    @property
    def mirrors(self) -> bool:
        """Whether an image keeps its class when it is mirrored left and right."""
        return self.name != "mnist"

    @cached_property
    def mean(self) -> tuple[float, ...]:
        """The mean of each channel over the training images, in [0, 1]."""
        return tuple((self._histogram @ _LEVELS).tolist())

    @cached_property
    def std(self) -> tuple[float, ...]:
        """The standard deviation of each channel over the training images, in [0, 1]."""
        return tuple(np.sqrt(self._histogram @ _LEVELS**2 - np.square(self.mean)).tolist())

    @cached_property
    def _histogram(self) -> np.ndarray:
        """(C, 256): the share of each grey level in a channel. Few images at a time: they may be on disk."""
        images = self.train.images
        counts = np.zeros((images.shape[1], 256))
        for chunk in images.split(256):
            counts += [np.bincount(channel.numpy().ravel(), minlength=256) for channel in chunk.unbind(1)]
        return counts / counts.sum(1, keepdims=True)

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits of the SHA-256 over class names, shapes, images and labels of both splits."""
        digest = hashlib.sha256(repr(self.class_names).encode())
        for tensor in (*self.train, *self.validation):
            digest.update(repr(tuple(tensor.shape)).encode())
            digest.update(tensor.numpy().data)
        return digest.hexdigest()[:16]


@lru_cache(maxsize=2)
def load(name: str, data_dir: str | Path | None = None) -> Data:
    """Load the training and validation images of the data set `name`, once per process.

    `fashion_mnist_small` comes with the package; for the others `data_dir` is the folder of their files, None
    the user's cache folder (`idx.CACHE`), where files that are missing are downloaded to. Validation is a
    stratified part of the training images, always the same. ValueError, in one sentence, for an unknown name
    and for files that are missing, truncated or of another data set.

    >>> data = load("fashion_mnist_small")
    >>> data.train.images.shape, data.validation.images.shape
    (torch.Size([5000, 1, 28, 28]), torch.Size([1000, 1, 28, 28]))
    """
    if name == "fashion_mnist_small":
        train, validation = _embedded("train"), _embedded("validation")
    else:
        everything = _official(name, "train", data_dir)
        chosen = torch.zeros(len(everything.labels), dtype=torch.bool)
        chosen[stratified(everything.labels, VALIDATION)] = True
        train, validation = (Split(*(tensor[part] for tensor in everything)) for part in (~chosen, chosen))
    class_names = tuple("0123456789") if name == "mnist" else _FASHION
    return Data(name=name, class_names=class_names, train=train, validation=validation)


def load_test(name: str, data_dir: str | Path | None = None) -> Split:
    """Load the test images of the data set `name`, which only a confirmation reads; see `load`."""
    return _embedded("test") if name == "fashion_mnist_small" else _official(name, "test", data_dir)


def _embedded(split: str) -> Split:
    with np.load(EMBEDDED / f"{split}.npz") as arrays:
        return _split(arrays["images"], arrays["labels"])


def _official(name: str, split: str, data_dir: str | Path | None) -> Split:
    if name not in idx.RELEASES:
        raise unknown("dataset", name, NAMES)
    return _split(*idx.read(idx.RELEASES[name], split, Path(data_dir) if data_dir else None))


def _split(images: np.ndarray, labels: np.ndarray) -> Split:
    return Split(torch.tensor(images)[:, None], torch.tensor(labels).long())
