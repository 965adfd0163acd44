"""`python -m trainables.train`: one SGT-PACT training run, without Ray."""

import argparse
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from study_common import layout
from study_common.commands import Parser
from study_common.errors import UserError
from trainables.training import command_line
from trainables.training.checkpoint import read
from trainables.training.config import Config
from trainables.training.run import train


def main(argv: Sequence[str] | None = None) -> int:
    """Train and print a line an epoch, then the last metrics as JSON; the exit code."""
    parser = Parser("trainables.train", __doc__)
    parser.add_argument(
        "--set", type=command_line.setting, action="append", default=[], metavar="KEY=VALUE", dest="settings",
        help=f"a setting: {', '.join(Config.names())}, bits, bits.LAYER, w_bits.LAYER, a_bits.LAYER",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=command_line.folder, help="save here after every epoch, and go on from what is here"
    )
    return command_line.run(run, parser, argv)


def run(arguments: argparse.Namespace) -> dict[str, float]:
    """Train as the arguments say; the metrics of the last epoch."""
    logging.basicConfig(format="%(message)s")
    config = Config.parse(dict(arguments.settings))
    if config.data_dir:
        config = replace(config, data_dir=str(Path(config.data_dir).resolve()))
    if arguments.out:
        _check(arguments.out, config)
    for epoch in train(config, resume=arguments.out):
        metrics = epoch.metrics
        if arguments.out:
            epoch.save(arguments.out)
        shown = ("accuracy", "loss", "kl", "faithfulness")
        figures = "  ".join(f"{name} {metrics[name]:.4f}" for name in shown if name in metrics)
        print(f"epoch {epoch.number}  {epoch.seconds:.1f} s  {figures}", flush=True)
    return metrics


def _check(out: Path, config: Config) -> None:
    """Raise ValueError if the folder holds a complete run, or one of other settings.

    A complete one has the last epoch in its curve and no resume files: saving ends with that.
    """
    if not (out / layout.CHECKPOINT_FILE).exists():
        return
    if other := config.unlike(read(out / layout.CHECKPOINT_FILE)[1]["config"]):
        raise UserError(f"{out} holds a run of other settings ({', '.join(other)}); give another --out")
    half_saved = any((out / name).exists() for name in (layout.RESUME_FILE, layout.PREVIOUS_FILE))
    curve = out / layout.CURVE_FILE
    if curve.exists() and pd.read_csv(curve)["epoch"].max() == config.epochs and not half_saved:
        raise UserError(f"the run in {out} is complete; give another --out")


if __name__ == "__main__":
    raise SystemExit(main())
