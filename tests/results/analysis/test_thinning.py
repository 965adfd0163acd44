"""Which trials the report shows."""

import results
from results.analysis import fronts, thinning
from tests.results import sample


def test_long_studies_are_thinned_but_for_the_front(study, monkeypatch):
    monkeypatch.setattr(thinning, "MAX_FINAL", 20)
    monkeypatch.setattr(thinning, "MAX_OTHER", 3)
    front = study.front()["number"]
    assert len(front) <= 20
    drawn = thinning.shown_trials(study, always=[2])
    counts = drawn["role"].value_counts()
    assert sorted(drawn.loc[drawn["role"] == "front", "number"]) == sorted(front)
    assert counts["dominated"] <= 20
    assert counts["failed"] == (study.trials["state"] == "failed").sum()
    assert counts["stopped"] <= 4
    assert 2 in drawn["number"].to_list()
    assert drawn["number"].is_monotonic_increasing


def test_an_excluded_trial_is_complete_but_not_usable(tmp_path):
    path = sample.write_study(tmp_path / "s", sample.trials(12), constraints={"flops": 1.5e6})
    study = results.load(path)
    drawn = thinning.shown_trials(study)
    excluded = drawn[drawn["role"] == "excluded"]
    assert len(excluded)
    assert (excluded["state"] == "complete").all()
    assert (excluded["metrics.flops"] > 1.5e6).all()
    assert not fronts.eligible(excluded, study.directions).any()
