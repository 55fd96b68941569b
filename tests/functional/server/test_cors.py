"""Pages of another origin: what a browser asks before it lets them, and what it needs in each answer."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess
from functional.users import proof, users_file

PAGE = "https://dashboard.example.org"
OTHER = "https://elsewhere.example.org"
ASKS = {
    "Origin": PAGE,
    "Access-Control-Request-Method": "PUT",
    "Access-Control-Request-Headers": "content-type,x-auth-token,x-openstack-image-size,x-image-meta-store",
}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a service that lets the pages of one origin call, and asks who calls."""
    directory = tmp_path_factory.mktemp("cors")
    toml = users_file(directory, ada=("a", "member")) + f'[cors]\nallowed_origin = ["{PAGE}"]\n'
    process = HeadwaterProcess(directory, toml=toml)
    process.start()
    with httpx.Client(base_url=process.images_url, timeout=30, trust_env=False) as client:
        yield client
    process.stop()


def test_a_preflight_is_answered_without_a_token(http: httpx.Client) -> None:
    answer = http.options("/v2/images/any/file", headers=ASKS)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "PUT" in answer.headers["access-control-allow-methods"].split(", ")
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert {"content-type", "x-auth-token", "x-openstack-image-size", "authorization", "range"} <= set(allowed)
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-max-age"] == "3600"


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({"Origin": OTHER}, id="another origin"),
        pytest.param({"Access-Control-Request-Method": "TRACE"}, id="another method"),
        pytest.param({"Access-Control-Request-Headers": "x-evil"}, id="another header"),
    ],
)
def test_a_preflight_for_something_else_is_refused(http: httpx.Client, asked: dict[str, str]) -> None:
    answer = http.options("/v2/images", headers={**ASKS, **asked})
    assert answer.status_code == 400
    if "Origin" in asked:
        assert "access-control-allow-origin" not in answer.headers


def test_every_answer_may_be_read_by_the_page_also_a_refusal(http: httpx.Client) -> None:
    known = {"Origin": PAGE, **proof("ada")}
    answers = {
        200: http.get("/v2/images", headers=known),
        201: http.post("/v2/images", headers=known, json={"disk_format": "raw", "container_format": "bare"}),
        400: http.get("/v2/images?limit=x", headers=known),
        401: http.get("/v2/images", headers={"Origin": PAGE}),
        404: http.get("/v2/images/nothing", headers=known),
        405: http.put("/v2/images", headers=known),
        300: http.get("/", headers={"Origin": PAGE}),
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert answer.headers["access-control-allow-origin"] == PAGE
        assert answer.headers["vary"] == "Origin"
        assert "X-OpenStack-Request-ID" in answer.headers["access-control-expose-headers"].split(", ")

    path = f"/v2/images/{answers[201].json()['id']}"
    octets = {**known, "Content-Type": "application/octet-stream"}
    assert http.put(f"{path}/file", headers=octets, content=b"data").headers["access-control-allow-origin"] == PAGE
    downloaded = http.get(f"{path}/file", headers=known)
    assert (downloaded.content, downloaded.headers["access-control-allow-origin"]) == (b"data", PAGE)
    assert http.delete(path, headers=known).status_code == 204


def test_a_page_of_another_origin_may_read_nothing(http: httpx.Client) -> None:
    answer = http.get("/v2/images", headers={"Origin": OTHER, **proof("ada")})
    assert "access-control-allow-origin" not in answer.headers


def test_without_the_setting_nothing_is_said_of_origins(headwater: HeadwaterProcess) -> None:
    asked = httpx.options(f"{headwater.images_url}/v2/images", headers=ASKS, trust_env=False)
    assert (asked.status_code, asked.content) == (200, b"")
    got = httpx.get(f"{headwater.images_url}/v2/images", headers={"Origin": PAGE}, trust_env=False)
    for answer in (asked, got):
        assert not [name for name in answer.headers if name.startswith("access-control-")]
