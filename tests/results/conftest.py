"""One study that most tests of results read: 60 trials, curves, saliency and confirmations."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import optuna
import pytest

from results import Study, load
from study_common import layout
from tests.results import sample

optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(scope="session")
def study_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory to read and never to change; copy it to write."""
    path = tmp_path_factory.mktemp("runs") / "sample"
    rows = list(sample.trials(60))
    sample.write_study(path, rows, {layout.REJECTED: {"infeasible": 3, "repeat": 1}})
    study = load(path)
    members = study.front()
    for number in members["number"].head(3):
        sample.write_saliency(path, int(number))
        sample.write_confusion(path, int(number), [f"class {k}" for k in range(10)])
    sample.confirm(path, members.head(3), np.random.default_rng(7))
    return path


@pytest.fixture(scope="session")
def study(study_path: Path) -> Study:
    return load(study_path)


@pytest.fixture
def read_only(study_path: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the study as a driver leaves it, in a folder that cannot be written."""
    copy = shutil.copytree(study_path, tmp_path / "copy")
    sample.set_journal(copy, "WAL")
    (copy / layout.RECORD_FILE).chmod(0o400)
    copy.chmod(0o500)
    if os.access(copy, os.W_OK):
        pytest.skip("this user writes everywhere")
    yield copy
    copy.chmod(0o700)
