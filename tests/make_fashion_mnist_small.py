"""Make the embedded `fashion_mnist_small` again from the released Fashion-MNIST.

    python -m tests.make_fashion_mnist_small /usr/share/datasets/fashion-mnist

The folder is that of Debian's `dataset-fashion-mnist`; any copy of the four files gives the same images.
Each of train.npz, validation.npz and test.npz holds images (n, 28, 28) uint8, labels (n,) uint8 and indices
(n,) uint16 into the official training set (test: into the official test set).
"""

from pathlib import Path

import numpy as np

from study_common.commands import Parser, exit_code
from trainables.data import mnist_files
from trainables.data.dataset import EMBEDDED
from trainables.data.listing.splits import stratified

TRAIN, VALIDATION, TEST = 5000, 1000, 1000


def make(source: Path, target: Path) -> None:
    """Write train.npz, validation.npz and test.npz into `target` from the released files in `source`."""
    release = mnist_files.RELEASES["fashion_mnist"]
    images, labels = mnist_files.read(release, "train", source)
    both = stratified(labels, TRAIN + VALIDATION)
    held_out = stratified(labels[both], VALIDATION)
    _save(target / "train.npz", images, labels, np.delete(both, held_out))
    _save(target / "validation.npz", images, labels, both[held_out])
    images, labels = mnist_files.read(release, "test", source)
    _save(target / "test.npz", images, labels, stratified(labels, TEST))


def _save(path: Path, images: np.ndarray, labels: np.ndarray, indices: np.ndarray) -> None:
    np.savez_compressed(
        path, images=images[indices], labels=labels[indices], indices=indices.astype(np.uint16)
    )


def main(argv: list[str] | None = None) -> int:
    """Run the command; 2 if the files are missing or are not the released ones."""
    parser = Parser("tests.make_fashion_mnist_small", __doc__)
    parser.add_argument("source", type=Path, help="folder of the four released files, plain or .gz")
    parser.add_argument(
        "--out", type=Path, default=EMBEDDED, help="folder to write to (default: %(default)s)"
    )
    arguments = parser.parse_args(argv)
    return exit_code(lambda: make(arguments.source, arguments.out))


if __name__ == "__main__":
    raise SystemExit(main())
