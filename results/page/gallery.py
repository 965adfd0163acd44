"""The gallery of saliency maps: images down, models across, and above each model how accurate and how wide it is.

Made from `trials/<number>/saliency.npz`, which a complete trial leaves behind, from `init/saliency.npz` of the float
model that trials start from, and from `faithfulness.json`, which `python -m trainables.faithfulness --out` writes.
"""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from plotly.colors import hex_to_rgb, sequential

from results.analysis.configurations import layer_widths
from results.analysis.run_files import CURVE_ARRAYS, RunFiles
from results.analysis.studies import Study

MAX_MODELS = 8
"""Trials in the gallery."""

MAX_IMAGES = 12

MAX_PIXELS = 112
"""Width to which larger images are shrunk."""


@dataclass(frozen=True, kw_only=True)
class SaliencyStrip:
    """The saliency maps of one model, one below the other as one picture."""

    number: int | None
    """Number of the trial; None for the float model that all trials of the study start from."""
    maps: str
    """The maps, as a data URI; those of colour images with the image beneath."""
    images: str
    """The images that they explain, likewise; the same for every trial on a data set."""
    captions: list[tuple[str, str, bool]]
    """Per image: the label, the prediction, and whether they agree."""
    removal: pd.DataFrame
    """What happens as pixels are removed: order (morf, lerf, random), fraction, kept, accuracy; may be empty."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """One model of the gallery, and what stands above its maps."""

    strip: SaliencyStrip
    accuracy: float
    widths: list[str]


def strip(files: RunFiles, number: int | None) -> SaliencyStrip | None:
    """Return the strip of trial `number`, or of the float model; None if it was not copied or is damaged."""
    arrays = files.saliency(number)
    if arrays is None:
        return None
    images, maps = arrays["images"][:MAX_IMAGES], arrays["maps"][:MAX_IMAGES].astype(np.float32)
    classes = [str(name) for name in arrays["class_names"]]
    pairs = zip(arrays["labels"][:MAX_IMAGES], arrays["predictions"][:MAX_IMAGES], strict=True)
    return SaliencyStrip(
        number=number,
        maps=_uri(_overlay(images, maps) if images.ndim == 4 else _heat(maps)),
        images=_uri(_colour(images)),
        captions=[(classes[label], classes[found], bool(label == found)) for label, found in pairs],
        removal=pd.DataFrame(
            {name.removeprefix("curve_"): arrays[name] for name in CURVE_ARRAYS if name in arrays}
        ),
    )


def columns(study: Study, files: RunFiles, numbers: Sequence[int]) -> list[Column]:
    """Return the first trials of `numbers` that left their maps, after the float model that they start from.

    The float model is shown if its maps are of the same images.
    """
    found = (strip(files, number) for number in numbers)
    strips = [one for one, _ in zip((one for one in found if one), range(MAX_MODELS), strict=False)]
    initial = strip(files, None) if strips else None
    if initial and initial.images == strips[0].images:
        strips.insert(0, initial)
    return [_column(study, files, one) for one in strips]


def examined(study: Study, files: RunFiles, first: Sequence[int] = ()) -> pd.DataFrame:
    """Return robustness, agreement and sanity of the maps of each complete trial that was examined for them.

    Index: number, those of `first` before the others; NaN for what a trial was not examined for.
    """
    complete = study.trials.loc[study.trials["state"] == "complete", "number"]
    left = [number for number in dict.fromkeys([*first, *complete]) if files.has_examination(number)]
    found = {number: files.examination(number) or {} for number in left}
    scores = {
        number: {name: score for name, score in one.items() if "." not in name and not name.endswith("_se")}
        for number, one in found.items()
    }
    scores = {number: one for number, one in scores.items() if one}
    return pd.DataFrame(list(scores.values()), index=list(scores))


def _column(study: Study, files: RunFiles, one: SaliencyStrip) -> Column:
    if one.number is None:
        curve = files.initial_curve()
        accuracy = math.nan if curve is None or "accuracy" not in curve else curve["accuracy"].iloc[-1]
        return Column(strip=one, accuracy=float(accuracy), widths=[])
    trial = study.trials[study.trials["number"] == one.number].iloc[0]
    widths = layer_widths(study, trial, files).values()
    kinds = {
        name: [bits[kind] for bits in widths if kind in bits]
        for kind, name in (("weights", "weights"), ("activations", "inputs"))
    }
    told = [f"{name} {_brief(bits)}" for name, bits in kinds.items() if bits]
    return Column(strip=one, accuracy=float(trial.get("metrics.accuracy", math.nan)), widths=told)


def _brief(bits: list[int]) -> str:
    """Write the widths of all layers in a few characters.

    >>> _brief([4, 4, 32]), _brief([2, 8] * 10)
    ('4 4 32', '2 to 8')
    """
    return " ".join(map(str, bits)) if len(bits) <= 6 else f"{min(bits)} to {max(bits)}"


def _colour(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return images (n, H, W) or (n, H, W, 3) as (n, H, W, 3)."""
    return images if images.ndim == 4 else np.repeat(images[..., None], 3, axis=-1)


def _heat(maps: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return maps (n, H, W), each scaled to its own maximum, in the colours of Inferno, (n, H, W, 3)."""
    palette = np.array([hex_to_rgb(colour) for colour in sequential.Inferno])
    steps = np.linspace(0, 1, len(palette))
    channels = [np.interp(_scaled(maps), steps, channel) for channel in palette.T]
    return np.stack(channels, axis=-1).astype(np.uint8)


def _overlay(images: NDArray[np.uint8], maps: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the maps as light on their images (n, H, W, 3), which are grey and dim: what counts more is brighter."""
    dim = images.mean(axis=-1, keepdims=True) / 2
    return np.asarray(255 - (255 - dim) * (255 - _heat(maps)) / 255, np.uint8)


def _scaled(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.abs(maps) / np.maximum(np.abs(maps).max(axis=(1, 2), keepdims=True), 1e-12))


def _uri(tiles: NDArray[np.uint8]) -> str:
    """Encode tiles (n, H, W, 3), one below the other: losslessly while they are small, photographs as WebP."""
    picture = Image.fromarray(np.concatenate(list(tiles)))
    kind = "png"
    if picture.width > MAX_PIXELS:
        scale = MAX_PIXELS / picture.width
        picture = picture.resize((MAX_PIXELS, round(tiles.shape[1] * scale) * len(tiles)))
        kind = "webp"
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
