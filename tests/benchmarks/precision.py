"""Accuracy of the default training step, in bfloat16 where the processor has it, beside the plain float32 path.

    python -m tests.benchmarks.precision [--json FILE] [--seeds 3] [--epochs 4]

On the embedded images at 4 bits; every seed is trained both ways for the same epochs. The validation split has 1,000
images, so one run's accuracy has a standard error of about 1.3 points.
"""

import argparse
import json
import math
import statistics
from pathlib import Path

import trainables


def main() -> None:
    """Train every seed in both precisions, print each pair and the mean difference."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.precision", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    arguments = parser.parse_args()
    trainables.prepare_process()
    differences = []
    for seed in range(arguments.seeds):
        fast, plain = (accuracy(p, seed, arguments.epochs) for p in ("bfloat16", "float32"))
        differences.append(fast - plain)
        print(f"seed {seed}: bfloat16 {fast:.2f} %, float32 {plain:.2f} %", flush=True)
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    print(f"bfloat16 - float32: {statistics.mean(differences):+.2f} +- {error:.2f} points")
    if arguments.json:
        figures = {"difference_points": statistics.mean(differences), "standard_error_points": error}
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


def accuracy(precision: str, seed: int, epochs: int) -> float:
    """Validation accuracy after the last epoch, in percent."""
    config = trainables.Config.parse({"precision": precision, "seed": seed, "epochs": epochs, "bits": 4})
    *_, last = trainables.epochs(config)
    return 100 * last.metrics["accuracy"]


if __name__ == "__main__":
    main()
