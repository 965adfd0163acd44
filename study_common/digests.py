"""Digests of the files that are read back: kept in `SHA256SUMS` beside them, and compared before they are believed.

`sha256sum -c SHA256SUMS` in the folder of a study or of a run checks the same.
"""

import hashlib
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from study_common import layout
from study_common.errors import UserError
from study_common.files import MAX_UNPACKED_BYTES, read_text, replacing

ATTEMPTS = 3
"""Readings of a file that does not agree: a driver may have written between that of the digest and that of the file."""


@contextmanager
def sealed(path: Path) -> Iterator[Path]:
    """Give a new file to write to, which takes the place of `path` as of `replacing`, and keep its digest.

    While the file is replaced, the digests of the old one and the new one both count: a crash at any moment leaves a
    file that agrees with its digest.

    >>> folder = getfixture("tmp_path")
    >>> with sealed(folder / "curve.csv") as part:
    ...     _ = part.write_text("epoch")
    >>> check(folder / "curve.csv")
    >>> _ = (folder / "curve.csv").write_text("epoch,loss")
    >>> check(folder / "curve.csv")
    Traceback (most recent call last):
    ValueError: it was altered since it was written
    """
    with replacing(path) as part:
        yield part
        known, digest = _known(path.parent), _digest(part)
        old = known.get(path.name, [])
        _keep(path.parent, {**known, path.name: [*old, digest]})
    if old:
        _keep(path.parent, {**known, path.name: [digest]})


def seal(path: Path) -> None:
    """Keep the digest of a file that was written without `sealed`."""
    _keep(path.parent, {**_known(path.parent), path.name: [_digest(path)]})


def names(folder: Path) -> list[str]:
    """Return the names of the files of a folder that have a digest."""
    return list(_known(folder))


def check(path: Path) -> None:
    """Raise ValueError, without the path, unless the file agrees with its digest; OSError if it cannot be read."""
    digests: list[str] = []
    for _ in range(ATTEMPTS):
        digests = _known(path.parent).get(path.name, [])
        if _digest(path) in digests:
            return
    if digests:
        raise ValueError("it was altered since it was written")
    raise ValueError(f"its digest is not in {layout.DIGESTS_FILE}, which is copied with it")


def check_frozen(path: Path) -> None:
    """Raise UserError unless `study.toml` is as it was written: what a study was asked does not change."""
    try:
        check(path)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} is not what the study was launched with ({error}); restore it and {layout.DIGESTS_FILE} from a "
            "copy, or launch a new study with other options"
        ) from None


def of(path: Path) -> str:
    """Return the SHA-256 digest of a file of any size, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _known(folder: Path) -> dict[str, list[str]]:
    """Return the digests of the files of a folder by name; a line that is damaged counts for nothing."""
    try:
        lines = read_text(folder / layout.DIGESTS_FILE).splitlines()
    except (OSError, ValueError):
        return {}
    known: dict[str, list[str]] = {}
    for line in lines:
        digest, between, name = line.partition("  ")
        if between:
            known.setdefault(name, []).append(digest)
    return known


def _keep(folder: Path, digests: Mapping[str, list[str]]) -> None:
    lines = [f"{one}  {name}\n" for name, several in sorted(digests.items()) for one in several]
    with replacing(folder / layout.DIGESTS_FILE) as part:
        part.write_text("".join(lines), encoding="utf-8")


def _digest(path: Path) -> str:
    """Return the digest of a file.

    Raises:
        ValueError: It is no regular file, or larger than any that has a digest, which would take minutes.
    """
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):  # a pipe would wait for its writer
        raise ValueError("it is not a regular file")
    if about.st_size > MAX_UNPACKED_BYTES:
        raise ValueError(f"it is larger than {MAX_UNPACKED_BYTES >> 20} MiB")
    return of(path)
