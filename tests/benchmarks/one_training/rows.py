"""The recorded measurements, `rows.csv` and `curves.csv`: one per line, added as soon as it is there."""

import csv
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

FILE = Path(__file__).with_name("rows.csv")
CURVES = FILE.with_name("curves.csv")
"""The trainings of kind `grid` at rungs, whose kind is the epoch (`epoch`); seconds of CPU are from the start."""
METRICS = ("accuracy", "loss", "faithfulness", "faithfulness_se", "flops")
COLUMNS = ("kind", "seed", "widths", *METRICS, "cpu_s")


def epoch(number: int) -> str:
    """Return the kind of the rows of an epoch."""
    return f"epoch {number}"


def read(file: Path = FILE) -> pd.DataFrame:
    """Return all rows; `point` is the tuple of the widths of the layers."""
    frame = pd.read_csv(file) if file.exists() else pd.DataFrame(columns=list(COLUMNS))
    frame = frame.drop_duplicates(["kind", "seed", "widths"])  # two recorders may have met
    frame["point"] = [tuple(map(int, text.split("-"))) for text in frame["widths"]]
    return frame


def known(file: Path = FILE) -> set[tuple[str, int, tuple[int, ...]]]:
    """Return kind, seed and widths of each row."""
    frame = read(file)
    return set(zip(frame["kind"], frame["seed"], frame["point"], strict=True))


def add(
    kind: str,
    seed: int,
    point: tuple[int, ...],
    metrics: Mapping[str, float],
    cpu_s: float,
    file: Path = FILE,
) -> None:
    """Add a row."""
    new = not file.exists()
    with file.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(COLUMNS)
        values = [f"{metrics[name]:.6g}" for name in METRICS]
        writer.writerow([kind, seed, "-".join(map(str, point)), *values, f"{cpu_s:.2f}"])
