"""MNIST and Fashion-MNIST in their released IDX files, used where they lie or else downloaded.

A file counts by the SHA-256 of its uncompressed content: plain or gzipped, by whatever compressor.
"""

import gzip
import hashlib
import os
import tempfile
import zlib
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from sys import stderr
from urllib.error import URLError

import numpy as np

from study_common.errors import UserError
from trainables.data.images.cache_files import cache_folder


@dataclass(frozen=True, kw_only=True)
class Release:
    """A data set of four IDX files."""

    title: str
    dataset: str
    """The name of torchvision's class, which downloads the files to <folder>/<class name>/raw."""
    digests: Mapping[str, str]
    """The SHA-256 of the content of each file."""


MAX_CONTENT_BYTES = 64 * 2**20
"""Size up to which the content of a file is read; the largest released one has 45 MiB."""

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}

RELEASES = {
    "mnist": Release(
        title="MNIST",
        dataset="MNIST",
        digests={
            "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
    ),
    "fashion_mnist": Release(
        title="Fashion-MNIST",
        dataset="FashionMNIST",
        digests={
            "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
    ),
}


def read(release: Release, split: str, data_dir: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Read the images and labels of a release.

    Args:
        release: One of `RELEASES`.
        split: "train" or "test".
        data_dir: The folder of the files, in which torchvision's layout is looked at too. None is the user's cache
            folder; torchvision downloads them there if it has none. A named folder is only read, because the name may
            come from a checkpoint that somebody sent.

    Returns:
        Images (n, 28, 28) and labels (n,), both uint8.

    Raises:
        UserError: The folder does not exist, a file is not the released one, or files cannot be found or downloaded.
    """
    if data_dir is not None and not data_dir.is_dir():
        raise UserError(f"no such folder: {data_dir}; name the folder of the {release.title} files")
    folder = data_dir or cache_folder()
    paths = [_find(folder, release, name) for name in FILES[split]]
    if None in paths and data_dir:
        raise UserError(
            f"{data_dir} has no {release.title} files; put {', '.join(release.digests)} there, plain or .gz, or leave "
            "data_dir out to have them downloaded into the cache folder"
        )
    if None in paths:
        _download(folder, release)
        paths = [_find(folder, release, name) for name in FILES[split]]
    images, labels = (_content(path, release) for path in paths if path)
    return (
        np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28),
        np.frombuffer(labels, np.uint8, offset=8),
    )


def _find(folder: Path, release: Release, name: str) -> Path | None:
    for parent in (folder, folder / release.dataset / "raw"):
        for path in (parent / name, parent / f"{name}.gz"):
            if path.is_file():
                return path
    return None


def _content(path: Path, release: Release) -> bytes:
    """Return the uncompressed content of a released file; UserError if it is anything else."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(MAX_CONTENT_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"cannot read {path}: {error}; fetch the file again") from None
    if len(content) > MAX_CONTENT_BYTES:
        raise UserError(
            f"{path} holds more than {MAX_CONTENT_BYTES >> 20} MiB, as no {release.title} file; fetch it again"
        )
    digest = hashlib.sha256(content).hexdigest()
    if digest == release.digests[path.name.removesuffix(".gz")]:
        return content
    for name, other in RELEASES.items():
        if other is not release and digest in other.digests.values():
            raise UserError(f"{path} belongs to {other.title}; ask for the data set {name}")
    raise UserError(
        f"{path} is truncated or not the {release.title} file of that name (its content has {len(content)} "
        f"bytes and the SHA-256 {digest[:16]}...); fetch it again"
    )


def _download(folder: Path, release: Release) -> None:
    """Let torchvision download a release into `folder`; nothing is left there if it fails."""
    from torchvision import datasets  # here, because importing it takes as long as importing torch

    target = folder / release.dataset / "raw"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as new, redirect_stdout(stderr):
            raw = Path(getattr(datasets, release.dataset)(new, download=True).raw_folder)
            target.mkdir(parents=True, exist_ok=True)
            for name in release.digests:
                os.replace(raw / name, target / name)
    except (OSError, RuntimeError, URLError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise UserError(
            f"{folder} has no {release.title} files and they cannot be downloaded ({reason}); put "
            f"{', '.join(release.digests)} there, plain or .gz, or ask for the data set fashion_mnist_small"
        ) from None
