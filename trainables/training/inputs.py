"""The images of a configuration: loaded, described for a study, and scaled for a network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from study_common.errors import UserError, check_known
from trainables.choices import TORCHVISION
from trainables.data import (
    Data,
    Masks,
    Preparation,
    Split,
    list_files,
    load,
    load_masks,
    load_test,
    split_in_colour,
)
from trainables.data.image_folder import FOLDERS
from trainables.data.images.file_account import write_file_account
from trainables.data.images.normalisation import Scale
from trainables.training.config import Config

DESCRIBED = ("signature", "fingerprint", "class_names", "mean", "std")
"""What a checkpoint and a packed file record about their data set; a checkpoint also its `depth`."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a study records about its data set."""

    classes: int
    fingerprint: str
    """16 hexadecimal digits of the content of both splits."""
    train: int
    validation: int
    """Numbers of images."""
    masks: str
    """The same of the masks of the validation images; "" if there are none."""


def data_of(config: Config) -> Data:
    """Return the training and validation images of a configuration, loaded once per process.

    Raises:
        UserError: Files are missing or cannot be used.
    """
    data = load(config.dataset, config.data_dir, preparation_of(config))
    if _needs_colour(config):
        data = data.in_colour()
    return _joined(data) if config.refit else data


@lru_cache(maxsize=1)
def _joined(data: Data) -> Data:
    """Return the data set with its validation images added to the training images."""
    both = (data.train, data.validation)
    train = Split(torch.cat([split.images for split in both]), torch.cat([split.labels for split in both]))
    return replace(data, train=train)


def test_split_of(config: Config) -> Split:
    """Return the test images of a configuration, which only a confirmation may read.

    Raises:
        UserError: Files are missing or cannot be used.
    """
    split = load_test(config.dataset, config.data_dir, preparation_of(config))
    return split_in_colour(split) if _needs_colour(config) else split


def dataset_facts(config: Config) -> Facts:
    """Return the facts about the data set of a configuration.

    Raises:
        UserError: Files are missing or cannot be used.
    """
    data = data_of(config)
    return Facts(
        classes=len(data.class_names),
        fingerprint=data.fingerprint,
        train=len(data.train.labels),
        validation=len(data.validation.labels),
        masks=masks_of(config).fingerprint if config.masks else "",
    )


def forget_images(config: Config) -> None:
    """Let images and masks of a folder be read anew: the process keeps what it has read, and they may have changed."""
    if config.data_dir:
        load.cache_clear()
        load_masks.cache_clear()


def masks_of(config: Config, part: str = "validation") -> Masks:
    """Return the masks of a part of the images of a configuration that names their folder, read once per process.

    Raises:
        UserError: Masks are missing or cannot be used.
    """
    return load_masks(config.dataset, config.data_dir, preparation_of(config), config.masks, part)


def write_files(config: Config, path: Path) -> None:
    """Write how each image file of a configuration was used, as CSV; write nothing if the images are in no folder."""
    if rows := list_files(config.dataset, config.data_dir, preparation_of(config)):
        write_file_account(rows, path)


def scale_of(data: Data, device: torch.device) -> Scale:
    """Return the normalisation of a data set, by its training mean and standard deviation, on a device."""
    mean, std = (torch.tensor(v, device=device).view(1, -1, 1, 1) for v in (data.mean, data.std))
    return Scale(mean=mean, std=std)


def signature(data: Data) -> tuple[int, int, int]:
    """Return channels, height (which is the width) and number of classes of a data set: a model must fit these."""
    _, channels, size, _ = data.train.images.shape
    return channels, size, len(data.class_names)


def described(data: Data) -> dict[str, Any]:
    """Return `DESCRIBED` of a data set and its depth, as values that JSON can hold."""
    return {"signature": signature(data), **{name: getattr(data, name) for name in (*DESCRIBED[1:], "depth")}}


def positive_index(config: Config, class_names: Sequence[str]) -> int | None:
    """Return the class that the configuration calls positive, None if it names none.

    Raises:
        UserError: There are more than two classes, or none has this name.
    """
    if not config.positive:
        return None
    check_known("class", [config.positive], class_names)
    if len(class_names) != 2:
        raise UserError(
            f"positive is {config.positive}, and there are {len(class_names)} classes; of two one can be positive, so "
            "leave it out"
        )
    return class_names.index(config.positive)


def check_images(path: Path, about: Mapping[str, Any], data: Data, data_dir: str) -> None:
    """Check that a checkpoint was trained on the images that are there now.

    Args:
        path: The checkpoint, for the message.
        about: Its description, see `checkpoint.read`.
        data: The images that are there now.
        data_dir: Where they are; "" for the usual place.

    Raises:
        UserError: The fingerprints differ.
    """
    if about["fingerprint"] != data.fingerprint:
        raise UserError(
            f"{path} was trained on other images than {data_dir or data.name} holds now; restore them"
        )


def _needs_colour(config: Config) -> bool:
    return config.model in TORCHVISION and config.dataset in ("medmnist", *FOLDERS)


def preparation_of(config: Config) -> Preparation:
    """Return how the files of a folder become the images of a configuration."""
    return Preparation(**{field.name: getattr(config, field.name) for field in fields(Preparation)})
