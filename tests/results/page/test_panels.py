"""The figures of the report, by section."""

import shutil

import numpy as np
import pytest
from optuna.distributions import FloatDistribution

import results
from results.analysis.run_files import RunFiles
from results.page import panels
from results.page.page import page
from study_common import layout
from tests.results import sample
from tests.results.page.html import brute_front, data_of


def test_a_figure_shows_the_trials_of_its_role(study):
    figure = data_of(page(study))["figures"]["front-1"]
    shown = {trace["name"]: sorted(trace["customdata"]) for trace in figure["data"]}
    front = sorted(study.front()["number"])
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
    front = study.front()["number"]
    chosen = {int(row["number"]) for row in study.recommend().values()}
    for most, shown in ((len(front) + 3, set(front)), (len(chosen), chosen)):
        monkeypatch.setattr(panels, "MAX_CURVES", most)
        traces = data_of(page(study))["figures"]["curves-0"]["data"]
        drawn = {number for trace in traces for number in trace["customdata"] if number is not None}
        assert shown <= drawn
        assert len(drawn) <= most


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
    study = results.write_results(sample.write_study(tmp_path / "s", rows, objectives=objectives))
    figures = data_of((study.path / layout.REPORT_FILE).read_text("utf-8"))["figures"]
    fronts_drawn = [name for name in figures if name.startswith("front")]
    assert (
        len(fronts_drawn) == {1: 0, 2: 1, 10: 7}[count]
    )  # pairs, and from three objectives on the 3-D figure
    assert brute_front(study.trials, study.directions) == study.front()["number"].to_list()


def test_the_learned_clipping_levels_are_shown(study_path, tmp_path):
    copy = shutil.copytree(study_path, tmp_path / "copy")
    study = results.load(copy)
    assert "clipping-0" not in data_of(page(study))["figures"]
    number = int(study.recommend()["Knee"]["number"])
    folder = copy / "trials" / str(number)
    folder.mkdir(parents=True, exist_ok=True)
    sample.write(
        folder / "curve.csv",
        "epoch,seconds,accuracy,alpha.conv2,alpha.fc1\n1,2,0.5,6,7\n2,2,0.6,5,6.5\n",
    )
    figures = data_of(page(study))["figures"]
    assert [(trace["name"], trace["y"]) for trace in figures["clipping-0"]["data"] if any(trace["y"])] == [
        ("conv2", [6.0, 5.0]), ("fc1", [7.0, 6.5])
    ]  # fmt: skip


def sections(study):
    """Titles of the figures by section."""
    shown = results.shown_trials(study)
    made = panels.panels(study, shown, [], RunFiles(study.path))
    return {section: [panel.title for panel in some] for section, some in made.items()}


def test_a_section_without_data_has_no_figure(tmp_path):
    empty = sections(results.load(sample.write_study(tmp_path / "s", [])))
    assert set(empty) == {
        "front", "hypervolume", "widths", "estimates", "parallel", "importances", "curves", "clipping", "confirmed",
        "saliency", "workers",
    }  # fmt: skip
    assert not any(empty.values())


def test_every_figure_has_a_heading(study):
    found = sections(study)
    assert found["front"][0] == "The front in three objectives"
    assert "flops over accuracy" in found["front"] or "accuracy over flops" in found["front"]
    assert found["hypervolume"] == ["By trials", "By time"]
    assert found["curves"] == ["accuracy", "faithfulness", "kl"]  # a cost has no curve
    assert found["confirmed"]


def test_figures_of_a_section_are_numbered(study):
    made = panels.panels(study, results.shown_trials(study), [], RunFiles(study.path))
    for section, some in made.items():
        assert [panel.id for panel in some] == [f"{section}-{k}" for k in range(len(some))]


def test_the_marks_of_the_hypervolume_lie_on_its_line(study):
    made = panels.panels(study, results.shown_trials(study), [], RunFiles(study.path))
    line, *marks = made["hypervolume"][0].figure.data
    steps = dict(zip(line.x, line.y, strict=True))
    for trace in marks:
        for x, y in zip(trace.x, trace.y, strict=True):
            assert y == pytest.approx(
                max([value for at, value in steps.items() if at <= x], default=0.0), abs=1e-5
            )
