"""The searcher and the record: truthful states whatever the order of events. A real SQLite, no Ray."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.trial import FrozenTrial, TrialState
from ray.tune.schedulers import TrialScheduler

from study.execution.searcher import Searcher
from study.execution.worker import Job, Report
from study.search.proposals import TRIALS_PER_RESUME, Proposals
from study.store import database
from study.store.record import Record
from study.store.request import Request
from study_common.errors import UserError
from study_common.layout import RESULT, RESUMED_BY_SAMPLER
from tests.study.toys import metrics_of

RequestOf = Callable[..., Request]
STATEMENTS = 14
"""Of a trial that begins, reaches a rung and completes, however many parameters it has."""
ENDS = ("complete", "paused", "error", "nan", "inf", "lost", "left", "no space")
STATES = {
    "complete": TrialState.COMPLETE,
    "paused": TrialState.WAITING,
    **dict.fromkeys(("error", "nan", "inf", "lost"), TrialState.FAIL),
    **dict.fromkeys(("left", "no space"), TrialState.RUNNING),
}


@pytest.fixture
def record(tmp_path: Path, request_of: RequestOf) -> Iterator[Record]:
    with Record.open(database.url_in(tmp_path), "s", request_of().objectives, new=True) as record:
        yield record


def searcher_of(request: Request, record: Record, directory: Path) -> Searcher:
    return Searcher(request, record, directory, token="")


def start(searcher: Searcher, trial_id: str) -> Job:
    suggestion = searcher.suggest(trial_id)
    assert isinstance(suggestion, dict), searcher.halted
    return suggestion["job"]


def report(job: Job, epoch: int, **changed: Any) -> dict[str, Any]:
    metrics = metrics_of(job.flat, epoch) | changed
    return {"report": Report(epoch=epoch, seconds=1.0, metrics=metrics, last=epoch == job.flat["epochs"])}


def reach(searcher: Searcher, trial_id: str, job: Job, epoch: int, **changed: Any) -> None:
    """Let a trial report an epoch, as Tune does: to the searcher in the way that the scheduler decides."""
    result, trial = report(job, epoch, **changed), cast(Any, SimpleNamespace(config={"job": job}))
    decision = searcher.scheduler.on_trial_result(None, trial, result)
    if result["report"].last or decision == TrialScheduler.STOP:
        searcher.on_trial_complete(trial_id, result)
    else:
        searcher.on_trial_result(trial_id, result)


def play(searcher: Searcher, trial_id: str, job: Job, end: str) -> None:
    """Let a trial report its rungs and end in one of the ways that Ray Tune knows."""
    if end != "paused":
        searcher.on_trial_result(trial_id, report(job, 1))
    match end:
        case "complete":
            searcher.on_trial_complete(trial_id, report(job, 9))
        case "nan" | "inf":
            searcher.on_trial_complete(trial_id, report(job, 9, accuracy=float(end)))
        case "paused":
            searcher.on_trial_complete(trial_id, report(job, 1))
        case "error":
            searcher.on_trial_complete(trial_id, {"report": Report(error="ValueError: no")})
        case "lost":
            searcher.on_trial_complete(trial_id, None, error=True)
            searcher.lost(trial_id, "its worker died 3 times")
        case "no space":
            searcher.on_trial_complete(trial_id, {"report": Report(error="the disk is full", halts=True)})


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ends=st.lists(st.sampled_from([end for end in ENDS if end != "no space"]), min_size=1, max_size=8))
def test_the_record_says_how_each_trial_ended(ends: list[str], tmp_path: Path, request_of: RequestOf) -> None:
    request = request_of(trials=len(ends), sampler="random")
    (tmp_path / "study.db").unlink(missing_ok=True)
    with Record.open(database.url_in(tmp_path), "s", request.objectives, new=True) as record:
        searcher = searcher_of(request, record, tmp_path)
        jobs = [start(searcher, str(n)) for n in range(len(ends))]
        for n, end in sorted(enumerate(ends), key=lambda pair: pair[1]):
            if end == "paused":
                searcher.scheduler.reached(n, 1, metrics_of(jobs[n].flat, 1), paused=True)
            play(searcher, str(n), jobs[n], end)
        trials = record.trials(request.epochs)
        assert [trial.state for trial in trials] == [STATES[end] for end in ends]
        for trial in trials:
            check(trial, request)
        for more in range(len(ends)):
            if isinstance(resumed := searcher.suggest(f"more {more}"), dict):
                assert ends[resumed["job"].number] == "paused"
                searcher.on_trial_complete(f"more {more}", report(resumed["job"], 9))
        assert searcher.suggest("end") == (None if "left" in ends else searcher.FINISHED)
        states = {trial.state for trial in record.trials(request.epochs)}
        assert "left" in ends or not states & {TrialState.RUNNING, TrialState.WAITING}
        for trial in record.trials(request.epochs):
            check(trial, request)


def check(trial: FrozenTrial, request: Request) -> None:
    """Only a complete trial has values, and they are those of the last epoch."""
    result = trial.user_attrs[RESULT]
    if trial.state == TrialState.COMPLETE:
        assert result["epochs"] == request.epochs
        assert trial.values == [result["metrics"][name] for name in request.objectives]
        assert all(map(math.isfinite, trial.values))
    else:
        assert not trial.values
    assert (result["finished"] is not None) == trial.state.is_finished()
    assert (result["error"] is not None) == (trial.state == TrialState.FAIL)
    assert [rung["epoch"] for rung in result["rungs"]] == sorted({rung["epoch"] for rung in result["rungs"]})


def test_a_repeated_report_counts_once(record: Record, request_of: RequestOf, tmp_path: Path) -> None:
    request = request_of(trials=1)
    searcher = searcher_of(request, record, tmp_path)
    job = start(searcher, "a")
    for epoch in (1, 2, 3, 1, 2, 3, 4):
        searcher.on_trial_result("a", report(job, epoch))
    result = record.trials(9)[0].user_attrs[RESULT]
    assert [rung["epoch"] for rung in result["rungs"]] == [1, 3]
    assert result["duration_s"] == 3.0  # of the rung that was written last
    searcher.on_trial_complete("a", report(job, 9))
    assert record.trials(9)[0].user_attrs[RESULT]["duration_s"] == 5.0


def test_a_resume_continues_what_ran_and_ends_at_the_total(
    record: Record, request_of: RequestOf, tmp_path: Path
) -> None:
    request = request_of(trials=4, sampler="random")
    first = searcher_of(request, record, tmp_path)
    jobs = [start(first, str(n)) for n in range(3)]
    play(first, "0", jobs[0], "complete")
    play(first, "1", jobs[1], "left")
    again = searcher_of(request, record, tmp_path)
    resumed = [start(again, trial) for trial in ("x", "y")]
    assert [job.number for job in resumed] == [1, 2]
    assert [job.recorded for job in resumed] == [1, 0]
    assert [job.flat for job in resumed] == [jobs[1].flat, jobs[2].flat]
    fresh = start(again, "z")
    assert fresh.number == 3
    assert fresh.flat not in [job.flat for job in jobs]
    assert again.suggest("one more") is None, "what runs may let others go on"


def test_a_paused_trial_goes_on_from_its_rung_also_after_a_resume(
    record: Record, request_of: RequestOf, tmp_path: Path
) -> None:
    request = request_of(trials=7, sampler="random")
    first = searcher_of(request, record, tmp_path)
    jobs = [start(first, str(n)) for n in range(7)]
    for n in (6, 5, 4, 3, 2, 1, 0):
        reach(first, str(n), jobs[n], 1, accuracy=n / 10, faithfulness=n / 10, flops=1e5)
    assert {trial.state for trial in record.trials(9)} == {TrialState.WAITING}
    assert start(first, "again").number == 6
    assert record.trials(9)[6].state == TrialState.RUNNING
    again = searcher_of(request, record, tmp_path)
    resumed = [start(again, trial) for trial in ("x", "y", "z")]
    assert [job.number for job in resumed] == [6, 5, 4], "what ran, then the best that paused, three in all"
    assert [job.recorded for job in resumed] == [1, 1, 1]
    assert again.suggest("one more") is None
    for trial, job in zip(("x", "y", "z"), resumed, strict=True):
        again.on_trial_complete(trial, report(job, 9))
    assert again.suggest("one more") == again.FINISHED
    ended = record.trials(9)
    assert [trial.state.name for trial in ended] == ["PRUNED"] * 4 + ["COMPLETE"] * 3
    for trial in ended:
        check(trial, request)
    assert len(ended[6].user_attrs[RESULT]["intervals"]) == 2, "the one between the two left nothing"


@pytest.mark.parametrize("resumed", [False, True])
def test_the_sampler_may_have_a_paused_trial_go_on_also_after_a_resume(
    resumed: bool, record: Record, request_of: RequestOf, tmp_path: Path
) -> None:
    """The scheduler would not: of fewer than twenty nobody is among the best twentieth."""
    request = request_of(trials=20, reduction_factor=20)
    searcher = searcher_of(request, record, tmp_path)
    for name in "abcdef":
        pause(searcher, name)
    if resumed:
        searcher = searcher_of(request, record, tmp_path)
    while not (job := start(searcher, "t")).recorded:
        reach(searcher, "t", job, 1, accuracy=0.3, faithfulness=0.3)
    assert job.number == 0
    trials = record.trials(request.epochs)
    assert trials[0].state == TrialState.RUNNING
    assert searcher.progress.states["paused"] == searcher.progress.tried == len(trials) - 1
    searcher.scheduler.all_began = True
    assert 0 not in iter(searcher.scheduler.next_to_resume, None), "it runs already"


def test_the_sampler_has_no_more_go_on_for_being_resumed(
    record: Record, request_of: RequestOf, tmp_path: Path
) -> None:
    request = request_of(trials=20, reduction_factor=20)
    while len(record.trials(request.epochs)) < 18:
        searcher = searcher_of(request, record, tmp_path)
        for name in "abc":
            pause(searcher, name)
    assert 1 <= record.attributes()[RESUMED_BY_SAMPLER] <= 18 // TRIALS_PER_RESUME


def pause(searcher: Searcher, name: str) -> None:
    """Let the next trial reach the first rung; the very first is the best by far."""
    job = start(searcher, name)
    good = 0.3 if job.number else 0.95
    if job.recorded:
        searcher.on_trial_complete(name, report(job, 1))
    else:
        reach(searcher, name, job, 1, accuracy=good, faithfulness=good)


def test_a_stopped_trial_of_a_study_that_is_extended_counts_but_does_not_go_on(
    record: Record, request_of: RequestOf, tmp_path: Path
) -> None:
    first = searcher_of(request_of(trials=4), record, tmp_path)
    jobs = [start(first, str(n)) for n in range(4)]
    for n, job in enumerate(jobs):
        reach(first, str(n), job, 1, accuracy=0.9, faithfulness=n / 10, flops=1e5)
    for n in (2, 3):  # each was the best of those before and went on at once
        first.on_trial_complete(str(n), report(jobs[n], 9))
    while isinstance(more := first.suggest("more"), dict):
        first.on_trial_complete("more", report(more["job"], 9))
    states = [trial.state.name for trial in record.trials(9)]
    assert states == ["PRUNED", "COMPLETE", "COMPLETE", "COMPLETE"]
    longer = searcher_of(request_of(trials=5), record, tmp_path)
    job = start(longer, "fifth")
    reach(longer, "fifth", job, 1, accuracy=0.0, faithfulness=0.0, flops=1e7)
    assert longer.suggest("sixth") == longer.FINISHED
    assert [trial.state.name for trial in record.trials(9)] == [*states, "PRUNED"]


def test_a_study_can_end_with_fewer_trials(
    record: Record, request_of: RequestOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = searcher_of(request_of(trials=4), record, tmp_path)
    jobs = [start(first, str(n)) for n in range(3)]
    play(first, "0", jobs[0], "complete")
    told: list[Any] = []
    monkeypatch.setattr(Proposals, "end", lambda _, point: told.append(point))
    shorter = searcher_of(request_of(trials=2), record, tmp_path)
    assert start(shorter, "a").number == 1
    assert shorter.suggest("b") is None
    assert [trial.state.name for trial in record.trials(9)] == ["COMPLETE", "RUNNING", "PRUNED"]
    assert told == [record.trials(9)[n].params for n in (0, 2)], "the sampler hears of all that do not run"


@pytest.mark.parametrize("trials", [1, 3, 5])
def test_a_study_of_paused_trials_can_end_with_fewer(
    trials: int, record: Record, request_of: RequestOf, tmp_path: Path
) -> None:
    first = searcher_of(request_of(trials=9), record, tmp_path)
    jobs = [start(first, str(n)) for n in range(6)]
    for n in range(5, -1, -1):
        reach(first, str(n), jobs[n], 1, accuracy=n / 10, faithfulness=n / 10, flops=1e5)
    shorter = searcher_of(request_of(trials=trials), record, tmp_path)
    while isinstance(job := shorter.suggest("more"), dict):
        shorter.on_trial_complete("more", report(job["job"], 9))
    assert (job, shorter.halted) == (shorter.FINISHED, "")
    states = [trial.state.name for trial in record.trials(9)]
    best = min(3, trials)
    assert states == ["PRUNED"] * (6 - best) + ["COMPLETE"] * best
    assert shorter.progress.unfinished == 0


def test_an_end_that_was_cut_short_is_finished(record: Record, request_of: RequestOf, tmp_path: Path) -> None:
    request = request_of(trials=2)
    searcher = searcher_of(request, record, tmp_path)
    job = start(searcher, "a")
    searcher.on_trial_result("a", report(job, 1))
    result = record.trials(9)[0].user_attrs[RESULT]
    record.update(
        0, result | {"finished": "2026-01-01T00:00:00+00:00", "epochs": 3}
    )  # killed before the state
    assert record.trials(9)[0].state == TrialState.PRUNED
    record.add({"mask_ratio": 0.5}, request.distributions(), result | {"finished": None})
    assert [trial.state.name for trial in record.trials(9)] == ["PRUNED", "RUNNING"]


def test_a_full_disk_stops_the_study_and_not_the_trial(
    record: Record, request_of: RequestOf, tmp_path: Path
) -> None:
    searcher = searcher_of(request_of(trials=3), record, tmp_path)
    play(searcher, "a", start(searcher, "a"), "no space")
    assert "disk is full" in searcher.halted
    assert searcher.suggest("b") == searcher.FINISHED
    assert record.trials(9)[0].state == TrialState.RUNNING


def test_three_statements_write_what_optuna_would(record: Record, request_of: RequestOf) -> None:
    request = request_of()
    point, distributions = request.queue[0], request.distributions()
    result: Any = {"finished": None, "metrics": {}, "rungs": []}
    record.add(point, distributions, result)
    template = record.study.get_trials()[0]
    record.rdb.create_new_trial(record.study._study_id, template)
    ours, theirs = record.study.get_trials()
    assert (ours.params, ours.distributions, ours.user_attrs, ours.state) == (
        (theirs.params, theirs.distributions, theirs.user_attrs, theirs.state)
    )
    assert (ours.number, theirs.number) == (0, 1)


@pytest.mark.parametrize("space", ["mixed_bits", "saliency"])
def test_a_trial_costs_as_many_statements_late_as_early(
    space: str, record: Record, request_of: RequestOf, tmp_path: Path
) -> None:
    given = {"trials": 120, "sampler": "random", "objectives": "accuracy:max,faithfulness:max"}
    searcher = searcher_of(request_of(space=space, **given), record, tmp_path)
    statements: list[str] = []
    sqlalchemy.event.listen(record.rdb.engine, "before_cursor_execute", lambda *it: statements.append(it[2]))
    counts = set()
    for trial in map(str, range(100)):
        statements.clear()
        play(searcher, trial, start(searcher, trial), "complete")
        counts.add(len(statements))
    assert counts == {STATEMENTS}


def test_a_snapshot_is_the_record(record: Record, request_of: RequestOf, tmp_path: Path) -> None:
    objectives = request_of().objectives
    with Record.open(database.url_in(tmp_path), "other", objectives, new=True) as other:
        start(searcher_of(request_of(), other, tmp_path), "a")
    searcher = searcher_of(request_of(trials=3), record, tmp_path)
    for name, end in {"a": "complete", "b": "paused", "c": "left"}.items():
        play(searcher, name, start(searcher, name), end)
    record.set_attribute("said", [1])
    record.snapshot(tmp_path / "copy.db")
    url = f"sqlite:///{tmp_path / 'copy.db'}"
    with Record.open(url, "s", objectives) as copy:
        assert copy.study.get_trials() == record.study.get_trials()
        assert copy.attributes() == record.attributes()
    with pytest.raises(UserError, match="there is no record of other"):
        Record.open(url, "other", objectives)
    assert [path.name for path in tmp_path.glob("copy*")] == ["copy.db"]


def test_a_driver_that_was_taken_over_adds_nothing(
    record: Record, request_of: RequestOf, tmp_path: Path
) -> None:
    """As of a machine that was suspended for longer than its lease lasts."""
    request = request_of(trials=4)
    suspended = searcher_of(request, record, tmp_path)
    with Record.open(database.url_in(tmp_path), "s", request.objectives) as other:
        start(searcher_of(request, other, tmp_path), "a")
    assert suspended.suggest("a") == suspended.FINISHED
    assert "another driver" in suspended.halted
    assert len(record.trials(request.epochs)) == 1


def test_a_driver_that_was_taken_over_ends_nothing(
    record: Record, request_of: RequestOf, tmp_path: Path
) -> None:
    request = request_of(trials=1)
    suspended = searcher_of(request, record, tmp_path)
    job = start(suspended, "a")
    with Record.open(database.url_in(tmp_path), "s", request.objectives) as other:
        play(searcher := searcher_of(request, other, tmp_path), "a", start(searcher, "a"), "complete")
    suspended.on_trial_complete("a", report(job, 9))
    assert "another driver" in suspended.halted


def test_when_those_that_go_on_fail_others_do(record: Record, request_of: RequestOf, tmp_path: Path) -> None:
    searcher, failed, turn = searcher_of(request_of(trials=6), record, tmp_path), 0, 0
    while isinstance(suggestion := searcher.suggest(trial := str(turn)), dict):
        job, turn = suggestion["job"], turn + 1
        for epoch in (epoch for epoch in (1, 3, 9) if epoch > job.recorded):
            if epoch > 1 and failed < 3:
                searcher.on_trial_complete(trial, {"report": Report(error="it diverged")})
                failed += 1
                break
            reach(searcher, trial, job, epoch)
            if trial not in [each.tune_id for each in searcher._open.running]:
                break
    states = [trial.state for trial in record.study.get_trials()]
    assert (states.count(TrialState.FAIL), states.count(TrialState.COMPLETE)) == (3, 3)


def test_a_resume_paces_itself_by_what_it_trains(
    record: Record, request_of: RequestOf, tmp_path: Path
) -> None:
    request = request_of(trials=4, scheduler="fifo", max_bops=4e8)
    first = searcher_of(request, record, tmp_path)
    for number in range(3):
        play(first, str(number), start(first, str(number)), "complete")
    rejected = dict(first.progress.rejected)
    resumed = searcher_of(request, record, tmp_path)
    assert resumed.progress.rejected == rejected
    job = start(resumed, "again")
    for epoch in (1, 2):  # of which the record knows nothing, since the driver was killed before
        resumed.on_trial_result("again", report(job, epoch))
    assert (resumed.progress.epochs, resumed.progress.eta) == (0, None)
    new = Report(epoch=3, seconds=1.0, metrics=metrics_of(job.flat, 3), is_new=True)
    resumed.on_trial_result("again", {"report": new})
    assert resumed.progress.epochs == 1
    assert resumed.progress.eta == pytest.approx(6 * resumed.progress.seconds, rel=0.2)


def finish(searcher: Searcher, trial_id: str, job: Job) -> None:
    """Report what is left of a trial; a replicate is much worse than what it repeats."""
    changed = {"accuracy": 0.1} if job.flat["seed"] else {}
    for epoch in (epoch for epoch in (1, 3, 9) if epoch > job.recorded):
        reach(searcher, trial_id, job, epoch, **changed)
        if trial_id not in [each.tune_id for each in searcher._open.running]:
            return


@pytest.mark.parametrize("scheduler", ["fifo", "pareto_asha"])
def test_the_last_trials_repeat_members_of_the_front_with_fresh_seeds(
    scheduler: str, record: Record, request_of: RequestOf, tmp_path: Path
) -> None:
    request = request_of(trials=8, replicates=3, scheduler=scheduler)
    searcher, jobs, turn = searcher_of(request, record, tmp_path), [], 0
    while isinstance(suggestion := searcher.suggest(str(turn)), dict):
        jobs.append(suggestion["job"])
        finish(searcher, str(turn), jobs[-1])
        turn += 1
        if len(record.trials(9)) == 6:  # as after a kill: one replicate is in the record
            searcher = searcher_of(request, record, tmp_path)
    trials = record.trials(9)
    searched, repeated = trials[:5], trials[5:]
    assert {trial.user_attrs[RESULT]["seed"] for trial in searched} == {0}
    assert [trial.state for trial in repeated] == [TrialState.COMPLETE] * 3, "no rung stops them"
    complete = [trial.params for trial in searched if trial.state == TrialState.COMPLETE]
    assert all(trial.params in complete for trial in repeated)
    draws = {(frozenset(trial.params.items()), trial.user_attrs[RESULT]["seed"]) for trial in trials}
    assert len(draws) == 8, "none is trained twice with a seed"
    for job in jobs:
        assert job.flat["seed"] == trials[job.number].user_attrs[RESULT]["seed"]


def test_what_a_replicate_measures_is_not_the_samplers_to_learn(
    record: Record, request_of: RequestOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_of(trials=2, replicates=1)
    searcher = searcher_of(request, record, tmp_path)
    play(searcher, "a", start(searcher, "a"), "complete")
    told: list[Any] = []
    for name in ("start", "measure", "pause", "end"):
        monkeypatch.setattr(Proposals, name, lambda *it: told.append(it))
    play(searcher, "b", start(searcher, "b"), "complete")
    assert not told
    searcher_of(request, record, tmp_path)
    assert len(told) == 4, "of trial 0 its start, two rungs and its end"


def test_a_finite_space_has_its_replicates_when_it_is_exhausted(
    record: Record, request_of: RequestOf, tmp_path: Path
) -> None:
    request = request_of(space="paper_table_ii", trials=50, replicates=2, scheduler="fifo")
    searcher, turn = searcher_of(request, record, tmp_path), 0
    while isinstance(suggestion := searcher.suggest(str(turn)), dict):
        finish(searcher, str(turn), suggestion["job"])
        turn += 1
    seeds = [trial.user_attrs[RESULT]["seed"] > 0 for trial in record.trials(9)]
    assert (seeds[-2:], sum(seeds)) == ([True, True], 2)
    assert (len(seeds), searcher.progress.unfinished) == (request.attainable, 0)
