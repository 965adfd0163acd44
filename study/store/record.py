"""The record of a study: the one thing that is written for good, and only by the driver.

It is an Optuna study in a database. A trial is one row with its searched values, one JSON object of what is known of
it (`study_common.layout.Result`) and, once it is complete, its objective values. Every method is a bounded number of
transactions, however many parameters or trials there are, and is safe to be cut short: what was half done is
finished by `trials`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, cast

import optuna
import sqlalchemy
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.exceptions import DuplicatedStudyError, StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import DatabaseError, SQLAlchemyError
from sqlalchemy.orm import Session

from study.store import database
from study_common.errors import UserError
from study_common.layout import RESULT, Result, result_digest
from study_common.objectives import Objective

optuna.logging.set_verbosity(optuna.logging.WARNING)

FAULTS = (StorageInternalError, SQLAlchemyError, OSError, UpdateFinishedTrialError)
"""What a method raises when the database cannot be used: full disk, lock, lost connection, another driver's end."""

_TRIALS = models.BaseModel.metadata.tables["trials"]
WAYS = {"max": StudyDirection.MAXIMIZE, "min": StudyDirection.MINIMIZE}


class Record:
    """The open record of one study: `number` counts its trials from 0."""

    def __init__(self, rdb: RDBStorage, name: str, objectives: Sequence[str]) -> None:
        self.rdb = rdb
        self.study = optuna.load_study(study_name=name, storage=rdb)
        self._objectives = tuple(objectives)
        self._ids: list[int] = []
        self._params: list[dict[str, float]] = []

    @staticmethod
    def exists(url: str, name: str) -> bool:
        """Tell whether there is a record of the study, which a launch that was cut short may not have made."""
        if not database.exists(url):
            return False
        try:
            rdb = database.connect(url)
        except database.NoTablesError:
            return False
        try:
            with faults_as_user_errors():
                return name in optuna.get_all_study_names(rdb)
        finally:
            database.close(rdb)

    @classmethod
    def open(cls, url: str, name: str, objectives: Mapping[str, Objective], new: bool = False) -> Self:
        """Open the record of a study; create that of a `new` one.

        Raises:
            UserError: The database cannot be opened, lacks the study, or already has one of the `new` one's name.
        """
        if not new and not database.exists(url):
            raise UserError(_missing(name))
        rdb = database.connect(url, new=new)
        try:
            if new:
                rdb.create_new_study([WAYS[objective.direction] for objective in objectives.values()], name)
            opened = cls(rdb, name, list(objectives))
        except DuplicatedStudyError:
            database.close(rdb)
            raise UserError(f"the database has a study {name} already; choose another --name") from None
        except KeyError:
            database.close(rdb)
            raise UserError(_missing(name)) from None
        except FAULTS as error:
            database.close(rdb)
            raise UserError(describe_fault(error)) from None
        if opened.study.directions != [WAYS[objective.direction] for objective in objectives.values()]:
            database.close(rdb)
            raise UserError("study.toml has other objectives than the record; restore it from a copy")
        return opened

    def trials(self, epochs: int) -> list[FrozenTrial]:
        """Read all trials, in order, after ending those whose end was cut short; `epochs` as in `state_of`."""
        trials = self.study.get_trials(deepcopy=False)
        self._ids = [trial._trial_id for trial in trials]
        self._params = [_stored(trial.params, trial.distributions) for trial in trials]
        for trial in trials:
            if not trial.state.is_finished() and trial.user_attrs[RESULT]["finished"]:
                self._end(trial.number, state_of(trial.user_attrs[RESULT], epochs), trial.user_attrs[RESULT])
        return self.study.get_trials(deepcopy=False)

    def add(
        self, values: Mapping[str, Any], distributions: Mapping[str, BaseDistribution], result: Result
    ) -> int:
        """Add a running trial with the searched `values`, and return its number.

        One transaction of four statements. Optuna's `create_new_trial` from a template writes the same rows with
        four statements per parameter, which takes ten times as long at 56 bit-widths. Raises OSError if another driver
        has taken the study over and this one, on a machine that was suspended, has not seen it yet.
        """
        number = len(self._ids)
        stored = _stored(values, distributions)
        ours = sqlalchemy.select(sqlalchemy.func.count()).where(_TRIALS.c.study_id == self.study._study_id)
        with Session(self.rdb.engine) as session, session.begin():
            if session.scalar(ours) != number:
                raise OSError("another driver has added trials to this study")
            trial = models.TrialModel(
                study_id=self.study._study_id,
                number=number,
                state=TrialState.RUNNING,
                datetime_start=datetime.now(),
            )
            session.add(trial)
            session.flush()
            trial_id = cast(int, trial.trial_id)
            rows = [
                {
                    "trial_id": trial_id,
                    "param_name": name,
                    "param_value": value,
                    "distribution_json": distribution_to_json(distributions[name]),
                }
                for name, value in stored.items()
            ]
            session.execute(sqlalchemy.insert(models.TrialParamModel), rows)
            session.add(
                models.TrialUserAttributeModel(
                    trial_id=trial_id, key=RESULT, value_json=json.dumps(_sealed(result, stored))
                )
            )
        self._ids.append(trial_id)
        self._params.append(stored)
        return number

    def update(self, number: int, result: Result) -> None:
        """Keep what a running trial has reported."""
        self.rdb.set_trial_user_attr(self._ids[number], RESULT, _sealed(result, self._params[number]))

    def pause(self, number: int, result: Result) -> None:
        """Let a trial wait at a rung; one that is cut short before the state is written goes on in a resume."""
        self.update(number, result)
        self.rdb.set_trial_state_values(self._ids[number], TrialState.WAITING)

    def resume(self, number: int) -> None:
        """Let a paused trial run again."""
        self.rdb.set_trial_state_values(self._ids[number], TrialState.RUNNING)

    def finish(self, number: int, state: TrialState, result: Result) -> None:
        """End a trial. The result is written before the state, so that `trials` can end what was cut short."""
        assert result["finished"]
        self.update(number, result)
        self._end(number, state, result)

    def _end(self, number: int, state: TrialState, result: Result) -> None:
        complete = state == TrialState.COMPLETE
        values = [result["metrics"][name] for name in self._objectives] if complete else None
        self.rdb.set_trial_state_values(self._ids[number], state, values)

    def set_attribute(self, key: str, value: Any) -> None:
        """Write a user attribute of the study."""
        self.rdb.set_study_user_attr(self.study._study_id, key, value)

    def attributes(self) -> dict[str, Any]:
        """Read the user attributes of the study."""
        return self.rdb.get_study_user_attrs(self.study._study_id)

    def snapshot(self, path: Path) -> None:
        """Write the whole record into a SQLite file at `path`, replacing it in one step.

        One statement per table, where Optuna's `copy_study` writes several per parameter: minutes for a long study.
        """
        draft = path.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        copy = database.connect(database.file_url(draft), new=True)
        ours = sqlalchemy.select(_TRIALS.c.trial_id).where(_TRIALS.c.study_id == self.study._study_id)
        try:
            with self.rdb.engine.connect() as source, copy.engine.begin() as target:
                for table in models.BaseModel.metadata.sorted_tables:
                    if "study_id" in table.c:
                        rows = sqlalchemy.select(table).where(table.c.study_id == self.study._study_id)
                    elif "trial_id" in table.c:
                        rows = sqlalchemy.select(table).where(table.c.trial_id.in_(ours))
                    else:  # the version, which the copy has of its own
                        continue
                    if found := source.execute(rows).mappings().all():
                        target.execute(sqlalchemy.insert(table), [dict(row) for row in found])
        finally:
            database.close(copy)
        draft.replace(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the database; a SQLite file is then complete in itself."""
        database.close(self.rdb)


def _missing(name: str) -> str:
    return f"there is no record of {name} yet; start it with python -m study.resume {name}"


def _stored(values: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> dict[str, float]:
    """Return parameters as Optuna stores them."""
    return {name: distributions[name].to_internal_repr(value) for name, value in values.items()}


def _sealed(result: Result, params: Mapping[str, float]) -> Result:
    """Return the result with its digest, by which a reader tells a damaged record."""
    return {**result, "digest": result_digest(result, params)}


def new_result(seed: int) -> Result:
    """Return what is known of a trial that begins now."""
    return Result(
        seed=seed,
        epochs=0,
        duration_s=0.0,
        metrics={},
        rungs=[],
        error=None,
        intervals=[],
        started=now(),
        finished=None,
    )


def now() -> str:
    """Return the time as a `Result` keeps it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def state_of(result: Result, epochs: int) -> TrialState:
    """Return the state of an ended trial: failed with an error, complete with all `epochs`, else stopped."""
    if result["error"] is not None:
        return TrialState.FAIL
    return TrialState.COMPLETE if result["epochs"] >= epochs else TrialState.PRUNED


@contextmanager
def faults_as_user_errors() -> Iterator[None]:
    """Raise a UserError that says why in place of one of `FAULTS`; a BrokenPipeError of our output passes through."""
    try:
        yield
    except BrokenPipeError:
        raise
    except FAULTS as error:
        raise UserError(describe_fault(error)) from None


def describe_fault(error: Exception) -> str:
    """Return in one sentence what one of `FAULTS` says."""
    if isinstance(error, UpdateFinishedTrialError):
        return "another driver has ended a trial of this study"
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    said = getattr(cause, "orig", None) or cause
    if type(cause) in (DatabaseError, json.JSONDecodeError):  # SQLite's own word for a file that is cut short
        return f"the record is damaged ({said}); copy the study again while no driver is running"
    return f"the record cannot be used: {said}" if isinstance(cause, SQLAlchemyError) else str(said)
