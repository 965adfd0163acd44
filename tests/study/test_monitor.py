"""The figures of a study in Ray's metrics endpoint, scraped while it runs."""

import re
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
import ray

import study
from tests.study import toys

FIGURES = {"study_trials", "study_hypervolume", "study_best", "study_epochs_per_second"}


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_a_scrape_of_a_running_study_has_its_figures(
    spec_of: Callable[..., study.Spec], tmp_path: Path
) -> None:
    seen: set[str] = set()
    scraper = threading.Thread(target=scrape, args=("s", seen, tmp_path / "s" / toys.SEEN))
    scraper.start()
    assert study.run(spec_of(trials=4, scheduler="fifo"), train=toys.watched).code == 0
    scraper.join()
    assert seen == FIGURES


def scrape(name: str, seen: set[str], sign: Path) -> None:
    """Collect the study's figures from Ray's endpoint into `seen`; make the file `sign` when all are there."""
    node = ray.nodes()[0]
    url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
    deadline = time.monotonic() + 120
    while not seen >= FIGURES and time.monotonic() < deadline:
        time.sleep(0.3)
        with urllib.request.urlopen(url) as answer:
            text = answer.read().decode()
        seen |= set(re.findall(rf'^ray_(study_\w+){{.*study="{name}".*}}', text, re.M))
    sign.touch()
