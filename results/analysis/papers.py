"""The figures of the two papers as they printed them, and our trials of the same configurations beside them.

"Saliency Assisted Quantization for Neural Networks" (Mousa Rezabeyk et al.), Table II, and
"Resource-efficient medical image classification for edge devices" (Lavaei et al.), Table I. Nothing here is
a result of ours.
"""

from collections.abc import Sequence

import pandas as pd

from results.analysis.configurations import layer_widths
from results.analysis.studies import Study

SALIENCY_ASSISTED = "Saliency Assisted Quantization, Table II"
RESOURCE_EFFICIENT = "Resource-efficient medical image classification, Table I"

COLUMNS = ["data", "configuration", "whose", "accuracy", "sensitivity", "specificity", "flops", "split"]

TABLE_II = {  # (b1, b2): accuracy on MNIST, on Fashion-MNIST, FLOPs
    "regular": (0.9946, 0.9360, 32_025_344),
    "(2, 2)": (0.9019, 0.8386, 3_108_704),
    "(4, 2)": (0.9825, 0.8990, 3_122_816),
    "(4, 4)": (0.9870, 0.9035, 5_036_480),
}

TABLE_I = {  # accuracy, sensitivity, specificity on Kvasir
    "theirs (SGT + PACT)": (0.7905, 0.8437, 0.8437),
    "SGT alone": (0.7748, 0.7812, 0.7812),
}

Widths = dict[str, dict[str, int]]

CONFIGURATIONS: dict[str, Widths] = {
    "regular": {},
    **{
        f"({b1}, {b2})": {
            "conv1": {"weights": b1},
            "conv2": {"weights": b2, "activations": b1},
            "fc1": {"activations": b2},
        }
        for b1, b2 in ((2, 2), (4, 2), (4, 4))
    },
}
"""The widths of Table III by layer and what they are of; 32 where the table says nothing."""

DATA = {"mnist": 0, "fashion_mnist": 1, "fashion_mnist_small": 1}
"""Our data sets, and the column of Table II that they are compared with."""

DOUBTS = (
    "FLOPs of conv2 (Table II): the four figures follow sum(macs * w_bits / 32) with conv1 = 225,792, "
    "conv2 = 30,618,624 and FC = 1,180,928. A 3x3 convolution of 32 into 64 channels has 18,432 "
    "multiply-accumulates an output pixel, and 30,618,624 / 18,432 = 1661.17: no number of pixels gives it. "
    "Ours counts 10,616,832 (24 x 24 pixels).",
    "Sensitivity on Kvasir (Table I): 84.37 % and 78.12 % are 27/32 and 25/32, shares of 32 images, where a "
    "tenth of Kvasir is 400 or 800. With balanced classes macro sensitivity is the accuracy, which they give "
    "as 79.05 %.",
    "Specificity on Kvasir (Table I): it equals the sensitivity to the last digit. With eight balanced classes "
    "macro specificity is 1 - (1 - accuracy) / 7, which is 97.0 % at their accuracy.",
)
"""Where the printed figures cannot be right."""


def compare_with_papers(studies: Sequence[Study]) -> pd.DataFrame:
    """Return the papers' figures and ours of the same configurations, one row each with `COLUMNS`.

    Ours are the means of all complete trials of a configuration: of the test split for those that were
    confirmed without refitting, else of the validation split.
    """
    rows: list[tuple[object, ...]] = []
    for column, data in enumerate(("MNIST", "Fashion-MNIST")):
        for name, (*accuracy, flops) in TABLE_II.items():
            rows.append((data, name, "the paper", accuracy[column], None, None, flops, "test"))
            for study in studies:
                if DATA.get(_dataset(study)) == column:
                    rows += _ours(study, data, name)
    for name, printed in TABLE_I.items():
        rows.append(("Kvasir", name, "the paper", *printed, None, "test"))
    for study in studies:
        if _dataset(study) == "kvasir":
            rows += _most_accurate(study)
    return pd.DataFrame(rows, columns=COLUMNS)


def _dataset(study: Study) -> str:
    return str(study.request.get("data", {}).get("dataset", ""))


def _ours(study: Study, data: str, name: str) -> list[tuple[object, ...]]:
    complete = study.trials[study.trials["state"] == "complete"]
    fitting = [_has(layer_widths(study, row), CONFIGURATIONS[name]) for _, row in complete.iterrows()]
    return [_row(study, data, name, complete[fitting])] if any(fitting) else []


def _most_accurate(study: Study) -> list[tuple[object, ...]]:
    found = study.recommend().get("Most accurate")
    if found is None:
        return []
    return [_row(study, "Kvasir", f"trial {found['number']}, the most accurate", found.to_frame().T)]


def _has(widths: Widths, wanted: Widths) -> bool:
    """Whether a trial of the paper's network has the `wanted` widths, and 32 bits elsewhere."""
    return widths.keys() == {"conv1", "conv2", "fc1", "fc2"} and all(
        bits == wanted.get(layer, {}).get(kind, 32)
        for layer, kinds in widths.items()
        for kind, bits in kinds.items()
    )


def _row(study: Study, data: str, name: str, rows: pd.DataFrame) -> tuple[object, ...]:
    tests = study.confirmations
    tests = tests[tests["trial"].isin(rows["number"]) & ~tests["refit"].astype(bool)]
    measured, split = (tests, "test") if len(tests) else (rows, "validation")
    values = [
        measured[f"metrics.{metric}"].mean() for metric in ("accuracy", "sensitivity", "specificity", "flops")
    ]
    return (data, name, f"ours: {study.name}", *values, f"{split}, runs: {len(measured)}")
