"""Writing a file so that no reader ever sees half of it: beside its place, and then renamed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write to; it takes the place of `path` when the block ends without an error.

    >>> folder = getfixture("tmp_path")
    >>> with replacing(folder / "front.csv") as part:
    ...     _ = part.write_text("number")
    >>> [file.name for file in folder.iterdir()]
    ['front.csv']
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
