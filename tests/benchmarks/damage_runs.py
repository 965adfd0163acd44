"""What is damaged: a run, one that was interrupted, its image cache and its packed model; and what reads them."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import trainables
import trainables.evaluate
import trainables.export
import trainables.faithfulness
import trainables.train
from study.execution.worker import Job, reports, train
from study_common import layout
from study_common.commands import exit_code
from study_common.errors import UserError
from tests.benchmarks.damage_subjects import Subject
from trainables.deployment import packed
from trainables.training.config import Config

SETTINGS = {"dataset": "folder", "image_size": 16, "batch_size": 16, "bits": 4}


def runs(folder: Path) -> list[Subject]:
    """Train on small pictures in `folder`: runs, complete and interrupted, an image cache and a packed model."""
    pictures = folder / "pictures"
    rng = np.random.default_rng(0)
    for name, level in (("dark", 60), ("light", 130)):
        (pictures / name).mkdir(parents=True)
        for number in range(30):
            pixels = level + rng.integers(0, 60, (16, 16, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(pictures / name / f"{number}.png")
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    settings = {**SETTINGS, "data_dir": str(pictures)}
    run = _trained(folder / "run", {**settings, "epochs": 1}, until=1)
    interrupted = _trained(folder / "interrupted", {**settings, "epochs": 3}, until=2)
    return [
        _complete(run),
        _interrupted(interrupted, {**settings, "epochs": 3}),
        *(
            _of_a_study(folder / name, {**settings, "epochs": 3}, until)
            for name, until in (("ended", 3), ("cut", 1))
        ),
        _cache(folder / "cache", run),
        _packed(folder / "packed", run),
    ]


def _trained(run: Path, settings: dict[str, Any], until: int) -> Path:
    run.mkdir()
    for epoch in trainables.epochs(Config.parse(settings)):
        epoch.save(run)
        if epoch.number == until:
            break
    return run


def _complete(run: Path) -> Subject:
    checkpoint = layout.CHECKPOINT_FILE
    commands = {
        "trainables.evaluate": lambda copy, out: trainables.evaluate.main([str(copy / checkpoint)]),
        "trainables.export": lambda copy, out: trainables.export.main(
            [str(copy / checkpoint), "--out", str(out / "product")]
        ),
        "trainables.faithfulness": lambda copy, out: trainables.faithfulness.main([str(copy / checkpoint)]),
    }
    card = (layout.SALIENCY_FILE, layout.CONFUSION_FILE, layout.DIGESTS_FILE)
    return Subject(
        name="run",
        path=run,
        commands=commands,
        reads={checkpoint: tuple(commands), **dict.fromkeys(card, ("trainables.export",))},
    )


def _interrupted(run: Path, settings: dict[str, Any]) -> Subject:
    words = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    return Subject(
        name="interrupted run",
        path=run,
        commands={"trainables.train": lambda copy, out: trainables.train.main([*words, "--out", str(copy)])},
        reads={"": ("trainables.train",)},
    )


def _of_a_study(folder: Path, settings: dict[str, Any], until: int) -> Subject:
    """Return the study of one run, which a worker is given again: it reports what is on disk, and trains the rest."""
    run = folder / layout.TRIALS_DIR / "0"
    run.parent.mkdir(parents=True)
    (folder / layout.LOCK_FILE).write_text('{"token": "t"}')
    flat = Config.parse(settings).flat()

    def resume(copy: Path, out: Path) -> int:
        job = Job(
            number=0, flat=flat, directory=copy / layout.TRIALS_DIR / "0", study=copy, token="t", data="d"
        )
        return exit_code(lambda: _report(job))

    for report in reports(Job(number=0, flat=flat, directory=run, study=folder, token="t", data="d"), train):
        if report.epoch == until:
            break
    return Subject(
        name=f"{folder.name} run of a study",
        path=folder,
        commands={"a worker": resume},
        reads={f"{layout.TRIALS_DIR}/": ("a worker",)},
    )


def _report(job: Job) -> None:
    """Print what a worker reports. An error that is not the user's is a fault of the program, as in a command."""
    for report in reports(job, train):
        if report.notice:
            print(report.notice)
        if report.error and not (report.halts or report.error.startswith("UserError: ")):
            raise RuntimeError(report.error)
        if report.error:
            raise UserError(report.error)
        print(report.epoch, {name: float(value) for name, value in sorted(report.metrics.items())})


def _cache(cache: Path, run: Path) -> Subject:
    def evaluate(copy: Path, out: Path) -> int:
        os.environ["XDG_CACHE_HOME"] = str(copy)
        return trainables.evaluate.main([str(run / layout.CHECKPOINT_FILE)])

    return Subject(
        name="cache",
        path=cache,
        commands={"evaluate with the cache": evaluate},
        reads={"images-v": ("evaluate with the cache",)},
    )


def _packed(export: Path, run: Path) -> Subject:
    words = [str(run / layout.CHECKPOINT_FILE), "--out", str(export), "--format", "packed"]
    assert trainables.export.main(words) == 0

    def read(copy: Path, out: Path) -> int:
        def show() -> None:
            found = packed.read(copy / layout.PACKED_FILE)
            print({name: float(tensor.double().sum()) for name, tensor in found.tensors.items()})

        return exit_code(show)

    return Subject(
        name="packed",
        path=export,
        commands={"packed.read": read},
        reads={layout.PACKED_FILE: ("packed.read",)},
    )
