"""The record of a study: the one thing that is written for good, and only by the driver.

It is an Optuna study in a database. A trial is one row with its searched values, one JSON object of what is known of
it (`study_common.layout.Result`) and, once it is complete, its objective values. Every method is a bounded number of
transactions, however many parameters or trials there are, and is safe to be cut short: what was half done is
finished by `trials`.

A row without that JSON object is foreign: another program put it there, such as `enqueue_trial` of Optuna. It becomes a
trial by `adopt`, or stays out of everything that reads the record.
"""

import json
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, cast

import optuna
import sqlalchemy
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.exceptions import (
    DuplicatedStudyError,
    ExperimentalWarning,
    StorageInternalError,
    UpdateFinishedTrialError,
)
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import DatabaseError, SQLAlchemyError
from sqlalchemy.orm import Session

from study.store import database
from study_common.errors import UserError
from study_common.layout import LEFT_OUT, RESULT, Result, rungs_digest, sealed
from study_common.objectives import Objective

optuna.logging.set_verbosity(optuna.logging.WARNING)

FAULTS = (StorageInternalError, SQLAlchemyError, OSError, UpdateFinishedTrialError, json.JSONDecodeError)
"""What a method raises when the database cannot be used: full disk, lock, lost connection, another driver's end."""
_DAMAGE = (DatabaseError, json.JSONDecodeError, LookupError)
"""What damage raises: a file that is cut short, a value that is no JSON, one that an enumeration lacks."""

_TABLES = models.BaseModel.metadata.tables
_TRIALS, _STUDIES = _TABLES["trials"], _TABLES["studies"]
_ATTRIBUTES = _TABLES["trial_user_attributes"]
WAYS = {"max": StudyDirection.MAXIMIZE, "min": StudyDirection.MINIMIZE}


class Record:
    """The open record of one study: `number` counts its trials from 0."""

    def __init__(self, rdb: RDBStorage, name: str, objectives: Sequence[str]) -> None:
        self.rdb = rdb
        self.study = optuna.load_study(study_name=name, storage=rdb)
        self._objectives = tuple(objectives)
        self._ids: dict[int, int] = {}
        self._params: dict[int, dict[str, float]] = {}
        self._foreign: list[FrozenTrial] = []
        self._rows = 0
        """How many rows this driver knows, foreign ones included."""

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
            if new:
                _name_metrics(opened.study, list(objectives))
        except DuplicatedStudyError:
            database.close(rdb)
            raise UserError(f"the database has a study {name} already; choose another --name") from None
        except KeyError:
            database.close(rdb)
            raise UserError(_missing(name)) from None
        except (*FAULTS, LookupError) as error:
            database.close(rdb)
            raise UserError(describe_fault(error)) from None
        if opened.study.directions != [WAYS[objective.direction] for objective in objectives.values()]:
            database.close(rdb)
            raise UserError("study.toml has other objectives than the record; restore it from a copy")
        return opened

    def trials(self, epochs: int) -> list[FrozenTrial]:
        """Read all trials, in order, after ending those whose end was cut short; `epochs` as in `state_of`.

        Raises UserError if what a trial measured at its rungs was altered.
        """
        rows = self.study.get_trials(deepcopy=False)
        self._rows = len(rows)
        self._foreign = [row for row in rows if RESULT not in row.user_attrs]
        for trial in rows:
            if RESULT in trial.user_attrs:
                _check_rungs(trial)
                self._know(trial)
                if not trial.state.is_finished() and trial.user_attrs[RESULT]["finished"]:
                    result = trial.user_attrs[RESULT]
                    self._end(trial.number, state_of(result, epochs), result)
        return [trial for trial in self.study.get_trials(deepcopy=False) if RESULT in trial.user_attrs]

    def foreign(self) -> list[FrozenTrial]:
        """Return the foreign rows that have come since `trials`, or since this was called last.

        Raises OSError if another driver has added trials.
        """
        with Session(self.rdb.engine) as session:
            if self._count(session) != self._rows:
                rows = self.study.get_trials(deepcopy=False)[self._rows :]
                if any(RESULT in row.user_attrs and row.number not in self._ids for row in rows):
                    raise OSError(_TAKEN_OVER)
                self._foreign += [row for row in rows if RESULT not in row.user_attrs]
                self._rows += len(rows)
        found, self._foreign = self._foreign, []
        return found

    def add(
        self, values: Mapping[str, Any], distributions: Mapping[str, BaseDistribution], result: Result
    ) -> int:
        """Add a running trial with the searched `values`, and return its number.

        One transaction of five statements. Optuna's `create_new_trial` from a template writes the same rows with
        four statements per parameter, which takes ten times as long at 56 bit-widths. Raises OSError if another driver
        has taken the study over and this one, on a machine that was suspended, has not seen it yet.
        """
        with Session(self.rdb.engine) as session, session.begin():
            number = self._next_number(session)
            trial = models.TrialModel(
                study_id=self.study._study_id,
                number=number,
                state=TrialState.RUNNING,
                datetime_start=datetime.now(),
            )
            session.add(trial)
            session.flush()
            trial_id = cast(int, trial.trial_id)
            stored = _write_start(session, trial_id, values, distributions, result)
        self._ids[number], self._params[number] = trial_id, stored
        self._rows += number == self._rows
        return number

    def adopt(
        self,
        row: FrozenTrial,
        values: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
        result: Result,
    ) -> bool:
        """Let the waiting foreign `row` be a running trial with the searched `values`.

        False if it no longer waits, because another program has begun it.
        """
        start = sqlalchemy.update(_TRIALS).where(
            _TRIALS.c.trial_id == row._trial_id, _TRIALS.c.state == TrialState.WAITING
        )
        parameters = _TABLES["trial_params"]
        with Session(self.rdb.engine) as session, session.begin():
            begun = session.execute(start.values(state=TrialState.RUNNING, datetime_start=datetime.now()))
            if begun.rowcount == 0:  # type: ignore[attr-defined]  # of an update it has one
                return False
            session.execute(sqlalchemy.delete(parameters).where(parameters.c.trial_id == row._trial_id))
            stored = _write_start(session, row._trial_id, values, distributions, result)
        self._ids[row.number], self._params[row.number] = row._trial_id, stored
        return True

    def leave_out(self, row: FrozenTrial, reason: str) -> None:
        """End the waiting foreign `row`, which is no trial of this study, and keep why."""
        self.rdb.set_trial_user_attr(row._trial_id, LEFT_OUT, reason)
        self.rdb.set_trial_state_values(row._trial_id, TrialState.FAIL)

    def _know(self, trial: FrozenTrial) -> None:
        self._ids[trial.number] = trial._trial_id
        self._params[trial.number] = _stored(trial.params, trial.distributions)

    def _count(self, session: Session) -> int:
        """Return the number of rows: they are numbered from 0, so that the last one tells."""
        ours = sqlalchemy.select(_TRIALS.c.number).where(_TRIALS.c.study_id == self.study._study_id)
        last = session.scalar(ours.order_by(_TRIALS.c.trial_id.desc()).limit(1))
        return 0 if last is None else last + 1

    def _next_number(self, session: Session) -> int:
        """Return the number of the next row, and keep others from adding one before the transaction ends.

        Optuna locks the row of the study in the same way before it adds a trial.
        """
        ours = _STUDIES.c.study_id == self.study._study_id
        lock = sqlalchemy.update(_STUDIES).where(ours).values(study_name=_STUDIES.c.study_name)
        session.execute(lock)
        count = self._count(session)
        if count != self._rows:
            new = sqlalchemy.select(sqlalchemy.func.count()).select_from(_TRIALS.join(_ATTRIBUTES))
            new = new.where(_TRIALS.c.study_id == self.study._study_id, _ATTRIBUTES.c.key == RESULT)
            if session.scalar(new) != len(self._ids):
                raise OSError(_TAKEN_OVER)
        return count

    def update(self, number: int, result: Result) -> None:
        """Keep what a running trial has reported."""
        self.rdb.set_trial_user_attr(self._ids[number], RESULT, sealed(result, self._params[number]))

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
        """Write how a trial ended: its state, values and times, and each metric as an attribute of its own.

        One transaction, of at most five statements. Optuna takes the difference of the two times for the duration, so
        they leave out the pauses: the start is set back from the end by the time that the trial ran.
        """
        trial_id = self._ids[number]
        finished = datetime.fromisoformat(cast(str, result["finished"]))
        end = sqlalchemy.update(_TRIALS).where(
            _TRIALS.c.trial_id == trial_id,
            _TRIALS.c.state.in_([TrialState.RUNNING, TrialState.WAITING]),
        )
        times = {"datetime_start": _local(finished - _ran(result)), "datetime_complete": _local(finished)}
        metrics = {name: value for name, value in result["metrics"].items() if math.isfinite(value)}
        with Session(self.rdb.engine) as session, session.begin():
            if session.execute(end.values(state=state, **times)).rowcount == 0:  # type: ignore[attr-defined]
                raise UpdateFinishedTrialError("the trial has ended")
            if state == TrialState.COMPLETE:
                values = [result["metrics"][name] for name in self._objectives]
                kind = models.TrialValueModel.TrialValueType.FINITE
                rows = [
                    {"trial_id": trial_id, "objective": n, "value": value, "value_type": kind}
                    for n, value in enumerate(values)
                ]
                session.execute(sqlalchemy.insert(models.TrialValueModel), rows)
            if metrics:
                theirs = _ATTRIBUTES.c.trial_id == trial_id, _ATTRIBUTES.c.key.in_(metrics)
                session.execute(sqlalchemy.delete(_ATTRIBUTES).where(*theirs))
                rows = [
                    {"trial_id": trial_id, "key": name, "value_json": json.dumps(value)}
                    for name, value in metrics.items()
                ]
                session.execute(sqlalchemy.insert(_ATTRIBUTES), rows)

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


_TAKEN_OVER = "another driver has added trials to this study"


def _name_metrics(study: optuna.Study, objectives: list[str]) -> None:
    """Let Optuna's plots and tables call the objectives by their names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        study.set_metric_names(objectives)


def _write_start(
    session: Session,
    trial_id: int,
    values: Mapping[str, Any],
    distributions: Mapping[str, BaseDistribution],
    result: Result,
) -> dict[str, float]:
    """Write what is known of a trial that begins, and return its parameters as Optuna stores them."""
    stored = _stored(values, distributions)
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
    attribute = {"trial_id": trial_id, "key": RESULT, "value_json": json.dumps(sealed(result, stored))}
    session.execute(sqlalchemy.insert(_ATTRIBUTES), [attribute])
    return stored


def _ran(result: Result) -> timedelta:
    """Return how long a trial ran, to its last report, without pauses."""
    return sum(
        (
            datetime.fromisoformat(interval["ended"]) - datetime.fromisoformat(interval["started"])
            for interval in result["intervals"]
            if interval["ended"]
        ),
        timedelta(),
    )


def _local(time: datetime) -> datetime:
    """Return a time as Optuna stores it: local, without a zone."""
    return time.astimezone().replace(tzinfo=None)


def _stored(values: Mapping[str, Any], distributions: Mapping[str, BaseDistribution]) -> dict[str, float]:
    """Return parameters as Optuna stores them."""
    return {name: distributions[name].to_internal_repr(value) for name, value in values.items()}


def _check_rungs(trial: FrozenTrial) -> None:
    known: Result = trial.user_attrs[RESULT]
    if "rungs_digest" in known and known["rungs_digest"] != rungs_digest(known["rungs"]):
        raise UserError(
            f"the rungs of trial {trial.number} differ from their digest; restore study.db from a copy of the study"
        )


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
    except LookupError as error:
        if type(error) is not LookupError:  # as SQLAlchemy raises for a value that an enumeration lacks
            raise
        raise UserError(describe_fault(error)) from None


def describe_fault(error: Exception) -> str:
    """Return in one sentence what one of `FAULTS`, or a value that no enumeration of the tables has, says."""
    if isinstance(error, UpdateFinishedTrialError):
        return "another driver has ended a trial of this study"
    cause = error.__cause__ if isinstance(error, StorageInternalError) else error
    said = getattr(cause, "orig", None) or cause
    if type(cause) in _DAMAGE:
        return f"the record is damaged ({said}); copy the study again while no driver is running"
    if isinstance(cause, SQLAlchemyError):
        first, *_ = str(said).strip().splitlines() or [type(said).__name__]  # a server adds where to look
        return f"the record cannot be used: {first}"
    return str(said)
