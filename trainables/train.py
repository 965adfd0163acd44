"""`python -m trainables.train`: one SGT-PACT training run, without Ray."""

import argparse
import csv
import logging
from collections.abc import Sequence
from pathlib import Path

from study_common import digests, layout
from study_common.commands import Parser
from study_common.errors import UserError, listed
from study_common.files import expanded, read_text, real
from trainables.training import command_line
from trainables.training.config import IMAGE_PLACES, Config


def main(argv: Sequence[str] | None = None) -> int:
    """Train and print one line per epoch, then the last metrics as JSON; the exit code."""
    parser = Parser("trainables.train", __doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = command_line.settings_help()
    parser.add_argument(
        "--set", type=command_line.setting, action="append", default=[], metavar="KEY=VALUE", dest="settings",
        help="a setting of the run, see below; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=command_line.folder, help="save here after every epoch, and go on from what is here"
    )
    return command_line.run(run, parser, argv)


def run(arguments: argparse.Namespace) -> dict[str, float]:
    """Train as the arguments say; the metrics of the last epoch."""
    from trainables.training.run import epochs

    logging.basicConfig(format="%(message)s")
    settings = dict(arguments.settings)
    for name in IMAGE_PLACES:
        if name in settings:
            settings[name] = str(real(expanded(settings[name])))
    config = Config.parse(settings)
    if arguments.out:
        _check(arguments.out, config)
    for epoch in epochs(config, resume=arguments.out):
        metrics = epoch.metrics
        if arguments.out:
            epoch.save(arguments.out)
        shown = ("accuracy", "loss", "kl", "faithfulness")
        figures = "  ".join(f"{name} {metrics[name]:.4f}" for name in shown if name in metrics)
        print(f"epoch {epoch.number}  {epoch.seconds:.1f} s  {figures}", flush=True)
    return metrics


def _check(out: Path, config: Config) -> None:
    """Raise UserError if the folder holds a complete run, or a run of other settings.

    A complete run has the last epoch in its curve and no resume files, which are removed at the end of the last save.
    """
    from trainables.training import checkpoint
    from trainables.training.description import check_begun

    if not (out / layout.CHECKPOINT_FILE).exists():
        return
    _, about = checkpoint.read(out / layout.CHECKPOINT_FILE)
    check_begun(out / layout.CHECKPOINT_FILE, about)
    if other := config.unlike(about["config"]):
        raise UserError(f"{out} holds a run of other settings ({listed(other)}); give another --out")
    half_saved = any((out / name).exists() for name in layout.RESUME_FILES)
    curve = out / layout.CURVE_FILE
    if not curve.exists() or half_saved:
        return
    try:
        *_, last = csv.DictReader(read_text(curve).splitlines())
        digests.check(curve)
    except (OSError, ValueError) as error:
        raise UserError(f"{curve} cannot be believed ({error}); give another --out") from None
    if int(last["epoch"]) == config.epochs:
        raise UserError(f"the run in {out} is complete; give another --out")


if __name__ == "__main__":
    raise SystemExit(main())
