"""What became of the files of a study's images: counted by class and part, and by the reason of those not used."""

import re

import pandas as pd

PARTS = ("train", "validation", "test")
_LIKE = re.compile(r"looks like .*")
_COPY = re.compile(r"the same image as .*?(, of another class)?")


def by_class(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the images of each class (row) in each part, those not used, and their sum.

    Args:
        rows: One per file: class, split and reason, "" where there is none.

    >>> rows = pd.DataFrame({"class": ["a", "a", "b", ""], "split": ["train", "", "test", ""]})
    >>> by_class(rows.assign(reason=""))
       train  validation  test  not used  found
    a      1           0     0         1      2
    b      0           0     1         0      1
    """
    images = rows[rows["class"] != ""]
    counts = pd.crosstab(images["class"], images["split"]).rename(columns={"": "not used"})
    counts = counts.reindex(columns=[*PARTS, "not used"], fill_value=0)
    return counts.assign(found=counts.sum(axis=1)).rename_axis(index=None, columns=None)


def by_group(rows: pd.DataFrame) -> tuple[int, int]:
    """Return how many groups the images in use are of, and how many of these lie in several parts, as none should.

    >>> rows = pd.DataFrame({"group": ["p1", "p1", "p2", "", "p3"], "split": ["train", "test", "test", "test", ""]})
    >>> by_group(rows)
    (2, 1)
    """
    used = rows[(rows["group"] != "") & (rows["split"] != "")]
    parts = used.groupby("group")["split"].nunique()
    return len(parts), int((parts > 1).sum())


def by_reason(rows: pd.DataFrame) -> pd.Series:
    """Return how many files share each reason, the most frequent first; what a file is like is left out of it.

    >>> reasons = ["hidden", "the same image as a/1.png", "the same image as a/2.png", "looks like b/1.png", ""]
    >>> by_reason(pd.DataFrame({"reason": reasons})).to_dict()
    {'the same image as another': 2, 'hidden': 1, 'used, and looks like one in another part': 1}
    """
    reasons = rows.loc[rows["reason"] != "", "reason"]
    kinds = reasons.map(kind)
    return kinds.value_counts(sort=False).sort_values(ascending=False, kind="stable").rename(None)


def kind(reason: str) -> str:
    """Return the reason of a file without the name of the other file in it."""
    if _LIKE.fullmatch(reason):
        return "used, and looks like one in another part"
    if match := _COPY.fullmatch(reason):
        return f"the same image as another{match[1] or ''}"
    return reason
