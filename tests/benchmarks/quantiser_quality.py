"""What quantisation alone costs: agreement with the float model after calibration, and errors of weights.

    python -m trainables.train --set dataset=folder --set data_dir=DIR --set model=mobilenet_v3_small \
        --set bits=32 --set lambda1=0 --set epochs=3 --set batch_size=64 --set lr=2e-3 --set image_size=64 --out FLOAT
    python -m tests.benchmarks.quantiser_quality FLOAT/checkpoint.safetensors

One line per width and start of alpha; all layers, weights by LSQ, on the validation images.

    python -m tests.benchmarks.quantiser_quality

Without a checkpoint: the error of each weight quantiser right after its fit, with 0, 50 and 90 % of the weights zero.
"""

import argparse
import dataclasses
from pathlib import Path

import torch

from trainables.quantisation.quantisers import LSQ, Affine
from trainables.training.config import Config
from trainables.training.inputs import data_of, scale_of
from trainables.training.network import load_checkpoint
from trainables.training.process import prepare_process
from trainables.training.run import Run

STARTS = {"percentile": 99.9, "mse": 100.0}
CHANNELS, WEIGHTS = 64, 576
"""Of a convolution of 64 channels with 3x3 kernels; weights are normal, the smallest are set to 0."""


def main() -> None:
    """Print the agreement with a float model, or without one the errors on sparse weights."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.quantiser_quality", description=__doc__)
    parser.add_argument("checkpoint", type=Path, nargs="?", help="of a float model")
    path = parser.parse_args().checkpoint
    prepare_process()
    if path:
        print_agreement(path)
    else:
        print_sparse_errors()


def print_agreement(path: Path) -> None:
    """Calibrate at 8 and 4 bits by each start, and print the share of images of the same class."""
    model, config, _ = load_checkpoint(path)
    data = data_of(config)
    X = scale_of(data, torch.device("cpu"))(data.validation.images)
    with torch.no_grad():
        expected = model.eval()(X).argmax(1)
        for bits in (8, 4):
            for start, percentile in STARTS.items():
                settings = {"bits": bits, "alpha_start": start, "alpha_percentile": percentile, "epochs": 0}
                kept = {f.name: getattr(config, f.name) for f in dataclasses.fields(config)}
                flat = {name: value for name, value in kept.items() if name not in ("w_bits", "a_bits")}
                quantised = Run(Config.parse(flat | settings | {"init": str(path)})).model.eval()
                agreed = (quantised(X).argmax(1) == expected).double().mean().item()
                print(f"{config.model:20} {bits} bits  {start:10} same class {agreed:.3f}", flush=True)


def print_sparse_errors() -> None:
    """Prune normal weights by size, quantise them, and print the relative error and the share that is exactly zero."""
    for zeros in (0.0, 0.5, 0.9):
        w = torch.randn(CHANNELS, WEIGHTS, generator=torch.Generator().manual_seed(0))
        if zeros:
            w[w.abs() <= w.abs().quantile(zeros, dim=1, keepdim=True)] = 0.0
        for bits in (2, 4, 8):
            lsq = LSQ(bits, CHANNELS, w.dim())
            lsq.fit(w)
            for name, quantiser in (("lsq", lsq), ("affine", Affine(bits))):
                found = quantiser.encode(w).weight()
                error = ((found - w).norm() / w.norm()).item()
                kept = (found == 0).double().mean().item()
                print(
                    f"{zeros:4.0%} zero  {bits} bits  {name:6} error {error:.3f}  zero after {kept:4.0%}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
