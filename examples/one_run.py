"""One SGT-PACT training run in Python, and what its configuration costs before it is trained.

python examples/one_run.py [--epochs 2] [--out DIR]
"""

import argparse
from pathlib import Path

import trainables


def main() -> None:
    """Train a mixed-precision network on the embedded images and print each epoch."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--out", type=Path, help="save each epoch here")
    arguments = parser.parse_args()
    settings = {"bits.conv1": 4, "bits.conv2": 2, "bits.fc1": 2, "bits.fc2": 8, "lambda1": 0.2}
    config = trainables.Config.parse({**settings, "epochs": arguments.epochs})
    costs = trainables.costs(config)
    print(f"{costs['bops']:,} bit-operations, {costs['size_bytes']:,} bytes")
    for epoch in trainables.epochs(config):
        faithfulness = epoch.metrics.get("faithfulness")
        shown = "" if faithfulness is None else f", faithfulness {faithfulness:.3f}"
        print(f"epoch {epoch.number}: accuracy {epoch.metrics['accuracy']:.3f}{shown}")
        if arguments.out:
            epoch.save(arguments.out)


if __name__ == "__main__":
    main()
