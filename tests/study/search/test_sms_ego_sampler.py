"""The default sampler in plain studies of Optuna."""

import optuna
import pytest
from optuna.samplers import BaseSampler, RandomSampler

import study


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def toy(trial: optuna.Trial) -> tuple[float, float]:
    """A gain and a cost that trade off along x; the rest should be near 0.3."""
    x = trial.suggest_float("x", 0, 1)
    far = sum((trial.suggest_float(name, 0, 1) - 0.3) ** 2 for name in ("a", "b", "c"))
    return x**0.5 - far, 1e6 * (1 + far - (1 - x) ** 0.5)


def reached(sampler: BaseSampler) -> float:
    """Return the hypervolume of 30 trials on the unit square."""
    made = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    made.optimize(toy, n_trials=30)
    front = sorted((t.values[0], 1 - t.values[1] / 1e6) for t in made.best_trials)
    widths = [
        max(g, 0) - max(before, 0) for (before, _), (g, _) in zip([(0.0, 0.0), *front], front, strict=False)
    ]
    return sum(width * max(cost, 0) for width, (_, cost) in zip(widths, front, strict=True))


def test_it_beats_random_proposals_on_every_scale() -> None:
    seeds = range(3)
    random = [reached(RandomSampler(seed=seed)) for seed in seeds]
    assert min(reached(study.SmsEgoSampler(seed)) for seed in seeds) > max(random)
    assert reached(study.SmsEgoSampler(0, bounds=[(1, 0), (0, 1e6)])) > max(random)


def test_it_proposes_values_of_every_distribution() -> None:
    """Optuna itself checks that they are inside; a parameter that some trials lack is one too."""

    def every(trial: optuna.Trial) -> tuple[float, float]:
        log = trial.suggest_float("log", 1e-5, 1e-1, log=True)
        trial.suggest_float("step", -1.0, 1.0, step=0.25)
        count = trial.suggest_int("count", 2, 20, step=3) + trial.suggest_int("many", 1, 1024, log=True)
        bits = trial.suggest_categorical("bits", [2, 4, 8])
        if trial.suggest_categorical("kind", ["a", None, True]) == "a":
            bits += trial.suggest_int("only_a", 0, 3)
        trial.suggest_int("constant", 5, 5)
        return log * bits, float(count)

    made = optuna.create_study(directions=["maximize", "minimize"], sampler=study.SmsEgoSampler())
    made.optimize(every, n_trials=25)
    assert len({tuple(t.params.items()) for t in made.trials}) == 25


def test_a_small_grid_is_tried_once_each() -> None:
    def grid(trial: optuna.Trial) -> tuple[float, float]:
        a, b = trial.suggest_int("a", 0, 3), trial.suggest_categorical("b", ["x", "y", "z"])
        return a, float(b == "y")

    made = optuna.create_study(directions=["maximize", "maximize"], sampler=study.SmsEgoSampler())
    made.optimize(grid, n_trials=9)
    tried = [tuple(t.params.values()) for t in made.trials]
    assert (3, "y") in tried
    assert len(set(tried[6:]) - set(tried[:6])) == len(tried[6:])


def test_running_and_failed_trials_and_infinite_values_do_no_harm() -> None:
    made = optuna.create_study(directions=["maximize", "minimize"], sampler=study.SmsEgoSampler())
    for number in range(12):
        trial = made.ask()
        found = toy(trial)
        if number == 3:
            made.tell(trial, state=optuna.trial.TrialState.FAIL)
        elif number == 4:
            made.tell(trial, (float("inf"), 1.0))
        elif number % 5:
            made.tell(trial, found)
    assert len({tuple(t.params.values()) for t in made.trials}) == 12


def test_one_objective_is_refused_by_name() -> None:
    made = optuna.create_study(sampler=study.SmsEgoSampler())
    with pytest.raises(ValueError, match="take GPSampler"):
        made.ask().suggest_float("x", 0, 1)
