"""The sets of decoded images in the cache: listed, and removed."""

import shutil
from pathlib import Path
from typing import NamedTuple

from study_common.errors import UserError
from trainables.data.images.cache_files import cache_folder, locked, read_checked
from trainables.data.images.decoded_files import FACTS_FILE


class CachedSet(NamedTuple):
    """The decoded images of one folder, at one size."""

    path: Path
    source: str
    """The folder that they were decoded from; "" if that is not known."""
    images: int
    bytes: int


def list_sets() -> list[CachedSet]:
    """Return all sets, those of earlier versions and damaged ones included, by path."""
    finished = _inside("[!.]*")  # a name with a dot is being written
    return [_describe(path) for path in finished if path.is_dir()]


def remove_sets() -> list[CachedSet]:
    """Remove all sets and what is known of the files of their folders; return what was removed.

    A process that has mapped a set keeps its pages; one that decodes a set is waited for.

    Raises:
        UserError: A file may not be removed.
    """
    removed = list_sets()
    try:
        for one in removed:
            with locked(one.path.with_name(f"{one.path.name}.lock"), f"decodes images into {one.path}"):
                shutil.rmtree(one.path)
        for path in _inside("*.json"):  # locks stay, since a process may hold one
            path.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot remove {error.filename}: {error.strerror}; change its permissions") from None
    return removed


def _inside(pattern: str) -> list[Path]:
    """Return what is in the folders of all versions, by path; what a link leads to is not ours."""
    folders = [path for path in cache_folder().glob("images-v*") if not path.is_symlink()]
    return sorted(path for folder in folders for path in folder.glob(pattern) if not path.is_symlink())


def _describe(path: Path) -> CachedSet:
    facts = read_checked(path / FACTS_FILE)
    known = isinstance(facts, dict)
    return CachedSet(
        path=path,
        source=facts.get("source", "") if known else "",
        images=sum(map(len, facts["parts"].values())) if known else 0,
        bytes=sum(file.stat().st_size for file in path.iterdir() if file.is_file()),
    )
