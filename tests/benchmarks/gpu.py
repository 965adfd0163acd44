"""The training step on one GPU: its time, its share of the matrix peak, the CPU's losses, four trials that share it.

    python -m tests.benchmarks.gpu [--json FILE]

Rows for the CNN of paper B (28x28, batch 128) and resnet18 at 64x64 and 224x224 (batch 64), stepped in turn; each time
is a median over rounds of 10 steps between two synchronisations:

  plain                cross-entropy in bfloat16 by autocast, channels last
  reference+brevitas   SGT as its authors' algorithm reads, with Brevitas layers at 4 bits; needs the extra [bench]
  ours                 this project at 4 bits, lambda2 = 0, in its default precision

`share_of_peak` is the step's useful floating-point operations a second over those of a bfloat16 product of 4096 x 4096.
`cpu_difference` is the largest relative difference of the losses of 20 float32 steps from those of a CPU; asked: BOUND.
`quarter_over_row` is the time of four trials at once, `--gpus-per-trial 0.25`, over that of the four one after another.
Under eight minutes on one GPU; without a GPU it says so and ends with exit code 0.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import trainables
from tests.benchmarks.one_step import matrix_shapes, noise
from tests.benchmarks.train_step import brevitas_cnn, ours, reference
from trainables.data import batches
from trainables.models.catalogue import build
from trainables.training import run as run_module
from trainables.training.device import arranged
from trainables.training.run import Run

BOUND = 1e-3
SETUPS = (("paper_cnn", 28, 128), ("resnet18", 64, 64), ("resnet18", 224, 64))
ROUNDS, STEPS, PEAK = 7, 10, 4096
ROOT = Path(__file__).parents[2]


def main() -> None:
    """Measure everything and print it by name."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.gpu", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("no GPU is at hand: nothing was measured")
        return
    trainables.prepare_process()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        noise(Path(folder))
        for model, side, batch in SETUPS:
            found = steps(model, side, batch, folder)
            figures |= {f"{model} {side}x{side} {name}": value for name, value in found.items()}
    figures["cpu_difference"] = cpu_difference()
    figures["quarter_over_row"] = four_trials(0.25, 4) / four_trials(1.0, 1)
    print(torch.cuda.get_device_name())
    for name, value in figures.items():
        print(f"{name:44} {value:12.5g}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


def steps(model: str, side: int, batch: int, folder: str) -> dict[str, float]:
    """Milliseconds of each row's step, and the ratios."""
    channels = 1 if model == "paper_cnn" else 3
    X = arranged(torch.rand(batch, channels, side, side, device="cuda"))
    y = torch.randint(8, (batch,), device="cuda")
    data = {"dataset": "folder", "data_dir": folder, "image_size": side} if channels == 3 else {}
    network = (
        build(model, channels=channels, size=side, classes=10).cuda().to(memory_format=torch.channels_last)
    )
    shapes = list(matrix_shapes(network, X))
    a = torch.rand(PEAK, PEAK, device="cuda", dtype=torch.bfloat16)
    rows: dict[str, Callable[[], object]] = {
        "product": lambda: a @ a,
        "plain": plain(network, X, y),
        "ours": ours(X, y, model=model, **data),
    }
    if find_spec("brevitas"):
        rows["reference+brevitas"] = reference(in_brevitas(model).cuda(), X, y)
    milliseconds = timed(rows)
    useful = 7 * sum(2 * m * k * n for m, k, n in shapes)
    rate, peak = useful / milliseconds["ours"], 2 * PEAK**3 / milliseconds["product"]
    others = [row for row in rows if row not in ("ours", "product")]
    ratios = {f"ours_over_{row}": milliseconds["ours"] / milliseconds[row] for row in others}
    return (
        {f"{row}_ms": value for row, value in milliseconds.items()} | ratios | {"share_of_peak": rate / peak}
    )


def plain(model: nn.Module, X: Tensor, y: Tensor) -> Callable[[], object]:
    """Cross-entropy and fused Adam, bfloat16 by autocast."""
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)

    def step() -> None:
        optimizer.zero_grad()
        with torch.autocast("cuda", torch.bfloat16):
            loss = F.cross_entropy(model(X).float(), y)
        loss.backward()
        optimizer.step()

    return step


def in_brevitas(model: str) -> nn.Module:
    """The same network in Brevitas layers."""
    if model == "paper_cnn":
        return brevitas_cnn()
    from tests.benchmarks.resnet18_step import in_brevitas, resnet18

    return in_brevitas(resnet18())


def timed(rows: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Milliseconds of one step of each row, the rows in turn."""
    for step in rows.values():
        for _ in range(STEPS):
            step()
    seconds: dict[str, list[float]] = {name: [] for name in rows}
    for _ in range(ROUNDS):
        for name, step in rows.items():
            torch.cuda.synchronize()
            began = time.perf_counter()
            for _ in range(STEPS):
                step()
            torch.cuda.synchronize()
            seconds[name].append((time.perf_counter() - began) / STEPS)
    return {name: 1000 * statistics.median(values) for name, values in seconds.items()}


def cpu_difference() -> float:
    """The largest relative difference between the losses of the same 20 steps on both devices."""
    chosen = run_module.training_device  # type: ignore[attr-defined]
    losses = {}
    for device in ("cuda", "cpu"):
        run_module.training_device = lambda device=device: torch.device(device)  # type: ignore[attr-defined]
        run = Run(trainables.Config.parse({"bits": 4, "precision": "float32", "fill": "zero"}))
        run.model.train()
        fill = run.scale.fill("zero", torch.Generator())
        drawn = batches(run.images, 128, torch.Generator().manual_seed(0), drop_last=True)
        read = [
            run.step(arranged(run.scale(images)), y.to(run.device), fill)[-1]
            for _, (images, y) in zip(range(20), drawn, strict=False)
        ]
        losses[device] = torch.stack(read).cpu()
    run_module.training_device = chosen  # type: ignore[attr-defined]
    return ((losses["cuda"] - losses["cpu"]) / losses["cpu"]).abs().max().item()


def four_trials(share: float, workers: int) -> float:
    """Seconds of a study of four trials, each with that share of the GPU."""
    command = (
        f"-m study.launch --space uniform_bits --scheduler fifo --trials 4 --epochs 3 --workers {workers}"
    )
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, *command.split(), "--gpus-per-trial", str(share)],
            cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
