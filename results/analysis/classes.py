"""Which classes a trial predicts for which, and how well it tells each of them."""

import pandas as pd

from results.analysis.run_files import RunFiles
from results.analysis.studies import Study


def confusion_matrix(study: Study, number: int) -> pd.DataFrame | None:
    """Return how many validation images of each class (row) trial `number` predicts as each class (column).

    None for a trial that is not complete, and for a file that was not copied or is damaged.
    """
    return RunFiles(study.path).confusion(number)


def class_metrics(matrix: pd.DataFrame) -> pd.DataFrame:
    """Return images, sensitivity and specificity of each class against all others.

    A share of no images is NaN.

    >>> class_metrics(pd.DataFrame([[3, 1], [0, 4]], index=["polyp", "normal"]))
            images  sensitivity  specificity
    polyp        4         0.75         1.00
    normal       4         1.00         0.75
    """
    counts = matrix.to_numpy()
    total, right, images = counts.sum(), counts.diagonal(), counts.sum(1)
    wrong = counts.sum(0) - right
    rows = pd.DataFrame({"images": images}, index=matrix.index)
    rows["sensitivity"] = right / rows["images"]
    rows["specificity"] = 1 - wrong / (total - rows["images"])
    return rows
