"""What every error looks like: JSON of the API, a page elsewhere, one sentence in both."""

import pytest
from starlette.testclient import TestClient


@pytest.mark.parametrize(
    ("way", "path", "code"),
    [
        ("get", "/api/nowhere", 404),
        ("get", "/api/studies/nowhere", 404),
        ("put", "/api/studies", 405),
        ("get", "/api/studies/sample/trials?limit=many", 422),
        ("post", "/api/studies/sample/stop", 409),
    ],
)
def test_an_error_of_the_api_is_one_sentence(client: TestClient, way: str, path: str, code: int) -> None:
    answer = client.request(way, path)
    assert answer.status_code == code
    assert answer.json().keys() == {"error"}
    assert "\n" not in answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "code"), [("/nowhere", 404), ("/studies/nowhere", 404), ("/compare?name=x", 404)]
)
def test_an_error_of_a_page_is_a_page(client: TestClient, path: str, code: int) -> None:
    answer = client.get(path)
    assert answer.status_code == code
    assert answer.headers["content-type"].startswith("text/html")


def test_the_document_names_every_answer_and_needs_no_other_site(client: TestClient) -> None:
    document = client.get("/api/openapi.json").json()
    assert document["openapi"].startswith("3.")
    for ways in document["paths"].values():
        for way in ways.values():
            assert {"400", "401", "404", "409", "422", "429"} <= way["responses"].keys()
            assert way["summary"]
    assert client.get("/docs").status_code == 404
