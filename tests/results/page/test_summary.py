"""The sentence at the top of the report."""

from dataclasses import replace

import pandas as pd
import pytest

import results
from results.page.summary import summary
from study_common import layout
from tests.results import sample
from tests.results.page.test_page import all_running, without_trials


def test_a_trial_that_pauses_counts_once_as_running(tmp_path):
    study = results.write_results(sample.write_study(tmp_path / "s", all_running()))
    assert "2 trials (2 running)" in (study.path / layout.REPORT_FILE).read_text("utf-8")


def test_the_sentence_says_what_was_searched_and_what_was_found(study):
    said = summary(study)
    assert said.startswith(
        "A search of paper_cnn on fashion_mnist_small for more accuracy and less flops and more faithfulness "
        "(sampler tpe, scheduler pareto_asha): 60 trials ("
    )
    assert f"Its front of {len(study.front())} dominates {100 * study.hypervolume():.1f} % of the box" in said


def test_the_states_add_up_to_the_trials(study):
    counts = study.trials["state"].value_counts()
    for state, count in counts.items():
        assert f"{count} {state}" in summary(study)
    assert counts.sum() == 60


def test_a_request_that_says_nothing_is_left_out_of_the_sentence(study):
    said = summary(replace(study, request={}))
    assert said.startswith("A search for more accuracy and less flops and more faithfulness: 60 trials")


def test_the_time_is_from_the_first_start_to_the_last_end(study):
    start = pd.Timestamp("2026-05-04T09:00Z")
    spans = study.spans.assign(started=start, finished=start + pd.Timedelta(minutes=3))
    assert ") in 3 min 0 s. Its front" in summary(replace(study, spans=spans))


@pytest.mark.parametrize("rows", [without_trials, all_running])
def test_a_study_in_which_nothing_ended_has_no_time(tmp_path, rows):
    said = summary(results.load(sample.write_study(tmp_path / "s", rows())))
    assert " in " not in said.partition(". Its front")[0].partition("): ")[2]
    assert "front of 0 dominates 0.0 %" in said
