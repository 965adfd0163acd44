"""Writing what can be made again from the record: the table of trials, the front, the report."""

import os
from collections.abc import Callable
from pathlib import Path

from results import fronts, record
from results.page import page
from results.studies import Study, load


def write(path: str | os.PathLike[str]) -> Study:
    """Write ``trials.parquet``, ``front.csv`` and ``report.html`` of the study ``path``; return the study.

    ``front.csv`` has the columns of ``trials.parquet`` but for the duration: the same seed on one worker writes the
    same file again. Each file appears whole or not at all. O(n log n) for n trials, as the front.

    Raises:
        ValueError: as :func:`results.load`, or a directory that cannot be written.
    """
    study = load(path)
    front = fronts.front(study.trials, study.directions).drop(columns="duration_s")
    report = page(study)
    try:
        _replace(study.path / record.TRIALS_FILE, lambda file: study.trials.to_parquet(file, index=False))
        _replace(study.path / record.FRONT_FILE, lambda file: front.to_csv(file, index=False))
        _replace(study.path / record.REPORT_FILE, lambda file: file.write_text(report, encoding="utf-8"))
    except OSError as error:
        raise ValueError(
            f"the report cannot be written ({error}); copy the study to a directory of your own."
        ) from None
    return study


def _replace(file: Path, write_to: Callable[[Path], object]) -> None:
    """Write ``file`` by way of a neighbour, so that no reader ever sees half of it."""
    neighbour = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        write_to(neighbour)
        neighbour.replace(file)
    finally:
        neighbour.unlink(missing_ok=True)
