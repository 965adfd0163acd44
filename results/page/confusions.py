"""Which classes a trial takes for which: ``trials/<number>/confusion.csv``, and what each class makes of it."""

import pandas as pd

from results.analysis.studies import Study
from study_common import layout


def confusion(study: Study, number: int) -> pd.DataFrame | None:
    """Return how many validation images of each class, a row, trial ``number`` took for each class, a column.

    None for a trial that is not complete, and for a file that was not copied or is damaged.
    """
    file = study.path / layout.TRIALS_DIR / str(number) / layout.CONFUSION_FILE
    try:
        table = pd.read_csv(file, index_col=0, keep_default_na=False)
        return pd.DataFrame(table.to_numpy(int), index=table.columns, columns=table.columns)
    except (OSError, ValueError):
        return None


def by_class(matrix: pd.DataFrame) -> pd.DataFrame:
    """Return images, sensitivity and specificity of each class against all others; NaN where none can be wrong.

    >>> by_class(pd.DataFrame([[3, 1], [0, 4]], index=["polyp", "normal"]))
            images  sensitivity  specificity
    polyp        4         0.75         1.00
    normal       4         1.00         0.75
    """
    counts = matrix.to_numpy()
    total, right, images = counts.sum(), counts.diagonal(), counts.sum(1)
    wrongly = counts.sum(0) - right
    rows = pd.DataFrame({"images": images}, index=matrix.index)
    rows["sensitivity"] = right / rows["images"]
    rows["specificity"] = 1 - wrongly / (total - rows["images"])
    return rows
