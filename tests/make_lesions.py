"""Make a set of images with masks whose findings are known: a small patch anywhere, in the colour of its class.

    python -m tests.make_lesions DIR [--per-class 60] [--side 64] [--seed 0]

DIR/images/<class>/<name>.png and DIR/masks/<class>/<name>.png. Nothing but the patch tells the two classes apart.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

CLASSES = {"red": (70, -30, -30), "blue": (-30, -30, 70)}
"""What the patch of each class adds to the wall around it."""


def make(folder: Path, per_class: int, side: int = 64, seed: int = 0) -> None:
    """Write `per_class` images of each class and their masks."""
    generator = np.random.default_rng(seed)
    for name in CLASSES:
        for part in ("images", "masks"):
            (folder / part / name).mkdir(parents=True, exist_ok=True)
        for number in range(per_class):
            pixels, inside = picture(name, side, generator)
            Image.fromarray(pixels).save(folder / "images" / name / f"{name}-{number:04}.png")
            Image.fromarray((255 * inside).astype(np.uint8)).save(
                folder / "masks" / name / f"{name}-{number:04}.png"
            )


def picture(name: str, side: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return an image (side, side, 3) uint8 and its mask, bool (side, side)."""
    wall = ndimage.gaussian_filter(generator.normal(0, 1, (side, side, 3)), (side / 16, side / 16, 0))
    pixels = 120 + 25 * wall / wall.std() + generator.normal(0, 8, (side, side, 3))
    radius = side * generator.uniform(0.09, 0.14)
    centre = generator.uniform(radius, side - radius, 2)
    rows, columns = np.mgrid[:side, :side]
    inside = np.hypot(rows + 0.5 - centre[0], columns + 0.5 - centre[1]) < radius
    pixels[inside] += CLASSES[name]
    return pixels.clip(0, 255).astype(np.uint8), inside


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make images with masks whose findings are known.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--per-class", type=int, default=60, help="images of each class (default: 60)")
    parser.add_argument("--side", type=int, default=64, help="pixels per side (default: 64)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    make(arguments.folder, arguments.per_class, arguments.side, arguments.seed)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
