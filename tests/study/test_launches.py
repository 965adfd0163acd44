"""Two launches at the same moment, as two users or a script do."""

from pathlib import Path

import pytest

from tests.benchmarks.launches import launch_pair


@pytest.mark.slow
def test_two_launches_at_once_without_a_name_both_complete(tmp_path: Path) -> None:
    """Both chose the same name before Ray started, and one of them ended with an error."""
    assert launch_pair(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mixed_bits-1", "mixed_bits-2"]
