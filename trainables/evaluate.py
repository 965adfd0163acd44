"""`python -m trainables.evaluate`: the validation metrics of a checkpoint, measured anew."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from trainables import commands
from trainables.evaluation import evaluate, measure_faithfulness
from trainables.inputs import data_of, scale_of
from trainables.network import load_checkpoint
from trainables.training import run_costs


def main(argv: Sequence[str] | None = None) -> int:
    """Print the metrics as JSON; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m trainables.evaluate", description=__doc__)
    parser.add_argument("checkpoint", type=Path, help="a checkpoint.safetensors, wherever it was copied to")
    return commands.run(run, parser, argv)


def run(arguments: argparse.Namespace) -> dict[str, float]:
    """Measure what the run measured: equal to the recorded metrics, bit for bit, on the same machine."""
    model, config, _ = load_checkpoint(arguments.checkpoint)
    data = data_of(config)
    scale = scale_of(data, next(model.parameters()).device)
    return {
        **evaluate(model, data.validation, scale, config),
        **measure_faithfulness(model, data.validation, scale, config).metrics(),
        **run_costs(config),
    }


if __name__ == "__main__":
    raise SystemExit(main())
