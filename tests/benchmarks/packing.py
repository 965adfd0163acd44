"""CPU time and memory of the packed file of a large layer: python -m tests.benchmarks.packing [--json FILE]

31.5 million weights (a linear layer of 4,096 inputs) at 8 bits, written and read in a process of their own. Memory is
by how much the process grows at most, over the size of the weights in float32. Linux only.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from study_common.machine import peak_memory
from trainables.deployment import packed
from trainables.quantisation.quantisers import quantise
from trainables.training.config import Config
from trainables.training.inputs import DESCRIBED

INPUTS, OUTPUTS = 4096, 7690


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.packing")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("write", "read"):
            with multiprocessing.get_context("spawn").Pool(1) as alone:
                figures |= alone.apply(measured, (name, Path(folder, "model.packed")))
    for name, value in figures.items():
        print(f"{name:24} {value:8.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


def measured(name: str, path: Path) -> dict[str, float]:
    """The CPU seconds of one of both, and its memory over that of the weights."""
    work: Callable[[], object] = writing(path) if name == "write" else lambda: packed.read(path)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, began = peak_memory(), time.process_time()
    work()
    seconds = time.process_time() - began
    share = (peak_memory() - before) / (4 * INPUTS * OUTPUTS)
    return {
        f"{name}_cpu_s": seconds,
        f"{name}_memory_over_weights": share,
        "mebibytes": path.stat().st_size / 2**20,
    }


def writing(path: Path) -> Callable[[], object]:
    """Writes a model of the one layer."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(INPUTS, OUTPUTS, bias=False))
    quantise(model, w_bits={"0": 8}, a_bits={}, weight_quantiser="lsq", alpha=6.0, norms={})
    return lambda: packed.write(path, model, Config.parse({}), dict.fromkeys(DESCRIBED))


if __name__ == "__main__":
    main()
