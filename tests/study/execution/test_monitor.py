"""The figures of a study in Ray's metrics endpoint, scraped while it runs."""

import json
import re
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.util.metrics import Gauge

import results
import study
from study.execution.monitor import Monitor
from study.store.request import Request
from tests.study import toys

TRIAL, HYPERVOLUME, BEST, PACE = (
    "study_trials", "study_hypervolume", "study_best", "study_epochs_per_second",
)  # fmt: skip


def test_the_grafana_dashboard_asks_for_figures_that_there_are(request_of: Callable[..., Request]) -> None:
    """Each of its queries names a gauge and labels that it has, and every gauge is asked for."""
    nobody: Any = None
    monitor = Monitor(request_of(name="s"), nobody, nobody, nobody, nobody)
    gauges = [one.info for one in vars(monitor).values() if isinstance(one, Gauge)]
    labels = {f"ray_{info['name']}": set(info["tag_keys"]) for info in gauges}
    dashboard = json.loads((Path(__file__).parents[3] / "examples" / "cluster" / "grafana.json").read_text())
    queries = [target for panel in dashboard["panels"] for target in panel["targets"]]
    asked = set()
    for query in queries:
        (name,) = re.findall(r"ray_\w+", query["expr"])
        asked.add(name)
        grouped = re.findall(r"\w+", re.findall(r"by \(([^)]*)\)", query["expr"])[0])
        selected = re.findall(r"[{,] ?(\w+)=", query["expr"])
        shown = re.findall(r"{{(\w+)}}", query["legendFormat"])
        assert {*grouped, *selected} <= labels[name]
        assert set(shown) == set(grouped)
    assert asked == labels.keys()


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_a_scrape_of_a_running_study_has_its_figures(
    spec_of: Callable[..., study.Spec], tmp_path: Path
) -> None:
    """While the third trial and those after it wait, two are complete."""
    found: dict[tuple[str, str], float] = {}
    scraper = threading.Thread(target=scrape, args=("s", found, tmp_path / "s"))
    scraper.start()
    assert study.run_study(spec_of(trials=4, scheduler="fifo"), train=toys.watched).code == 0
    scraper.join()
    done = results.load(tmp_path / "s")
    two = done.trials[done.trials["number"] < 2]
    assert (found[TRIAL, "complete"], found[TRIAL, "failed"], found[TRIAL, "running"]) == (2, 0, 2)
    for name, target in done.objectives.items():
        best = two[f"metrics.{name}"].agg(target.direction)
        assert found[BEST, name] == pytest.approx(best)
    assert found[HYPERVOLUME, ""] == pytest.approx(results.hypervolume(two, done.objectives))
    assert found[PACE, ""] > 0


def scrape(name: str, found: dict[tuple[str, str], float], directory: Path) -> None:
    """Collect the study's figures from Ray's endpoint until two trials are complete; then let the others go on."""
    node = ray.nodes()[0]
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    deadline = time.monotonic() + 120
    while found.get((TRIAL, "complete"), 0) < 2 and time.monotonic() < deadline:
        time.sleep(0.3)
        with urllib.request.urlopen(url) as answer:
            text = answer.read().decode()
        for metric, tags, value in re.findall(rf'^ray_(study_\w+){{(.*study="{name}".*)}} (\S+)', text, re.M):
            of = re.search(r'(?:state|objective)="(\w+)"', tags)
            found[metric, of[1] if of else ""] = float(value)
    (directory / toys.SEEN).touch()
