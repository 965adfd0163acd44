"""`python -m trainables.predict`: the classes of images that are in no data set, and what the model looked at."""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from study_common.commands import Parser
from study_common.files import replacing
from trainables.training import command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Print a line per image, then their number as JSON; the exit code."""
    parser = Parser("trainables.predict", __doc__)
    parser.add_argument("checkpoint", type=Path, help="a checkpoint.safetensors, wherever it was copied to")
    parser.add_argument("images", type=Path, nargs="+", help="image files, or folders of them")
    parser.add_argument(
        "--out", type=command_line.file, metavar="FILE.csv", help="write the probability of each class here"
    )
    parser.add_argument(
        "--overlays", type=command_line.folder, metavar="DIR",
        help="write each image as the model saw it, red where its saliency lies, into this new folder",
    )  # fmt: skip
    return command_line.run(run, parser, argv)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Predict, print, and write what was asked for."""
    from trainables.training.prediction import Predictor, image_paths

    paths = image_paths(arguments.images)
    predictor = Predictor(arguments.checkpoint)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
    if arguments.overlays:
        arguments.overlays.mkdir(parents=True, exist_ok=True)
    rows = []
    for number, found in enumerate(predictor.predict(paths, overlays=bool(arguments.overlays)), 1):
        best = int(found.probabilities.argmax())
        name, probability = predictor.class_names[best], found.probabilities[best]
        print(f"{_plain(str(found.path))}: {name} {probability:.3f}")
        row = [
            str(found.path),
            name,
            f"{probability:.6f}",
            *(f"{share:.6f}" for share in found.probabilities),
        ]
        if found.overlay:
            file = arguments.overlays / f"{number:0{len(str(len(paths)))}}-{found.path.stem}.png"
            with replacing(file) as part:
                found.overlay.save(part, "PNG")
            row.append(str(file))
        rows.append(row)
    if arguments.out:
        head = ["path", "class", "probability", *(f"p({name})" for name in predictor.class_names)]
        _write(arguments.out, [head + ["overlay"] * bool(arguments.overlays), *rows])
    return {"images": len(rows)}


def _write(path: Path, rows: list[list[str]]) -> None:
    with replacing(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([_plain(cell) for cell in row] for row in rows)


def _plain(text: str) -> str:
    from trainables.data.images.file_account import plain

    return plain(text)


if __name__ == "__main__":
    raise SystemExit(main())
