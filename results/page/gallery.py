"""What predictions rest on: images, the saliency maps of a trial or of the float model, and what is known of them.

Drawn from ``trials/<number>/saliency.npz``, which a complete trial leaves behind, from ``init/saliency.npz``, and from
``faithfulness.json`` beside them, which ``python -m trainables.faithfulness --out`` writes.
"""

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from plotly.colors import hex_to_rgb, sequential

from results.analysis.studies import Study
from study_common import layout

MOST_IMAGES = 12
MOST_PIXELS = 112
"""Side that larger images are shrunk to."""


@dataclass(frozen=True, kw_only=True)
class Strip:
    """The saliency of one model, its maps one below the other as one picture."""

    number: int | None
    """Of the trial; None for the float model that all trials of the study start from."""
    uri: str
    """The maps, as a data URI; those of colour images with the image beneath."""
    images: str
    """The images that they explain, likewise; the same for every trial on a data set."""
    captions: list[tuple[str, str, bool]]
    """Of each image: the label, the prediction, and whether they agree."""
    removal: pd.DataFrame
    """What happens as pixels are removed: order (morf, lerf, random), fraction, kept, accuracy; may be empty."""


def strip(study: Study, number: int | None) -> Strip | None:
    """Return the strip of trial ``number``, or of the float model; None if it was not copied or is damaged."""
    folder = layout.INIT_DIR if number is None else f"{layout.TRIALS_DIR}/{number}"
    file = study.path / folder / layout.SALIENCY_FILE
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            images, maps = arrays["images"][:MOST_IMAGES], arrays["maps"][:MOST_IMAGES].astype(np.float32)
            labels, predictions = arrays["labels"][:MOST_IMAGES], arrays["predictions"][:MOST_IMAGES]
            names = [str(name) for name in arrays["class_names"]]
            columns = [name for name in arrays if name.startswith("curve_")]
            removal = pd.DataFrame({name.removeprefix("curve_"): arrays[name] for name in columns})
    except Exception:  # on a damaged archive zipfile and numpy fail in every way there is
        return None
    return Strip(
        number=number,
        uri=_uri(_overlay(images, maps) if images.ndim == 4 else _heat(maps)),
        images=_uri(_colour(images)),
        captions=[(names[y], names[p], bool(y == p)) for y, p in zip(labels, predictions, strict=True)],
        removal=removal,
    )


def examined(study: Study, first: Sequence[int] = ()) -> pd.DataFrame:
    """Return robustness, agreement and sanity of the maps of each complete trial that was examined for them.

    Index: number, those of ``first`` before the others; NaN for what a trial was not examined for.
    """
    complete = study.trials.loc[study.trials["state"] == "complete", "number"]
    found = {number: _examination(study, number) for number in dict.fromkeys([*first, *complete])}
    found = {number: figures for number, figures in found.items() if figures}
    return pd.DataFrame(list(found.values()), index=list(found))


def _examination(study: Study, number: int) -> dict[str, float]:
    file = study.path / layout.TRIALS_DIR / str(number) / layout.FAITHFULNESS_FILE
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not examined, or cut short
        return {}
    return {
        name: float(value) for name, value in found.items() if "." not in name and not name.endswith("_se")
    }


def _colour(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return images (n, H, W) or (n, H, W, 3) as (n, H, W, 3)."""
    return images if images.ndim == 4 else np.repeat(images[..., None], 3, axis=-1)


def _heat(maps: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return maps (n, H, W), each scaled to its own maximum, in the colours of Inferno, (n, H, W, 3)."""
    palette = np.array([hex_to_rgb(colour) for colour in sequential.Inferno])
    steps = np.linspace(0, 1, len(palette))
    return np.stack([np.interp(_scaled(maps), steps, channel) for channel in palette.T], axis=-1).astype(
        np.uint8
    )


def _overlay(images: NDArray[np.uint8], maps: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the maps as light on their images (n, H, W, 3), which are grey and dim: what counts more is brighter."""
    dim = images.mean(axis=-1, keepdims=True) / 2
    return np.asarray(255 - (255 - dim) * (255 - _heat(maps)) / 255, np.uint8)


def _scaled(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(maps / np.maximum(maps.max(axis=(1, 2), keepdims=True), 1e-12))


def _uri(tiles: NDArray[np.uint8]) -> str:
    """Encode tiles (n, H, W, 3), one below the other: losslessly while they are small, photographs as WebP."""
    picture = Image.fromarray(np.concatenate(list(tiles)))
    kind = "png"
    if picture.width > MOST_PIXELS:
        scale = MOST_PIXELS / picture.width
        picture = picture.resize((MOST_PIXELS, round(tiles.shape[1] * scale) * len(tiles)))
        kind = "webp"
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
