"""Recommendations and choices against a search of all rows by hand."""

import shlex
import shutil

import numpy as np
import pytest

import results
from results.analysis import selection
from study_common.errors import UserError


def good(study):
    return study.trials[(study.trials["state"] == "complete") & study.trials["feasible"]]


def test_the_most_accurate_and_the_cheapest_near_it(study):
    chosen = results.recommend(study)
    assert list(chosen) == ["Most accurate", "Knee", "Cheapest within 1 point"]
    best = good(study)["metrics.accuracy"].max()
    assert chosen["Most accurate"]["metrics.accuracy"] == best
    near = good(study)[good(study)["metrics.accuracy"] >= best - 0.01]
    assert chosen["Cheapest within 1 point"]["metrics.flops"] == near["metrics.flops"].min()


def test_the_knee_is_the_nearest_to_the_ideal_of_the_front(study):
    front = results.front(study.trials, study.directions)
    columns = {
        name: front[f"metrics.{name}"] * (1 if way == "min" else -1) for name, way in study.directions.items()
    }
    square = sum(((c - c.min()) / (c.max() - c.min())) ** 2 for c in columns.values())
    assert results.recommend(study)["Knee"]["number"] == front.loc[square.idxmin(), "number"]


@pytest.mark.parametrize("prefer", ["knee", "accuracy", "faithfulness", "bops", "loss"])
def test_select_keeps_the_bounds_and_prefers(study, prefer):
    row = results.select(study, at_most={"flops": 2e6}, at_least={"accuracy": 0.75}, prefer=prefer)
    within = good(study)[(good(study)["metrics.flops"] <= 2e6) & (good(study)["metrics.accuracy"] >= 0.75)]
    front = results.front(within, study.directions)
    assert row["number"] in front["number"].to_list()
    if prefer in ("accuracy", "faithfulness"):
        assert row[f"metrics.{prefer}"] == within[f"metrics.{prefer}"].max()
    elif prefer != "knee":
        assert row[f"metrics.{prefer}"] == front[f"metrics.{prefer}"].min()


def test_select_says_what_is_closest(study):
    with pytest.raises(
        ValueError, match=r"no trial of sample has flops <= 10 and accuracy >= 0.75; .*closest, trial \d+"
    ):
        results.select(study, at_most={"flops": 10.0}, at_least={"accuracy": 0.75})
    with pytest.raises(UserError, match="unknown metric 'acuracy'; the nearest is 'accuracy'"):
        results.select(study, at_most={}, at_least={"acuracy": 0.5})


def test_error_bars(study):
    row = results.recommend(study)["Knee"]
    p = row["metrics.accuracy"]
    draws = (
        np.random.default_rng(0).binomial(1000, p, 200_000) / 1000
    )  # the sample has 1,000 validation images
    assert selection.error_bar(row, "accuracy") == pytest.approx(1.96 * draws.std(), rel=0.01)
    assert selection.error_bar(row, "faithfulness") == pytest.approx(1.96 * 0.015)
    assert np.isnan(selection.error_bar(row, "flops"))


def test_widths_from_the_record_and_rather_from_the_config(study, study_path, tmp_path):
    row = study.trials.iloc[0]
    bits = row["params.bits.conv1"]
    assert selection.widths(study, row)["conv1"] == {"weights": bits, "activations": bits}
    copy = shutil.copytree(study_path, tmp_path / "copy")
    folder = copy / "trials" / "0"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(
        'lambda1 = 1.0\n"w_bits.conv1" = 4\n"a_bits.conv1" = 32\n"a_bits.fc1" = 3\n'
    )
    found = selection.widths(results.load(copy), row)
    assert found == {"conv1": {"weights": 4, "activations": 32}, "fc1": {"activations": 3}}
    (folder / "config.toml").write_text("bits = 4\n")
    assert selection.widths(results.load(copy), row) == {"all layers": {"weights": 4, "activations": 4}}
    (folder / "config.toml").write_text("lambda1 = ")
    assert selection.widths(results.load(copy), row) == selection.widths(study, row)


def test_the_export_command_survives_a_shell(study, study_path, tmp_path):
    copy = shutil.copytree(study_path, tmp_path / "a name; with 'quotes'")
    words = shlex.split(selection.export_command(results.load(copy), study.trials.iloc[0]))
    assert words[:3] == ["python", "-m", "trainables.export"]
    assert words[3] == str(copy / "trials" / "0" / "checkpoint.safetensors")
