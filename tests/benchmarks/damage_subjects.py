"""What is damaged: a study that runs and one that is complete; and the commands that read them."""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import optuna
import pandas as pd

import results.compare
import results.front
import results.page.writing  # so that children need not import it
import results.report
import results.select
import study.execution.driver
import study.execution.status_line
import study.resume
import study.status
from results import load
from study.planning.plan import plan
from study.planning.spec import Spec
from study.store.directory import record_url
from study.store.lease import Lease
from study.store.record import Record
from study.store.request import Request
from study_common import layout
from study_common.commands import exit_code
from tests.results import sample

assert results.page.writing
assert study.execution.status_line
assert study.execution.driver

NOTICES = ("damaged", "decoded again", "missing", "warning", "not complete", "starts from the beginning")
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


def studies(folder: Path) -> list[Subject]:
    """Make the studies in `folder`."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return [_study(folder / "running"), _complete(folder / "complete")]


def _complete(folder: Path) -> Subject:
    """Return a study that `study.resume` only looks at, without Ray."""
    spec = Spec(space="mixed_bits", name="s", trials=14, epochs=9, runs_dir=str(folder))
    rows = [row for row in sample.trials(15) if row.state.is_finished()]
    path = sample.write_study(folder / "s", rows, name="s")
    plan(replace(spec, runs_dir=str(folder / "other"))).write(path)
    sample.write_saliency(path, 0)
    with Record.open(record_url(Request.read(path), path), "s", Request.read(path).objectives) as record:
        Lease(path, record).__exit__()  # what a driver leaves

    def warm_start(copy: Path, out: Path) -> int:
        return exit_code(lambda: print(plan(replace(spec, name="t", warm_start=str(copy))).queue))

    readers = ("study.resume", "warm start")
    return Subject(
        name="complete study",
        path=path,
        commands={
            "study.resume": lambda copy, out: study.resume.main([str(copy)]),
            "warm start": warm_start,
        },
        reads={
            layout.REQUEST_FILE: readers,
            layout.RECORD_FILE: readers,
            layout.LOCK_FILE: ("study.resume",),
            f"trials/0/{layout.DIGESTS_FILE}": ("study.resume",),
            layout.DIGESTS_FILE: readers,
        },
    )


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
    (path / layout.LOCK_FILE).write_text('{"token": "t", "pid": 7, "host": "h", "directory": "d"}')
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
            layout.LOCK_FILE: ("study.status",),
            layout.CONFIG_FILE: ("results.select", "results.report"),
            f"{layout.TRIALS_DIR}/": ("results.report",),
            layout.DIGESTS_FILE: STUDY_COMMANDS,
            "": ("results.report",),
        },
    )
