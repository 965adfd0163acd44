"""The three files that a study's report is, from studies good and bad."""

import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState
from PIL import Image

import results
from results.analysis import fronts, selection, thinning
from results.page import gallery, panels
from results.page.page import page
from study_common import layout
from study_common.errors import UserError
from tests.results import sample

EVIL = "<script>window.evil = 1</script><img src=x onerror='window.evil = 1'>\"'&amp;"


def data_of(html):
    """The JSON that the page's script works on."""
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)[1]
    )


class Elements(HTMLParser):
    """Counts the elements of a page and collects the addresses that they would load from."""

    def __init__(self):
        super().__init__()
        self.count, self.addresses = {}, []

    def handle_starttag(self, tag, attributes):
        self.count[tag] = self.count.get(tag, 0) + 1
        self.addresses += [value for name, value in attributes if name in ("src", "href") and value]


def elements(html):
    parser = Elements()
    parser.feed(html)
    return parser


def brute_front(frame, directions):
    values = frame[[f"metrics.{name}" for name in directions]] * [
        1 if w == "min" else -1 for w in directions.values()
    ]
    good = frame[(frame["state"] == "complete") & frame["feasible"] & np.isfinite(values).all(axis=1)].index
    beaten = {
        b
        for b in good
        for a in good
        if (values.loc[a] <= values.loc[b]).all() and (values.loc[a] < values.loc[b]).any()
    }
    return frame.loc[[label for label in good if label not in beaten], "number"].to_list()


def test_write_leaves_the_three_files(study_path, tmp_path):
    copy = shutil.copytree(study_path, tmp_path / "copy")
    written = results.write(copy)
    trials = pd.read_parquet(copy / layout.TRIALS_FILE)
    pd.testing.assert_frame_equal(trials, written.trials)
    front = pd.read_csv(copy / layout.FRONT_FILE)
    assert list(front) == list(trials.drop(columns="duration_s"))  # a seed decides all the rest
    assert front["number"].to_list() == brute_front(trials, written.directions)
    exact = trials.set_index("number").loc[front["number"], "metrics.accuracy"]
    assert front["metrics.accuracy"].to_list() == exact.to_list()
    assert sorted(os.listdir(copy)) == sorted(
        [*os.listdir(study_path), layout.TRIALS_FILE, layout.FRONT_FILE, layout.REPORT_FILE]
    )
    again = (copy / layout.REPORT_FILE).read_text("utf-8")
    assert again == page(written)  # the same study, the same report


def test_the_page_is_self_contained(study):
    found = elements(page(study))
    assert all(address.startswith(("#", "data:")) for address in found.addresses)
    assert "link" not in found.count
    assert found.count["script"] == 3


def test_the_page_has_every_section_and_every_figure(study):
    html = page(study)
    for section in ("choice", "front", "confirmed", "hypervolume", "widths", "parallel", "curves", "saliency",
                    "classes", "workers", "failures", "table", "again"):  # fmt: skip
        assert f'<section id="{section}">' in html
    figures = data_of(html)["figures"]
    assert [name for name in figures if name.startswith("front")] == [
        f"front-{k}" for k in range(4)
    ]  # 3-D, three pairs
    kinds = {trace["type"] for figure in figures.values() for trace in figure["data"]}
    assert kinds == {"scatter3d", "scatter", "heatmap", "parcoords", "bar"}
    parallel = figures["parallel-0"]["data"]
    assert len(parallel) == 1  # one trace, not one a trial


def test_first_screen_names_widths_and_export(study):
    html = page(study)
    for name, row in results.recommend(study).items():
        assert name in html
        assert f"trials/{row['number']}/checkpoint.safetensors" in html
    assert html.count("python -m trainables.export") == 3
    assert html.count("Bits of each layer") == 3


def test_a_figure_shows_the_trials_of_its_role(study):
    figure = data_of(page(study))["figures"]["front-1"]
    shown = {trace["name"]: sorted(trace["customdata"]) for trace in figure["data"]}
    front = sorted(results.front(study.trials, study.directions)["number"])
    complete = study.trials.loc[study.trials["state"] == "complete", "number"]
    assert shown == {"front": front, "dominated": sorted(set(complete) - set(front))}


def test_stopped_trials_are_marked_in_the_curves(study):
    traces = data_of(page(study))["figures"]["curves-0"]["data"]
    ends = {trace["name"]: trace for trace in traces if trace["mode"] == "markers"}
    stopped = study.trials.loc[study.trials["state"] == "stopped"]
    assert ends["stopped"]["customdata"] == stopped["number"].to_list()
    assert ends["stopped"]["x"] == stopped["epochs"].to_list()
    assert len({trace["marker"]["symbol"] for trace in ends.values()}) == len(
        ends
    )  # told apart without colour


def test_of_many_trials_the_front_has_its_curves(study, monkeypatch):
    front = results.front(study.trials, study.directions)["number"]
    chosen = {int(row["number"]) for row in results.recommend(study).values()}
    for most, shown in ((len(front) + 3, set(front)), (len(chosen), chosen)):
        monkeypatch.setattr(panels, "MOST_CURVES", most)
        traces = data_of(page(study))["figures"]["curves-0"]["data"]
        drawn = {number for trace in traces for number in trace["customdata"] if number is not None}
        assert shown <= drawn
        assert len(drawn) <= most


def test_a_confirmation_of_one_seed_is_on_its_card(study):
    number = int(results.recommend(study)["Knee"]["number"])
    one = study.confirmations[study.confirmations["trial"] == study.confirmations["trial"].iloc[0]].head(1)
    html = page(replace(study, confirmations=one.assign(trial=number)))
    assert "accuracy, test" in html
    assert "flops, test" not in html


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
    study = results.write(path)
    html = (path / layout.REPORT_FILE).read_text("utf-8")
    assert ("nothing to recommend" in html) == (study.trials["state"] != "complete").all()
    front = pd.read_csv(path / layout.FRONT_FILE)
    assert list(front) == list(study.trials.drop(columns="duration_s"))
    assert len(front) == POOR[rows]


def test_a_trial_that_pauses_counts_once_as_running(tmp_path):
    study = results.write(sample.write_study(tmp_path / "s", all_running()))
    assert "2 trials (2 running)" in (study.path / layout.REPORT_FILE).read_text("utf-8")


def many_objectives(count, trials=40):
    rng = np.random.default_rng(0)
    names = [f"m{k}" for k in range(count)]
    space = {"x": FloatDistribution(0, 1)}
    rows = []
    for number in range(trials):
        metrics = dict(zip(names, rng.random(count), strict=True))
        result = sample.result(number, [metrics], [1])
        rows.append(sample.trial({"x": rng.random()}, result, objectives=names, space=space))
    return rows, {name: {"direction": "min", "ideal": 0.0, "reference": 1.0} for name in names}


@pytest.mark.parametrize("count", [1, 2, 10])
def test_any_number_of_objectives(tmp_path, count):
    rows, objectives = many_objectives(count)
    study = results.write(sample.write_study(tmp_path / "s", rows, objectives=objectives))
    figures = data_of((study.path / layout.REPORT_FILE).read_text("utf-8"))["figures"]
    fronts_drawn = [name for name in figures if name.startswith("front")]
    assert (
        len(fronts_drawn) == {1: 0, 2: 1, 10: 7}[count]
    )  # pairs, and from three objectives on the 3-D figure
    assert (
        brute_front(study.trials, study.directions)
        == results.front(study.trials, study.directions)["number"].to_list()
    )


def test_long_studies_are_thinned_but_for_the_front(study, monkeypatch):
    monkeypatch.setattr(thinning, "MOST", 20)
    monkeypatch.setattr(thinning, "MOST_UNFINISHED", 3)
    front = results.front(study.trials, study.directions)["number"]
    assert len(front) <= 20
    drawn = thinning.drawn(study, always=[2])
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
    drawn = thinning.drawn(study)
    excluded = drawn[drawn["role"] == "excluded"]
    assert len(excluded)
    assert (excluded["state"] == "complete").all()
    assert (excluded["metrics.flops"] > 1.5e6).all()
    assert not fronts.eligible(excluded, study.directions).any()


def test_a_gallery_of_colour_photographs_is_small(study_path, tmp_path):
    copy = shutil.copytree(study_path, tmp_path / "copy")
    rng = np.random.default_rng(0)
    folder = copy / "trials" / "50"
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / "saliency.npz",
        images=rng.integers(0, 255, (20, 224, 224, 3), dtype=np.uint8),
        labels=np.zeros(20, int),
        predictions=np.ones(20, int),
        maps=rng.random((20, 224, 224)).astype(np.float16),
        class_names=np.array(["a", "b"]),
    )
    strip = gallery.strip(results.load(copy), 50)
    assert len(strip.uri) < 100_000
    assert len(strip.images) < 100_000
    assert strip.captions == [("a", "b", False)] * gallery.MOST_IMAGES


def test_colour_images_are_shown_beneath_their_maps(study_path, tmp_path):
    copy = shutil.copytree(study_path, tmp_path / "copy")
    folder = copy / "trials" / "50"
    folder.mkdir(parents=True, exist_ok=True)
    maps = np.tile(np.linspace(0, 1, 8, dtype=np.float16), (1, 8, 1))
    images = np.full((1, 8, 8, 3), (30, 60, 90), np.uint8)

    def pixels(pictures):
        np.savez(
            folder / "saliency.npz",
            images=pictures,
            labels=np.zeros(1, int),
            predictions=np.zeros(1, int),
            maps=maps,
            class_names=np.array(["a"]),
        )
        uri = gallery.strip(results.load(copy), 50).uri
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))

    over, beside = pixels(images).astype(int), pixels(images[..., 0]).astype(int)
    assert abs(over[0, 0] - 30).max() < 5  # what counts for nothing: the image, grey and dim
    assert beside[0, 0].max() < 10
    assert (np.diff(over[0].sum(axis=-1)) > 0).all()  # what counts more is brighter


def test_removal_curves_are_shown(study):
    front = results.front(study.trials, study.directions)["number"]
    strip = gallery.strip(study, int(front.iloc[0]))
    assert strip.removal.groupby("order")["fraction"].max().to_dict() == {
        "morf": 0.9,
        "lerf": 0.9,
        "random": 0.9,
    }
    kept = {trace["name"]: trace for trace in data_of(page(study))["figures"]["saliency-0"]["data"]}
    assert list(kept) == ["least salient first", "in random order", "most salient first"]
    assert kept["in random order"]["y"][:2] == [1.0, 0.9]
    assert set(kept["in random order"]["customdata"]) == set(front[:3])


def test_every_examined_trial_is_listed(study_path, tmp_path):
    """In the gallery or not, the recommended first, with all that any of them was examined for."""
    copy = shutil.copytree(study_path, tmp_path / "copy")
    study = results.load(copy)
    best = int(results.recommend(study)["Most accurate"]["number"])
    complete = study.trials.loc[study.trials["state"] == "complete", "number"]
    first, last = complete.iloc[0], complete.iloc[-1]
    assert len({first, last, best}) == 3

    def examine(number, text):
        (copy / "trials" / str(number)).mkdir(parents=True, exist_ok=True)
        (copy / "trials" / str(number) / "faithfulness.json").write_text(text)

    assert "Maps that were examined further" not in page(study)
    found = {"faithfulness": 0.5, "faithfulness_zero_se": 0.1, "sanity.conv1": 0.2, "sanity_passed": True}
    examine(last, json.dumps(found))
    examine(first, '{"faithfulness": ')  # cut short
    examine(best, json.dumps({"faithfulness": 0.25, "ssim": 0.75}))
    html = page(study)
    table = html[html.index("Maps that were examined further") :].partition("</table>")[0]
    assert re.findall(r"<th [^>]*>(?:<[^>]*>)?([^<]*)", table) == [
        "trial", "faithfulness", "ssim", "sanity_passed", f"#{best}", f"#{last}"
    ]  # fmt: skip
    assert re.findall(r"<td[^>]*>([^<]*)", table) == ["0.25", "0.75", "-", "0.5", "-", "1"]


def test_the_float_model_stands_beside_the_trials_that_start_from_it(study_path, tmp_path):
    copy = shutil.copytree(study_path, tmp_path / "copy")
    study = results.load(copy)
    first = int(results.front(study.trials, study.directions)["number"].iloc[0])
    assert "float model" not in page(study)
    before = elements(page(study)).count["img"]
    shutil.copytree(copy / "trials" / str(first), copy / "init")
    (copy / "init" / "curve.csv").write_text("epoch,accuracy\n1,0.5\n2,0.9376\n")
    html = page(study)
    assert '<div class="head">float model<br>93.76 %</div>' in html
    assert elements(html).count["img"] == before + 1
    widths = selection.widths(study, study.trials.loc[first]).values()
    assert f"<br>weights {' '.join(str(w['weights']) for w in widths)}<br>inputs " in html
    (copy / "init" / "curve.csv").write_text("epoch,accuracy\n")  # cut short
    assert '<div class="head">float model<br>-</div>' in page(study)
    (copy / "init" / "curve.csv").unlink()
    assert '<div class="head">float model<br>-</div>' in page(study)
    sample.write_saliency(copy, 99, images=3)  # of other images
    shutil.copy(copy / "trials" / "99" / "saliency.npz", copy / "init")
    assert "float model" not in page(study)


def test_damaged_saliency_is_left_out(study_path, tmp_path):
    copy = shutil.copytree(study_path, tmp_path / "copy")
    study = results.load(copy)
    number = int(results.front(study.trials, study.directions)["number"].iloc[0])
    file = copy / "trials" / str(number) / "saliency.npz"
    with np.load(file) as arrays:
        np.savez_compressed(file, **arrays)  # as trainables writes it
    whole = file.read_bytes()
    assert gallery.strip(study, number) is not None
    assert gallery.strip(study, 10_000) is None
    for size in (0, 1, 100, len(whole) // 2):
        file.write_bytes(whole[:size])
        assert gallery.strip(study, number) is None
    knee = int(results.recommend(study)["Knee"]["number"])
    (copy / "trials" / str(knee) / "saliency.npz").write_bytes(b"junk")
    told = re.search("missing or damaged: trial ([^.]*)", page(study))
    assert told
    assert str(knee) in told[1].split(", trial ")
    missing = 0
    for start in range(0, len(whole), 97):
        file.write_bytes(whole[:start] + bytes(64) + whole[start + 64 :])
        missing += gallery.strip(study, number) is None  # some bytes tell nothing, but none ends the report
    assert missing > 10


def test_a_directory_that_cannot_be_written_is_one_clear_line(read_only):
    with pytest.raises(UserError, match="cannot be written"):
        results.write(read_only)


def test_a_full_disk_leaves_no_half_file(study_path, tmp_path):
    """A limit on the size of files stands for the full disk: 1 MB holds the tables, not the report."""
    copy = shutil.copytree(study_path, tmp_path / "copy")
    program = (
        "import resource, signal, sys, results; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6)); results.write(sys.argv[1])"
    )
    run = subprocess.run([sys.executable, "-c", program, copy], capture_output=True, text=True, check=False)
    assert "UserError: the report cannot be written" in run.stderr
    assert layout.REPORT_FILE not in os.listdir(copy)
    assert not [name for name in os.listdir(copy) if name.startswith(".")]


def test_the_room_needs_neither_ray_nor_torch(study_path, tmp_path):
    copy = shutil.copytree(study_path, tmp_path / "copy")
    program = "import sys, results; results.write(sys.argv[1]); print({'ray', 'torch', 'study'} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", program, copy], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
    assert run.stderr == ""
