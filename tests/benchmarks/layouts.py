"""Three public layouts of images, generated: counts against an independent count, accuracy against a plain loop.

    python -m tests.benchmarks.layouts FOLDER [--only files] [--small-files 58954] [--epochs 2] [--seeds 2]
        [--json FILE]

parts    `Training/` and `Testing/` of four class folders in colour, 3,264 files, as a published brain tumour set has
         them; 60 of the files are copies
files    six class folders of grey JPEGs of 64x64, 58,954 of them, trained at 32x32
masks    220 pictures with a mask each, two classes, listed in a CSV file with groups of two pictures

The pictures are made here and mean nothing: a class is the direction of waves, which vary so much that no network can
tell all of them. The plain loop is written without this project: it finds files by `os.walk`, decodes them by Pillow,
and trains the same float network by Adam for as many epochs on the same parts. Both are measured on the test part.
"""

import argparse
import csv
import hashlib
import json
import math
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from trainables import Config
from trainables.data import list_files, load_test
from trainables.models.catalogue import build
from trainables.training.evaluation import evaluate
from trainables.training.inputs import data_of, preparation_of, scale_of
from trainables.training.process import prepare_process
from trainables.training.run import Run


@dataclass(frozen=True)
class Layout:
    """A generated set: how a run is asked for it."""

    settings: dict[str, Any]
    root: Path


def texture(label: int, generator: np.random.Generator, side: int, channels: int) -> Image.Image:
    """Waves whose direction is the class, of any phase, under noise and a random gradient."""
    y, x = np.mgrid[:side, :side] / side
    angle = label * math.pi / 6 + generator.normal(0, 0.2)
    wave = np.sin(2 * math.pi * (7 * (x * math.cos(angle) + y * math.sin(angle)) + generator.random()))
    level = 128 + 34 * wave + 40 * (generator.normal() * (x - 0.5) + generator.normal() * (y - 0.5))
    pixels = level[..., None] + generator.normal(0, 40, (side, side, channels))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8).squeeze())


def make_parts(root: Path) -> Layout:
    generator = np.random.default_rng(0)
    for part, count in (("Training", 2870), ("Testing", 394)):
        for number in range(count):
            place = root / part / f"tumour{number % 4}"
            place.mkdir(parents=True, exist_ok=True)
            path = place / f"image ({number}).jpg"
            if part == "Training" and number >= 2810:
                path.write_bytes((place / f"image ({number - 400}).jpg").read_bytes())
            else:
                texture(number % 4, generator, 80, 3).save(path, quality=90)
    return Layout({"dataset": "folder", "data_dir": str(root), "image_size": 64}, root)


def make_files(root: Path, count: int) -> Layout:
    generator = np.random.default_rng(1)
    for number in range(count):
        place = root / f"organ{number % 6}"
        place.mkdir(parents=True, exist_ok=True)
        texture(number % 6, generator, 64, 1).save(place / f"{number}.jpeg", quality=90)
    return Layout({"dataset": "folder", "data_dir": str(root), "image_size": 32}, root)


def make_masks(root: Path) -> Layout:
    generator = np.random.default_rng(2)
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    rows = [("path", "class", "group")]
    for number in range(220):
        label = number // 2 % 2
        texture(label, generator, 128, 3).save(root / "images" / f"{number}.png")
        Image.new("L", (128, 128), 255).save(root / "masks" / f"{number}.png")
        rows.append((f"images/{number}.png", ("clean", "polyp")[label], f"patient{number // 2}"))
    with (root / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    settings = {"dataset": "csv", "data_dir": str(root), "labels": str(root / "labels.csv"), "image_size": 64}
    return Layout(settings, root)


def independent_count(layout: Layout) -> dict[str, int]:
    """Count files and different contents without this project."""
    found: list[Path] = []
    for folder, _, names in os.walk(layout.root):
        found += [Path(folder, name) for name in names]
    images = [
        path for path in found if path.suffix in (".jpg", ".jpeg", ".png") and path.parent.name != "masks"
    ]
    contents = {hashlib.md5(path.read_bytes()).hexdigest() for path in images}
    return {"files": len(found), "images": len(images), "contents": len(contents)}


def our_count(rows: list[Any]) -> dict[str, int]:
    images = [row for row in rows if row.class_name]
    return {"files": len(rows), "images": len(images), "contents": sum(bool(row.split) for row in images)}


def decoded(layout: Layout, rows: list[Any], part: str, channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    names = sorted({row.class_name for row in rows if row.class_name})
    size = layout.settings["image_size"]
    mine = [row for row in rows if row.split == part]
    images = [
        np.asarray(
            Image.open(layout.root / row.path)
            .convert("L" if channels == 1 else "RGB")
            .resize((size, size), 2)
        )
        for row in mine
    ]
    stacked = (
        torch.from_numpy(np.stack(images)).reshape(len(images), size, size, channels).permute(0, 3, 1, 2)
    )
    return stacked.contiguous(), torch.tensor([names.index(row.class_name) for row in mine])


def plain_loop(layout: Layout, rows: list[Any], channels: int, config: Config, seed: int) -> float:
    """Train the float network in twenty lines; the accuracy on the test part."""
    X, y = decoded(layout, rows, "train", channels)
    mean, std = (
        (X.float() / 255).mean((0, 2, 3), keepdim=True),
        (X.float() / 255).std((0, 2, 3), keepdim=True),
    )
    torch.manual_seed(seed)
    model = build("small_cnn", channels=channels, size=X.shape[-1], classes=int(y.max()) + 1)
    steps = len(y) // config.batch_size * config.epochs
    optimizer = torch.optim.Adam(model.parameters(), lr=config.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(config.epochs):
        for chosen in torch.randperm(len(y)).split(config.batch_size):
            if len(chosen) == config.batch_size:
                optimizer.zero_grad()
                F.cross_entropy(model((X[chosen].float() / 255 - mean) / std), y[chosen]).backward()
                optimizer.step()
                schedule.step()
    X, y = decoded(layout, rows, "test", channels)
    with torch.no_grad():
        logits = torch.cat([model.eval()((some.float() / 255 - mean) / std) for some in X.split(256)])
    return (logits.argmax(1) == y).double().mean().item()


def our_loop(config: Config) -> float:
    run = Run(config)
    for number in range(1, config.epochs + 1):
        run.epoch(number)
    test = load_test(config.dataset, config.data_dir, preparation_of(config))
    return evaluate(run.model, test, scale_of(run.data, run.device), config).metrics["accuracy"]


def measure(layout: Layout, epochs: int, batch: int, seeds: int) -> dict[str, Any]:
    settings = layout.settings | {
        "model": "small_cnn", "epochs": epochs, "batch_size": batch, "bits": 32, "lambda1": 0, "augment": "false",
        "precision": "float32",
    }  # fmt: skip
    config = Config.parse(settings)
    rows = list_files(config.dataset, config.data_dir, preparation_of(config))
    data = data_of(config)
    ours, theirs = [], []
    for seed in range(seeds):
        ours.append(our_loop(Config.parse(settings | {"seed": seed})))
        theirs.append(plain_loop(layout, rows, data.train.images.shape[1], config, seed))
    return {
        "count": our_count(rows),
        "independent_count": independent_count(layout),
        "splits": dict(Counter(row.split for row in rows if row.split)),
        "channels": data.train.images.shape[1],
        "accuracy": [round(float(value), 4) for value in (np.mean(ours), np.std(ours, ddof=1) / seeds**0.5)],
        "plain_loop": [
            round(float(value), 4) for value in (np.mean(theirs), np.std(theirs, ddof=1) / seeds**0.5)
        ],
        "seeds": seeds,
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=("masks", "files", "parts"), nargs="+")
    parser.add_argument("--small-files", type=int, default=58954)
    parser.add_argument(
        "--epochs", type=int, default=2, help="four times as many of the smallest (default: 2)"
    )
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(argv)
    prepare_process()
    os.environ["XDG_CACHE_HOME"] = str(arguments.folder / "cache")
    folder, epochs, seeds = arguments.folder, arguments.epochs, arguments.seeds
    figures = {}
    for name, make, times, batch in (
        ("masks", make_masks, 4, 8),
        ("files", lambda root: make_files(root, arguments.small_files), 1, 64),
        ("parts", make_parts, 1, 32),
    ):
        if arguments.only and name not in arguments.only:
            continue
        figures[name] = measure(make(folder / name), times * epochs, batch, seeds)
        print(json.dumps({name: figures[name]}), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
