"""Fronts and hypervolume against a brute force and pymoo, on ties, duplicates and NaN."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pymoo.indicators.hv import HV
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from results import Objective, hypervolume, hypervolume_history, pareto_front
from results.analysis import fronts
from study_common.errors import UserError

# A coarse grid of values makes ties and duplicates the rule, not the exception.
VALUES = st.sampled_from([-0.5, 0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, np.nan, np.inf])


@st.composite
def frames(draw, least=1, most=4):
    m = draw(st.integers(least, most))
    values = draw(hnp.arrays(float, st.tuples(st.integers(0, 30), st.just(m)), elements=VALUES))
    n = len(values)
    frame = pd.DataFrame(values, columns=[f"metrics.f{j}" for j in range(m)])
    frame["state"] = pd.array(
        draw(st.lists(st.sampled_from(["complete", "complete", "stopped"]), min_size=n, max_size=n)), "str"
    )
    frame["feasible"] = np.array(
        draw(st.lists(st.booleans() | st.just(True), min_size=n, max_size=n)), dtype=bool
    )
    directions = {f"f{j}": draw(st.sampled_from(["min", "max"])) for j in range(m)}
    return frame, directions


def box(directions):
    """Objectives whose ideal is 0 and reference 1 (or the other way round where more is better)."""
    pairs = {"min": (0.0, 1.0), "max": (1.0, 0.0)}
    return {
        name: Objective(direction=way, ideal=pairs[way][0], reference=pairs[way][1])
        for name, way in directions.items()
    }


def brute_front(frame, directions):
    """The definition, pair by pair."""
    signs = [1 if way == "min" else -1 for way in directions.values()]
    rows = {
        label: [sign * row[f"metrics.{name}"] for sign, name in zip(signs, directions, strict=True)]
        for label, row in frame.iterrows()
        if row["state"] == "complete" and row["feasible"]
    }
    rows = {label: values for label, values in rows.items() if np.isfinite(values).all()}
    return [
        a
        for a, mine in rows.items()
        if not any(
            all(t <= v for t, v in zip(theirs, mine, strict=True)) and theirs != mine
            for theirs in rows.values()
        )
    ]


def normalised_front(frame, directions):
    """Costs of the eligible rows between 0 (ideal) and 1 (reference), by hand."""
    usable = frame[(frame["state"] == "complete") & frame["feasible"]]
    columns = [
        usable[f"metrics.{n}"] if way == "min" else 1 - usable[f"metrics.{n}"]
        for n, way in directions.items()
    ]
    costs = np.column_stack(columns) if columns else np.empty((0, 0))
    return costs[np.isfinite(costs).all(axis=1)]


@given(frames())
def test_front_is_the_brute_force_filter(case):
    frame, directions = case
    assert pareto_front(frame, directions).index.to_list() == brute_front(frame, directions)


@given(frames(least=2))
def test_front_is_pymoos(case):
    frame, directions = case
    usable = frame[fronts.eligible(frame, directions)]
    if len(usable) == 0:
        return
    costs = usable[[f"metrics.{n}" for n in directions]].to_numpy() * [
        1 if w == "min" else -1 for w in directions.values()
    ]
    theirs = NonDominatedSorting().do(costs, only_non_dominated_front=True)
    assert sorted(pareto_front(frame, directions).index) == sorted(usable.index[theirs])


@given(frames(least=2))
def test_hypervolume_is_pymoos(case):
    frame, directions = case
    costs = normalised_front(frame, directions)
    theirs = HV(ref_point=np.ones(len(directions)))(costs) if len(costs) else 0.0
    assert hypervolume(frame, box(directions)) == pytest.approx(theirs, abs=1e-12)


@settings(max_examples=40)
@given(frames(most=3))
def test_hypervolume_is_the_volume_of_the_dominated_cells(case):
    """Every value lies on a grid of 1/20: count the cells that some trial dominates."""
    frame, directions = case
    costs = normalised_front(frame, directions).clip(min=0)  # a box below the ideal is counted apart
    inside = [row for row in costs if (row < 1).all()]
    centres = (np.arange(20) + 0.5) / 20
    cells = [any((row < cell).all() for row in inside) for cell in product(centres, repeat=len(directions))]
    clipped = frame.copy()
    for name, way in directions.items():
        values = clipped[f"metrics.{name}"]
        clipped[f"metrics.{name}"] = values.clip(lower=0) if way == "min" else values.clip(upper=1)
        clipped.loc[~np.isfinite(values), f"metrics.{name}"] = np.nan
    assert hypervolume(clipped, box(directions)) == pytest.approx(np.mean(cells), abs=1e-12)


@settings(max_examples=25)
@given(frames(least=2, most=3))
def test_history_is_the_hypervolume_of_every_prefix(case):
    frame, directions = case
    growth = hypervolume_history(frame, box(directions), points=len(frame) or 1)
    assert growth["trials"].to_list() == list(range(1, len(frame) + 1))
    expected = [hypervolume(frame.iloc[:n], box(directions)) for n in growth["trials"]]
    assert growth["hypervolume"].to_list() == pytest.approx(expected, abs=1e-12)


def test_history_of_a_long_study_is_exact_where_it_looks():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.random((1000, 3)), columns=["metrics.a", "metrics.b", "metrics.c"])
    frame = frame.assign(state="complete", feasible=True)
    objectives = box({"a": "min", "b": "max", "c": "min"})
    growth = hypervolume_history(frame, objectives, points=7)
    assert len(growth) == 7
    assert growth["trials"].iloc[-1] == 1000
    for n, volume in growth.itertuples(index=False):
        assert volume == pytest.approx(hypervolume(frame.iloc[:n], objectives))


def test_many_objectives_are_approximated_closely():
    points = np.random.default_rng(1).dirichlet(np.ones(7), size=20)
    exact = HV(ref_point=np.ones(7))(points)
    assert fronts.volume(points) == pytest.approx(exact, rel=0.02)


@given(
    hnp.arrays(float, st.tuples(st.integers(0, 200), st.integers(1, 4)), elements=st.floats(0, 1)),
    st.integers(1, 50),
)
def test_thinning_keeps_one_of_every_box(points, limit):
    kept = fronts.thin(points, limit)
    assert len(kept) <= max(limit, 1)
    assert len(set(kept)) == len(kept)
    if len(points) <= limit:
        assert kept.tolist() == list(range(len(points)))


def test_thinning_epsilon_dominates_what_it_drops():
    points = np.random.default_rng(2).random((5000, 3))
    kept = fronts.thin(points, 300)
    assert 150 < len(kept) <= 300
    gaps = (
        (points[kept][None] - points[:, None]).max(axis=2).min(axis=1)
    )  # additive epsilon of the best kept point
    assert gaps.max() <= 0.25  # at 300 boxes an objective is cut into at least 4 cells


def test_thinning_keeps_outliers():
    points = np.vstack([np.full((999, 2), 0.5), [[0.0, 1.0], [1.0, 0.0]]])
    assert {999, 1000} <= set(fronts.thin(points, 10))


def test_knee_is_the_elbow_and_ignores_a_constant_objective():
    frame = pd.DataFrame({"metrics.a": [0.0, 0.1, 1.0], "metrics.b": [1.0, 0.1, 0.0], "metrics.c": 5.0})
    distance = fronts.distance_to_ideal(frame, {"a": "min", "b": "min", "c": "max"})
    assert distance.idxmin() == 1
    assert distance.to_list() == pytest.approx([1.0, np.hypot(0.1, 0.1), 1.0])


def test_an_unknown_objective_is_named():
    frame = pd.DataFrame({"state": ["complete"], "feasible": [True], "metrics.accuracy": [0.5]})
    with pytest.raises(UserError, match=r"metric 'acuracy'.*nearest is 'accuracy'"):
        pareto_front(frame, {"acuracy": "max"})
    with pytest.raises(UserError, match="'max' or 'min', not 'up'"):
        pareto_front(frame, {"accuracy": "up"})


@pytest.mark.parametrize("huge", [np.inf, -np.inf, 1.7e308, -1.7e308])
def test_what_is_infinite_or_close_to_it_never_reaches_moocore(huge):
    """moocore crashes on it, and with it the whole process."""
    frame = pd.DataFrame({"metrics.a": [huge, 0.5, 0.2], "metrics.b": [0.1, 0.5, huge]})
    frame = frame.assign(state="complete", feasible=True)
    directions = {"a": "min", "b": "min"}
    assert pareto_front(frame, directions).index.to_list() == [1]
    assert hypervolume(frame, box(directions)) == pytest.approx(0.25)
    assert hypervolume_history(frame, box(directions))["hypervolume"].to_list() == pytest.approx(
        [0, 0.25, 0.25]
    )


def test_why_a_hypervolume_says_little():
    frame = pd.DataFrame({"metrics.a": [0.5, 0.5], "metrics.b": [1.0, 1.5], "metrics.c": [0.1, 0.2]})
    frame = frame.assign(state="complete", feasible=True)
    objectives = box(dict.fromkeys("abc", "min"))
    same, beyond = fronts.hypervolume_warnings(frame, objectives)
    assert same == "a is the same in all 2 trials, so it decides nothing"
    assert beyond == "the hypervolume is 0 because no trial is better in b than its reference, 1"
    assert fronts.hypervolume_warnings(frame, {"c": objectives["c"]}) == []
    assert fronts.hypervolume_warnings(frame.assign(state="failed"), objectives) == []
