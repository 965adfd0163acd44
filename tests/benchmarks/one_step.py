"""A process that takes one training step each time it is asked; `train_step` starts one for each version of the code.

    python tests/benchmarks/one_step.py MODEL SIDE BATCH

It reads words from its input and answers each with a line of JSON: `step` with the CPU seconds of one step at 4 bits,
`products` with the floating-point operations a second of one bfloat16 product in the shape of each layer. The package
is the one on PYTHONPATH, and may be that of commit 179e111.
"""

import inspect
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

import trainables

try:
    from trainables.training.run import Run
except ImportError:  # as it was at 179e111
    from trainables.training import Run  # type: ignore[attr-defined]  # of an old checkout


def main() -> None:
    """Answer until the input ends."""
    model, side, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    trainables.prepare_process()
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        settings: dict[str, Any] = {}
        if model != "paper_cnn":
            noise(Path(folder, "images"))
            settings = {"dataset": "folder", "data_dir": f"{folder}/images", "image_size": side}
        run = Run(trainables.Config.parse({"model": model, "bits": 4, "batch_size": batch} | settings))
    channels = run.data.train.images.shape[1]
    X, y = torch.rand(batch, channels, side, side), torch.randint(8, (batch,))
    run.model.train()
    shapes = list(matrix_shapes(run.model, X))
    fill = run.scale.fill("uniform", torch.Generator().manual_seed(0))
    old = "number" in inspect.signature(run.step).parameters
    step = (lambda: run.step(X, y, fill, 1)) if old else (lambda: run.step(X, y, fill))  # type: ignore[call-arg]
    step(), step()
    products = [product(*shape) for shape in shapes]
    useful = 7 * sum(2 * m * k * n for m, k, n in shapes)  # 2 forwards, an input gradient, 2 full backwards
    print(json.dumps({"useful": useful}), flush=True)
    for word in sys.stdin:
        if word.strip() == "step":
            print(json.dumps(cpu_seconds(step)), flush=True)
        else:
            rates = [2 * m * k * n / cpu_seconds(f) for (m, k, n), f in zip(shapes, products, strict=True)]
            print(json.dumps(rates), flush=True)


def cpu_seconds(work: Callable[[], object]) -> float:
    """User and system time: the machine may be shared."""
    began = time.process_time()
    work()
    return time.process_time() - began


def matrix_shapes(model: nn.Module, X: Tensor) -> Iterator[tuple[int, int, int]]:
    """Each layer as one product of (m, k) and (k, n): its output pixels or images, its patch, its channels."""
    found: list[tuple[int, int, int]] = []

    def look(layer: nn.Module, _: Any, out: Tensor) -> None:
        weight = layer.weight
        assert isinstance(weight, Tensor)
        found.append((out.numel() // len(weight), weight[0].numel(), len(weight)))

    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(look) for layer in layers]
    with torch.no_grad():
        model(X)
    for hook in hooks:
        hook.remove()
    return iter(found)


def product(m: int, k: int, n: int) -> Callable[[], Tensor]:
    """The bfloat16 product of that shape, warmed up."""
    a, b = torch.rand(m, k).bfloat16(), torch.rand(n, k).bfloat16()
    torch.nn.functional.linear(a, b)
    return lambda: torch.nn.functional.linear(a, b)


def noise(folder: Path) -> None:
    """Write a few images of each of 8 classes: a run needs a data set, and its step is timed on X alone."""
    generator = np.random.default_rng(0)
    for number in range(24 * 8):
        path = folder / f"class {number % 8}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(path)


if __name__ == "__main__":
    main()
