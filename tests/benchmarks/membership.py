"""Are stated probabilities of front membership right? Simulated studies, whose true front is known.

    python -m tests.benchmarks.membership [--json FILE] [--studies 200] [--seed 0]

A study has 40 configurations of four widths and a loss weight, each trained with one to three seeds. Accuracy and
faithfulness are a true mean, the error of the seed, and the error of the images, half of whose variance all
configurations share, as they share the images. Only the recorded standard errors and the replicates are told.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.analysis import membership
from results.analysis.fronts import nondominated, pareto_front

DIRECTIONS = {"accuracy": "max", "flops": "min", "faithfulness": "max"}
IMAGES = 1000
FAITHFULNESS_SE = 0.015
BINS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9)
"""Where the intervals of stated probabilities begin; the last ends at 1."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How strong the noise is, and what the widths cost."""

    accuracy_sd: float
    """Of the seed."""
    faithfulness_sd: float
    """Of the seed."""
    loss_of_width: float
    """Accuracy that two bits lose against eight."""


SHAPES = {
    "typical": Shape(accuracy_sd=0.01, faithfulness_sd=0.03, loss_of_width=0.25),
    "little noise": Shape(accuracy_sd=0.003, faithfulness_sd=0.01, loss_of_width=0.25),
    "much noise": Shape(accuracy_sd=0.02, faithfulness_sd=0.05, loss_of_width=0.25),
    "widths cost little": Shape(accuracy_sd=0.008, faithfulness_sd=0.03, loss_of_width=0.02),
}


def main() -> None:
    """Print one table per shape."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.membership", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--studies", type=int, default=200, help="simulated studies per shape")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    measured: dict[str, float] = {}
    for name in SHAPES:
        table = calibration(name, arguments.studies, arguments.seed)
        print(f"{name}: {SHAPES[name]}\n{table.to_string(index=False)}\n")
        key = name.replace(" ", "_")
        row = table.set_index("from").loc[0.8]
        measured |= {f"true_at_0.8_{key}": row["on the true front"], f"members_at_0.8_{key}": row["members"]}
    measured["studies"] = arguments.studies
    if arguments.json:
        arguments.json.write_text(json.dumps(measured, indent=2))


def calibration(shape: str, studies: int, seed: int) -> pd.DataFrame:
    """Return for each interval of stated probability: from, members, mean stated, on the true front (shares)."""
    stated, true = [], []
    for number in range(studies):
        trials, on_front = simulated(SHAPES[shape], np.random.default_rng([seed, number]))
        found = membership.configurations(trials, DIRECTIONS)
        members = pareto_front(found, DIRECTIONS)
        stated.append(members["p_front"].to_numpy())
        true.append(on_front[members["params.configuration"].to_numpy()])
    chances, hits = np.concatenate(stated), np.concatenate(true)
    interval = np.digitize(chances, BINS) - 1
    rows = [
        (start, int((interval == k).sum()), chances[interval == k].mean(), hits[interval == k].mean())
        for k, start in enumerate(BINS)
        if (interval == k).any()
    ]
    return pd.DataFrame(rows, columns=["from", "members", "mean stated", "on the true front"])


def simulated(
    shape: Shape, rng: np.random.Generator, configurations: int = 40
) -> tuple[pd.DataFrame, NDArray[np.bool_]]:
    """Return the measured trials of a study, and which configurations are on the front of the true means."""
    widths = rng.integers(2, 9, (configurations, 4)).astype(float)
    weight = rng.uniform(-2, 1, configurations)
    flops = widths @ [1.6, 88.0, 10.0, 0.1]
    accuracy = 0.9 - shape.loss_of_width * ((widths - 1) ** -2.0).mean(axis=1) - 0.01 * weight**2
    faithfulness = 0.35 + 0.12 * weight + rng.normal(0, 0.01, configurations)
    accuracy_se = np.sqrt(accuracy * (1 - accuracy) / IMAGES)
    seen = accuracy + accuracy_se * _images(rng, configurations)
    seen_faithfulness = faithfulness + FAITHFULNESS_SE * _images(rng, configurations)
    draw = np.repeat(np.arange(configurations), rng.integers(1, 4, configurations))
    trials = pd.DataFrame(
        {
            "number": np.arange(len(draw)),
            "seed": np.arange(len(draw)),
            "state": "complete",
            "feasible": True,
            "params.configuration": draw,
            "metrics.accuracy": seen[draw] + rng.normal(0, shape.accuracy_sd, len(draw)),
            "metrics.accuracy_se": accuracy_se[draw],
            "metrics.flops": flops[draw],
            "metrics.faithfulness": seen_faithfulness[draw] + rng.normal(0, shape.faithfulness_sd, len(draw)),
            "metrics.faithfulness_se": FAITHFULNESS_SE,
        }
    )
    return trials, nondominated(np.column_stack([-accuracy, flops, -faithfulness]))


def _images(rng: np.random.Generator, configurations: int) -> NDArray[np.float64]:
    """Return standard normal errors, half of whose variance is common."""
    return np.sqrt(0.5) * (rng.standard_normal() + rng.standard_normal(configurations))


if __name__ == "__main__":
    main()
