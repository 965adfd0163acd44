"""A driver that dies between any two writes of the record, and events in any order. A real SQLite, no Ray."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from optuna.trial import FrozenTrial, TrialState
from ray.tune.schedulers import TrialScheduler

from study.execution.searcher import Searcher
from study.execution.worker import Job, Report
from study.search.proposals import TRIALS_PER_RESUME
from study.store import database
from study.store.options import SCHEDULERS
from study.store.record import Record
from study.store.request import Request
from study_common.layout import RESULT, RESUMED_BY_SAMPLER
from tests.study.execution.test_searcher import check
from tests.study.toys import metrics_of

WRITES = ("set_trial_user_attr", "set_trial_state_values", "set_study_user_attr")
DEATHS = 20
"""Drivers that may die; the next one does not."""


class KilledError(BaseException):
    """Stands for kill -9: nothing of ours catches it."""


def make_mortal(record: Record, random: Random, chance: float) -> None:
    """Let each write of `record` be the driver's last, done or not."""

    def mortal(write: Callable[..., Any]) -> Callable[..., Any]:
        def dying(*given: Any) -> Any:
            moment = random.random()
            if moment < chance:
                raise KilledError
            written = write(*given)
            if moment > 1 - chance:
                raise KilledError
            return written

        return dying

    record.add = mortal(record.add)  # type: ignore[method-assign]
    for name in WRITES:
        setattr(record.rdb, name, mortal(getattr(record.rdb, name)))


def live(searcher: Searcher, workers: int, random: Random) -> None:
    """Play Ray Tune to the end of a study: which of its trials reports next, and what becomes of it, is drawn."""
    running: dict[str, tuple[Job, int]] = {}
    names, more = count(), True
    while more or running:
        if more and len(running) < workers and (not running or random.random() < 0.5):
            name = str(next(names))
            suggestion = searcher.suggest(name)
            assert not searcher.halted
            more = suggestion != searcher.FINISHED
            if isinstance(suggestion, dict):
                running[name] = suggestion["job"], suggestion["job"].recorded
            else:
                assert running or not more, "later, and nothing runs"
        else:
            name = random.choice(sorted(running))
            job, epoch = running.pop(name)
            if not step(searcher, name, job, epoch, random):
                running[name] = job, epoch + 1
            elif random.random() < 0.1:
                searcher.on_trial_complete(name, None)  # Tune says again that it ended


def step(searcher: Searcher, name: str, job: Job, epoch: int, random: Random) -> bool:
    """Let a trial report the next epoch, or die; tell whether it has ended for Tune."""
    fate = random.random()
    if fate < 0.03:
        searcher.on_trial_complete(name, None, error=True)
        searcher.lost(name, "its worker died 3 times")
        return True
    if fate < 0.06:
        searcher.on_trial_complete(name, {"report": Report(error="ValueError: no")})
        return True
    last = epoch + 1 == job.flat["epochs"]
    metrics = metrics_of(job.flat, epoch + 1) | ({"accuracy": float("nan")} if fate < 0.09 else {})
    result = {"report": Report(epoch=epoch + 1, seconds=1.0, metrics=metrics, last=last)}
    decision = searcher.scheduler.on_trial_result(
        None, cast(Any, SimpleNamespace(config={"job": job})), result
    )
    if last or decision == TrialScheduler.STOP:
        searcher.on_trial_complete(name, result)
        return True
    searcher.on_trial_result(name, result)
    return False


@settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.generate],  # a smaller seed is no simpler
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    seed=st.integers(0, 2**32),
    scheduler=st.sampled_from(SCHEDULERS),
    sampler=st.sampled_from(["sms_ego", "tpe"]),
    trials=st.integers(1, 12),
)
def test_nothing_is_lost_or_changed(
    seed: int, scheduler: str, sampler: str, trials: int, tmp_path: Path, request_of: Callable[..., Request]
) -> None:
    random = Random(seed)
    request = request_of(scheduler=scheduler, sampler=sampler, trials=trials)
    (tmp_path / "study.db").unlink(missing_ok=True)
    url = database.url_in(tmp_path)
    Record.open(url, "s", request.objectives, new=True).__exit__()
    ended: dict[int, str] = {}
    whole = False
    for chance in (*[0.05] * DEATHS, 0.0, 0.0):
        with Record.open(url, "s", request.objectives) as record, suppress(KilledError):
            found = record.study.get_trials(deepcopy=False)
            check_left(found, request)
            for trial in found:
                if trial.state.is_finished():
                    assert ended.setdefault(trial.number, told(trial)) == told(trial), "what has ended stays"
            assert record.attributes().get(RESUMED_BY_SAMPLER, 0) <= len(found) // TRIALS_PER_RESUME
            if whole:
                break
            if found and random.random() < 0.2:
                request = replace(request, trials=max(1, trials + random.randint(-3, 3)))
            make_mortal(record, random, chance)
            live(Searcher(request, record, tmp_path, token=""), random.randint(1, 4), random)
            whole = True
    assert len(ended) == len(found) >= request.trials


def check_left(found: list[FrozenTrial], request: Request) -> None:
    """Whatever the moment: each trial once, its rungs those up to its last epoch, and who pauses is at one."""
    assert [trial.number for trial in found] == list(range(len(found)))
    assert len({json.dumps(trial.params) for trial in found}) == len(found), "a configuration came twice"
    for trial in found:
        known = trial.user_attrs[RESULT]
        assert [rung["epoch"] for rung in known["rungs"]] == [
            e for e in request.rungs if e <= known["epochs"]
        ]
        assert trial.state != TrialState.WAITING or known["epochs"] in request.rungs
        if trial.state.is_finished():
            check(trial, request)


def told(trial: FrozenTrial) -> str:
    return json.dumps([trial.state.name, trial.values, trial.params, trial.user_attrs[RESULT]])
