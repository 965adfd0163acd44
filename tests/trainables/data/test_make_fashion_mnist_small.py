"""The embedded images are the official ones, and the script makes them again."""

import numpy as np
from torchvision.datasets import FashionMNIST

from tests import make_fashion_mnist_small
from tests.trainables.data.released import DEBIAN, needs_debian
from trainables.data.dataset import EMBEDDED


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
    assert make_fashion_mnist_small.main([str(DEBIAN), "--out", str(tmp_path)]) == 0
    for split in ("train", "validation", "test"):
        with np.load(EMBEDDED / f"{split}.npz") as old, np.load(tmp_path / f"{split}.npz") as new:
            assert all(np.array_equal(old[key], new[key]) for key in ("images", "labels", "indices"))


def test_the_script_says_in_one_line_that_files_are_missing(tmp_path, capsys):
    assert make_fashion_mnist_small.main([str(tmp_path / "nowhere")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
