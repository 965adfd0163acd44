"""Digests beside files: what was written agrees, what was altered does not, and a crash leaves what agrees."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from study_common import digests, layout


def written(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        with digests.sealed(folder / name) as part:
            part.write_text(text)


def test_sha256sum_agrees(tmp_path: Path) -> None:
    written(tmp_path, one="a", two="b")
    written(tmp_path, one="c")
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", layout.DIGESTS_FILE],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["one: OK", "two: OK"]


@pytest.mark.parametrize("number", range(4))
def test_a_crash_at_any_step_leaves_a_file_that_agrees(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The steps are the renames: of the digests, of the file, and of the digests again."""
    written(tmp_path, curve="old")
    rename, left = Path.replace, iter(range(number))

    def replace(self: Path, target: Path) -> Path:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    try:
        written(tmp_path, curve="new")
    except KeyboardInterrupt:
        assert number < 3
    else:
        assert number == 3
    assert (tmp_path / "curve").read_text() == ("new" if number > 1 else "old")
    digests.check(tmp_path / "curve")


@pytest.mark.parametrize("damage", ["", "no digest\n", "\0" * 100, "e3b0  curve\n"])
def test_damaged_digests_agree_with_nothing(damage: str, tmp_path: Path) -> None:
    written(tmp_path, curve="text")
    (tmp_path / layout.DIGESTS_FILE).write_text(damage)
    with pytest.raises(ValueError, match=r"altered|its digest is not in SHA256SUMS"):
        digests.check(tmp_path / "curve")
    written(tmp_path, curve="text")
    digests.check(tmp_path / "curve")


def test_a_file_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    """An export hashed it three times, which took half a minute."""
    written(tmp_path, one="a")
    os.truncate(tmp_path / "one", 3 * 2**30)  # takes no room
    start = time.process_time()
    with pytest.raises(ValueError, match="it is larger than 512 MiB"):
        digests.check(tmp_path / "one")
    assert time.process_time() - start < 0.5


@pytest.mark.timeout(20)
def test_a_pipe_has_no_digest(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "curve.csv")
    with pytest.raises(ValueError, match="it is not a regular file"):
        digests.check(tmp_path / "curve.csv")
