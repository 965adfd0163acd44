"""Comparisons of studies against brute force and hand examples; the papers' tables against their own arithmetic."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import results
from results import Objective, Study
from study_common.errors import UserError


def made(name, points):
    """A study of two minimised objectives, ideal 0 and reference 1."""
    frame = pd.DataFrame(points, columns=["metrics.a", "metrics.b"], dtype=float)
    frame.insert(0, "number", range(len(frame)))
    frame = frame.assign(state="complete", feasible=True)
    pair = Objective(direction="min", ideal=0.0, reference=1.0)
    empty = pd.DataFrame()
    return Study(
        name=name, path=Path(name), request={}, objectives={"a": pair, "b": pair}, trials=frame,
        spans=empty, intervals=empty, confirmations=empty, test_reads=[], rejected={}, distributions={},
    )  # fmt: skip


ONE = made("one", [(0.2, 0.8), (0.8, 0.2), (0.9, 0.9)])
TWO = made("two", [(0.5, 0.5), (0.9, 0.3)])


def test_compare_by_hand():
    table = results.compare_studies([ONE, TWO]).set_index("study")
    assert table["front"].to_dict() == {"one": 2, "two": 2}
    assert table.at["one", "hypervolume"] == pytest.approx(0.16 + 0.16 - 0.04)
    assert table.at["two", "hypervolume"] == pytest.approx(0.25 + 0.1 * 0.2)
    assert table["joint"].to_dict() == {"one": 2, "two": 1}
    # one reaches (0.5, 0.5) by improving 0.3; two reaches (0.2, 0.8) by 0.3
    assert table["epsilon"].to_dict() == pytest.approx({"one": 0.3, "two": 0.3})


def test_coverage_is_the_brute_force_share():
    table = results.coverage([ONE, TWO])
    assert table.at["one", "two"] == 0.5  # (0.8, 0.2) dominates (0.9, 0.3)
    assert table.at["two", "one"] == 0.0
    assert table.at["one", "one"] == 0.0
    rng = np.random.default_rng(0)
    studies = [made(name, rng.integers(0, 9, (40, 2)) / 10) for name in "xyz"]
    table = results.coverage(studies)
    for a in studies:
        for b in studies:
            mine, theirs = (s.front()[["metrics.a", "metrics.b"]].to_numpy() for s in (a, b))
            beaten = [any((p <= q).all() and (p < q).any() for p in mine) for q in theirs]
            assert table.at[a.name, b.name] == pytest.approx(np.mean(beaten))


def test_attainment_by_hand():
    table = results.attainment([ONE, TWO]).set_index("attained by")
    assert table["studies"].to_dict() == {"one": 1, "half": 1, "all": 2}
    together = 0.16 + 0.16 + 0.25 - 0.04 - 2 * 0.5 * 0.2 + 0.04  # inclusion and exclusion of the three boxes
    assert table.at["one", "hypervolume"] == pytest.approx(together)
    both = results.compare_studies([ONE, TWO])["hypervolume"].sum() - together
    assert table.at["all", "hypervolume"] == pytest.approx(both)


def test_what_cannot_be_compared():
    with pytest.raises(UserError, match="at least two"):
        results.compare_studies([ONE])
    with pytest.raises(UserError, match="different studies"):
        results.compare_studies([ONE, ONE])
    other = replace(TWO, objectives={"a": ONE.objectives["a"]})
    with pytest.raises(UserError, match="two optimises a:min and one a:min,b:min"):
        results.compare_studies([ONE, other])


def test_studies_of_other_images_are_not_compared():
    small, full = (
        replace(
            study, request={"data": {"dataset": name, "fingerprint": fingerprint}, "request": {"seed": seed}}
        )
        for seed, (study, name, fingerprint) in enumerate([(ONE, "small", "0f0f"), (TWO, "full", "1e1e")])
    )
    for function in (results.compare_studies, results.coverage, results.attainment):
        with pytest.raises(
            ValueError, match=r"one is of small \(0f0f\) and two is of full \(1e1e\); compare"
        ) as caught:
            function([small, full])
        assert "\n" not in str(caught.value)
        function([small, TWO])  # of unknown images
        function([small, replace(TWO, request=small.request | {"request": {"seed": 1}})])


def test_an_empty_study_compares():
    empty = made("none", np.empty((0, 2)))
    table = results.compare_studies([ONE, empty]).set_index("study")
    assert table.at["none", "hypervolume"] == 0.0
    assert np.isnan(table.at["none", "epsilon"])
    assert np.isnan(results.coverage([ONE, empty]).at["one", "none"])
    assert results.attainment([ONE, empty]).empty
