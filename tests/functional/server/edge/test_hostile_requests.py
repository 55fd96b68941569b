"""Requests that no client means: floods, framing that lies, bytes that are not text. Each is answered, cheaply.

What is refused at the edge (the HTTP server) is told in plain text; what gets further is our error.
"""

from __future__ import annotations

import json
import re
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess

MiB = 1 << 20
LIMIT_S = 60
TOO_LARGE = b'{"p": "' + b"x" * (10 * MiB) + b'"}'
PATCH = "application/openstack-images-v2.1-json-patch"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    """One worker, so that its memory and its life are those of the service."""
    process = HeadwaterProcess(tmp_path_factory.mktemp("hostile"))
    process.start()
    yield process
    process.stop()


def send(service: HeadwaterProcess, *pieces: bytes) -> tuple[int, bytes, int]:
    """Send these bytes; return the status of the first answer, its body, and how much was taken of us."""
    place = urlsplit(service.images_url)
    sent = 0
    with socket.create_connection((place.hostname or "", place.port or 0), LIMIT_S) as connection:
        try:
            for piece in pieces:
                connection.sendall(piece)
                sent += len(piece)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before all was sent; the answer is there nevertheless
        received = b""
        while not _complete(received):
            try:
                more = connection.recv(1 << 16)
            except ConnectionResetError:
                break
            if not more:
                break
            received += more
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 "), received
    return int(head.split(b" ", 2)[1]), body, sent


def _complete(received: bytes) -> bool:
    head, end, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: ([0-9]+)", head, re.IGNORECASE)
    return bool(end) and length is not None and len(body) >= int(length[1])


def head(method: str, target: str, *lines: str) -> bytes:
    return "\r\n".join(
        [f"{method} {target} HTTP/1.1", "Host: x", "Accept: application/json", "Connection: close", *lines, "", ""]
    ).encode("latin-1")


def memory(service: HeadwaterProcess) -> int:
    """Return how many bytes the worker has in memory."""
    (worker,) = service.workers()
    said = re.search(r"VmRSS:\s+([0-9]+) kB", Path(f"/proc/{worker}/status").read_text())
    assert said is not None
    return int(said[1]) * 1024


def json_routes(service: HeadwaterProcess) -> list[tuple[str, str, str]]:
    """Return method, path and media type of everything that takes JSON; the names in the paths exist nowhere."""
    document = httpx.get(f"{service.images_url}/openapi.json", trust_env=False).json()
    found = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            for kind in operation.get("requestBody", {}).get("content", {}) if isinstance(operation, dict) else ():
                if "json" in kind:
                    filled = re.sub(r"\{\w+\}", str(uuid.uuid4()), path)
                    found.append((method.upper(), filled, kind))
    assert len(found) > 10
    return found


# --- Bodies ------------------------------------------------------------------------------------------


def test_every_route_that_takes_json_refuses_ten_megabytes_and_says_so(service: HeadwaterProcess) -> None:
    before = memory(service)
    for method, path, kind in json_routes(service):
        lines = (f"Content-Type: {kind}", f"Content-Length: {len(TOO_LARGE)}")
        status, body, _ = send(service, head(method, path, *lines), TOO_LARGE)
        assert status == 413, (method, path, body)
        assert "4194304 bytes at most" in json.loads(body)["message"]
    assert memory(service) - before < 64 * MiB


@pytest.mark.parametrize("megabytes", [10, 300])
def test_who_sends_a_body_without_a_length_reads_that_it_is_too_long(service: HeadwaterProcess, megabytes: int) -> None:
    before = memory(service)
    piece = b"%x\r\n%s\r\n" % (MiB, b"x" * MiB)
    pieces = [piece] * megabytes + [b"0\r\n\r\n"]
    status, body, _ = send(service, head("POST", "/v2/images", "Transfer-Encoding: chunked"), *pieces)
    assert status == 413
    assert b"4194304 bytes at most" in body
    assert memory(service) - before < 32 * MiB  # what other requests of the file have left wavers by half of that
    assert httpx.get(f"{service.images_url}/v2/images", trust_env=False).status_code == 200


def test_a_client_that_asks_first_is_told_before_it_sends(service: HeadwaterProcess) -> None:
    lines = ("Expect: 100-continue", f"Content-Length: {len(TOO_LARGE)}")
    status, _, _ = send(service, head("POST", "/v2/images", *lines))
    assert status == 413


def test_a_client_reads_the_refusal_and_goes_on(service: HeadwaterProcess) -> None:
    with httpx.Client(base_url=service.images_url, timeout=LIMIT_S, trust_env=False) as http:
        for content in (TOO_LARGE, iter([TOO_LARGE[at : at + MiB] for at in range(0, len(TOO_LARGE), MiB)])):
            assert http.post("/v2/images", content=content).status_code == 413
            assert http.get("/v2/images").status_code == 200


@pytest.mark.parametrize("depth", [65, 900, 1000, 100_000])
def test_every_route_that_takes_json_refuses_deep_nesting(service: HeadwaterProcess, depth: int) -> None:
    for opened, closed in (("[", "]"), ('{"a":', "}")):
        body = (opened * depth + "1" + closed * depth).encode()
        for method, path, kind in json_routes(service):
            answer = httpx.request(
                method,
                f"{service.images_url}{path}",
                content=body,
                headers={"Content-Type": kind, "Accept": "application/json"},
                trust_env=False,
            )
            assert answer.status_code == 400, (method, path, answer.text)
            assert "nested" in answer.json()["message"]


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({"tags": [1] * 1_000_000}, id="a million tags that are none"),
        pytest.param({f"p{number}": 1 for number in range(200_000)}, id="two hundred thousand wrong properties"),
    ],
)
def test_a_document_with_very_many_mistakes_is_refused_at_the_first_ones(
    service: HeadwaterProcess, document: dict[str, Any]
) -> None:
    answer = httpx.post(f"{service.images_url}/v2/images", json=document, timeout=10, trust_env=False)
    assert answer.status_code == 400
    assert len(answer.text) < 2000


# --- Heads -------------------------------------------------------------------------------------------


def test_floods_of_headers_end_at_the_edge(service: HeadwaterProcess) -> None:
    worker = service.workers()
    floods = {
        "a thousand": ([f"X-{number}: v" for number in range(1000)], {431}),
        "a hundred thousand": ([f"X-{number}: v" for number in range(100_000)], {431}),
        "the same one": (["X-Auth-Token: t"] * 1000, {431}),
        "a megabyte": (["X-Auth-Token: " + "t" * MiB], {431}),
        "twenty megabytes": (["X-Auth-Token: " + "t" * 20 * MiB], {431}),
        "a name of a megabyte": (["X" * MiB + ": v"], {400, 431}),
    }
    for lines, statuses in floods.values():
        assert send(service, head("GET", "/v2/images", *lines))[0] in statuses
    before = memory(service)
    for _ in range(20):
        for lines, _ in floods.values():
            send(service, head("GET", "/v2/images", *lines))
    assert memory(service) - before < 32 * MiB
    assert service.workers() == worker
    assert httpx.get(f"{service.images_url}/v2/images", trust_env=False).status_code == 200


@pytest.mark.parametrize("target", ["/v2/images?name=", "/v2/images/", "/"])
@pytest.mark.parametrize(("size", "statuses"), [(100_000, {414}), (MiB, {414, 431})])
def test_a_request_line_without_end_is_refused(
    service: HeadwaterProcess, target: str, size: int, statuses: set[int]
) -> None:
    assert send(service, head("GET", target + "a" * size))[0] in statuses


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("Content-Length: -1",), 400),
        (("Content-Length: 1e3",), 400),
        (("Content-Length: 99999999999999999999999999",), 400),
        (("Content-Length: 5", "Content-Length: 6"), 400),
        (("Transfer-Encoding: gzip",), 501),
        (("Bad Name: x",), 400),
        (("X: a\x00b",), 400),
        ((" folded: x",), 400),
    ],
    ids=str,
)
def test_a_head_that_is_not_http_is_refused(service: HeadwaterProcess, lines: tuple[str, ...], status: int) -> None:
    assert send(service, head("POST", "/v2/images", *lines), b"{}")[0] == status


# --- Text --------------------------------------------------------------------------------------------

IMAGE = "/v2/images/71ad5286-0de4-46dc-b0d6-c0f472334530"  # of nobody; each process of a run collects the same tests
NAMESPACE = "/v2/metadefs/namespaces/OS::OperatingSystem"


@pytest.mark.parametrize(
    "target",
    [
        "/v2/images/%ff",
        f"{IMAGE}/tags/%c3%28",
        f"{IMAGE}/members/%ed%a0%80",  # half of a character in UTF-16, as UTF-8 would write it
        "/v2/metadefs/namespaces/%fe",
        f"{NAMESPACE}/tags/%80",
        "/v2/images?name=%ff",
        "/v2/images?%ff=x",
        "/v2/metadefs/namespaces?marker=%c0%80",
    ],
)
def test_what_is_not_utf_8_is_refused_by_name(service: HeadwaterProcess, target: str) -> None:
    for method in ("GET", "PUT", "DELETE"):
        status, body, _ = send(service, head(method, target, "Content-Length: 0"))
        if status != 405:
            assert status == 400, (method, body)
            assert "is not UTF-8" in json.loads(body)["message"]


def test_a_percent_sign_that_means_nothing_is_one(service: HeadwaterProcess) -> None:
    with httpx.Client(base_url=service.images_url, trust_env=False) as http:
        path = f"/v2/images/{http.post('/v2/images', json={}).json()['id']}"
        for odd in ("%", "%z", "%zz", "50%"):
            assert send(service, head("PUT", f"{path}/tags/{odd}", "Content-Length: 0"))[0] == 204
        assert http.get(path).json()["tags"] == ["%", "%z", "%zz", "50%"]
        assert send(service, head("GET", "/v2/images?name=%zz"))[0] == 200
        assert http.delete(path).status_code == 204


ODD = ("\x00", "a\x00b", "\U0001f600", "\uffff", "\u202e", "\x85", "\x7f", "\u0301" * 70, "'", '"', "\\")


@pytest.mark.postgresql
def test_odd_text_is_kept_or_refused_on_the_strictest_database_too(postgresql_url: str, tmp_path: Path) -> None:
    """Source: PostgreSQL refuses NUL in text, and text that is not UTF-8."""
    process = HeadwaterProcess(tmp_path, toml=f'[database]\nurl = "{postgresql_url}"\n')
    process.start()
    try:
        with httpx.Client(base_url=process.images_url, timeout=LIMIT_S, trust_env=False) as http:
            for text in ODD:
                _require_kept_or_refused(http, text)
            _require_no_path_with_nul_fails(http)
    finally:
        process.stop()


def _require_kept_or_refused(http: httpx.Client, text: str) -> None:
    refused = "\x00" in text
    made = http.post("/v2/images", json={"name": text, "tags": [text], text: text})
    assert made.status_code == (400 if refused else 201), (text, made.text)
    if not refused:
        shown = http.get(f"/v2/images/{made.json()['id']}").json()
        assert (shown["name"], shown["tags"], shown[text]) == (text, [text], text)
        listed = http.get("/v2/images", params={"tag": text, text: text}).json()["images"]
        assert [image["id"] for image in listed] == [made.json()["id"]]
    base = http.post("/v2/images", json={}).json()["id"]
    assert http.post(f"/v2/images/{base}/members", json={"member": text}).status_code == (400 if refused else 200)
    named = http.post("/v2/metadefs/namespaces", json={"namespace": f"n{text}"})
    assert named.status_code == (400 if refused else 201), named.text
    words = {"namespace": f"w{text.encode().hex()[:60]}", "display_name": text, "description": text, "owner": text}
    assert http.post("/v2/metadefs/namespaces", json=words).status_code == (400 if refused else 201)
    definition = {"title": text, "type": "string", "default": text, "enum": [text], "description": text}
    added = http.post(f"{NAMESPACE}/properties", json={"name": f"p{text.encode().hex()[:60]}", **definition})
    assert added.status_code in (201, 400), added.text
    patched = http.patch(
        f"/v2/images/{base}",
        content=json.dumps([{"op": "add", "path": f"/{text}", "value": text}]),
        headers={"Content-Type": PATCH},
    )
    assert patched.status_code == (400 if refused else 200), (text, patched.text)


def _require_no_path_with_nul_fails(http: httpx.Client) -> None:
    asked = 0
    for path, item in http.get("/openapi.json").json()["paths"].items():
        names = re.findall(r"\{\w+\}", path)
        for method in item.keys() & {"get", "put", "post", "delete", "patch"}:
            for name in names:
                target = re.sub(r"\{\w+\}", "OS::OperatingSystem", path.replace(name, "a%00b"))
                answer = http.request(method, target, json={}, headers={"Accept": "application/json"})
                assert answer.status_code in (400, 403, 404, 415), (method, target, answer.text)
                asked += 1
    assert asked > 40
