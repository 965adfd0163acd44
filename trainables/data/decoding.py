"""One image file as the pixels that training sees."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from study_common.errors import UserError

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
"""The formats that are read, whatever a file's name says."""
DARK = 24
"""A pixel is black border if its luminance is not above this, of 255."""
SHARE = 1 / 3
"""A row or column belongs to the picture if more than this share of it is not black."""


def decode(path: Path, size: int, *, crop_border: bool = False) -> np.ndarray:
    """Read an image as uint8 (3, size, size), upright, in colour and squeezed to a square.

    A JPEG is decoded at the smallest scale of 1/8, 1/4 or 1/2 that is still twice as large as needed. What is
    transparent becomes black; of 16-bit grey the high byte is kept.

    Raises
    ------
    ValueError
        pixels of 32 bits, or signed ones, have no range of which a byte could be kept.
    Exception
        a damaged file can make its decoder raise anything.
    """
    with Image.open(path, formats=FORMATS) as image:
        image.draft(None, (2 * size, 2 * size))
        colour = _colour(ImageOps.exif_transpose(image))
    if crop_border:
        colour = colour.crop(picture_box(np.asarray(colour.convert("L"))))
    return np.asarray(colour.resize((size, size), Image.Resampling.BILINEAR)).transpose(2, 0, 1)


def picture_box(luminance: np.ndarray) -> tuple[int, int, int, int]:
    """Return the box (left, top, right, bottom) of the picture inside a black border; all of a black image.

    Text and small displays in the border, as endoscopes write there, do not make it picture.

    Parameters
    ----------
    luminance
        (H, W) uint8
    """
    bright = luminance > DARK
    left, right = _extent(bright.mean(0))
    top, bottom = _extent(bright[:, left:right].mean(1))
    return left, top, right, bottom


def _extent(shares: np.ndarray) -> tuple[int, int]:
    inside = np.flatnonzero(shares > SHARE)
    return (int(inside[0]), int(inside[-1]) + 1) if inside.size else (0, shares.size)


def _colour(image: Image.Image) -> Image.Image:
    if image.mode in ("F", "I"):
        raise UserError("pictures of 32 bits are not read; save them with 8 or 16 bits without a sign")
    if image.mode.startswith("I"):
        grey = np.asarray(image) >> 8
        return Image.fromarray(grey.clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        black = Image.new("RGBA", image.size, "black")
        return Image.alpha_composite(black, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
