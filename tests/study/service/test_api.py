"""The JSON API: what it says is what the analysis says, and no input makes it fail."""

import math
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from schemathesis import BaseSchema, Case
from schemathesis.checks import not_a_server_error
from schemathesis.openapi import from_asgi
from schemathesis.specs.openapi import checks as openapi_checks
from starlette.testclient import TestClient

import results
from study.service import tokens
from study.service.app import application
from study.service.workplace import Workplace
from study_common import layout
from tests.results import sample
from tests.study.service.conftest import planned, settings_of, write_study


def test_the_list_and_the_detail_say_what_the_analysis_says(client: TestClient, runs: Path) -> None:
    study = results.load(runs / "sample")
    (brief,) = client.get("/api/studies").json()
    detail = client.get("/api/studies/sample").json()
    assert detail.items() >= brief.items()
    assert brief["hypervolume"] == study.hypervolume()
    assert detail["objectives"] == study.directions
    assert [row["number"] for row in detail["front_trials"]] == study.front()["number"].tolist()
    assert detail["recommended"] == {name: trial["number"] for name, trial in study.recommend().items()}


def test_trials_come_in_pages(client: TestClient, runs: Path) -> None:
    table = results.load(runs / "sample").trials
    first = client.get("/api/studies/sample/trials?limit=20").json()
    second = client.get("/api/studies/sample/trials?offset=20&limit=20").json()
    assert first["count"] == len(table)
    rows = first["rows"] + second["rows"]
    assert [row["number"] for row in rows] == table["number"].tolist()
    for row, (_, known) in zip(rows, table.iterrows(), strict=True):
        accuracy = known["metrics.accuracy"]
        assert row["metrics.accuracy"] == (None if math.isnan(accuracy) else accuracy)


def test_two_studies_are_compared(client: TestClient, runs: Path) -> None:
    write_study(runs / "other", list(sample.trials(20, seed=1)), name="other")
    both = [results.load(runs / name) for name in ("sample", "other")]
    answer = client.get("/api/compare?name=sample&name=other").json()
    assert [row["hypervolume"] for row in answer["studies"]] == results.compare_studies(both)[
        "hypervolume"
    ].tolist()
    assert answer["coverage"]["sample"]["other"] == results.coverage(both).at["sample", "other"]
    assert client.get("/api/compare?name=sample&name=sample").status_code == 400
    assert client.get("/api/compare?name=sample").status_code == 422


@pytest.mark.parametrize(
    ("asked", "code", "told"),
    [
        ({"space": "mixed_bit"}, 400, "mixed_bits"),
        ({"space": "../../etc/passwd"}, 422, "space"),
        ({"space": "/tmp/space.toml"}, 422, "space"),
        ({"space": "space.toml"}, 400, "--allow-space"),
        ({"space": "mixed_bits", "dataset": "mnist"}, 400, "--allow-dataset"),
        ({"space": "mixed_bits", "model": "mine.py"}, 400, "--allow-model"),
        ({"space": "mixed_bits", "model": "os:system"}, 400, "--allow-model"),
        ({"space": "mixed_bits", "name": "../out"}, 422, "name"),
        ({"space": "mixed_bits", "name": "--help"}, 422, "name"),
        ({"space": "mixed_bits", "name": "sample"}, 409, "already"),
        ({"space": "mixed_bits", "trials": 0}, 422, "trials"),
        ({"space": "mixed_bits", "trials": 10**9}, 422, "trials"),
        ({"space": "mixed_bits", "sampler": "tpa"}, 422, "sampler"),
        ({"space": "mixed_bits", "data_dir": "/etc"}, 422, "data_dir"),
        ({"space": "mixed_bits", "storage": "sqlite:////tmp/x.db"}, 422, "storage"),
        ({"space": "mixed_bits", "fixed": {"pretrained": "/x"}}, 422, "fixed"),
        ({"space": "mixed_bits", "objectives": "accuracy:max,--help"}, 422, "objectives"),
        ({"space": "mixed_bits", "time_budget": "30m; rm"}, 422, "time_budget"),
        ({}, 422, "space"),
        ([], 422, "body"),
    ],
)
def test_a_launch_names_only_what_is_allowed(
    client: TestClient, runs: Path, asked: object, code: int, told: str
) -> None:
    answer = client.post("/api/studies", json=asked)
    assert (answer.status_code, told in answer.json()["error"]) == (code, True), answer.text
    assert sorted(path.name for path in runs.iterdir()) == [".service", "sample"]
    assert not list((runs / ".service" / "logs").iterdir())


def test_a_form_is_no_json(client: TestClient) -> None:
    """A form of another site could be sent without asking; JSON cannot."""
    answer = client.post(
        "/api/studies", content='{"space": "mixed_bits"}', headers={"Content-Type": "text/plain"}
    )
    assert answer.status_code == 422


@pytest.mark.parametrize("act", ["resume", "confirm"])
def test_a_copied_study_is_not_continued_with_other_files(client: TestClient, runs: Path, act: str) -> None:
    request = {**planned()["request"], "dataset": "folder", "data_dir": "/etc"}
    write_study(runs / "copied", [], name="copied", request=request)
    answer = client.post(f"/api/studies/copied/{act}", json={})
    assert answer.status_code == 400
    assert "--allow-dataset" in answer.json()["error"]


@pytest.mark.parametrize(
    "name", ["%2e%2e", "..%2f..%2fetc", "sample%2f..", "%00", "a" * 300, ".service", "é"]
)
@pytest.mark.parametrize("rest", ["", "/trials", "/stop", "/report"])
def test_no_path_leads_out(client: TestClient, name: str, rest: str) -> None:
    way = client.post if rest == "/stop" else client.get
    for prefix in ("/api/studies/", "/studies/"):
        assert way(f"{prefix}{name}{rest}").status_code in (403, 404, 405, 422)


def test_a_study_that_cannot_be_read_is_listed_with_the_reason(client: TestClient, runs: Path) -> None:
    (runs / "sample" / layout.RECORD_FILE).unlink()
    (brief,) = client.get("/api/studies").json()
    assert brief["state"] == "not readable"
    assert "study.db is missing" in brief["problem"]
    assert client.get("/api/studies/sample/trials").status_code == 409
    assert client.get("/api/studies/sample").json()["front_trials"] == []


def test_streams_are_refused_above_their_number(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("study.service.events.MAX_STREAMS", 0)
    assert client.get("/api/events").status_code == 503


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, original: Path):
    """The API of a service that has a study and may start nothing, as schemathesis reads it from its document."""
    runs = tmp_path_factory.mktemp("fuzzed")
    shutil.copytree(original, runs / "sample")
    workplace = Workplace(runs)
    app = application(settings_of(runs, hosts=("testserver",), max_running=0), workplace)
    app._reads.burst = app._changes.burst = math.inf  # type: ignore[attr-defined]
    TOKEN["Authorization"] = f"Bearer {tokens.issue(workplace.key(), 600)}"
    return from_asgi("/api/openapi.json", app)


TOKEN: dict[str, str] = {}


def test_no_request_makes_it_fail_or_leave_its_document(api: BaseSchema) -> None:
    operations = [found.ok() for found in api.get_all_operations()]
    tried = [
        operation for operation in operations if not operation.path.endswith("/events")
    ]  # they do not end
    assert len(tried) == 10
    for operation in tried:

        @settings(max_examples=10, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def check(case: Case) -> None:
            case.call_and_validate(headers=TOKEN, checks=[not_a_server_error, *CONFORMANCE])

        check()


CONFORMANCE = [
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
]
