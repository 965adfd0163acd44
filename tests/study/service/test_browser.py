"""The pages in a real headless Chromium: a study is started, watched, stopped, resumed, and its report opened."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from study_common import layout
from tests.results import sample
from tests.results.page.test_browser import ARGUMENTS, CHROMIUM

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)"
)

SPACE = """
description = "Tiny"
[fixed]
image_size = 16
batch_size = 16
[parameters]
lambda1 = { type = "float", low = 0.1, high = 1.0 }
[bits]
layers = "*"
values = [2, 4, 8]
"""


SAID = "[...document.querySelectorAll('.warning:not([hidden])')]"
"""What a page says is wrong."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, original: Path, stripes: Path
) -> Iterator[tuple[str, Path]]:
    """The address of a service over a copy of the study, and its directory."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(original, folder / "runs" / "sample")
    (folder / "tiny.toml").write_text(SPACE)
    words = [sys.executable, "-m", "study.serve", "--runs-dir", str(folder / "runs"), "--port", "0",
             "--allow-space", str(folder / "tiny.toml"), "--allow-dataset", f"folder={stripes}"]  # fmt: skip
    environment = {
        **os.environ,
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_STATE_HOME": str(folder / "state"),
    }
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout
        yield process.stdout.readline().split()[-1], folder / "runs"
        process.terminate()
        assert process.wait(60) in (0, -15, 143)


def opened(browser: Browser, url: str, **looks: object) -> Page:
    page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, **looks})  # type: ignore[arg-type]
    page.errors = []  # type: ignore[attr-defined]
    page.on("console", lambda message: page.errors.append(message.text) if message.type == "error" else None)  # type: ignore[attr-defined]
    page.on("pageerror", lambda error: page.errors.append(str(error)))  # type: ignore[attr-defined]
    page.goto(url)
    return page


def log_in(page: Page, served: tuple[str, Path]) -> None:
    address, runs = served
    page.goto(address + "login")
    page.fill("[name=token]", (runs / ".service" / "token").read_text().strip())
    page.keyboard.press("Enter")
    page.wait_for_selector("form.launch:not([hidden])")


def drawn(page: Page) -> None:
    page.wait_for_selector("html[data-ready]", timeout=60_000)


def test_a_page_is_refreshed_in_place(browser: Browser, served: tuple[str, Path]) -> None:
    """Two browsers see a trial that ends; what one of them pinned and typed stays."""
    address, runs = served
    shutil.copytree(runs / "sample", runs / "growing")
    pages = [opened(browser, f"{address}studies/growing") for _ in range(2)]
    for page in pages:
        drawn(page)
    pages[0].click("#table .pin[data-trial='3']")
    pages[0].evaluate("window.kept = document.getElementById('front-1')")
    with sample.opened(runs / "growing") as study:
        study.add_trials(list(sample.trials(9, seed=3))[:2])
    for page in pages:
        page.wait_for_function("report.rows.length === 26", timeout=30_000)
        assert "26 trials" in page.inner_text(".lead")
        page.wait_for_function("document.querySelectorAll('#trials tbody tr').length === 26")
    assert pages[0].evaluate("window.kept === document.getElementById('front-1') && pinned.has(3)")
    assert pages[0].evaluate(
        "document.getElementById('front-1').data.flatMap((one) => one.customdata ?? []).includes(24)"
    )
    for page in pages:
        assert page.errors == []  # type: ignore[attr-defined]
        page.close()


def test_a_record_that_goes_away_is_said_and_the_page_goes_on(
    browser: Browser, served: tuple[str, Path]
) -> None:
    address, runs = served
    shutil.copytree(runs / "sample", runs / "fragile")
    record = runs / "fragile" / layout.RECORD_FILE
    page = opened(browser, f"{address}studies/fragile")
    drawn(page)
    record.rename(runs / "hidden.db")
    page.wait_for_selector("#now[data-whole]", timeout=30_000)
    page.wait_for_selector("#told:not(:empty)", state="attached")
    (said,) = page.evaluate(f"{SAID}.map((one) => one.textContent)")
    assert "study.db is missing" in said
    (runs / "hidden.db").rename(record)
    drawn(page)
    page.close()


def test_no_script_of_an_error_or_a_log_runs(browser: Browser, served: tuple[str, Path]) -> None:
    page = opened(browser, f"{served[0]}studies/sample")
    drawn(page)
    assert "window.evil" in page.inner_text("#open-23")
    assert page.evaluate("window.evil") is None
    assert page.locator("#open-23 img").count() == 0
    assert page.errors == []  # type: ignore[attr-defined]
    page.close()


@pytest.mark.parametrize("path", ["", "studies/sample", "login", "compare"])
def test_a_phone_in_the_dark_reads_without_scrolling_sideways(
    browser: Browser, served: tuple[str, Path], path: str
) -> None:
    looks = {
        "viewport": {"width": 360, "height": 740},
        "has_touch": True,
        "is_mobile": True,
        "color_scheme": "dark",
    }
    page = opened(browser, served[0] + path, **looks)
    page.wait_for_selector("h1")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 23, 27)"
    tables = "[...document.querySelectorAll('.scroll:has(.studies, .open)')]"
    assert page.evaluate(f"{tables}.every((one) => one.scrollWidth <= one.clientWidth)")
    page.close()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_study_is_started_watched_stopped_resumed_and_its_report_opened(
    browser: Browser, served: tuple[str, Path]
) -> None:
    """By keyboard alone, from the login to the report."""
    address, runs = served
    page = opened(browser, address)
    log_in(page, served)
    page.select_option("[name=space]", "tiny")
    page.select_option("[name=dataset]", "folder")
    page.focus("[name=name]")
    for text in ("mine", "40", "3", "1"):  # name, trials, epochs, workers
        page.keyboard.type(text)
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # in the field of the time budget
    page.wait_for_url("**/studies/mine", timeout=120_000)
    page.wait_for_selector("#data", state="attached", timeout=300_000)
    page.wait_for_selector("text=/[1-9] (complete|paused|stopped)/", timeout=300_000)
    page.locator("#now button >> text=Stop").press("Enter")
    page.wait_for_selector("#now .state >> text=interrupted", timeout=300_000)
    page.wait_for_selector("#now button >> text=Resume", timeout=60_000)
    page.fill("[name=trials]", "5")  # the new total, so that it ends soon
    page.locator("#now button >> text=Resume").press("Enter")
    page.wait_for_selector("#now .state >> text=complete", timeout=300_000)
    page.wait_for_selector(".cards .card")
    assert page.errors == []  # type: ignore[attr-defined]
    page.locator("#now a >> text=The report that the driver wrote last").press("Enter")
    drawn(page)
    assert page.inner_text("h1") == "mine"
    assert page.locator("#front-1 .point").count() >= 1
    page.close()
    assert (runs / "mine" / layout.REPORT_FILE).exists()
