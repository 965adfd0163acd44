"""What other programs put into the record: enqueued points become trials, and nothing else locks the study."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

import results
from study.execution import driver
from study.store import database
from study.store import directory as directories
from study.store.record import Record
from study.store.request import Request
from study_common.layout import LEFT_OUT, TRIALS_DIR
from tests.conftest import Command
from tests.study import toys
from tests.study.execution.test_searcher import play, searcher_of, start

RequestOf = Callable[..., Request]


@pytest.fixture
def study(request_of: RequestOf, tmp_path: Path) -> tuple[Request, Path]:
    request = request_of(name="s", trials=5, scheduler="fifo")
    return request, directories.create(request, str(tmp_path))


def opened(request: Request, directory: Path, new: bool = False) -> Record:
    return Record.open(database.url_in(directory), "s", request.objectives, new)


def theirs(directory: Path) -> optuna.Study:
    """The record as a user of Optuna opens it."""
    return optuna.load_study(study_name="s", storage=database.url_in(directory))


def run(searcher: Any, count: int, directory: Path) -> list[dict[str, Any]]:
    """Run trials to their end; what each was configured with."""
    found = []
    for name in map(str, range(count)):
        job = start(searcher, name)
        found.append(job.flat)
        (directory / TRIALS_DIR / str(job.number)).mkdir(parents=True)
        play(searcher, name, job, "complete")
    return found


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("part", ["whole", "part"])
def test_an_enqueued_point_is_the_next_trial(resumed: bool, part: str, study: tuple[Request, Path]) -> None:
    """It used to lock the study: "another driver has added trials"."""
    request, directory = study
    point = {name: value for name, value in request.queue[0].items() if name != "lambda1"}
    point = {"lambda1": 2} | (point if part == "whole" else {})
    with opened(request, directory, new=True) as record:
        searcher = searcher_of(request, record, directory)
        run(searcher, 2, directory)
        theirs(directory).enqueue_trial(point)
        if resumed:
            searcher = searcher_of(request, record, directory)
        run(searcher, 3, directory)
        assert searcher.suggest("more") == searcher.FINISHED
        trials = record.trials(request.epochs)
        assert not searcher.notices
    assert [(trial.number, trial.state) for trial in trials] == [(n, TrialState.COMPLETE) for n in range(5)]
    assert point.items() <= trials[2].params.items()
    assert trials[2].params.keys() == request.queue[0].keys()
    assert len(results.load(directory).trials) == 5


BAD = {
    "unknown parameter 'lamda1'; the nearest is 'lambda1'": {"lamda1": 1.0},
    "lambda1 = 1000.0 is not in the space": {"lambda1": 1000.0},
    "lambda1 = 'much' is not in the space": {"lambda1": "much"},
    "no configuration with its values keeps the constraints and was not tried": None,
}


@pytest.mark.parametrize("why", BAD)
def test_a_point_that_does_not_fit_is_one_line_and_left_out(
    why: str, study: tuple[Request, Path], command: Command
) -> None:
    request, directory = study
    with opened(request, directory, new=True) as record:
        searcher = searcher_of(request, record, directory)
        run(searcher, 1, directory)
        theirs(directory).enqueue_trial(BAD[why] or record.trials(request.epochs)[0].params)
        run(searcher, 4, directory)
        (notice,) = searcher.notices
        assert notice.startswith(f"the enqueued trial 1 is left out: {why}")
        assert [trial.number for trial in record.trials(request.epochs)] == [0, 2, 3, 4, 5]
        left_out = record.study.get_trials()[1]
        assert (left_out.state, why in left_out.user_attrs[LEFT_OUT]) == (TrialState.FAIL, True)
        again = searcher_of(request, record, directory)
        assert again.suggest("more") == again.FINISHED
        assert not again.notices, "it was said"
    assert results.load(directory).trials["number"].to_list() == [0, 2, 3, 4, 5]
    assert "(complete): trials 5/5" in command("study.status", "s", "--runs-dir", str(directory.parent))[1]


def test_a_point_over_the_bound_is_left_out(request_of: RequestOf, tmp_path: Path) -> None:
    request = request_of(name="s", trials=3, max_bops=1e8)
    directory = directories.create(request, str(tmp_path))
    wide = {
        name: max(domain.finite()) for name, domain in request.space.parameters.items() if domain.finite()
    }
    with opened(request, directory, new=True) as record:
        theirs(directory).enqueue_trial(wide)
        searcher = searcher_of(request, record, directory)
        run(searcher, 1, directory)
        assert "keeps the constraints" in searcher.notices[0]


def test_rows_of_another_optimiser_are_left_out(study: tuple[Request, Path], command: Command) -> None:
    request, directory = study
    domain = FloatDistribution(0.0, 1.0)
    with opened(request, directory, new=True) as record:
        searcher = searcher_of(request, record, directory)
        run(searcher, 1, directory)
        theirs(directory).ask()
        template = {"params": {"x": 0.5}, "distributions": {"x": domain}}
        theirs(directory).add_trial(optuna.create_trial(values=[0.5] * len(request.objectives), **template))
        run(searcher, 4, directory)
        assert searcher.notices == [
            f"trial {n} of the record is another program's and is left out" for n in (1, 2)
        ]
        assert [trial.number for trial in record.trials(request.epochs)] == [0, 3, 4, 5, 6]
        assert record.study.get_trials()[1].state == TrialState.RUNNING, "what is theirs stays as it is"
    read = results.load(directory)
    assert read.trials["number"].to_list() == [0, 3, 4, 5, 6]
    assert "params.x" not in read.trials
    assert len(read.front())


def test_a_trial_that_lost_its_result_is_damage(study: tuple[Request, Path]) -> None:
    request, directory = study
    with opened(request, directory, new=True) as record:
        run(searcher_of(request, record, directory), 1, directory)
        with record.rdb.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM trial_user_attributes WHERE key = 'result'")
    with pytest.raises(ValueError, match="another version"):
        results.load(directory)


@pytest.mark.usefixtures("local_ray")
def test_a_complete_study_tells_of_points_that_wait_and_runs_them(
    spec_of: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert driver.run_study(spec_of(trials=2), train=toys.toy).code == 0
    theirs(tmp_path / "s").enqueue_trial({"lambda1": 0.75})
    assert driver.resume_study(tmp_path / "s", train=toys.toy).code == 0
    assert "--trials N runs more; 1 that were enqueued wait" in capsys.readouterr().out
    assert driver.resume_study(tmp_path / "s", trials=3, train=toys.toy).code == 0
    read = results.load(tmp_path / "s")
    assert read.trials["params.lambda1"].to_list()[2] == 0.75
    assert (tmp_path / "s" / "report.html").exists()
