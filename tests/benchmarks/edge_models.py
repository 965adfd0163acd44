"""The models that `edge` exports: trained here on real images, each kept in a folder and used again."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from study_common import layout
from trainables import Config
from trainables.data import load, load_test
from trainables.training.run import epochs

FASHION_MNIST = "/usr/share/datasets/fashion-mnist"
"""Where Debian's dataset-fashion-mnist puts the files."""
SIDE = 64
CNN = {
    "all-2": {"bits": 2},
    "(4,2)": {"w_bits.conv1": 4, "w_bits.conv2": 2, "a_bits.conv2": 4, "a_bits.fc1": 2},
    "all-8": {"bits": 8},
    "mixed": {"bits.conv1": 8, "bits.conv2": 6, "bits.fc1": 3, "bits.fc2": 4},
}
"""Widths of the paper's CNN; (4,2) is (b1, b2) of paper B."""
NETWORKS = ("resnet18", "mobilenet_v3_small", "efficientnet_b0")
WIDTHS = {"8": {"bits": 8}, "4": {"bits": 4}}


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is trained and measured."""

    cnn_epochs: int
    network_epochs: int
    """Of the float model; a quantised one starts from it and trains half as long."""
    per_class: int
    """Training images of the class folders; those for testing are `tested`."""
    tested: int


QUICK = Effort(cnn_epochs=1, network_epochs=2, per_class=150, tested=100)
FULL = Effort(cnn_epochs=4, network_epochs=8, per_class=1000, tested=1000)


def pictures(folder: Path, effort: Effort) -> Path:
    """Write Fashion-MNIST as colour PNGs in class folders, with its own test images; return the folder."""
    root = folder / "pictures"
    done = root / "done"
    if done.exists():
        return root
    data = load("fashion_mnist", FASHION_MNIST)
    for part, split, count in (
        ("train", data.train, effort.per_class),
        ("test", load_test("fashion_mnist", FASHION_MNIST), effort.tested),
    ):
        for label, name in enumerate(data.class_names):
            place = root / part / name.replace("/", " ")
            place.mkdir(parents=True, exist_ok=True)
            chosen = split.images[split.labels == label][:count]
            for number, image in enumerate(chosen.numpy()):
                Image.fromarray(np.repeat(image[0][..., None], 3, -1)).save(place / f"{number:04d}.png")
    done.touch()
    return root


def train_all(folder: Path, effort: Effort, networks: tuple[str, ...]) -> dict[str, dict[str, Path]]:
    """Train what is missing of the CNN and of some `NETWORKS`; checkpoints by model and width, or under "float"."""
    images = {"dataset": "fashion_mnist", "data_dir": FASHION_MNIST}
    found = {"paper_cnn": _family(folder, "paper_cnn", images, CNN, effort.cnn_epochs)}
    images = {"dataset": "folder", "data_dir": str(pictures(folder, effort)), "image_size": SIDE}
    images |= {"batch_size": 32}  # of few images; small batches are more steps
    for model in networks:
        found[model] = _family(folder, model, images, WIDTHS, effort.network_epochs)
    return found


def _family(
    folder: Path, model: str, images: dict[str, object], widths: dict[str, dict[str, int]], count: int
) -> dict[str, Path]:
    """A float model, and one of each widths that starts from it."""
    plain = images | {"model": model, "lambda1": 0.0, "alpha_start": "percentile", "alpha_percentile": 99.9}
    start = _trained(folder / model / "float", plain | {"bits": 32}, count)
    after = plain | {"init": str(start), "lr": 5e-4}
    return {"float": start} | {
        name: _trained(folder / model / name, after | bits, max(1, count // 2))
        for name, bits in widths.items()
    }


def _trained(directory: Path, settings: dict[str, object], count: int) -> Path:
    """Train `count` epochs of a run of one more: the last of a run measures the maps, which takes longer than it."""
    done = directory / "done"
    if not done.exists():
        for epoch in epochs(Config.parse(settings | {"epochs": count + 1}), resume=directory):
            epoch.save(directory)
            print(f"{directory}: epoch {epoch.number} {epoch.seconds:.0f} s "
                  f"accuracy {epoch.metrics['accuracy']:.4f}", flush=True)  # fmt: skip
            if epoch.number >= count:
                break
        done.touch()
    return directory / layout.CHECKPOINT_FILE
