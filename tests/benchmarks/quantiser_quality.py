"""Agreement of a quantised model with its float model after calibration alone: the share of images of the same class.

    python -m trainables.train --set dataset=folder --set data_dir=DIR --set model=mobilenet_v3_small \
        --set bits=32 --set lambda1=0 --set epochs=3 --set batch_size=64 --set lr=2e-3 --set image_size=64 --out FLOAT
    python -m tests.benchmarks.quantiser_quality FLOAT/checkpoint.safetensors

One line per width and start of alpha; all layers, weights by LSQ, on the validation images.
"""

import argparse
import dataclasses
from pathlib import Path

import torch

from trainables.training.config import Config
from trainables.training.inputs import data_of, scale_of
from trainables.training.network import load_checkpoint
from trainables.training.process import prepare_process
from trainables.training.run import Run

STARTS = {"percentile": 99.9, "mse": 100.0}


def main() -> None:
    """Calibrate at 8 and 4 bits by each start, and print the agreement."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.quantiser_quality", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="of a float model")
    path = parser.parse_args().checkpoint
    prepare_process()
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


if __name__ == "__main__":
    main()
