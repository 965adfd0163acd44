"""Data sets: the real images, as released, split as stated, and every wrong file refused."""

import gzip
import hashlib
import shutil
import struct
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.datasets import MNIST, FashionMNIST

from study_common.errors import UserError
from trainables.data import NAMES, cut_fashion_mnist_small, load, load_test
from trainables.data.dataset import EMBEDDED
from trainables.data.mnist_files import FILES
from trainables.data.splits import stratified

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
needs_debian = pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs Debian's dataset-fashion-mnist")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The four official files uncompressed, in torchvision's layout."""
    raw = tmp_path_factory.mktemp("data") / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for path in DEBIAN.glob("*.gz"):
        (raw / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    return raw


def counts(labels):
    return torch.bincount(labels, minlength=10).tolist()


def test_the_embedded_set_is_stratified_and_held_apart():
    data, test = load("fashion_mnist_small"), load_test("fashion_mnist_small")
    assert [counts(part.labels) for part in (data.train, data.validation, test)] == [
        [500] * 10,
        [100] * 10,
        [100] * 10,
    ]
    assert data.train.images.dtype == torch.uint8
    assert data.train.images.shape == (5000, 1, 28, 28)
    assert (data.validation.labels.dtype, len(data.class_names)) == (torch.int64, 10)
    places = [np.load(EMBEDDED / f"{split}.npz")["indices"] for split in ("train", "validation")]
    assert np.unique(np.concatenate(places)).size == 6000


def test_mean_and_std_are_those_of_the_training_pixels():
    data = load("fashion_mnist_small")
    pixels = data.train.images.double() / 255
    assert data.mean == pytest.approx([pixels.mean().item()])
    assert data.std == pytest.approx([pixels.std(correction=0).item()])


def test_the_fingerprint_is_that_of_the_content():
    assert load("fashion_mnist_small").fingerprint == "2e6219148b4faf6b"


@needs_debian
def test_the_embedded_images_are_the_official_ones_at_their_places(plain):
    for split, official in (("train", True), ("validation", True), ("test", False)):
        oracle = FashionMNIST(plain.parent.parent, train=official)
        with np.load(EMBEDDED / f"{split}.npz") as arrays:
            places = arrays["indices"].astype(int)
            assert np.array_equal(oracle.data[places], arrays["images"])
            assert np.array_equal(oracle.targets[places], arrays["labels"])


@needs_debian
def test_the_script_cuts_the_embedded_set_again(tmp_path):
    assert cut_fashion_mnist_small.main([str(DEBIAN), "--out", str(tmp_path)]) == 0
    for split in ("train", "validation", "test"):
        with np.load(EMBEDDED / f"{split}.npz") as old, np.load(tmp_path / f"{split}.npz") as new:
            assert all(np.array_equal(old[key], new[key]) for key in ("images", "labels", "indices"))


@needs_debian
def test_plain_and_gzipped_files_in_both_layouts_are_the_same_data(plain, tmp_path):
    for path in plain.iterdir():  # gzipped anew: other bytes than Debian's, the same content
        (tmp_path / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), compresslevel=1))
    sources = [DEBIAN, plain, plain.parent.parent, tmp_path]
    datas = [load("fashion_mnist", source) for source in sources]
    assert len({data.fingerprint for data in datas}) == 1
    assert torch.equal(*(load_test("fashion_mnist", source).images for source in sources[:2]))


@needs_debian
def test_validation_is_5000_stratified_training_images(plain):
    data, oracle = load("fashion_mnist", DEBIAN), FashionMNIST(plain.parent.parent)
    assert counts(data.train.labels) == [5500] * 10
    assert counts(data.validation.labels) == [500] * 10
    chosen = stratified(oracle.targets, 5000)
    rest = np.setdiff1d(np.arange(60000), chosen)
    assert torch.equal(data.validation.images[:, 0], oracle.data[chosen])
    assert torch.equal(data.train.images[:, 0], oracle.data[rest])
    assert torch.equal(data.train.labels, oracle.targets[rest])


@given(st.lists(st.integers(0, 4), max_size=60), st.data())
def test_stratified_shares_are_within_one_image(labels, data):
    count = data.draw(st.integers(0, len(labels)))
    chosen = stratified(labels, count)
    assert chosen.size == count
    assert np.array_equal(chosen, np.unique(chosen))
    assert np.array_equal(chosen, stratified(labels, count))
    some = stratified(labels, count, least=1)
    assert set(some) >= set(chosen)
    assert set(np.asarray(labels)[some]) == set(labels)
    assert len(some) == count or len(set(np.asarray(labels)[chosen])) < len(set(labels))
    for label in set(labels):
        share = labels.count(label) * count / len(labels)
        assert abs(sum(labels[index] == label for index in chosen) - share) < 1


def refused(name, folder):
    with pytest.raises(UserError, match=r".") as info:
        load(name, folder)
    assert "\n" not in str(info.value)
    return str(info.value)


def test_the_embedded_set_reads_no_folder(tmp_path):
    assert "comes with the package and does not read" in refused("fashion_mnist_small", tmp_path)
    with pytest.raises(UserError, match="leave data_dir out"):
        load_test("fashion_mnist_small", tmp_path)


def test_an_unknown_data_set_names_the_nearest():
    assert "unknown dataset 'fashion-mnist'; the nearest is 'fashion_mnist'" in refused("fashion-mnist", None)
    assert all(name in refused("?", None) for name in NAMES)


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
    said = refused("mnist", tmp_path)
    assert said.startswith(f"{tmp_path} has no MNIST files and they cannot be downloaded")
    assert "t10k-labels-idx1-ubyte there, plain or .gz" in said
    assert not list(tmp_path.iterdir())


@needs_debian
def test_missing_files_are_downloaded(tmp_path, monkeypatch):
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
        data = load("fashion_mnist", tmp_path)
        server.shutdown()
    assert data.fingerprint == load("fashion_mnist", DEBIAN).fingerprint
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == sorted(
        name for names in FILES.values() for name in names
    )


def test_the_script_says_in_one_line_that_files_are_missing(tmp_path, capsys):
    assert cut_fashion_mnist_small.main([str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
