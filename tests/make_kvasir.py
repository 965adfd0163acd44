"""Make an image set in the layout of Kvasir: the 8 class folders, its image sizes, textures to be learnt.

    python -m tests.make_kvasir DIR [--per-class 20] [--size 1280x1024] [--seed 0]

The pictures mean nothing: a round patch somewhere on a wall has the colour and the stripes of its class, seen
through an octagon in a black frame, as endoscopes show it. They say nothing about results on Kvasir.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from trainables.data.listing.folder_listing import KVASIR

SIZES = ((720, 576), (1280, 1024), (1350, 1080), (1920, 1072))
"""Widths and heights, between the smallest and the largest of the releases."""


def make(folder: Path, per_class: int, sizes: tuple[tuple[int, int], ...] = SIZES, seed: int = 0) -> None:
    """Write `per_class` JPEGs in turn of each of `sizes` (width, height) into each of the 8 class folders."""
    generator = np.random.default_rng(seed)
    for label, name in enumerate(KVASIR):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            image = picture(label, *sizes[number % len(sizes)], generator)
            image.save(folder / name / f"{name}-{number:04d}.jpg", quality=85)


def picture(label: int, width: int, height: int, generator: np.random.Generator) -> Image.Image:
    """Draw one picture of the class `label`, 0 to 7."""
    y, x = np.mgrid[0:1:256j, 0:1:256j]
    shade = 1 - 0.6 * ((x - generator.uniform(0.3, 0.7)) ** 2 + (y - generator.uniform(0.3, 0.7)) ** 2)
    pixels = np.array([190, 120, 100]) + generator.normal(0, 10, 3) + generator.normal(0, 12, (256, 256, 3))
    angle, phase = generator.uniform(0, 2 * np.pi, 2)
    waves = 2 * np.pi * (5, 14)[label % 2] * (x * np.cos(angle) + y * np.sin(angle))
    colour = np.array([(120, 30, 40), (230, 210, 110), (90, 110, 160), (240, 230, 235)][label // 2])
    centre = generator.uniform(0.35, 0.65, 2)
    patch = np.hypot(x - centre[0], y - centre[1]) < generator.uniform(0.2, 0.28)
    pixels[patch] += (colour - pixels[patch]) * (0.5 + 0.4 * np.sin(waves + phase)[patch, None])
    pixels *= shade[..., None]
    view = Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    left, top, cut = width // 8, height // 24, height // 5
    right, bottom = width - left // 4, height - top
    octagon = [(left + cut, top), (right - cut, top), (right, top + cut), (right, bottom - cut)]
    octagon += [(right - cut, bottom), (left + cut, bottom), (left, bottom - cut), (left, top + cut)]
    opening = Image.new("L", (width, height))
    ImageDraw.Draw(opening).polygon(octagon, fill=255)
    frame = Image.new("RGB", (width, height))
    frame.paste(view, mask=opening)
    return frame


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make an image set in the layout of Kvasir.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--per-class", type=int, default=20, help="images of each class (default: 20)")
    parser.add_argument("--size", help="WIDTHxHEIGHT of all images (default: four sizes, as in the releases)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    try:
        width, height = map(int, arguments.size.split("x")) if arguments.size else (1, 1)
    except ValueError:
        print(f"--size must be such as 1280x1024, not {arguments.size}", file=sys.stderr)
        return 2
    sizes = ((width, height),) if arguments.size else SIZES
    make(arguments.folder, arguments.per_class, sizes, arguments.seed)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
