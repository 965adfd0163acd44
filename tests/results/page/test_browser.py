"""The report in a real headless Chromium: no console error, figures drawn, hover, pins, table, exports, looks."""

import csv
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution
from playwright.sync_api import Browser, Page, sync_playwright

import results
from study_common import layout
from tests.results import sample
from tests.results.page.test_page import EVIL, all_failed, all_running, without_trials

CHROMIUM = shutil.which("chromium")
OFF = ("gpu", "quic", "background-networking", "component-update", "sync")
ARGUMENTS = ["--headless", "--no-sandbox", "--no-first-run", *(f"--disable-{feature}" for feature in OFF)]

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


def opened(browser: Browser, report: Path, **looks) -> Page:
    """The report once every figure is drawn; its errors and requests are collected on the way."""
    page = browser.new_page(**{"viewport": {"width": 1280, "height": 900}, **looks})
    page.errors = []
    page.on("console", lambda message: page.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("requestfailed", lambda request: page.errors.append(request.url))
    page.goto(report.as_uri())
    page.wait_for_selector("html[data-ready]", timeout=120_000)
    return page


@pytest.fixture(scope="module")
def report(study_path, tmp_path_factory) -> Path:
    copy = shutil.copytree(study_path, tmp_path_factory.mktemp("browser") / "sample")
    return results.write_results(copy).path / layout.REPORT_FILE


@pytest.fixture(scope="module")
def page(browser, report) -> Iterator[Page]:
    page = opened(browser, report)
    yield page
    assert page.errors == []  # of every test of this module
    page.close()


@pytest.fixture(autouse=True)
def unpinned(request):
    yield
    if "page" in request.fixturenames:
        request.getfixturevalue("page").keyboard.press("Escape")


def pinned(page: Page) -> list[int]:
    return page.evaluate(
        "[...document.querySelectorAll('#pins [data-mark]')].map((row) => Number(row.dataset.mark))"
    )


def pin(page: Page, number: int) -> None:
    page.click(f"#table .pin[data-trial='{number}']")


def front_numbers(study) -> list[int]:
    return study.front()["number"].to_list()


def test_every_figure_is_drawn_and_nothing_is_wrong(page):
    assert page.errors == []
    names = page.evaluate("Object.keys(report.figures)")
    assert len(names) >= 12
    for name in names:
        box = page.locator(f"#{name} .main-svg").first.bounding_box()
        assert box["width"] > 200
        assert box["height"] > 100
    assert page.locator("#front-1 .scatterlayer .point").count() >= 30
    assert page.locator("#widths-0 .heatmaplayer image, #widths-0 .heatmaplayer .hm").count() >= 1
    painted = "(plot) => plot.querySelector('canvas') && plot.querySelector('canvas').width > 0"
    assert page.locator("#front-0").evaluate(painted)  # WebGL
    assert page.locator("#parallel-0").evaluate(painted)
    assert page.locator("[data-title*='hare']").count() == 0  # no button that sends the study anywhere


def test_hover_tells_the_configuration(page, study):
    number = front_numbers(study)[0]
    position = page.evaluate(
        """(number) => {
          const plot = document.getElementById("front-1");
          plot.scrollIntoView({ block: "center" });
          const trace = plot._fullData.find((one) => one.customdata && one.customdata.includes(number));
          const k = trace.customdata.indexOf(number);
          const box = plot.querySelector(".nsewdrag").getBoundingClientRect();
          return [box.x + trace._xA.c2p(trace.x[k]), box.y + trace._yA.c2p(trace.y[k])];
        }""",
        number,
    )
    page.mouse.move(*position)
    page.mouse.move(position[0] + 1, position[1])
    page.wait_for_selector("#front-1 .hovertext", timeout=60_000)
    told = page.locator("#front-1 .hovertext").text_content()
    row = study.trials.set_index("number").loc[number]
    assert f"trial {number}" in told
    assert f"bits.conv1 {row['params.bits.conv1']}" in told
    page.mouse.click(*position)
    assert pinned(page) == [number]


def test_a_pin_shows_in_every_figure(page, study):
    number = front_numbers(study)[0]
    types = """Object.keys(report.figures).map((id) => Object.entries(document.getElementById(id)._fullLayout)
      .filter(([key]) => /^[xy]axis/.test(key)).map(([, axis]) => axis.type))"""
    before = page.evaluate(types)
    pin(page, number)
    assert pinned(page) == [number]
    assert page.evaluate(types) == before
    marks = page.evaluate(
        """(number) => Object.fromEntries(Object.entries(report.figures).map(([id, figure]) => {
          const plot = document.getElementById(id);
          const last = plot.data.at(-1);
          if (last.type === "heatmap") return [id, plot.layout.shapes.length];
          if (last.type === "parcoords") return [id, last.line.color.filter((level) => level === 2).length];
          return [id, last.name === "pinned" ? last.customdata.filter((one) => one === number).length : -1];
        }))""",
        number,
    )
    of_parameters = {name for name in marks if name.startswith("importances")}
    assert {name for name, count in marks.items() if count == -1} == of_parameters  # these show no trials
    assert all(count >= 1 for name, count in marks.items() if name not in of_parameters)
    assert (
        page.locator(f"[data-mark='{number}'].pinned").count() >= 3
    )  # card or strip, confirmation, table, tray
    other = front_numbers(study)[1]
    pin(page, other)
    places = """(number) => Object.keys(report.figures).map((id) => document.getElementById(id).data)
      .filter((traces) => traces.at(-1).name === "pinned").map((traces) => {
        const of = (trace) => (trace.customdata ?? []).flatMap((one, k) => one !== number ? []
          : [["x", "y", "z", "base"].map((key) => trace[key]?.[k] ?? null)]);
        return [traces.slice(0, -1).flatMap(of), of(traces.at(-1))];
      })"""
    for number_of in (number, other):
        for drawn, ringed in page.evaluate(places, number_of):
            assert ringed == drawn
    assert pinned(page) == [number, other]
    joined = """Object.keys(report.figures).map((id) => document.getElementById(id).data.at(-1))
      .filter((trace) => trace.name === "pinned").flatMap((trace) => trace.customdata)"""
    row = page.evaluate(joined)
    assert {number, other} <= set(row)
    assert all(a == b or None in (a, b) for a, b in pairwise(row)), "a line would join two trials"
    page.keyboard.press("Escape")
    assert pinned(page) == []
    assert page.locator("#pins").is_hidden()
    assert page.evaluate("document.getElementById('widths-0').layout.shapes.length") == 0


def test_a_held_button_in_the_scene_pins_once(page, study):
    """A 3-D scene reports a click with every frame while the button is down."""
    number = front_numbers(study)[0]
    emit = "(n) => document.getElementById('front-0').emit('plotly_click', { points: [{ customdata: n }] })"
    for expected in ([number], []):
        page.dispatch_event("#front-0", "pointerdown")
        for _ in range(3):
            page.evaluate(emit, number)
        assert pinned(page) == expected


def test_a_click_in_the_heat_map_and_on_a_bar_pins(page, study):
    page.evaluate("document.getElementById('widths-0').scrollIntoView({ block: 'center' })")
    box = page.locator("#widths-0 .nsewdrag").bounding_box()
    page.mouse.click(box["x"] + 5, box["y"] + 5)
    cheapest = study.front().sort_values("metrics.flops")["number"].iloc[0]
    assert pinned(page) == [cheapest]
    page.keyboard.press("Escape")
    page.evaluate("document.getElementById('workers-0').scrollIntoView({ block: 'center' })")
    page.locator("#workers-0 .bars .point path").first.hover(force=True)
    page.mouse.down()
    page.mouse.up()
    assert len(pinned(page)) == 1


def test_the_table_sorts_filters_and_pages(page, study):
    def column(k):
        return page.locator(f"#trials tbody tr td:nth-child({k})").all_inner_texts()

    page.click("#trials th[data-column='metrics.accuracy'] button")
    values = [float(text) for text in column(5)]
    assert values == sorted(values)
    assert page.get_attribute("#trials th[data-column='metrics.accuracy']", "aria-sort") == "ascending"
    page.click("#trials th[data-column='metrics.accuracy'] button")
    assert float(column(5)[0]) == pytest.approx(study.trials["metrics.accuracy"].max(), abs=1e-4)
    page.select_option("#role", "front")
    assert sorted(int(text.strip("#")) for text in column(1)) == front_numbers(study)
    page.select_option("#role", "")
    page.click("#trials th[data-column='number'] button")
    assert len(column(1)) == 50
    page.click("#next")
    assert [int(text.strip("#")) for text in column(1)] == list(range(50, 60))
    page.click("#previous")


def test_the_download_is_the_front_csv(page, report, tmp_path):
    page.select_option("#role", "front")
    with page.expect_download() as download:
        page.click("#download")
    download.value.save_as(tmp_path / "front.csv")
    page.select_option("#role", "")
    with (tmp_path / "front.csv").open() as mine, (report.parent / layout.FRONT_FILE).open() as theirs:
        mine, theirs = list(csv.DictReader(mine)), list(csv.DictReader(theirs))
    assert len(mine) == len(theirs)
    for a, b in zip(mine, theirs, strict=True):
        for name in ("metrics.accuracy", "params.lambda1", "metrics.flops"):
            assert float(a[name]) == float(b[name])  # every digit


@pytest.mark.parametrize("figure", ["front-0", "front-1", "widths-0", "parallel-0"])
@pytest.mark.parametrize(("kind", "start"), [("png", b"\x89PNG"), ("svg", b"<svg")])
def test_figures_are_saved_as_pictures(page, tmp_path, figure, kind, start):
    with page.expect_download() as download:
        page.click(f"[data-figure='{figure}'][data-export='{kind}']")
    assert download.value.suggested_filename == f"sample-{figure}.{kind}"
    download.value.save_as(tmp_path / "figure")
    content = (tmp_path / "figure").read_bytes()
    assert content.startswith(start)
    assert len(content) > 4000


def test_the_keyboard_reaches_and_pins(page):
    page.focus(".skip")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('pin')"):
            break
    number = page.evaluate("Number(document.activeElement.dataset.trial)")
    page.keyboard.press("Enter")
    assert pinned(page) == [number]
    assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
    reached = page.evaluate(
        "[...document.querySelectorAll('main *')].filter((one) => one.tabIndex >= 0).length"
    )
    assert reached > 60  # pins, exports, table heads, scrollable figures


def test_dark_light_and_paper(browser, report, tmp_path):
    page = opened(browser, report, color_scheme="dark")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"

    ink = "getComputedStyle(document.body).color"
    drawn = "document.querySelector('#front-1 .xtick text').style.fill"
    night = page.evaluate(ink), page.evaluate(drawn)
    assert night[0] == night[1]
    page.click("#theme")
    day = page.evaluate(ink), page.evaluate(drawn)
    assert day[0] == day[1] != night[0]
    page.click("#theme")
    assert page.evaluate(ink) == night[0]

    page.emulate_media(media="print")
    page.wait_for_function("getComputedStyle(document.body).backgroundColor === 'rgb(255, 255, 255)'")
    assert page.evaluate(drawn) == day[1]
    assert page.locator("nav").is_hidden()
    assert page.pdf().startswith(b"%PDF")
    assert page.errors == []
    page.close()


def test_a_phone_reads_without_scrolling_sideways(browser, report):
    page = opened(browser, report, viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    name = "blocks.3.0.se.conv_expand.of_a_deep_network"
    page.evaluate(f"document.querySelector('.bits tbody th').textContent = '{name}'")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator("#front-1").bounding_box()["width"] <= 360
    assert (
        page.evaluate("document.getElementById('front-1').layout.dragmode") is False
    )  # a finger scrolls the page
    assert page.errors == []
    page.close()


def test_no_script_of_a_name_runs(browser, tmp_path):
    space = {"odd": CategoricalDistribution([EVIL, "plain"]), f"bits.{EVIL}": CategoricalDistribution([2, 4])}
    rows = []
    for k in range(12):
        metrics = {"accuracy": 0.5 + k / 100, "flops": 1.0 + k, "faithfulness": 0.1}
        result = sample.result(k, [metrics], [1], intervals=[sample.interval(EVIL)], error=EVIL)
        rows.append(sample.trial({"odd": EVIL, f"bits.{EVIL}": 2 + 2 * (k % 2)}, result, space=space))
    data = {**sample.request()["data"], "dataset": EVIL}
    path = sample.write_study(tmp_path / "s", rows, name=EVIL, command=EVIL, data=data)
    results.write_results(path)
    page = opened(browser, path / layout.REPORT_FILE)
    assert page.inner_text("h1") == EVIL
    pin(page, 3)
    page.keyboard.press("Escape")
    page.locator("#front-1 .point").first.hover(force=True)
    page.wait_for_selector("#front-1 .hovertext")
    assert EVIL[:20] in page.locator("#front-1 .hovertext").text_content()
    assert page.evaluate("window.evil") is None
    assert page.locator("img").count() == 0
    assert page.errors == []
    page.close()


@pytest.mark.parametrize("rows", [without_trials, all_failed, all_running])
def test_poor_studies_open(browser, tmp_path, rows):
    path = sample.write_study(tmp_path / "s", rows())
    results.write_results(path)
    page = opened(browser, path / layout.REPORT_FILE)
    assert page.errors == []
    assert "nothing to recommend" in page.inner_text("#choice")
    page.close()
