"""Replicates: draws go to the configurations whose membership is least sure, and each has a seed of its own."""

from collections.abc import Callable
from typing import Any

from study.search.replicates import FIRST_SEED, Replicates
from study.store.record import new_result
from study.store.request import Request

RequestOf = Callable[..., Request]

SURE = {"accuracy": 0.9, "faithfulness": 0.9, "flops": 9.0}
NEAR = {"accuracy": 0.7, "faithfulness": 0.3, "flops": 5.0}
NEARLY = {"accuracy": 0.699, "faithfulness": 0.3, "flops": 5.0}
WORSE = {"accuracy": 0.2, "faithfulness": 0.1, "flops": 8.0}
ERRORS = {"accuracy_se": 0.01, "faithfulness_se": 0.01}


def study_of(request: Request, measured: list[dict[str, float]]) -> Replicates:
    """One complete trial of each; configuration n has lambda1 = n."""
    replicates = Replicates(request)
    for number, metrics in enumerate(measured):
        draw(replicates, number, {"lambda1": float(number)}, request.seed, metrics)
    return replicates


def draw(replicates: Replicates, number: int, point: dict[str, Any], seed: int, metrics: Any) -> None:
    known = new_result(seed)
    replicates.start(point, known)
    known["metrics"] = metrics
    replicates.complete(number, point, known)


def chosen(replicates: Replicates, count: int) -> list[tuple[float, int]]:
    """The next draws, each begun and not measured: lambda1 and seed."""
    found = []
    for _ in range(count):
        point, seed = replicates.next() or ({}, 0)
        replicates.start(point, new_result(seed))
        found.append((point["lambda1"], seed))
    return found


def test_the_least_sure_are_drawn_again_in_turn(request_of: RequestOf) -> None:
    measured = [one | ERRORS for one in (WORSE, SURE, NEAR, NEARLY)]
    replicates = study_of(request_of(trials=20, replicates=4), measured)
    drawn = chosen(replicates, 4)
    assert sorted(drawn) == [
        (2.0, FIRST_SEED + 1),
        (2.0, FIRST_SEED + 2),
        (3.0, FIRST_SEED + 1),
        (3.0, FIRST_SEED + 2),
    ]
    assert (replicates.left, replicates.next()) == (0, None)


def test_what_replicates_show_decides_who_is_next(request_of: RequestOf) -> None:
    """The draws of 2 lie far apart: then nothing is sure, and the others are worth their first replicates."""
    measured = [one | ERRORS for one in (WORSE, SURE, NEAR)]
    replicates = study_of(request_of(trials=20, replicates=9), measured)
    draw(replicates, 3, {"lambda1": 2.0}, 7, {"accuracy": 0.2, "faithfulness": 0.9, "flops": 5.0} | ERRORS)
    assert sorted(point for point, _ in chosen(replicates, 2)) == [0.0, 1.0]


def test_where_no_noise_is_known_the_members_of_the_front_take_turns(request_of: RequestOf) -> None:
    replicates = study_of(request_of(trials=20, replicates=4), [WORSE, SURE, NEAR, NEARLY])
    assert sorted(point for point, _ in chosen(replicates, 4)) == [1.0, 1.0, 2.0, 2.0]


def test_when_all_is_sure_the_members_are_drawn_and_never_the_dominated(request_of: RequestOf) -> None:
    exact = {"accuracy_se": 0.0, "faithfulness_se": 0.0}
    replicates = study_of(request_of(trials=20, replicates=3), [one | exact for one in (WORSE, SURE, NEAR)])
    assert [point for point, _ in chosen(replicates, 3)] == [1.0, 2.0, 1.0]


def test_a_draw_that_failed_keeps_its_seed(request_of: RequestOf) -> None:
    request = request_of(trials=20, replicates=5, seed=3)
    replicates = study_of(request, [SURE | ERRORS])
    assert chosen(replicates, 3) == [(0.0, 3 + FIRST_SEED + n) for n in (1, 2, 3)]
    assert (replicates.began, replicates.left) == (3, 2)
    assert [request.is_replicate(new_result(seed)) for seed in (3, 4)] == [False, True]


def test_seeds_stay_in_their_range(request_of: RequestOf) -> None:
    replicates = study_of(request_of(trials=20, replicates=1, seed=2**31 - 1), [SURE | ERRORS])
    assert chosen(replicates, 1) == [(0.0, FIRST_SEED)]


def test_nothing_is_drawn_again_before_a_trial_is_complete(request_of: RequestOf) -> None:
    replicates = Replicates(request_of(trials=20, replicates=2))
    replicates.start({"lambda1": 1.0}, new_result(0))
    assert replicates.next() is None
    assert study_of(request_of(trials=20), [SURE]).next() is None, "none is wanted"
