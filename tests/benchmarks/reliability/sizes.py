"""What more images are worth: the ICCs of the objective, and of the score that it replaced, by their number."""

import itertools

import numpy as np
import pandas as pd

from tests.benchmarks.reliability.judgement import LAMBDA1, consistency, icc
from tests.benchmarks.reliability.scores import TODAY, scored
from trainables.saliency.suite import OBJECTIVE

IMAGES = (100, 200, 250, 400)
NINE = 9
"""So many configurations differ in width and lambda1 alone; the others in mask ratio and clipping level too."""


def by_images(rows: pd.DataFrame) -> pd.DataFrame:
    """One row for each score, number of images, and group of configurations: all, the nine, and the others.

    Columns: the one-way ICC with its 90 % interval, the same inside each lambda1; and both among models of one seed.
    """
    groups = {"all": rows, "nine": rows[rows["number"] < NINE], "others": rows[rows["number"] >= NINE]}
    scores = {"objective": (*OBJECTIVE, "soft"), "mean fill": (TODAY, "hard")}
    found = {}
    for (name, (removal, kind)), images, (group, some) in itertools.product(
        scores.items(), IMAGES, groups.items()
    ):
        values = scored(some, removal, kind, images)
        if not values.empty:
            found[name, images, group] = _row(values)
    return pd.DataFrame(found).T


def one_seed(scores: pd.DataFrame) -> tuple[float, list[float]]:
    """The ICC among models of one seed, as the trials of a study are, over all and inside each lambda1."""
    table = scores.pivot_table(index="seed", columns="number", values="score")
    lambda1 = np.array([LAMBDA1[number] for number in table])
    within = [consistency(table.to_numpy()[:, lambda1 == value]) for value in np.unique(lambda1)]
    return consistency(table.to_numpy()), within


def _row(scores: pd.DataFrame) -> dict[str, str]:
    table = scores.set_index(["number", "seed"])["score"]
    value, low, high = icc(table)
    lambda1 = table.index.get_level_values("number").map(LAMBDA1)
    within = [icc(table[lambda1 == each])[0] for each in sorted(set(lambda1))]
    of_one_seed, within_it = one_seed(scores)
    return {
        "ICC": f"{value:.2f} ({low:.2f} to {high:.2f})",
        "inside": ", ".join(f"{each:.2f}" for each in within),
        "of one seed": f"{of_one_seed:.2f}",
        "inside it": ", ".join(f"{each:.2f}" for each in within_it),
    }
