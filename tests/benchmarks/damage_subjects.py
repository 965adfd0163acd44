"""What is damaged: a study, a run, its image cache and its packed model; and the commands that read them."""

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
from PIL import Image

import results.compare
import results.front
import results.page.writing  # so that children need not import it
import results.report
import results.select
import study.execution.status_line
import study.status
import trainables
import trainables.evaluate
import trainables.export
import trainables.faithfulness
from results import load
from study.planning.plan import plan
from study.planning.spec import Spec
from study_common import layout
from study_common.commands import exit_code
from tests.results import sample
from trainables.deployment import packed
from trainables.training.config import Config

assert results.page.writing
assert study.execution.status_line

NOTICES = ("damaged", "decoded again", "missing", "warning", "not complete")
"""Words that tell that something is wrong."""

STUDY_COMMANDS = ("results.front", "results.select", "results.compare", "results.report", "study.status")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A folder whose files are damaged, and the commands that read it."""

    name: str
    path: Path
    commands: dict[str, Callable[[Path, Path], int]]
    """By name: called with the folder and a folder to write into, returns the exit code."""
    reads: dict[str, tuple[str, ...]]
    """The last name of a file, or a part of its path: the commands that read it, in the order of the first match."""

    def files(self) -> list[Path]:
        """Return the files to damage."""
        found = sorted(file.relative_to(self.path) for file in self.path.rglob("*") if file.is_file())
        return [file for file in found if self.readers(file)]

    def readers(self, file: Path) -> tuple[str, ...]:
        """Return the commands that read a file."""
        return next((commands for part, commands in self.reads.items() if part in str(file)), ())

    def kind_of(self, file: Path) -> str:
        """Return the name under which findings about a file are counted."""
        return next(part for part in self.reads if part in str(file))

    def copy(self, to: Path) -> Path:
        """Copy the folder."""
        return Path(shutil.copytree(self.path, to))

    def run(self, command: str, copy: Path, out: Path) -> int:
        """Run a command on a copy."""
        return self.commands[command](copy, out)

    def product(self, command: str, copy: Path, out: Path) -> tuple[str, str]:
        """Return digests of the tables that a command wrote and of the report; "named" if that names a damaged file."""
        if command != "results.report":
            return digest(out / "product") if (out / "product").exists() else "", ""
        trials = pd.read_parquet(copy / layout.TRIALS_FILE).to_csv()
        front = (copy / layout.FRONT_FILE).read_text()
        report = (copy / layout.REPORT_FILE).read_text(encoding="utf-8").replace(str(copy), "COPY")
        shown = "named" if "damaged and left out" in report else hashlib.sha256(report.encode()).hexdigest()
        return hashlib.sha256(f"{trials}{front}".encode()).hexdigest(), shown


def make(folder: Path) -> list[Subject]:
    """Make the subjects."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    fill_outside(folder / "outside")
    return [_study(folder / "studies"), *_run(folder)]


def fill_outside(folder: Path) -> None:
    """Make the files that no command may change."""
    folder.mkdir(exist_ok=True)
    (folder / "text").write_text("epoch,accuracy\n1,0.5\n")
    (folder / "bytes").write_bytes(bytes(range(256)))


def digest(folder: Path) -> str:
    """Return a digest of the names and the contents of all files of a folder."""
    found = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        found.update(f"{file.relative_to(folder)} {file.lstat().st_mode}".encode())
        if file.is_file() and not file.is_symlink():
            found.update(file.read_bytes())
    return found.hexdigest()


def _study(folder: Path) -> Subject:
    path = sample.write_study(folder / "s", sample.trials(15), name="s")
    plan(Spec(space="mixed_bits", name="s", trials=15, epochs=9, runs_dir=str(folder / "other"))).write(path)
    study_read = load(path)
    members = study_read.front()
    for number in members["number"].head(2):
        sample.write_saliency(path, int(number))
        sample.write_confusion(path, int(number), ["a", "b", "c"])
        run = path / layout.TRIALS_DIR / str(number)
        known = members.set_index("number").loc[number]
        weight, bits = float(known["params.lambda1"]), int(known["params.bits.conv1"])
        sample.write(
            run / layout.CONFIG_FILE,
            f'lambda1 = {weight!r}\n"bits.conv1" = {bits}\nmask = "ratio"\n',
        )
        sample.write(run / layout.CURVE_FILE, "epoch,seconds,accuracy,kl\n1,2.0,0.5,0.1\n2,2.0,0.6,0.1\n")
        sample.write(
            run / layout.FAITHFULNESS_FILE, '{"faithfulness": 0.5, "ssim": 0.25, "sanity_passed": true}'
        )
    shutil.copytree(path / layout.TRIALS_DIR / str(members["number"].iloc[0]), path / layout.INIT_DIR)
    sample.confirm(path, members.head(2), np.random.default_rng(0))
    twin = shutil.copytree(path, folder / "twin")
    return Subject(
        name="study",
        path=path,
        commands={
            "results.front": lambda copy, out: results.front.main([str(copy)]),
            "results.select": lambda copy, out: results.select.main([str(copy), "--prefer", "accuracy"]),
            "results.compare": lambda copy, out: results.compare.main([str(copy), str(twin)]),
            "results.report": lambda copy, out: results.report.main([str(copy)]),
            "study.status": lambda copy, out: study.status.main([str(copy)]),
        },
        reads={
            layout.REQUEST_FILE: STUDY_COMMANDS,
            layout.RECORD_FILE: STUDY_COMMANDS,
            layout.CONFIG_FILE: ("results.select", "results.report"),
            "": ("results.report",),
        },
    )


def _run(folder: Path) -> list[Subject]:
    """Train one epoch of small pictures, and return its run, its cache and its packed model."""
    pictures = folder / "pictures"
    rng = np.random.default_rng(0)
    for name, level in (("dark", 60), ("light", 130)):
        (pictures / name).mkdir(parents=True)
        for number in range(30):
            pixels = level + rng.integers(0, 60, (16, 16, 3))
            Image.fromarray(pixels.astype(np.uint8)).save(pictures / name / f"{number}.png")
    cache = folder / "cache"
    os.environ["XDG_CACHE_HOME"] = str(cache)
    config = Config.parse(
        {
            "dataset": "folder",
            "data_dir": str(pictures),
            "image_size": 16,
            "batch_size": 16,
            "epochs": 1,
            "bits": 4,
        }
    )
    run = folder / "run"
    run.mkdir()
    for epoch in trainables.epochs(config):
        epoch.save(run)
    export = folder / "packed"
    assert (
        trainables.export.main(
            [str(run / layout.CHECKPOINT_FILE), "--out", str(export), "--format", "packed"]
        )
        == 0
    )

    def read_packed(copy: Path, out: Path) -> int:
        def show() -> None:
            found = packed.read(copy / layout.PACKED_FILE)
            print({name: float(tensor.double().sum()) for name, tensor in found.tensors.items()})

        return exit_code(show)

    def with_cache(copy: Path, out: Path) -> int:
        os.environ["XDG_CACHE_HOME"] = str(copy)
        return trainables.evaluate.main([str(run / layout.CHECKPOINT_FILE)])

    return [
        Subject(
            name="run",
            path=run,
            commands={
                "trainables.evaluate": lambda copy, out: trainables.evaluate.main(
                    [str(copy / layout.CHECKPOINT_FILE)]
                ),
                "trainables.export": lambda copy, out: trainables.export.main(
                    [str(copy / layout.CHECKPOINT_FILE), "--out", str(out / "product")]
                ),
                "trainables.faithfulness": lambda copy, out: trainables.faithfulness.main(
                    [str(copy / layout.CHECKPOINT_FILE)]
                ),
            },
            reads={
                layout.CHECKPOINT_FILE: (
                    "trainables.evaluate",
                    "trainables.export",
                    "trainables.faithfulness",
                )
            },
        ),
        Subject(
            name="cache",
            path=cache,
            commands={"evaluate with the cache": with_cache},
            reads={"images-v": ("evaluate with the cache",)},
        ),
        Subject(
            name="packed",
            path=export,
            commands={"packed.read": read_packed},
            reads={layout.PACKED_FILE: ("packed.read",)},
        ),
    ]
