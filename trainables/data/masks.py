"""Masks that say where in an image the finding is: read from a folder, and brought to the size of the images."""

import hashlib
import logging
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from study_common.errors import UserError
from trainables.data.image_folder import FOLDERS, open_folder
from trainables.data.images.decoding import fit, is_deep, picture_box, read
from trainables.data.images.preparation import Preparation
from trainables.data.listing.file_tree import scan
from trainables.data.listing.folder_listing import Listing

NEVER_SCALED = 2**14
"""A size in pixels, so large that no decoder scales a picture down to it."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Masks:
    """The masks of a part of a data set, of those images that have one."""

    indices: Tensor
    """int64 (m,): which images of the part."""
    inside: Tensor
    """bool (m, H, W): the pixels of the finding; some of each image, not all."""
    fingerprint: str
    """16 hexadecimal digits of a SHA-256 over both."""


@lru_cache(maxsize=4)
def load_masks(name: str, data_dir: str, preparation: Preparation, folder: str, part: str) -> Masks:
    """Read the masks of the images of a part; once per process.

    A mask is an image of its image's name and size, whatever its format, at the same place below `folder` or, if no
    other image has the name, directly in it. Pixels above half of its highest level are inside. It is cropped and
    resized as its image is. Images without a mask, or with one that is empty or full once it is resized, are left out.

    Args:
        name: The data set, one of `FOLDERS`.
        data_dir: The folder of its images.
        preparation: How they become images of one size.
        folder: Where the masks are.
        part: "train", "validation" or "test".

    Raises:
        UserError: The data set is no folder of images, there is no such folder of masks, a mask is damaged, ambiguous
            or of another size than its image, or no image of the part has one that can be used.
    """
    if name not in FOLDERS:
        raise UserError(
            f"masks are for images in a folder ({', '.join(FOLDERS)}), not for {name}; leave them out"
        )
    if not Path(folder).is_dir():
        raise UserError(f"no such folder: {folder}; --masks names the folder of the masks")
    listing, decoded = open_folder(name, data_dir, preparation)
    paths = [decoded.contents.images[index].file.path for index in decoded.facts["parts"][part]]
    found = _found(listing, Path(folder))
    indices, masks, unusable = [], [], Counter[str]()
    for index, path in enumerate(paths):
        if path not in found:
            unusable["have no mask"] += 1
            continue
        mask = _inside(listing.root / path, found[path], preparation)
        if mask.any() and not mask.all():
            indices.append(index)
            masks.append(mask)
        else:
            unusable[f"have a mask that is {'full' if mask.any() else 'empty'}"] += 1
    told = ", ".join(f"{count} {what}" for what, count in unusable.items())
    if not masks:
        raise UserError(
            f"no image for {part} has a mask in {folder} that can be used ({told}); name the masks as their images"
        )
    if told:
        _log.warning("of %d images for %s %s: they do not count in where maps point", len(paths), part, told)
    stacked = np.stack(masks)
    digest = hashlib.sha256(repr(indices).encode() + np.packbits(stacked).tobytes()).hexdigest()
    return Masks(indices=torch.tensor(indices), inside=torch.from_numpy(stacked), fingerprint=digest[:16])


def _found(listing: Listing, folder: Path) -> dict[str, Path]:
    """Return the mask of each image that has one, by the path of the image."""
    masks: dict[str, Path] = {}
    for file in scan(folder).images:
        if (key := _stem(file.path)) in masks:
            raise UserError(f"{folder / file.path} and {masks[key].name} are masks of one image; remove one")
        masks[key] = folder / file.path
    names = Counter(PurePosixPath(_stem(image.file.path)).name for image in listing.images)
    found = {}
    for image in listing.images:
        whole = _stem(image.file.path)
        name = PurePosixPath(whole).name
        for key in (whole, name) if names[name] == 1 else (whole,):
            if key in masks:
                found[image.file.path] = masks[key]
                break
    return found


def _stem(path: str) -> str:
    """Return a path without its suffix.

    >>> _stem("polyps/1.JPG")
    'polyps/1'
    """
    return str(PurePosixPath(path).with_suffix(""))


def _inside(image_path: Path, mask_path: Path, preparation: Preparation) -> np.ndarray:
    """Return the mask of an image, bool (size, size)."""
    size = preparation.image_size
    try:
        image, mask = (read(path, NEVER_SCALED) for path in (image_path, mask_path))
    except UserError as error:
        raise UserError(f"{mask_path}: {error}") from None
    except Exception as error:  # a damaged file can make its decoder raise anything
        raise UserError(f"the mask {mask_path} cannot be read ({error}); restore it") from None
    if mask.size != image.size:
        raise UserError(
            f"the mask {mask_path} has {mask.size[0]}x{mask.size[1]} pixels and its image {image.size[0]}x"
            f"{image.size[1]}; give masks of the size of their images"
        )
    levels = np.asarray(mask if is_deep(mask) else mask.convert("L"))
    clear = Image.fromarray((255 * (levels > levels.max() / 2)).astype(np.uint8)).convert("RGB")
    if preparation.crop_border:
        clear = clear.crop(picture_box(np.asarray(image.convert("L"))))
    inside: np.ndarray = fit(clear, size, resize=preparation.resize)[0] > 127
    return inside
