"""What a trial's predictions rest on: images and their saliency maps as one picture, and what is known of them.

Drawn from ``trials/<number>/saliency.npz``, which a complete trial leaves behind, and ``faithfulness.json`` beside it,
which ``python -m trainables.faithfulness --out`` writes.
"""

import base64
import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
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
    removal: pd.DataFrame
    """What happens as pixels are removed: order (morf, lerf, random), fraction, kept, accuracy; may be empty."""
    examination: dict[str, float]
    """Robustness, agreement and sanity of the maps; empty for a trial that was not examined."""


def strip(study: Study, number: int) -> Strip | None:
    """Return the strip of trial ``number``, None if its saliency was not copied or is damaged."""
    file = study.path / record.TRIALS_DIR / str(number) / "saliency.npz"
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            images, maps = arrays["images"][:MOST_IMAGES], arrays["maps"][:MOST_IMAGES].astype(np.float32)
            labels, predictions = arrays["labels"][:MOST_IMAGES], arrays["predictions"][:MOST_IMAGES]
            names = [str(name) for name in arrays["class_names"]]
            columns = [name for name in arrays if name.startswith("curve_")]
            removal = pd.DataFrame({name.removeprefix("curve_"): arrays[name] for name in columns})
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return None
    rows = np.concatenate([_row(_colour(images)), _row(_heat(maps))])
    return Strip(
        number=number,
        uri=_uri(rows, len(images)),
        captions=[(names[y], names[p], bool(y == p)) for y, p in zip(labels, predictions, strict=True)],
        removal=removal,
        examination=_examination(file.with_name("faithfulness.json")),
    )


def _examination(file: Path) -> dict[str, float]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not examined, or cut short
        return {}
    return {
        name: float(value) for name, value in found.items() if "." not in name and not name.endswith("_se")
    }


def _row(tiles: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Set tiles (n, H, W, 3) side by side, with a grey line after each and below."""
    return np.hstack(list(np.pad(tiles, ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=128)))


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
