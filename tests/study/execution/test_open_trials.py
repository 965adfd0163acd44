"""The trials that have not ended."""

from study.execution.open_trials import OpenTrial, OpenTrials, Status
from study.store.record import new_result


def trial(number: int) -> OpenTrial:
    return OpenTrial(number=number, point={"x": number}, known=new_result(0), status=Status.INTERRUPTED)


def test_a_trial_is_found_by_number_by_values_and_while_it_runs_by_its_name_in_tune() -> None:
    one, two = trial(1), trial(2)
    trials = OpenTrials([one, two])
    assert trials.interrupted == [one, two]
    two.run("a")
    assert (trials.numbered(2), trials.named("a"), trials.running) == (two, two, [two])
    two.rest(Status.PAUSED)
    assert (trials.paused, trials.running, trials.interrupted) == ([two], [], [one])
    assert trials.has({"x": 1}, 0)
    assert not trials.has({"x": 1}, 1)
    trials.remove(one)
    assert not trials.has({"x": 1}, 0)
    assert len(trials) == 1
