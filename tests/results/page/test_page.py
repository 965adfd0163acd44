"""The report as a page, from studies good and bad."""

import json
import math
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

import results
from results.analysis.formatting import format_metric
from results.analysis.run_files import RunFiles
from results.page.page import page
from study_common import digests, layout
from tests.results import sample
from tests.results.page.html import ADDED, data_of, elements

EVIL = "<script>window.evil = 1</script><img src=x onerror='window.evil = 1'>\"'&amp;"


def test_the_page_is_self_contained(study):
    found = elements(page(study))
    assert all(address.startswith(("#", "data:")) for address in found.addresses)
    assert "link" not in found.count
    assert found.count["script"] == 3


def test_the_page_has_every_section_and_every_figure(study):
    html = page(study)
    for section in ("choice", "front", "confirmed", "hypervolume", "widths", "parallel", "curves", "saliency",
                    "classes", "workers", "failures", "table", "reproduce"):  # fmt: skip
        assert f'<section id="{section}">' in html
    figures = data_of(html)["figures"]
    assert [name for name in figures if name.startswith("front")] == [
        f"front-{k}" for k in range(4)
    ]  # 3-D, three pairs
    kinds = {trace["type"] for figure in figures.values() for trace in figure["data"]}
    assert kinds == {"scatter3d", "scatter", "heatmap", "parcoords", "bar"}
    parallel = figures["parallel-0"]["data"]
    assert len(parallel) == 1  # one trace, not one a trial


def test_names_with_html_are_text(tmp_path):
    space = {"odd": CategoricalDistribution([EVIL, "plain"]), "bits.<b>x": CategoricalDistribution([2, 4])}
    metrics = {"accuracy": 0.5, "flops": 1.0, "faithfulness": 0.1}
    rows = [
        sample.trial(
            {"odd": EVIL, "bits.<b>x": 2},
            sample.result(0, [metrics], [1], intervals=[sample.interval(EVIL)]),
            space=space,
        ),
        sample.trial(
            {"odd": "plain", "bits.<b>x": 4},
            sample.result(1, [], [], error=EVIL),
            TrialState.FAIL,
            space=space,
        ),
    ]
    data = {**sample.request()["data"], "dataset": EVIL}
    path = sample.write_study(tmp_path / "s", rows, name=EVIL, command=EVIL, data=data)
    folder = path / "trials" / "0"
    sample.write_saliency(path, 0)
    with np.load(folder / "saliency.npz") as arrays:
        np.savez(folder / "saliency.npz", **{**arrays, "class_names": np.array([EVIL] * 10)})
    digests.seal(folder / "saliency.npz")
    sample.write_confusion(path, 0, [EVIL, "plain"])
    html = page(results.load(path))
    assert EVIL not in html
    assert "<script>window" not in html
    assert elements(html).count["script"] == 3
    assert elements(html).count["img"] == 2  # the images and the maps
    assert data_of(html)["name"] == EVIL


def without_trials():
    return []


def all_failed():
    return [
        sample.trial({"lambda1": 1.0}, sample.result(k, [], [], error="boom"), TrialState.FAIL)
        for k in range(3)
    ]


def all_running():
    states = (TrialState.RUNNING, TrialState.WAITING)  # a pause is no end
    return [
        sample.trial({"lambda1": 1.0}, sample.result(k, [], [], finished=None), state)
        for k, state in enumerate(states)
    ]


def one_complete():
    return [sample.trial({"lambda1": 1.0}, sample.result(0, [sample_metrics(0)], [1]))]


def constant_objective():
    return [
        sample.trial({"lambda1": 1.0 + k / 2}, sample.result(k, [sample_metrics(k, accuracy=0.5)], [1]))
        for k in range(12)
    ]


def sample_metrics(k, **changes):
    return {"accuracy": 0.5 + k / 100, "flops": 1e6 + k, "faithfulness": 0.2, "bops": 3.0 + k, **changes}


POOR = {without_trials: 0, all_failed: 0, all_running: 0, one_complete: 1, constant_objective: 1}
"""Studies with little to show, and how many of their trials are on the front."""


@pytest.mark.parametrize("rows", POOR)
def test_poor_studies_have_a_report(tmp_path, rows):
    path = sample.write_study(tmp_path / "s", rows())
    study = results.write_results(path)
    html = (path / layout.REPORT_FILE).read_text("utf-8")
    assert ("nothing to recommend" in html) == (study.trials["state"] != "complete").all()
    front = pd.read_csv(path / layout.FRONT_FILE)
    assert list(front) == [*study.trials.drop(columns="duration_s"), *ADDED]
    assert len(front) == POOR[rows]


def test_the_report_shows_the_matrix_of_each_recommended_trial(study_path, tmp_path):
    copy = shutil.copytree(study_path, tmp_path / "copy")
    study = results.load(copy)
    chosen = {int(row["number"]) for row in study.recommend().values()}
    for number in chosen:
        matrix = sample.write_confusion(copy, number, ["polyps", "ulcerative-colitis"])
    html = page(study)
    assert html.count('<table class="confusion"') == len(chosen)
    assert f">{matrix.loc['polyps', 'ulcerative-colitis']}</td>" in html
    for metric, value in results.class_metrics(matrix).loc["polyps", ["sensitivity", "specificity"]].items():
        assert format_metric(metric, value) in html
    for number in chosen:
        (copy / "trials" / str(number) / "confusion.csv").unlink()
    assert 'id="classes"' not in page(study)


def test_a_damaged_file_costs_its_panel_and_is_named_in_it(study_path, tmp_path):
    copy = shutil.copytree(study_path, tmp_path / "copy")
    study = results.load(copy)
    chosen = int(study.recommend()["Knee"]["number"])
    folder = copy / "trials" / str(chosen)
    folder.mkdir(parents=True, exist_ok=True)
    sections = {
        "config.toml": "choice", "curve.csv": "curves", "saliency.npz": "saliency", "faithfulness.json": "saliency",
        "confusion.csv": "classes",
    }  # fmt: skip
    whole = data_of(page(study))
    for name in sections:
        (folder / name).write_bytes(b"\0<b>junk")
    html = page(study)
    for name, section in sections.items():
        inside = html[html.index(f'<section id="{section}">') :].partition("</section>")[0]
        assert f"1 {name} is damaged and left out" in " ".join(inside.split())
        assert f"trials/{chosen}/{name}: " in inside
    assert "<b>junk" not in html
    assert data_of(html)["rows"] == whole["rows"]
    assert data_of(html)["figures"].keys() == whole["figures"].keys()


def test_an_uncertain_member_is_faded_and_said_on_hover(tmp_path):
    rows = [
        sample.trial(
            {"lambda1": 1.0 + k}, sample.result(k, [sample_metrics(k, accuracy=a, accuracy_se=0.02)], [1])
        )
        for k, a in enumerate((0.80, 0.81, 0.811))
    ]  # each costs a little more than the one before, and is hardly better
    study = results.load(sample.write_study(tmp_path / "s", rows))
    changed = study.trials.assign(**{"metrics.faithfulness_se": 0.0})
    document = data_of(page(replace(study, trials=changed)))
    traces = {trace["name"]: trace for trace in document["figures"]["front-1"]["data"]}
    assert traces["front"]["customdata"] == [0, 1]
    assert traces["front, uncertain"]["customdata"] == [2]
    assert traces["front, uncertain"]["marker"]["opacity"] < 0.5
    assert document["half_widths"]["accuracy"][0] == pytest.approx(1.96 * 0.02, rel=1e-3)
    assert document["half_widths"]["flops"] == [None] * 3


def test_every_image_file_is_accounted_for(study, tmp_path):
    assert 'id="images"' not in page(study)
    copy = shutil.copytree(study.path, tmp_path / "copy")
    rows = [
        ("path", "class", "split", "group", "reason"),
        ("a/1.png", "<b>", "train", "p1", ""),
        ("a/2.png", "<b>", "", "p1", "the same image as a/1.png"),
        ("a/.x", "", "", "", "hidden"),
    ]
    (copy / "files.csv").write_text("\n".join(map(",".join, rows)))
    digests.seal(copy / "files.csv")
    html = " ".join(page(results.load(copy)).split())
    assert "3 files and folders were found" in html
    assert "The images in use are of 1 groups; groups that lie in several parts: none." in html
    counts = "".join(f'<td class="n">{count}</td>' for count in (1, 0, 0, 1, 2))
    assert f'<tr><th scope="row">&lt;b&gt;</th>{counts}</tr>' in html
    assert '<td class="n">1</td><th scope="row">the same image as another</th><td>a/2.png</td>' in html
    (copy / "files.csv").write_text("path")
    assert "1 files.csv is damaged" in page(results.load(copy))


LATENCY = {"p50_ms": 0.5, "p95_ms": 0.75, "threads": 1, "file_bytes": 1234, "processor": "Some CPU"}


def test_what_was_measured_of_exported_front_members_is_shown(study, study_path, tmp_path):
    copy = shutil.copytree(study_path, tmp_path / "study")
    number = int(study.front()["number"].iloc[-1])
    folder = copy / "exported" / str(number)
    folder.mkdir(parents=True)
    sample.write(folder / "latency.json", json.dumps({"model.onnx": LATENCY}))
    html = page(results.load(copy))
    for cell in ("model.onnx", "0.50", "0.75", "1,234", "Some CPU"):
        assert re.search(f'<tr data-mark="{number}">.*<td( class="n")?>{cell}</td>', html)
    assert "Latency of exported trials" not in page(study)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{", "Expecting property name"),
        (json.dumps({"model.onnx": LATENCY | {"p50_ms": "fast"}}), "p50_ms is 'fast', and must be a number"),
        (json.dumps({"model.onnx": LATENCY | {"p50_ms": -1.0}}), "model.onnx has no time"),
        (json.dumps({"model.onnx": LATENCY | {"p95_ms": math.nan}}), "model.onnx has no time"),
    ],
)
def test_a_damaged_measurement_is_named_and_left_out(tmp_path, content, reason):
    (tmp_path / "exported" / "3").mkdir(parents=True)
    sample.write(tmp_path / "exported" / "3" / "latency.json", content)
    files = RunFiles(tmp_path)
    assert files.latency(3) is None
    assert reason in files.damaged["latency.json"][0]
