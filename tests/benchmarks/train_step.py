"""Cost of one training step on the CNN of paper B, batch 128, one thread: ours beside the reference style.

    python -m tests.benchmarks.train_step [--json FILE] [--rounds 11]

Every row is stepped once a round, in turn, so that a change of the machine's speed meets all of them; figures are
medians over the rounds, and ratios are medians of the ratios within a round.

  gemm                 the machine's float32 matrix product
  plain                float32 cross-entropy step
  reference            SGT in float32 as it is usually written: Captum's saliency apart, a full sort, separate forwards
  reference+brevitas   the same with Brevitas layers, 4-bit weights and activations; left out without the extra [bench]
  ours float32         this project at 4 bits, lambda2 = 0
  ours                 the same in its default precision
  ... lambda2          the same with lambda2 > 0

Then, in CPU seconds, for this CNN and for resnet18 at 64x64: `step_over_179e111`, the step of that commit in a process
of its own, in turn with ours; and `useful_flops_over_bf16_peak`, the floating-point operations that a step needs over
those that the best bfloat16 product in the shape of one of the layers would do in its time. Under five minutes.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from captum.attr import Saliency
from torch import Tensor, nn

from tests.benchmarks.versions import compare, processor
from trainables import Config
from trainables.models.catalogue import PaperCNN
from trainables.training.process import prepare_process
from trainables.training.run import Run

BATCH = 128
FORWARD = 2 * 11_992_448 * BATCH  # floating-point operations of one forward pass
USEFUL = 7 * FORWARD  # two forwards, one input gradient, two full backwards


def main() -> None:
    """Run every row in turn and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.train_step", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--json", type=Path, help="write medians and ratios here")
    parser.add_argument("--rounds", type=int, default=11)
    arguments = parser.parse_args()
    print(processor())
    prepare_process()
    torch.manual_seed(0)

    X, y = torch.rand(BATCH, 1, 28, 28), torch.randint(10, (BATCH,))
    rows: dict[str, Callable[[], object]] = {
        "gemm": gemm(),
        "plain": plain(PaperCNN(1, 28, 10), X, y),
        "reference": reference(PaperCNN(1, 28, 10), X, y),
        "ours float32": ours(X, y, precision="float32"),
        "ours": ours(X, y),
        "ours lambda2": ours(X, y, lambda2=1e-4),
        "ours float32 lambda2": ours(X, y, precision="float32", lambda2=1e-4),
    }
    if find_spec("brevitas"):
        rows["reference+brevitas"] = reference(brevitas_cnn(), X, y)
    timed = Timed(rows, arguments.rounds)
    figures = timed.medians() | {
        "speedup_over_reference_float": timed.ratio("reference", "ours"),
        "useful_flops_over_gemm_peak": USEFUL / GEMM * timed.ratio("gemm", "ours"),
        "lambda2_over_off": timed.ratio("ours lambda2", "ours"),
        "lambda2_over_off_float32": timed.ratio("ours float32 lambda2", "ours float32"),
    }
    if "reference+brevitas" in rows:
        figures["speedup_over_reference_brevitas"] = timed.ratio("reference+brevitas", "ours")
    figures |= compare("paper_cnn", 28, BATCH, 2 * arguments.rounds)
    figures |= compare("resnet18", 64, 64, arguments.rounds)
    tell(figures, arguments.json)


class Timed:
    """The seconds of every row, stepped in turn after two steps to warm up."""

    def __init__(self, rows: dict[str, Callable[[], object]], rounds: int) -> None:
        for step in rows.values():
            step(), step()
        self.seconds: dict[str, list[float]] = {name: [] for name in rows}
        for _ in range(rounds):
            for name, step in rows.items():
                began = time.perf_counter()
                step()
                self.seconds[name].append(time.perf_counter() - began)

    def medians(self) -> dict[str, float]:
        return {f"{name}_ms": 1000 * statistics.median(values) for name, values in self.seconds.items()}

    def ratio(self, a: str, b: str) -> float:
        """The median over the rounds of a's time over b's."""
        return statistics.median(x / z for x, z in zip(self.seconds[a], self.seconds[b], strict=True))


def tell(figures: dict[str, float], path: Path | None) -> None:
    """Print figures by name, and write them to a file if one is named."""
    for name, value in figures.items():
        print(f"{name:42} {value:10.2f}")
    if path:
        path.write_text(json.dumps(figures, indent=1) + "\n")


GEMM = 2 * 1024**3 * 4


def gemm() -> Callable[[], object]:
    """The machine's float32 matrix product: four of 1024 x 1024."""
    a, b = torch.rand(1024, 1024), torch.rand(1024, 1024)
    return lambda: [a @ b for _ in range(4)]


def plain(model: nn.Module, X: Tensor, y: Tensor) -> Callable[[], object]:
    """Cross-entropy and Adam, float32."""
    optimizer = torch.optim.Adam(model.parameters())

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(X), y).backward()
        optimizer.step()

    return step


def reference(model: nn.Module, X: Tensor, y: Tensor) -> Callable[[], object]:
    """SGT as its authors' algorithm reads: saliency first, sort, fill the lowest half, two forwards, one backward."""
    optimizer = torch.optim.Adam(model.parameters())
    saliency = Saliency(model)

    def step() -> None:
        maps = saliency.attribute(X.clone().requires_grad_(), target=y, abs=True)
        half = X[0, 0].numel() // 2
        order = maps.amax(1, keepdim=True).flatten(2).sort(2).indices[..., :half].expand(-1, X.shape[1], -1)
        masked = X.flatten(2).clone().scatter_(2, order, torch.rand(order.shape, device=X.device)).view_as(X)
        optimizer.zero_grad()
        o, o_masked = model(X), model(masked)
        kl = F.kl_div(o_masked.log_softmax(1), o.softmax(1), reduction="batchmean")
        (F.cross_entropy(o, y) + kl).backward()
        optimizer.step()

    return step


def brevitas_cnn() -> nn.Module:
    """The same CNN from Brevitas layers, 4-bit weights per channel and 4-bit activations."""
    import brevitas.nn as qnn

    class CNN(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            width = {"weight_bit_width": 4, "weight_scaling_per_output_channel": True}
            self.conv1, self.relu1 = qnn.QuantConv2d(1, 32, 3, **width), qnn.QuantReLU(bit_width=4)
            self.conv2, self.relu2 = qnn.QuantConv2d(32, 64, 3, **width), qnn.QuantReLU(bit_width=4)
            self.fc1, self.relu3 = qnn.QuantLinear(9216, 128, True, **width), qnn.QuantReLU(bit_width=4)
            self.fc2 = qnn.QuantLinear(128, 10, True, **width)

        def forward(self, x: Tensor) -> Tensor:
            x = self.relu1(self.conv1(x))
            x = self.relu2(F.max_pool2d(self.conv2(x), 2)).flatten(1)
            return self.fc2(self.relu3(self.fc1(x)))

    return CNN()


def ours(X: Tensor, y: Tensor, **settings: object) -> Callable[[], object]:
    """One step of this project at 4 bits, lambda1 = 1, half of the pixels masked."""
    run = Run(Config.parse({"bits": 4, "lambda1": 1.0, "mask_ratio": 0.5, "batch_size": len(X), **settings}))
    run.model.train()
    fill = run.scale.fill("uniform", torch.Generator(run.device).manual_seed(0))
    return lambda: run.step(X, y, fill)


if __name__ == "__main__":
    main()
