"""Cost of one training step on resnet18 at 64x64 and 128x128, one thread: ours beside the reference style.

    python -m tests.benchmarks.resnet18_step [--json FILE] [--rounds 9] [--batch 64] [--sides 64,128]

Rows, turns and ratios are those of `train_step`; Brevitas quantises the same layers to 4 bits.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import brevitas.nn as qnn
import torch
import torchvision
from torch import Tensor, nn

from tests.benchmarks.one_step import noise
from tests.benchmarks.train_step import Timed, ours, plain, reference, tell
from trainables.training.process import prepare_process

CLASSES = 8


def main() -> None:
    """Run every row of each size in turn and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.resnet18_step", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--json", type=Path, help="write medians and ratios here")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--sides", default="64,128", help="of the images, in pixels (default: %(default)s)")
    arguments = parser.parse_args()
    prepare_process()
    torch.manual_seed(0)
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        noise(Path(folder))
        for side in map(int, arguments.sides.split(",")):
            X, y = torch.rand(arguments.batch, 3, side, side), torch.randint(CLASSES, (arguments.batch,))
            timed = Timed(rows(X, y, folder), arguments.rounds)
            found = timed.medians() | {
                "speedup_over_reference_brevitas": timed.ratio("reference+brevitas", "ours"),
                "speedup_over_reference_float": timed.ratio("reference", "ours"),
                "ours_over_plain": timed.ratio("ours", "plain"),
            }
            figures |= {f"{side}x{side} {name}": value for name, value in found.items()}
    tell(figures, arguments.json)


def rows(X: Tensor, y: Tensor, folder: str) -> dict[str, Callable[[], object]]:
    """One step of each kind on images X (n, 3, H, W)."""
    settings = {"dataset": "folder", "data_dir": folder, "image_size": X.shape[2], "model": "resnet18"}
    return {
        "plain": plain(resnet18(), X, y),
        "reference": reference(resnet18(), X, y),
        "reference+brevitas": reference(in_brevitas(resnet18()), X, y),
        "ours float32": ours(X, y, precision="float32", **settings),
        "ours": ours(X, y, **settings),
        "ours without quantisers": ours(X, y, **settings, bits=32),
    }


def resnet18() -> nn.Module:
    return torchvision.models.resnet18(num_classes=CLASSES)


def in_brevitas(model: nn.Module) -> nn.Module:
    """Put Brevitas layers of 4 bits, weights per channel, in place of the model's own."""
    width = {"weight_bit_width": 4, "weight_scaling_per_output_channel": True}
    for name, old in list(model.named_modules()):
        if isinstance(old, nn.Conv2d):
            new = qnn.QuantConv2d(
                old.in_channels,
                old.out_channels,
                old.kernel_size,
                old.stride,
                old.padding,
                bias=False,
                **width,
            )
        elif isinstance(old, nn.Linear):
            new = qnn.QuantLinear(old.in_features, old.out_features, bias=True, **width)
        elif isinstance(old, nn.ReLU):
            new = qnn.QuantReLU(bit_width=4)
        else:
            continue
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, new)
    return model


if __name__ == "__main__":
    main()
