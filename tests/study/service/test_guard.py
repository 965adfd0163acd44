"""What stands before every request."""

import json

import pytest
from starlette.testclient import TestClient

from study.service import guard, tokens
from study.service.guard import MAX_BODY, Rate, cookie_name
from study.service.workplace import Workplace
from tests.study.service.conftest import ClientOf

ME = "http://127.0.0.1:8000"
CHANGING = {
    "/api/studies": {"space": "mixed_bits"},
    "/api/studies/sample/stop": {},
    "/api/studies/sample/resume": {},
    "/api/studies/sample/confirm": {},
}
READING = ["/", "/studies/sample", "/compare", "/api/studies", "/api/studies/sample", "/api/openapi.json"]


def test_every_changing_route_is_listed_here(client: TestClient) -> None:
    paths = client.get("/api/openapi.json").json()["paths"]
    changing = {path.replace("{name}", "sample") for path, ways in paths.items() if ways.keys() - {"get"}}
    assert changing == CHANGING.keys()


@pytest.fixture
def bad_tokens(workplace: Workplace) -> dict[str, str]:
    key = workplace.key()
    good = tokens.issue(key, 60)
    return {
        "none": "",
        "wrong": "0123456789abcdef",
        "of another key": tokens.issue(b"another", 60),
        "expired": tokens.issue(key, -1),
        "prolonged": f"{int(good.split('.')[0]) + 10**6}.{good.partition('.')[2]}",
    }


@pytest.mark.parametrize("path", CHANGING)
@pytest.mark.parametrize("kind", ["none", "wrong", "of another key", "expired", "prolonged"])
def test_nothing_changes_without_a_valid_token(
    client_of: ClientOf, bad_tokens: dict[str, str], path: str, kind: str
) -> None:
    answer = client_of(token=bad_tokens[kind]).post(path, json=CHANGING[path])
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    in_cookie = client_of(token="")
    in_cookie.cookies.set(cookie_name(8000), bad_tokens[kind])
    assert in_cookie.post(path, json=CHANGING[path], headers={"Origin": ME}).status_code == 401


@pytest.mark.parametrize("path", ["/", "/api/studies", "/studies/sample"])
def test_reading_needs_no_token_on_this_machine_and_one_elsewhere(client_of: ClientOf, path: str) -> None:
    assert client_of(token="").get(path).status_code == 200
    refused = client_of(token="", host="0.0.0.0").get(path)
    assert refused.status_code == (401 if path.startswith("/api") else 303)
    assert client_of(host="0.0.0.0").get(path).status_code == 200


@pytest.mark.parametrize("path", ["/api/openapi.json", "/api/events", "/studies/sample/report", "/nowhere"])
def test_elsewhere_nothing_but_the_login_is_open(client_of: ClientOf, path: str) -> None:
    stranger = client_of(token="", host="0.0.0.0")
    assert stranger.get(path).status_code in (303, 401)
    assert stranger.get("/login").status_code == 200
    assert stranger.get("/static/page.css").status_code == 200
    assert stranger.get("/static/../api/studies").status_code in (303, 401)


@pytest.mark.parametrize("host", ["evil.example.org", "evil.example.org:8000", "127.0.0.1.evil.org", ""])
def test_a_host_that_is_not_ours_is_refused(client: TestClient, host: str) -> None:
    assert client.get("/api/studies", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example.org"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "null"},
        {"Origin": ME, "Sec-Fetch-Site": "cross-site"},
        {"Origin": ME, "Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_of_another_site_changes_nothing(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/api/studies/sample/stop", headers=headers).status_code == 403


def test_a_cookie_counts_only_with_our_own_origin(client_of: ClientOf, workplace: Workplace) -> None:
    client = client_of(token="")
    client.cookies.set(cookie_name(8000), tokens.issue(workplace.key(), 60))
    stop = "/api/studies/sample/stop"
    assert client.post(stop).status_code == 403
    assert client.post(stop, headers={"Origin": ME, "Sec-Fetch-Site": "same-origin"}).status_code == 409


def test_an_oversized_body_is_refused(client: TestClient) -> None:
    body = json.dumps({"space": "mixed_bits", "name": "x" * MAX_BODY})
    answer = client.post("/api/studies", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413

    def endless():
        for _ in range(10**6):
            yield b"x" * 4096

    assert client.post("/api/studies", content=endless()).status_code == 413


@pytest.mark.parametrize("path", READING)
def test_every_answer_says_what_a_browser_may_do_with_it(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "default-src 'none'" in headers["content-security-policy"]
    script = headers["content-security-policy"].partition("script-src ")[2].partition(";")[0]
    assert "unsafe-inline" not in script
    assert ("unsafe-eval" in script) == (path == "/studies/sample")
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


def test_a_client_that_asks_too_often_has_to_wait(client: TestClient) -> None:
    codes = [client.post("/api/studies/sample/stop").status_code for _ in range(32)]
    assert codes[0] == 409
    assert codes[-1] == 429
    assert client.get("/api/session").status_code == 200


def test_clients_are_forgotten_in_the_end() -> None:
    rate = Rate(per_second=1, burst=1)
    for number in range(guard.MAX_ADDRESSES + 10):
        assert rate.allows(str(number), now=0)
    assert not rate.allows(str(guard.MAX_ADDRESSES), now=0)
    assert rate.allows("0", now=0)
