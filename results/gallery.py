"""Saliency maps as pictures: for each image of a trial the image itself and what its prediction rested on.

Drawn from ``trials/<number>/saliency.npz``, which a complete trial leaves behind.
"""

import base64
import io
import zipfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from plotly.colors import hex_to_rgb, sequential

from results import record
from results.studies import Study

MOST_IMAGES = 12
MOST_PIXELS = 112
"""Side that larger images are shrunk to."""


@dataclass(frozen=True, kw_only=True)
class Strip:
    """The saliency of one trial as one picture: images above, maps below."""

    number: int
    uri: str
    """The picture as a data URI."""
    captions: list[tuple[str, str, bool]]
    """Of each column: the label, the prediction, and whether they agree."""


def strip(study: Study, number: int) -> Strip | None:
    """Return the strip of trial ``number``, None if its saliency was not copied or is damaged."""
    file = study.path / record.TRIALS_DIR / str(number) / "saliency.npz"
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            images, maps = arrays["images"][:MOST_IMAGES], arrays["maps"][:MOST_IMAGES].astype(np.float32)
            labels, predictions = arrays["labels"][:MOST_IMAGES], arrays["predictions"][:MOST_IMAGES]
            names = [str(name) for name in arrays["class_names"]]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None
    rows = np.concatenate([np.hstack(list(_colour(images))), np.hstack(list(_heat(maps)))])
    return Strip(
        number=number,
        uri=_uri(rows, len(images)),
        captions=[(names[y], names[p], bool(y == p)) for y, p in zip(labels, predictions, strict=True)],
    )


def _colour(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return images (n, H, W) or (n, H, W, 3) as (n, H, W, 3)."""
    return images if images.ndim == 4 else np.repeat(images[..., None], 3, axis=-1)


def _heat(maps: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return maps (n, H, W), each scaled to its own maximum, in the colours of Inferno, (n, H, W, 3)."""
    scaled = maps / np.maximum(maps.max(axis=(1, 2), keepdims=True), 1e-12)
    palette = np.array([hex_to_rgb(colour) for colour in sequential.Inferno])
    steps = np.linspace(0, 1, len(palette))
    return np.stack([np.interp(scaled, steps, channel) for channel in palette.T], axis=-1).astype(np.uint8)


def _uri(pixels: NDArray[np.uint8], columns: int) -> str:
    """Encode a picture losslessly while its tiles are small, as WebP once they are photographs."""
    picture = Image.fromarray(pixels)
    side = picture.width // columns
    kind = "png"
    if side > MOST_PIXELS:
        scale = MOST_PIXELS / side
        picture = picture.resize((MOST_PIXELS * columns, round(picture.height * scale)))
        kind = "webp"
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
