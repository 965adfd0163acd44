"""One image file as the pixels that training sees."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from study_common.errors import UserError
from trainables.data.images import dicom

FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP")
"""The formats that are read, whatever a file's name says, besides DICOM."""
ACCEPTED = "save it as PNG or TIFF with 8 bits per channel, or in grey with 16 bits without a sign"
MAX_PIXELS = 64_000_000
"""Pixels up to which an image is decoded, so that it takes less than 2 GB; of a JPEG, after `read` scaled it."""
DARK = 10
"""A pixel is black border if its luminance is not above this, of 255."""


def read(path: Path, size: int) -> Image.Image:
    """Read an image upright, in 8-bit grey ("L") or colour ("RGB"), or in 16-bit grey ("I;16") if it has more bits.

    A JPEG is decoded at the smallest scale of 1/8, 1/4 or 1/2 that is still twice as large as `size`. What is
    transparent becomes black; grey levels that count from white are inverted.

    Raises:
        UserError: It is no regular file, has several pages, more than 8 bits per channel of colour, or signed, 32-bit
            or floating-point pixels.
        Exception: A damaged file can make its decoder raise anything.
    """
    if path.exists() and not path.is_file():  # a named pipe would block
        raise UserError("it is not a regular file; restore it or remove it")
    with path.open("rb") as file:
        if dicom.is_dicom(path, file):
            return dicom.read(path)
        try:
            image = Image.open(file, formats=FORMATS)
        except UnidentifiedImageError:
            raise UserError(f"it is none of {', '.join(FORMATS)}, DICOM; restore it or remove it") from None
        if image.format != "MPO" and (pages := getattr(image, "n_frames", 1)) > 1:
            raise UserError(f"it has {pages} pages; save the one to use as a file of its own")
        if image.mode in ("F", "I"):
            raise UserError(f"pixels with a sign or of 32 bits have no stated range; {ACCEPTED}")
        if not image.mode.startswith("I;16") and _has_16_bits(image):
            raise UserError(f"colour with 16 bits per channel would lose the lower 8; {ACCEPTED}")
        image.draft(None, (2 * size, 2 * size))
        if image.width * image.height > MAX_PIXELS:
            raise UserError(
                f"it has {image.width} x {image.height} pixels, and {MAX_PIXELS // 10**6} million are read; "
                "scale it down"
            )
        counts_from_white = image.format == "TIFF" and getattr(image, "tag_v2", {}).get(262) == 0
        ImageOps.exif_transpose(image, in_place=True)
        image.load()
    if image.mode.startswith("I;16"):
        levels = np.asarray(image).astype(np.uint16)
        return Image.fromarray(levels.max(initial=0) - levels if counts_from_white else levels)
    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, "black")
        return Image.alpha_composite(black, image.convert("RGBA")).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def is_deep(image: Image.Image) -> bool:
    """Whether an image of `read` has more than 8 bits, so that `to_8_bits` must say which of them count."""
    return image.mode.startswith("I;16")


def bit_depth(largest: int) -> int:
    """Return how many bits a camera must have had, in steps of 2 from 8 to 16, to give the level `largest`.

    >>> bit_depth(255), bit_depth(4000), bit_depth(65535)
    (8, 12, 16)
    """
    return next(bits for bits in (8, 10, 12, 14, 16) if largest < 2**bits)


def to_8_bits(image: Image.Image, depth: int) -> Image.Image:
    """Bring 16-bit grey, of which the lowest `depth` bits count, to 8 bits by keeping the highest 8 of them."""
    grey = np.asarray(image) >> (depth - 8)
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8))


def fit(image: Image.Image, size: int, *, resize: str = "squash", crop_border: bool = False) -> np.ndarray:
    """Return an 8-bit image as uint8 (3, size, size), a grey one with three equal channels.

    Args:
        image: In mode L or RGB.
        size: Pixels per side.
        resize: One of `choices.RESIZE`.
        crop_border: Cut off the black border before.
    """
    if crop_border:
        image = image.crop(picture_box(np.asarray(image.convert("L"))))
    square, method = (size, size), Image.Resampling.BILINEAR
    if resize == "squash":
        fitted = image.resize(square, method)
    elif resize == "pad":
        fitted = ImageOps.pad(image, square, method, color="black")
    else:
        fitted = ImageOps.fit(image, square, method)
    pixels = np.asarray(fitted)
    return np.broadcast_to(pixels, (3, size, size)) if image.mode == "L" else pixels.transpose(2, 0, 1)


def picture_box(luminance: np.ndarray) -> tuple[int, int, int, int]:
    """Return the box (left, top, right, bottom) of the picture inside a black border; all of a black image.

    The picture is the largest connected area that is not black, so that dark tissue at its edge stays, and text and
    small displays, which endoscopes write into the border, do not count.

    Args:
        luminance: (H, W) uint8.
    """
    from scipy import ndimage  # here, because few data sets have a border and importing it takes 0.3 s

    areas, count = ndimage.label(luminance > DARK)
    height, width = luminance.shape
    if not count:
        return 0, 0, width, height
    largest = 1 + int(np.bincount(areas.ravel())[1:].argmax())
    rows, columns = ndimage.find_objects(areas)[largest - 1]
    return columns.start, rows.start, columns.stop, rows.stop


def _has_16_bits(image: Image.Image) -> bool:
    """Whether Pillow reads only the high byte of each level of a file."""
    return any(";16" in str(tile[3]) for tile in getattr(image, "tile", []))
