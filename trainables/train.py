"""`python -m trainables.train`: one SGT-PACT training run, without Ray."""

import argparse
import logging
from collections.abc import Sequence

from search_spaces.commands import Parser
from trainables import commands
from trainables.config import Config
from trainables.training import train


def main(argv: Sequence[str] | None = None) -> int:
    """Train and print a line an epoch, then the last metrics as JSON; the exit code."""
    parser = Parser("trainables.train", __doc__)
    parser.add_argument(
        "--set", type=commands.setting, action="append", default=[], metavar="KEY=VALUE", dest="settings",
        help=f"a setting: {', '.join(Config.names())}, bits, bits.LAYER, w_bits.LAYER, a_bits.LAYER",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=commands.folder, help="save here after every epoch, and go on from what is here"
    )
    return commands.run(run, parser, argv)


def run(arguments: argparse.Namespace) -> dict[str, float]:
    """Train as the arguments say; the metrics of the last epoch."""
    logging.basicConfig(format="%(message)s")
    metrics: dict[str, float] = {}
    for epoch in train(Config.parse(dict(arguments.settings)), resume=arguments.out):
        metrics = epoch.metrics
        if arguments.out:
            epoch.save(arguments.out)
        shown = ("accuracy", "loss", "kl", "faithfulness")
        figures = "  ".join(f"{name} {metrics[name]:.4f}" for name in shown if name in metrics)
        print(f"epoch {epoch.number}  {epoch.seconds:.1f} s  {figures}", flush=True)
    if not metrics:
        raise ValueError(f"the run in {arguments.out} is complete; give another --out")
    return metrics


if __name__ == "__main__":
    raise SystemExit(main())
