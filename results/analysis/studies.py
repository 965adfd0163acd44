"""Reading a study directory into pandas, with neither Ray nor torch nor a running driver.

`study.toml` says what was asked, `study.db` what happened, `trials/<number>/` holds what each trial left.
"""

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from optuna.distributions import BaseDistribution

from results.analysis import database, frames, fronts, membership, selection
from results.analysis.memory import Memory
from results.analysis.rows import Rows, Seen
from results.analysis.run_files import RunFiles
from results.analysis.study_file import read_study_file
from study_common import layout
from study_common.errors import UserError, located
from study_common.objectives import Objective


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study, read from its directory."""

    name: str
    path: Path
    request: dict[str, Any]
    """The document of `study.toml`."""
    objectives: dict[str, Objective]
    trials: pd.DataFrame
    """By number: number, state, feasible, params.*, metrics.*, epochs, seed, duration_s, error."""
    spans: pd.DataFrame
    """From its start to its end, one row per trial: number, started, finished (UTC; NaT while running)."""
    intervals: pd.DataFrame
    """Who trained it when, one row from each start to a pause or the end: number, worker, started, ended (UTC)."""
    confirmations: pd.DataFrame
    """One row per retraining of `study.confirm`: trial, seed, refit, time, metrics.* on the test split."""
    test_reads: list[dict[str, Any]]
    """Every reading of the test split, as `study.confirm` logged it."""
    rejected: dict[str, int]
    """Configurations rejected before training: `infeasible` and `repeat`."""
    distributions: dict[str, BaseDistribution]
    """The searched parameters by flat name, as Optuna knows them."""
    memory: Memory = field(default_factory=Memory, repr=False, compare=False)
    """What was computed of an earlier look at the same study."""

    @property
    def directions(self) -> dict[str, str]:
        """The objectives as `pareto_front` takes them: `{"accuracy": "max", "flops": "min"}`."""
        return fronts.directions_of(self.objectives)

    @cached_property
    def configurations(self) -> pd.DataFrame:
        """One row per configuration that may enter the front: see `membership.configurations`."""
        return membership.configurations(self.trials, self.directions, self.confirmations, self.memory)

    def front(self) -> pd.DataFrame:
        """Return the non-dominated configurations, with `draws` (number of replicates) and probability `p_front`."""
        return fronts.pareto_front(self.configurations, self.directions)

    def hypervolume(self) -> float:
        """Return the share of the box between references and ideals that the front dominates."""
        return fronts.hypervolume(self.configurations, self.objectives)

    def recommend(self) -> dict[str, pd.Series]:
        """Return the recommended members of the front by name: see `selection.recommend`."""
        return selection.recommend(self.configurations, self.directions)

    def select(
        self,
        *,
        at_most: Mapping[str, float] | None = None,
        at_least: Mapping[str, float] | None = None,
        prefer: str = "knee",
    ) -> pd.DataFrame:
        """Return the front of the configurations within bounds, the best first: see `selection.select_trials`."""
        return selection.select_trials(
            self.configurations, self.directions, at_most=at_most, at_least=at_least, prefer=prefer
        )


def load(path: str | os.PathLike[str]) -> Study:
    """Read the study directory `path`, at any moment of its life; O(trials x parameters).

    Raises:
        UserError: No study there, one of another version, or a record that is damaged or cut short.
    """
    path = Path(path)
    request = read_study_file(path / layout.REQUEST_FILE)
    objectives = {name: Objective(**pair) for name, pair in request["objectives"].items()}
    rows = rows_of(path, request, objectives)
    with located(str(path / layout.RECORD_FILE)):
        return study_of(path, request, objectives, rows)


def rows_of(
    path: Path, request: Mapping[str, Any], objectives: Mapping[str, Objective], seen: Seen | None = None
) -> Rows:
    """Return the rows of the study in `path`, of this request and these objectives.

    Raises:
        UserError: The rows belong to another request, are in another database, or are damaged.
    """
    file, storage = path / layout.RECORD_FILE, request.get("request", {}).get("storage")
    if storage and not file.is_file():
        raise UserError(
            f"{file} is not there yet: the record is in {storage} and is copied here when the driver ends; "
            f"python -m study.resume {path.name} --storage {shlex.quote(storage)} writes it"
        )
    return database.read_rows(file, request["name"], objectives, seen)


def curves(study: Study, numbers: Sequence[int], files: RunFiles | None = None) -> pd.DataFrame:
    """Return how trials learned: number, epoch, seconds, metrics.*, one row per epoch.

    A trial without a readable `curve.csv` has one row per rung, from the record.

    Args:
        study: The study of the trials.
        numbers: The numbers of the trials.
        files: The reader to use; it notes which files are damaged.
    """
    files = files or RunFiles(study.path)
    parts, without = [], []
    for number in numbers:
        curve = files.curve(number)
        if curve is None:
            without.append(number)
            continue
        named = {name: name if name in ("epoch", "seconds") else f"metrics.{name}" for name in curve}
        curve = curve.rename(columns=named)
        curve.insert(0, "number", number)
        parts.append(curve)
    rungs = database.read_rungs(study.path / layout.RECORD_FILE, study.name, without)
    rows = [{"number": number, **rung} for number, reached in rungs.items() for rung in reached]
    parts.append(frames.with_metrics(["number", "epoch", "seconds"], rows))
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)


def study_of(path: Path, request: dict[str, Any], objectives: dict[str, Objective], rows: Rows) -> Study:
    """Return the study in `path`, of this request and these objectives, from the rows of its record."""
    params, distributions = frames.params(rows)
    return Study(
        name=request["name"],
        path=path,
        request=request,
        objectives=objectives,
        trials=frames.trials(rows, params, objectives, request["constraints"]),
        spans=frames.spans(rows),
        intervals=frames.intervals(rows),
        confirmations=frames.with_metrics(
            ["trial", "seed", "refit", "time"], rows.attributes.get(layout.CONFIRMATIONS, [])
        ),
        test_reads=rows.attributes.get(layout.TEST_READS, []),
        rejected=rows.attributes.get(layout.REJECTED, {}),
        distributions=distributions,
    )
