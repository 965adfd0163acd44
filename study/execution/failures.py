"""Why trials failed: the reasons, grouped and counted."""

import re
from collections import Counter

_NUMBER = re.compile(r"\b[0-9a-f]{12,}\b|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
LONGEST = 160
"""Characters of a reason that are shown."""


class Failures:
    """Counts the errors of trials; those that differ only in numbers, or beyond the first line, are one."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, error: str) -> None:
        """Count the error of one trial."""
        first = error.strip().partition("\n")[0].partition("; config {")[0]
        shown = first if len(first) <= LONGEST else f"{first[:LONGEST]}..."
        kind = _NUMBER.sub("#", shown)
        self._counts[kind] += 1
        self._examples.setdefault(kind, shown)

    def lines(self) -> list[str]:
        """Return one line per reason, the most frequent first.

        >>> failures = Failures()
        >>> for error in ("epoch 1: loss is not finite", "OSError: no", "epoch 7: loss is not finite"):
        ...     failures.add(error)
        >>> failures.lines()
        ['2 x epoch 1: loss is not finite', '1 x OSError: no']
        """
        return [f"{count} x {self._examples[kind]}" for kind, count in self._counts.most_common()]

    def __len__(self) -> int:
        return self._counts.total()
