"""What a checkpoint says of images that are in no data set: probabilities, and where its saliency lies."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from study_common.errors import UserError
from trainables.data.images.new_images import NewImages
from trainables.data.images.normalisation import Scale
from trainables.data.listing.file_tree import scan
from trainables.saliency.attribution import saliency_maps
from trainables.training.config import Config
from trainables.training.inputs import preparation_of
from trainables.training.network import load_checkpoint

CHUNK = 64
"""Images that are in memory at a time."""
OVERLAY_PIXELS = 256
"""Height and width of an overlay, at least."""


class Prediction(NamedTuple):
    """What a model says of one image."""

    path: Path
    probabilities: np.ndarray
    """(classes,), they add up to 1."""
    overlay: Image.Image | None
    """The image as the model saw it, the more red the more a pixel matters; None if it was not asked for."""


class Predictor:
    """The model of a checkpoint, with all that its images went through.

    Args:
        checkpoint: The file.

    Raises:
        UserError: The checkpoint cannot be used.
    """

    def __init__(self, checkpoint: Path) -> None:
        self.path = checkpoint
        self.model, self.config, about = load_checkpoint(checkpoint)
        self.class_names: tuple[str, ...] = tuple(about["class_names"])
        self.images = new_images(self.config, about)
        mean, std = (torch.tensor(about[name]).view(1, -1, 1, 1) for name in ("mean", "std"))
        self.scale = Scale(mean=mean, std=std)

    def predict(self, paths: Sequence[Path], *, overlays: bool = False) -> Iterator[Prediction]:
        """Yield what the model says of each image, in order.

        Raises:
            UserError: An image cannot be used.
        """
        for start in range(0, len(paths), CHUNK):
            some = paths[start : start + CHUNK]
            images = torch.from_numpy(np.stack([self.images.read(path) for path in some]))
            probabilities = self.probabilities(images)
            maps = self._maps(images, probabilities.argmax(1)) if overlays else None
            for i, path in enumerate(some):
                overlay = None if maps is None else _overlay(images[i], maps[i])
                yield Prediction(path, probabilities[i].numpy(), overlay)

    @torch.no_grad()
    def probabilities(self, images: Tensor) -> Tensor:
        """Return (n, classes) for uint8 images (n, C, H, W)."""
        return self.logits(images).softmax(1)

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Return (n, classes) for uint8 images (n, C, H, W); UserError if one of them is not finite."""
        found: Tensor = self.model(self.scale(images))
        if not found.isfinite().all():
            raise UserError(f"{self.path} gives values that are not finite; train it again")
        return found

    def _maps(self, images: Tensor, classes: Tensor) -> Tensor:
        maps = saliency_maps(self.model, self.scale(images), classes, method=self.config.attribution)
        return maps / maps.amax((1, 2), keepdim=True).clamp(min=torch.finfo(maps.dtype).tiny)


def new_images(config: Config, about: dict[str, Any]) -> NewImages:
    """Return how the images of a checkpoint's run were prepared, from its configuration and description."""
    channels, size, _ = about["signature"]
    return NewImages(
        preparation=replace(preparation_of(config), image_size=size, labels="", group=""),
        channels=channels,
        depth=about.get("depth", 0),
    )


def image_paths(given: Sequence[Path]) -> list[Path]:
    """Return the images that paths name: files as they are, and all images below folders.

    Raises:
        UserError: A path does not exist, or a folder has no image.
    """
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = [path / file.path for file in scan(path).images]
            if not inside:
                raise UserError(f"the folder {path} holds no image; name images or a folder of them")
            found += inside
        elif path.is_file():
            found.append(path)
        else:
            raise UserError(f"there is no image {path}; name images or folders of them")
    return found


def _overlay(image: Tensor, heat: Tensor) -> Image.Image:
    """Blend red over an image (C, H, W), as much as its map (H, W) in [0, 1] says."""
    picture = image.expand(3, -1, -1).permute(1, 2, 0).float()
    red = torch.tensor([255.0, 0.0, 0.0])
    blended = torch.lerp(picture, red.expand_as(picture), 0.8 * heat[..., None]).round().byte().numpy()
    times = -(-OVERLAY_PIXELS // len(blended))
    return Image.fromarray(blended).resize(
        (times * blended.shape[1], times * blended.shape[0]), Image.Resampling.NEAREST
    )
