"""The cards of the recommended trials."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import results
from results.analysis.classes import class_metrics
from results.page.cards import half_width
from results.page.page import page
from study_common import digests
from tests.results import sample


def test_first_screen_names_widths_and_export(study):
    html = page(study)
    for name, row in study.recommend().items():
        assert name in html
        assert f"trials/{row['number']}/checkpoint.safetensors" in html
    assert html.count("python -m trainables.export") == 3
    assert html.count("Bits of each layer") == 3


def test_a_confirmation_of_one_seed_is_on_its_card(study):
    number = int(study.recommend()["Knee"]["number"])
    one = study.confirmations[study.confirmations["trial"] == study.confirmations["trial"].iloc[0]].head(1)
    html = page(replace(study, confirmations=one.assign(trial=number)))
    assert "accuracy, test" in html
    assert "flops, test" not in html


def test_an_interval_holds_the_errors_of_images_and_seeds(study):
    trial = study.recommend()["Knee"]
    share = trial["metrics.accuracy"]
    draws = (
        np.random.default_rng(0).binomial(1000, share, 200_000) / 1000
    )  # the sample has 1,000 validation images
    repeated = study.confirmations.groupby("trial")
    for metric, images in (("accuracy", draws.std()), ("faithfulness", 0.015)):
        seed = np.sqrt(
            repeated[f"metrics.{metric}"].var().mean()
        )  # as many seeds each, so the mean is pooled
        assert half_width(trial, metric) == pytest.approx(1.96 * np.hypot(images, seed), rel=0.01)
    assert np.isnan(half_width(trial, "flops"))
    assert np.isnan(half_width(trial, "bops"))


def test_the_recall_of_classes_stands_beside_accuracy_and_a_class_never_found_is_a_warning(study, tmp_path):
    copy = shutil.copytree(study.path, tmp_path / "copy")
    number = int(study.recommend()["Knee"]["number"])
    file = copy / "trials" / str(number) / "confusion.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    rare = pd.DataFrame([[30, 0], [2, 0]], ["normal", "polyp"], ["normal", "polyp"])
    rare.to_csv(file, index_label="class")
    digests.seal(file)
    html = " ".join(page(results.load(copy)).split())
    assert "It never finds the class <strong>polyp</strong>: recall 0 of 2 validation images." in html
    assert "<dt>recall: normal</dt><dd>100.00 % <small>of 30 images</small></dd>" in html
    (other,) = {int(trial["number"]) for trial in study.recommend().values()} - {number}
    matrix = sample.write_confusion(copy, other, [f"class {k}" for k in range(10)])
    worst = class_metrics(matrix)["sensitivity"].idxmin()
    assert f"<dt>lowest recall: {worst}</dt>" in page(results.load(copy))


def test_a_doubt_is_on_the_card_and_in_the_table(study):
    worst = study.configurations.assign(
        **{"metrics.faithfulness.over_edge": -0.1, "metrics.faithfulness.over_edge_se": 0.02}
    )
    doubtful = replace(study)
    doubtful.__dict__["configurations"] = worst
    html = page(doubtful)
    assert html.count("Its maps are no better than an edge detector.") == 3
    assert '"doubt"' in html
    assert '"doubt"' not in page(study)
