"""The files of a run whose worker is on a machine that does not see the study: a keeper on the driver's has them.

Such a worker trains in a temporary folder. It gets the files of the run from the keeper, and hands back what each
epoch changed; the driver hears of an epoch when the keeper has it on disk. Ray carries the files.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from study.execution import run_folder
from study.store.lease import is_current
from study_common import digests, layout
from study_common.files import refuse_links, replacing
from study_common.locks import fcntl

NAME = "study-keeper"
"""Of the actor, in the namespace of its driver."""
AT_A_TIME = 8
"""Calls that a keeper answers at the same time: each has the files of one run in memory."""
PREFIX = "study-run-"
"""Of the temporary folders of workers."""
NEW_S = 60.0
"""Age in seconds from which a temporary folder without a lock was left by a worker that was killed."""
_MADE_THERE = (layout.DIGESTS_FILE, layout.PREVIOUS_FILE)
"""Files that the keeper makes by itself, as a worker does, when it writes the others."""


class Keeper:
    """Reads and writes the folders of runs, on the machine of the driver."""

    def begin(
        self, directory: Path, study: Path, flat: Mapping[str, Any], data: str
    ) -> tuple[str, dict[str, bytes]]:
        """Prepare the folder of a run, and return a notice for the user and its files; arguments as of a `Job`.

        Raises:
            UserError: The folder, or something in it, is a link.
        """
        notice = run_folder.begin(directory, study, flat, data)
        return notice, {file.name: file.read_bytes() for file in _files(directory)}

    def read(self, path: Path) -> bytes:
        """Return the content of a file of the study."""
        return path.read_bytes()

    def write(
        self,
        directory: Path,
        study: Path,
        token: str,
        changed: Mapping[str, bytes],
        sealed: Sequence[str],
        gone: Sequence[str],
    ) -> bool:
        """Do to the folder of a run what its worker did to a copy, in the order of `trainables`' `Run.save`.

        Args:
            directory: The folder.
            study: The directory of the study.
            token: That of the lease of the worker's driver.
            changed: The contents of the files that are new or changed, by name.
            sealed: Names of files that have a digest.
            gone: Names of files that were removed.

        Returns:
            False, and nothing is written, if another driver has the study by now.
        """
        if not is_current(study, token):
            return False
        refuse_links(directory, study)
        for name in sorted(changed, key=lambda name: (name == layout.CURVE_FILE, name)):
            if name != layout.RESUME_FILE:
                _replace(directory / name, changed[name], name in sealed)
        for name in gone:
            (directory / name).unlink(missing_ok=True)
        if layout.RESUME_FILE in changed:
            newest = directory / layout.RESUME_FILE
            if newest.exists():
                newest.replace(directory / layout.PREVIOUS_FILE)
            _replace(newest, changed[layout.RESUME_FILE], sealed=False)
        return True


def _files(folder: Path) -> list[Path]:
    """Return the files of a run, without temporary ones."""
    return [file for file in folder.iterdir() if file.is_file() and not file.name.startswith(".")]


def _replace(path: Path, content: bytes, sealed: bool) -> None:
    with (digests.sealed if sealed else replacing)(path) as part, part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def start() -> Any:
    """Start a keeper on this machine, for all workers of this driver; it lives as long as the handle."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    options = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1, "max_concurrency": AT_A_TIME}
    actor = ray.remote(**options)(Keeper)  # type: ignore[call-overload]
    return actor.options(name=NAME, get_if_exists=True, scheduling_strategy=here).remote()


def there_is_one() -> bool:
    """Tell whether the driver of this worker has a keeper."""
    if not ray.is_initialized():
        return False
    try:
        ray.get_actor(NAME)
    except ValueError:
        return False
    return True


def ask(method: str, *arguments: Any) -> Any:
    """Return what a method of the keeper returns, or raise what it raises; RayError if it cannot be asked."""
    try:
        keeper = ray.get_actor(NAME)
    except ValueError:
        raise RayError("the keeper of the driver is gone") from None
    try:
        return ray.get(getattr(keeper, method).remote(*arguments))
    except RayTaskError as error:
        raise error.cause from None


@contextmanager
def with_start(flat: Mapping[str, Any], study: Path) -> Iterator[dict[str, Any]]:
    """Yield `flat` with a copy of the model of --init, if that is in the directory of the study."""
    start = str(flat.get("init", ""))
    if not Path(start).is_relative_to(study):
        yield dict(flat)
        return
    with temporary_folder("start") as folder:
        copy = folder / Path(start).name
        copy.write_bytes(ask("read", Path(start)))
        yield {**flat, "init": str(copy)}


class Copy:
    """A copy of the folder of a run, and which of its files the keeper has."""

    def __init__(
        self, directory: Path, study: Path, token: str, files: Mapping[str, bytes], folder: Path
    ) -> None:
        """Make it in `folder`, of the `files` that the keeper returned; other arguments as of `Keeper.write`."""
        self.directory = folder
        self._there = (directory, study, token)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        self._known = self._seen()

    def hand_back(self) -> bool:
        """Let the keeper write what changed since the last time; False if another driver has the study by now."""
        seen = self._seen()
        changed = {name for name, state in seen.items() if self._known.get(name) != state}
        gone = [name for name in self._known if name not in seen]
        self._known = seen
        if not changed and not gone:
            return True
        contents = {name: (self.directory / name).read_bytes() for name in changed.difference(_MADE_THERE)}
        return bool(ask("write", *self._there, contents, digests.names(self.directory), gone))

    def _seen(self) -> dict[str, tuple[int, int, int]]:
        stats = {file.name: file.stat() for file in _files(self.directory)}
        return {name: (about.st_ino, about.st_size, about.st_mtime_ns) for name, about in stats.items()}


@contextmanager
def temporary_folder(name: str) -> Iterator[Path]:
    """Make a folder of that name which ends with the block; those of workers that were killed are removed."""
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            if time.time() - left.lstat().st_mtime > NEW_S:  # one that was just made has no lock yet
                with _locked(left):
                    shutil.rmtree(left)
    with tempfile.TemporaryDirectory(prefix=PREFIX) as parent, _locked(Path(parent)):
        folder = Path(parent) / name
        folder.mkdir()
        yield folder


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which ends with this process; OSError if another process has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
