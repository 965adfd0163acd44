"""Groups of images that belong together, such as those of one patient: by a pattern, and joined where they touch."""

import re
from collections.abc import Iterable, Sequence

import numpy as np

from study_common.errors import UserError
from trainables.data.listing.file_tree import printable
from trainables.data.listing.folder_listing import ListedImage


def with_groups(images: Sequence[ListedImage], pattern: str) -> tuple[ListedImage, ...]:
    """Return the images with the group that `pattern` finds in their paths.

    Args:
        images: Images without groups.
        pattern: A regular expression that is searched for in each path; the group is what its one pair of parentheses
            matches, or the whole match if it has none.

    Raises:
        UserError: The pattern is none, has several pairs of parentheses, does not match every path, or finds another
            group in each; or the images already have groups.
    """
    expression = compiled(pattern)
    if any(image.group for image in images):
        raise UserError("the images have groups in their file of labels; leave out --group")
    matches = [expression.search(image.file.path) for image in images]
    unmatched = [
        image.file.path for image, m in zip(images, matches, strict=True) if not (m and m[expression.groups])
    ]
    if unmatched:
        raise UserError(
            f"the group pattern {pattern} finds no group in {len(unmatched)} of {len(images)} paths, such as "
            f"{printable(unmatched[0])}; change it"
        )
    found = [match[expression.groups] for match in matches if match]
    if len(set(found)) == len(images) > 1:
        raise UserError(
            f"the group pattern {pattern} gives each of the {len(images)} images a group of its own, such as "
            f"{printable(found[0])}, which keeps none together; change it, or leave it out"
        )
    return tuple(image._replace(group=group) for image, group in zip(images, found, strict=True))


def compiled(pattern: str) -> re.Pattern[str]:
    """Read a pattern of groups.

    Raises:
        UserError: It is no regular expression, or has several pairs of parentheses.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UserError(f"the group pattern {pattern} is no regular expression: {error}") from None
    if expression.groups > 1:
        raise UserError(
            f"the group pattern {pattern} has {expression.groups} pairs of parentheses; keep one, or write (?:...)"
        )
    return expression


def joined(count: int, pairs: Iterable[tuple[int, int]]) -> np.ndarray:
    """Return the group of each of `count` items, where the items of a pair are in one group.

    Returns:
        (count,) the smallest item of each item's group.

    >>> joined(5, [(4, 2), (0, 4)]).tolist()
    [0, 1, 0, 3, 0]
    """
    parents = list(range(count))

    def root(item: int) -> int:
        while parents[item] != item:
            parents[item] = parents[parents[item]]
            item = parents[item]
        return item

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        parents[high] = low
    return np.array([root(item) for item in range(count)], int)
