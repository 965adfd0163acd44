"""Each test has a cache of its own."""

import gzip

import pytest

from tests.make_kvasir import make
from tests.trainables.data.released import DEBIAN

SMALL = ((180, 144), (320, 256))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def kvasir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kvasir")
    make(folder, 10, SMALL)
    return folder


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """The four official files uncompressed, in torchvision's layout."""
    raw = tmp_path_factory.mktemp("data") / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for path in DEBIAN.glob("*.gz"):
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    return raw
