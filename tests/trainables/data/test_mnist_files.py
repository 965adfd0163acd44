"""MNIST's files: plain or gzipped, where they lie or downloaded, and every wrong file refused."""

import gzip
import hashlib
import shutil
import struct
import tracemalloc
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import torch
from torchvision.datasets import MNIST, FashionMNIST

from tests.trainables.data.pictures import fresh, refused
from tests.trainables.data.released import DEBIAN, needs_debian
from trainables.data import load, load_test
from trainables.data.images.cache_files import cache_folder
from trainables.data.mnist_files import FILES


@needs_debian
def test_plain_and_gzipped_files_in_both_layouts_are_the_same_data(plain, tmp_path):
    for path in plain.iterdir():  # gzipped anew: other bytes than Debian's, the same content
        (tmp_path / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), compresslevel=1))
    sources = [DEBIAN, plain, plain.parent.parent, tmp_path]
    datas = [load("fashion_mnist", source) for source in sources]
    assert len({data.fingerprint for data in datas}) == 1
    assert torch.equal(*(load_test("fashion_mnist", source).images for source in sources[:2]))


@needs_debian
def test_wrong_files_are_refused_by_name(plain, tmp_path):
    for path in plain.iterdir():
        shutil.copy(path, tmp_path)
    images, labels = (tmp_path / f"train-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1"))
    assert f"{images} belongs to Fashion-MNIST; ask for the data set fashion_mnist" in refused(
        "mnist", tmp_path
    )
    shutil.copy(tmp_path / "t10k-labels-idx1-ubyte", labels)
    assert f"{labels} is truncated or not the Fashion-MNIST file" in refused("fashion_mnist", tmp_path)
    content = bytearray((plain / labels.name).read_bytes())
    content[-1] ^= 1
    labels.write_bytes(content)
    assert f"{labels} is truncated or not the Fashion-MNIST file" in refused("fashion_mnist", tmp_path)
    images.write_bytes(images.read_bytes()[:1000])
    assert f"{images} is truncated" in refused("fashion_mnist", tmp_path)
    images.unlink()
    packed = tmp_path / f"{images.name}.gz"
    packed.write_bytes((DEBIAN / packed.name).read_bytes()[:100_000])
    assert f"cannot read {packed}: Compressed file ended" in refused("fashion_mnist", tmp_path)
    packed.write_bytes(b"no gzip")
    assert f"cannot read {packed}: Not a gzipped file" in refused("fashion_mnist", tmp_path)
    packed.write_bytes(gzip.compress(b"")[:-8] + struct.pack("<II", 1, 1))
    assert f"cannot read {packed}" in refused("fashion_mnist", tmp_path)


def test_missing_files_and_no_network(tmp_path, monkeypatch):
    assert f"no such folder: {tmp_path}/nowhere" in refused("mnist", tmp_path / "nowhere")
    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])  # the discard port: nobody answers
    said = refused("mnist", None)
    cache = cache_folder()
    assert said.startswith(f"{cache} has no MNIST files and they cannot be downloaded")
    assert "t10k-labels-idx1-ubyte there, plain or .gz" in said
    assert not list(cache.iterdir())


def test_nothing_is_downloaded_into_a_folder_that_was_named(tmp_path, monkeypatch):
    """The name may come from a checkpoint that somebody sent."""

    def download(*_, **__):
        raise AssertionError("a download was tried")

    monkeypatch.setattr(MNIST, "download", download)
    said = refused("mnist", tmp_path)
    assert said.startswith(f"{tmp_path} has no MNIST files; put train-images-idx3-ubyte,")
    assert "leave data_dir out to have them downloaded" in said
    assert not list(tmp_path.iterdir())


@needs_debian
def test_missing_files_are_downloaded_into_the_cache(tmp_path, monkeypatch):
    """torchvision's own download, from a server on this machine that has Debian's files."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(DEBIAN))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        md5 = [
            (name, hashlib.md5((DEBIAN / name).read_bytes()).hexdigest())
            for name, _ in FashionMNIST.resources
        ]
        monkeypatch.setattr(FashionMNIST, "resources", md5)
        monkeypatch.setattr(FashionMNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
        data = fresh("fashion_mnist", None)
        server.shutdown()
    assert data.fingerprint == load("fashion_mnist", DEBIAN).fingerprint
    assert sorted(path.name for path in cache_folder().rglob("*") if path.is_file()) == sorted(
        name for names in FILES.values() for name in names
    )


def test_a_small_file_of_gigabytes_is_refused_before_it_is_unpacked(tmp_path):
    for files in FILES.values():
        for name in files:
            (tmp_path / name).touch()
    (bomb := tmp_path / "train-images-idx3-ubyte").unlink()
    member = gzip.compress(bytes(2**24), compresslevel=1)
    bomb.with_suffix(".gz").write_bytes(member * 60)
    tracemalloc.start()
    try:
        said = refused("mnist", tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 300 * 2**20
    finally:
        tracemalloc.stop()
    assert f"{bomb}.gz holds more than 64 MiB, as no MNIST file; fetch it again" in said
