"""What a width costs in faithfulness and accuracy: differences to 8 bits in one seed and lambda1, with intervals."""

import numpy as np
import pandas as pd
from scipy import stats

from tests.benchmarks.reliability.models import configurations

AGAINST = 8
NINE = list(configurations())[:9]


def width_costs(rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Return mean difference and half width of the 95 % interval, for each removal and width, and for accuracy.

    Only the nine configurations of equal widths; gradient maps, 100 images, last weights. The interval is Student's t
    over seeds, for these values of lambda1: the variance is that within a lambda1.

    Args:
        rows: see `scores.rows`.
        kind: "soft" or "hard".
    """
    some = rows[(rows["number"] < len(NINE)) & (rows["kind"] == kind) & (rows["images"] == 100)]
    some = some[(some["attribution"] == "gradient") & (some["weights"] == "last")]
    some = some.assign(**{name: [NINE[n][name] for n in some["number"]] for name in ("bits", "lambda1")})
    table = some.pivot_table(index=["lambda1", "seed", "bits"], columns="removal", values="score")
    table = table.dropna(axis=1)  # levers were measured on some of the seeds only
    table["accuracy"] = some.groupby(["lambda1", "seed", "bits"])["accuracy"].first()
    found = {}
    for bits in (2, 4):
        apart = (table.xs(bits, level="bits") - table.xs(AGAINST, level="bits")).dropna()
        groups = apart.groupby("lambda1")
        freedom = len(apart) - groups.ngroups
        variance = ((apart - groups.transform("mean")) ** 2).sum() / freedom
        half = stats.t.ppf(0.975, freedom) * np.sqrt(variance / len(apart))
        found[f"{bits} less {AGAINST} bits, {len(apart)} pairs"] = [
            f"{mean:+.3f} +- {h:.3f}" for mean, h in zip(apart.mean(), half, strict=True)
        ]
    return pd.DataFrame(found, index=list(table))
