"""The trials that have not ended."""

from study.execution.open_trials import OpenTrial, OpenTrials, Status
from study.store.record import new_result


def trial(number: int) -> OpenTrial:
    return OpenTrial(number=number, point={"x": number}, known=new_result(0), status=Status.INTERRUPTED)


def test_a_trial_is_found_by_number_by_values_and_while_it_runs_by_its_name_in_tune() -> None:
    one, two = trial(1), trial(2)
    trials = OpenTrials()
    for added in (two, one):
        trials.add(added)
    assert trials.interrupted == [one, two]
    trials.run(two, "a")
    assert (trials.numbered(2), trials.named("a"), trials.running) == (two, two, [two])
    trials.rest(two, Status.PAUSED)
    trials.run(two, "b")
    trials.rest(two, Status.PAUSED)
    assert (trials.paused, trials.running, trials.interrupted) == ([two], [], [one])
    assert trials.of({"x": 1}, 0) == one
    assert trials.of({"x": 1}, 1) is None
    trials.remove(one)
    assert trials.of({"x": 1}, 0) is None
    assert len(trials) == 1
    trials.run(two, "c")
    trials.remove(two)
    assert (len(trials), trials.running) == (0, [])
