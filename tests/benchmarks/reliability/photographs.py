"""The study of reliability on tiles of photographs: which of ten photographs is a tile from?

    pip install scikit-image
    python -m tests.benchmarks.reliability.photographs --out DIR [--seeds 11,12,13]

No set of labelled photographs of a few hundred images could be had without a download, so the photographs that
scikit-image ships are cut into tiles of 32x32 pixels that do not overlap. Four configurations of `small_cnn` (2 and
8 bits, lambda1 0.1 and 10), nine epochs. Tiles of one photograph look alike, so this is colour and texture more than
objects.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from tests.benchmarks.reliability import scores
from tests.benchmarks.reliability.__main__ import make
from tests.benchmarks.reliability.sizes import by_images
from trainables import prepare_process

PHOTOGRAPHS = (
    "astronaut.png", "brick.png", "chelsea.png", "coffee.png", "grass.png", "gravel.png", "hubble_deep_field.jpg",
    "motorcycle_left.png", "retina.jpg", "rocket.jpg",
)  # fmt: skip
SIDE, SHORTER = 32, 384
"""Pixels: of a tile, and of the shorter side of a photograph before it is cut."""
MOST = 140
"""Tiles of a photograph, so that the classes have about the same number."""
PARTS = {"train": 0.6, "val": 0.9, "test": 1.0}
NUMBERS = (0, 2, 6, 8)


def main() -> None:
    """Cut, train, score, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--seeds", default="11,12,13")
    arguments = parser.parse_args()
    prepare_process()
    tiles = arguments.out / "tiles"
    cut(tiles)
    base = {"dataset": "folder", "data_dir": str(tiles), "image_size": SIDE, "model": "small_cnn"}
    seeds = tuple(map(int, arguments.seeds.split(",")))
    rows = make(arguments.out, seeds, NUMBERS, (scores.PLAIN, *scores.SIZES), base)
    of_objective = scores.scored(rows, "other_image", "soft", 250)
    for value in ("accuracy", "score"):
        print(
            value, of_objective.pivot_table(index="number", columns="seed", values=value).round(3), sep="\n"
        )
    print(by_images(rows).to_string())


def cut(out: Path) -> None:
    """Write the tiles as `out`/PART/PHOTOGRAPH/NUMBER.png, unless they are there."""
    import skimage

    photographs = Path(skimage.__file__).parent / "data"
    generator = np.random.default_rng(0)
    for name in PHOTOGRAPHS:
        picture = Image.open(photographs / name).convert("RGB")
        scale = SHORTER / min(picture.size)
        pixels = np.asarray(picture.resize([round(side * scale) for side in picture.size]))
        height, width = (side // SIDE for side in pixels.shape[:2])
        places = generator.permutation(height * width)[:MOST]
        for number, place in enumerate(places):
            part = next(part for part, end in PARTS.items() if number < end * len(places))
            y, x = (SIDE * at for at in divmod(place, width))
            file = out / part / Path(name).stem / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            if not file.exists():
                Image.fromarray(pixels[y : y + SIDE, x : x + SIDE]).save(file)


if __name__ == "__main__":
    main()
