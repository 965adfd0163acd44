"""The images of a configuration: loaded, described for a study, and scaled for a network."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from study_common.errors import UserError
from trainables.choices import TORCHVISION
from trainables.data import Data, Preparation, Split, list_files, load, load_test, split_in_colour
from trainables.data.image_folder import FOLDERS
from trainables.data.images.file_account import write_file_account
from trainables.data.images.normalisation import Scale
from trainables.training.config import Config

DESCRIBED = ("signature", "fingerprint", "class_names", "mean", "std")
"""What a checkpoint and a packed file keep of their data set."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a study records of its data set."""

    classes: int
    fingerprint: str
    """16 hexadecimal digits of the content of both splits."""
    train: int
    validation: int
    """Numbers of images."""


def data_of(config: Config) -> Data:
    """The training and validation images, loaded once per process; ValueError for files that cannot be used."""
    data = load(config.dataset, config.data_dir, _preparation(config))
    if _needs_colour(config):
        data = data.in_colour()
    return _joined(data) if config.refit else data


@lru_cache(maxsize=1)
def _joined(data: Data) -> Data:
    """The data set with its validation images among the training images as well."""
    both = (data.train, data.validation)
    train = Split(torch.cat([split.images for split in both]), torch.cat([split.labels for split in both]))
    return replace(data, train=train)


def test_split_of(config: Config) -> Split:
    """The test images, which only a confirmation may read."""
    split = load_test(config.dataset, config.data_dir, _preparation(config))
    return split_in_colour(split) if _needs_colour(config) else split


def dataset_facts(config: Config) -> Facts:
    """The facts of the configuration's data set; ValueError for files that cannot be used."""
    data = data_of(config)
    return Facts(
        classes=len(data.class_names),
        fingerprint=data.fingerprint,
        train=len(data.train.labels),
        validation=len(data.validation.labels),
    )


def write_files(config: Config, path: Path) -> None:
    """Write what became of each file of the configuration's images as CSV; nothing if they are not in a folder."""
    if rows := list_files(config.dataset, config.data_dir, _preparation(config)):
        write_file_account(rows, path)


def scale_of(data: Data, device: torch.device) -> Scale:
    """The normalisation of a data set, on a device."""
    mean, std = (torch.tensor(v, device=device).view(1, -1, 1, 1) for v in (data.mean, data.std))
    return Scale(mean=mean, std=std)


def signature(data: Data) -> tuple[int, int, int]:
    """Channels, height and classes of a data set: what a model must fit."""
    _, channels, size, _ = data.train.images.shape
    return channels, size, len(data.class_names)


def described(data: Data) -> dict[str, Any]:
    """`DESCRIBED` of a data set, ready for JSON."""
    return {"signature": signature(data), **{name: getattr(data, name) for name in DESCRIBED[1:]}}


def check_images(path: Path, about: Mapping[str, Any], data: Data, data_dir: str) -> None:
    """Raise ValueError if the checkpoint at `path`, described by `about`, is not of `data`, which is in `data_dir`."""
    if about["fingerprint"] != data.fingerprint:
        raise UserError(
            f"{path} was trained on other images than {data_dir or data.name} holds now; restore them"
        )


def _needs_colour(config: Config) -> bool:
    return config.model in TORCHVISION and config.dataset in ("medmnist", *FOLDERS)


def _preparation(config: Config) -> Preparation:
    return Preparation(**{field.name: getattr(config, field.name) for field in fields(Preparation)})
