"""What is shown is made of the present record, and of the report's own template."""

import re
from pathlib import Path

import pytest

from results import load
from results.page.page import page
from study.service import kept
from study.service.processes import Processes
from study.service.settings import Settings
from study.service.snapshots import Snapshots
from study.service.views import Views
from study.service.workplace import Workplace
from study_common import layout
from tests.results import sample
from tests.results.page.html import data_of, elements
from tests.study.service.conftest import EVIL, settings_of


@pytest.fixture
def views(settings: Settings, workplace: Workplace, monkeypatch: pytest.MonkeyPatch) -> Views:
    monkeypatch.setattr(kept, "REST", 0.0)
    return Views(settings, Snapshots(workplace, Processes(settings, workplace)))


def test_the_page_of_a_study_has_the_sections_and_figures_of_its_report(views: Views, runs: Path) -> None:
    report = page(load(runs / "sample"))
    html = views.page("sample").value.html.decode()
    sections = re.findall(r'<section id="(\w+)"', report)
    assert re.findall(r'<section id="(\w+)"', html) == ["now", *sections]
    assert data_of(html) == data_of(report)


def test_nothing_runs_but_our_own_files(views: Views) -> None:
    """What names and errors hold is text, and no script stands in the page."""
    html = views.page("sample").value.html.decode()
    assert EVIL.split("<img")[0] not in html
    assert "&lt;script&gt;window.evil" in html
    found = elements(html)
    assert all(address.startswith(("#", "data:", "/")) for address in found.addresses)
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", html, re.DOTALL)
    for attributes, content in scripts:
        assert not content or 'type="application/json"' in attributes
    assert "onerror=" not in re.sub(r">[^<]*<", "><", html)


def test_the_page_and_the_list_change_with_the_record(views: Views, runs: Path) -> None:
    before, listed = views.page("sample").value, views.overview().value
    assert views.page("sample").value is before
    assert views.overview().value is listed
    with sample.opened(runs / "sample") as study:
        trial = next(iter(sample.trials(1, seed=5)))
        study.add_trial(trial)
    assert views.page("sample").value.version != before.version
    assert views.overview().value.version != listed.version
    assert "of 60" in views.overview().value.html.decode()


def test_a_record_that_is_gone_is_said_and_comes_back(views: Views, runs: Path) -> None:
    record = runs / "sample" / layout.RECORD_FILE
    first = views.page("sample").value
    record.rename(runs / "kept.db")
    gone = views.page("sample").value
    assert b"study.db is missing" in gone.html
    assert not gone.has_figures
    (runs / "kept.db").rename(record)
    assert views.page("sample").value.has_figures
    assert first.has_figures


def test_an_empty_directory_has_a_list(tmp_path: Path, settings: Settings) -> None:
    empty = settings_of(tmp_path / "none")
    workplace = Workplace(empty.runs_dir)
    views = Views(empty, Snapshots(workplace, Processes(empty, workplace)))
    assert b"There is no study yet" in views.overview().value.html
