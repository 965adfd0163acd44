"""`model_card.md`: what a shipped model is, how well it does, what is known of its maps, and how to run it."""

import csv
import io
import json
import os
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from study_common import digests, layout
from study_common.errors import StudyWarning
from study_common.files import check_unpacked_size, read_text
from trainables.deployment.example_script import SCRIPT
from trainables.training.config import Config

LICENCES = {
    "fashion_mnist": "MIT (Zalando)",
    "fashion_mnist_small": "MIT (Zalando)",
    "mnist": "CC BY-SA 3.0 (LeCun, Cortes)",
    "kvasir": "free for research and education, with citation (Simula)",
    "medmnist": "CC BY 4.0, that of DermaMNIST CC BY-NC 4.0 (MedMNIST)",
    "folder": "that of your own images",
    "csv": "that of your own images",
}
SHOWN = ("accuracy", "sensitivity", "specificity", "auroc", "loss", "faithfulness")
COSTS = ("macs", "flops", "bops", "size_bytes")
PIXELS = 96
"""Side of each picture of the saliency examples, at least."""

TEMPLATE = """---
license: other
library_name: onnx
pipeline_tag: image-classification
tags: [quantized, saliency-guided-training, pact]
---

# {model} on {dataset}

A classifier of {size}x{size} images with {channels} channels into {classes} classes ({class_names}),
trained with saliency guided training and PACT quantisation-aware training.

## Files

{files}

{script_part}
## Data

`{dataset}`, content fingerprint `{fingerprint}`. The figures below are of the {split} split.

## Quality

{metrics}

Intervals are 95 %: 1.96 standard errors. They hold the luck of the images, not that of the training.

{confusion}
## Widths

{widths}

{float_layers}
## Saliency

{saliency}
Faithfulness is the share of images that keep their class when their least salient pixels are removed, minus the share
when the most salient are. It says that the model reacts to the pixels which its map marks. It does not say that these
pixels are medically or otherwise meaningful, nor that the map is complete, nor that the model is right.

## Reproduction

    {command}

## Licences

Code: MIT. Images: {licence}. The weights are derived from the images: their licence applies before they are passed on.
"""


def files(
    checkpoint: Path,
    config: Config,
    about: Mapping[str, Any],
    sizes: Mapping[str, int],
    made: Mapping[str, Any],
) -> dict[str, bytes]:
    """Return the card's files by name.

    Args:
        checkpoint: The exported checkpoint; what else its run saved is read beside it.
        config: Its configuration.
        about: What was recorded with it.
        sizes: The bytes of each model file.
        made: `float_layers` and `parity` of the export.
    """
    channels, size, classes = about["signature"]
    saliency = _saliency(checkpoint.with_name(layout.SALIENCY_FILE))
    graph = next((name for name in (layout.ONNX_FILE, layout.LOW_BIT_FILE) if name in sizes), None)
    script = SCRIPT.format(file=graph) if graph else ""
    text = TEMPLATE.format(
        model=config.model, dataset=config.dataset, size=size, channels=channels, classes=classes,
        class_names=", ".join(about["class_names"]), fingerprint=about["fingerprint"],
        files=_files(sizes, made["parity"]), script_part=_script(script), split="validation",
        metrics=_metrics(about["metrics"]), confusion=_confusion(checkpoint.with_name(layout.CONFUSION_FILE)),
        widths=_widths(config), float_layers=_float_layers(made["float_layers"]),
        saliency=f"![Images and their saliency maps]({layout.SALIENCY_IMAGE_FILE})\n\n" if saliency else "",
        command=_command(config), licence=LICENCES[config.dataset],
    )  # fmt: skip
    card = text.encode()
    found = {layout.CARD_FILE: card, layout.HUB_CARD_FILE: card}
    if script:
        found[layout.EXAMPLE_FILE] = script.encode()
    return found | ({layout.SALIENCY_IMAGE_FILE: saliency} if saliency else {})


def _table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _files(sizes: Mapping[str, int], parity: Mapping[str, Any]) -> str:
    rows = []
    for name, size in sizes.items():
        found = parity.get(name)
        same = (
            f"{found['same_class']:.2%} of {found['images']} images" if found else "its weights, bit for bit"
        )
        rows.append((f"`{name}`", f"{size:,}", same))
    return _table(("file", "bytes", "the same as the trained model"), rows)


def _script(script: str) -> str:
    if not script:
        return ""
    lines = "\n".join(f"    {line}".rstrip() for line in script.splitlines())
    return f"`pip install onnxruntime numpy`, then `python {layout.EXAMPLE_FILE} image.npy`:\n\n{lines}\n"


def _metrics(metrics: Mapping[str, float]) -> str:
    rows = []
    for name in (*SHOWN, *COSTS):
        if name in metrics:
            error = metrics.get(f"{name}_se")
            value = f"{metrics[name]:,.0f}" if name in COSTS else f"{metrics[name]:.4f}"
            rows.append((name, value, f"± {1.96 * error:.4f}" if error else ""))
    return _table(("metric", "value", "interval"), rows)


def _confusion(path: Path) -> str:
    if not _is_whole(path):
        return ""
    rows = list(csv.reader(io.StringIO(read_text(path))))
    table = _table(("of class \\\\ taken for", *rows[0][1:]), [tuple(row) for row in rows[1:]])
    return f"## Confusion matrix\n\n{table}\n\n"


def _widths(config: Config) -> str:
    rows = [
        (name, bits, config.a_bits.get(name, "8, the image"))
        for name, bits in config.w_bits.items()
    ]  # fmt: skip
    return _table(("layer", "weight bits", "input bits"), rows)


def _float_layers(layers: Mapping[str, str]) -> str:
    if not layers:
        return ""
    lines = "\n".join(f"- `{name}`: {reason}" for name, reason in layers.items())
    return f"ONNX Runtime computes these layers in float, on the same levels:\n\n{lines}\n"


def _saliency(path: Path) -> bytes | None:
    """Each image above its map, as PNG; None if the run saved none, or not as it writes them."""
    if not _is_whole(path):
        return None
    try:
        check_unpacked_size(path)
        with np.load(path) as arrays:
            images, maps = arrays["images"], arrays["maps"].astype(np.float32)
        if maps.ndim != 3 or images.dtype != np.uint8 or images.shape[:3] != maps.shape or not images.size:
            raise ValueError(f"images have the shape {images.shape}, maps {maps.shape}")
    except (OSError, ValueError, LookupError, EOFError, MemoryError, zlib.error) as error:
        _leave_out(path, error)
        return None
    shades = np.stack([(255 * maps.clip(0, 1)).astype(np.uint8)] * 3, -1)
    pictures = images if images.ndim == 4 else np.stack([images] * 3, -1)
    sheet = np.concatenate([np.concatenate(list(row), 1) for row in (pictures, shades)], 0)
    times = -(-PIXELS // images.shape[1])
    picture = Image.fromarray(sheet).resize(
        (sheet.shape[1] * times, sheet.shape[0] * times), Image.Resampling.NEAREST
    )
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _is_whole(path: Path) -> bool:
    """Tell whether the run saved the file; a warning if it is not as it was saved."""
    if not os.path.lexists(path):
        return False
    try:
        if not path.is_file():
            raise ValueError("it is not a regular file")
        digests.check(path)
    except (OSError, ValueError) as error:
        _leave_out(path, error)
        return False
    return True


def _leave_out(path: Path, error: Exception) -> None:
    warnings.warn(f"{path} is left out of the model card: {error}", StudyWarning, stacklevel=3)


def _command(config: Config) -> str:
    """The command that trains the same: every setting that differs from those of the preset."""
    usual = Config.parse({"preset": config.preset, "model": config.model}).flat()
    changed = {name: value for name, value in config.shareable().items() if usual.get(name) != value}
    settings = {"preset": config.preset, "model": config.model} | changed
    words = [
        f"--set {name}={','.join(map(str, value)) if isinstance(value, list) else json.dumps(value).strip(chr(34))}"
        for name, value in settings.items()
    ]
    return " ".join(["python -m trainables.train", *words])
