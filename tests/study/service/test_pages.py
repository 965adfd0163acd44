"""The pages as a client gets them."""

import gzip
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from study.service import tokens
from study.service.guard import cookie_name
from study.service.pages import STATIC
from study.service.workplace import Workplace
from study_common import layout
from tests.results import sample
from tests.study.service.conftest import ClientOf, write_study

ORIGIN = {"Origin": "http://127.0.0.1:8000"}


def test_a_login_gives_a_cookie_that_scripts_and_other_sites_do_not_get(
    client_of: ClientOf, workplace: Workplace
) -> None:
    client, token = client_of(token=""), tokens.issue(workplace.key(), 60)
    answer = client.post("/login", data={"token": f" {token}\n"}, headers=ORIGIN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{cookie_name(8000)}={token}")
    for word in ("HttpOnly", "SameSite=strict"):
        assert word in cookie
    assert 0 < int(cookie.partition("Max-Age=")[2].partition(";")[0]) <= 60
    assert client.get("/api/session").json() == {"has_token": True}
    assert "max-age=0" in client.post("/logout", headers=ORIGIN).headers["set-cookie"].lower()


@pytest.mark.parametrize("token", ["", "wrong", "1.2.3"])
def test_a_wrong_token_gives_none(client_of: ClientOf, token: str) -> None:
    answer = client_of(token="").post("/login", data={"token": token}, headers=ORIGIN)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert "not valid" in answer.text


def test_a_login_that_is_no_form_is_refused(client_of: ClientOf) -> None:
    client = client_of(token="")
    assert client.post("/login", content=b"\xff\xfe=&&&&&&&&", headers=ORIGIN).status_code in (400, 403)


@pytest.mark.parametrize("name", STATIC)
def test_what_pages_load_comes_packed_or_not(client: TestClient, name: str) -> None:
    plain = client.get(f"/static/{name}", headers={"Accept-Encoding": "identity"})
    packed = client.get(f"/static/{name}", headers={"Accept-Encoding": "gzip"})
    assert plain.content == packed.content
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < max(len(plain.content), 300)
    assert gzip.decompress(gzip.compress(plain.content)) == plain.content


def test_no_other_file_is_given(client: TestClient) -> None:
    for name in ("key", "..%2fworkplace.py", "../api.py", "live.html"):
        assert client.get(f"/static/{name}").status_code == 404


def test_the_report_runs_apart_from_the_service(client: TestClient, runs: Path, tmp_path: Path) -> None:
    assert client.get("/studies/sample/report").status_code == 404
    report = runs / "sample" / layout.REPORT_FILE
    report.write_text("<script>fetch('/api/studies', {method: 'POST'})</script>")
    policy = client.get("/studies/sample/report").headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts allow-downloads;")
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    assert "connect-src" not in policy
    report.unlink()
    report.symlink_to("/etc/passwd")
    assert client.get("/studies/sample/report").status_code == 404


def test_studies_are_compared_on_a_page(client: TestClient, runs: Path) -> None:
    write_study(runs / "other", list(sample.trials(20, seed=1)), name="other")
    assert "What the studies attain" in client.get("/compare?name=sample&name=other").text
    assert "at least two studies" in client.get("/compare?name=sample").text
    assert client.get("/compare?name=nowhere&name=sample").status_code == 404


def test_a_page_that_is_not_there_says_so(client: TestClient) -> None:
    answer = client.get("/studies/%3Cscript%3E")
    assert answer.status_code == 404
    assert "<script>'" not in answer.text
    assert "All studies" in answer.text
