"""The figures of a study in Ray's metrics endpoint, scraped while it runs."""

import re
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import ray

import results
import study
from tests.study import toys

TRIAL, HYPERVOLUME, BEST, PACE = (
    "study_trials", "study_hypervolume", "study_best", "study_epochs_per_second",
)  # fmt: skip


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
