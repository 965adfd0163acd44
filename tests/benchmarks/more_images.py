"""A table of learning curves with faithfulness measured on more images than a trial takes.

    python -m tests.benchmarks.more_images STUDY [STUDY ...] --of FILE --images N --table FILE

The first file is what the studies recorded. Each of their trials is trained again up to its last rung but one, has to
repeat its training loss of every epoch exactly, and is measured at its rungs; its last epoch is that of the checkpoint.
What was measured is kept beside the new file, so that a run that was cut off goes on. `--part I/P`: only every P-th
trial from the I-th; several can run at once, and the last writes the table.
"""

import argparse
import csv
import json
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from study.simulation.table import Table
from study_common import layout
from study_common.layout import TRIALS_DIR
from trainables import prepare_process
from trainables.models.passes import extra_pass
from trainables.saliency.attribution import saliency_maps
from trainables.saliency.faithfulness import predict
from trainables.saliency.suite import OBJECTIVE, assess
from trainables.training import checkpoint
from trainables.training.config import Config
from trainables.training.evaluation import background_of, choose
from trainables.training.run import Run


def main() -> None:
    """Measure what was not measured yet; with all trials, write the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.more_images", description=__doc__)
    parser.add_argument("studies", nargs="+", type=Path, metavar="STUDY")
    parser.add_argument("--of", type=Path, required=True, metavar="FILE")
    parser.add_argument("--images", type=int, required=True, metavar="N")
    parser.add_argument("--table", type=Path, required=True, metavar="FILE")
    parser.add_argument("--part", default="0/1", metavar="I/P")
    arguments = parser.parse_args()
    prepare_process()
    table = Table.read(arguments.of)
    kept = arguments.table.with_suffix(".json.d")
    kept.mkdir(exist_ok=True)
    part, parts = map(int, arguments.part.split("/"))
    for number, trial in enumerate(trials(arguments.studies)):
        config = Config.parse(tomllib.loads((trial / layout.CONFIG_FILE).read_text()))
        file = kept / f"{table.row(config.flat())}.json"
        if number % parts == part and not file.exists():
            part_of = file.with_suffix(".part")
            part_of.write_text(json.dumps(dict(measured(trial, config, arguments.images))))
            part_of.replace(file)
            print(trial, flush=True)
    files = list(kept.glob("*.json"))
    if len(files) == len(table.points):
        curves = [list(curve) for curve in table.curves]
        for file in files:
            for epoch, metrics in json.loads(file.read_text()).items():
                report = curves[int(file.stem)][int(epoch) - 1]
                curves[int(file.stem)][int(epoch) - 1] = replace(report, metrics=report.metrics | metrics)
        Table(table.request, table.points, curves).write(arguments.table)


def trials(studies: list[Path]) -> Iterator[Path]:
    """Yield the directory of every complete trial."""
    for study in studies:
        numbered = sorted((study / TRIALS_DIR).iterdir(), key=lambda path: int(path.name))
        yield from (trial for trial in numbered if (trial / layout.CHECKPOINT_FILE).exists())


def measured(trial: Path, config: Config, images: int) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield each rung and its faithfulness."""
    run = Run(config)
    recorded = csv.DictReader((trial / layout.CURVE_FILE).read_text().splitlines())
    for number in range(1, config.rungs[-2] + 1):
        loss = run.epoch(number)["train_loss"]
        assert loss == float(next(recorded)["train_loss"]), f"{trial} was trained by another version"
        if number in config.rungs:
            yield number, score(run, images)
    run.model.load_state_dict(checkpoint.read(trial / layout.CHECKPOINT_FILE)[0])
    yield config.epochs, score(run, images)


def score(run: Run, images: int) -> dict[str, float]:
    """Return the faithfulness of the model as it is now, on so many images of the validation split."""
    with extra_pass(run.model):
        X = run.scale(choose(run.data.validation, images).images)
        maps = saliency_maps(run.model, X, predict(run.model, X), method=run.config.attribution)
        return assess(
            run.model, X, maps, background_of(run.data, run.scale), removals=OBJECTIVE, controls=()
        ).metrics()


if __name__ == "__main__":
    main()
