"""What whole levels cost: the CNN of paper B with `lsq`, whose levels below 8 bits are halves, and `lsq_integer`.

    python -m tests.benchmarks.integer_levels [--quick] [--json FILE] [--seeds 3] [--epochs 1]

Fashion-MNIST, with --quick the embedded part of it, weights and inputs of 2, 3 and 4 bits, lambda1 0, random starts,
the same seeds for both; validation images. A difference is the mean over the seeds of `lsq_integer` minus `lsq`, with
its standard error. `--quick --seeds 6 --epochs 3` takes ten minutes of one core, the default a quarter of an hour.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from tests.benchmarks.edge_models import FASHION_MNIST
from trainables import Config
from trainables.training.evaluation import evaluate
from trainables.training.process import prepare_process
from trainables.training.run import Run

BITS = (2, 3, 4)
SHOWN = ("accuracy", "loss")


def main() -> None:
    """Train every pair and print the differences."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.integer_levels", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--json", type=Path, help="keep the metrics of each run here, and go on from them")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="on the 5,000 embedded images")
    arguments = parser.parse_args()
    prepare_process()
    file = arguments.json
    images = {"dataset": "fashion_mnist_small" if arguments.quick else "fashion_mnist"}
    images |= {} if arguments.quick else {"data_dir": FASHION_MNIST}
    known = json.loads(file.read_text()) if file and file.exists() else {}
    for seed in range(arguments.seeds):
        for bits in BITS:
            for quantiser in ("lsq", "lsq_integer"):
                name = f"{bits} {quantiser} {seed}"
                if name not in known:
                    known[name] = trained(images, bits, quantiser, seed, arguments.epochs)
                    print(name, known[name], flush=True)
                    if file:
                        file.write_text(json.dumps(known, indent=2))
    for bits in BITS:
        for metric in SHOWN:
            halves, whole = (
                np.array([known[f"{bits} {quantiser} {seed}"][metric] for seed in range(arguments.seeds)])
                for quantiser in ("lsq", "lsq_integer")
            )
            difference = whole - halves
            error = difference.std(ddof=1) / len(difference) ** 0.5
            print(f"{bits} bits  {metric:8}  lsq {halves.mean():.4f}  lsq_integer {whole.mean():.4f}  "
                  f"difference {difference.mean():+.4f} ± {error:.4f}")  # fmt: skip


def trained(images: dict[str, str], bits: int, quantiser: str, seed: int, count: int) -> dict[str, float]:
    """The metrics at the end of one run, without those of its maps, which take longer than an epoch."""
    settings = images | {"lambda1": 0.0, "epochs": count, "bits": bits}
    config = Config.parse(settings | {"weight_quantiser": quantiser, "seed": seed})
    run = Run(config)
    for number in range(1, count + 1):
        run.epoch(number)
    metrics = evaluate(run.model, run.data.validation, run.scale, config).metrics
    return {name: metrics[name] for name in SHOWN}


if __name__ == "__main__":
    main()
