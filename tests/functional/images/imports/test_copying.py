"""Images that are copied from a URL: by the API v1 (``copy_from``) and by tasks (``import``)."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess, wait_until
from functional.image_requests import show
from servers.http.web import Asked, SendBytes, WebServer, content, redirect, web_server

MIB = 1 << 20
BLOB = random.Random(8).randbytes(20 * MIB + 3)
MD5 = hashlib.md5(BLOB).hexdigest()
META = "x-image-meta-"
TOML = """\
[images]
api_v1 = true
size_cap = 41943040
[stores.file]
type = "file"
[stores.web]
type = "http"
[fetch]
allowed_hosts = ["127.0.0.1"]
allowed_ports = []
"""


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        server.pages["/image"] = content(BLOB)
        yield server


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    process = HeadwaterProcess(tmp_path_factory.mktemp("copying"), toml=TOML, workers=2)
    process.start()
    yield process
    process.stop()


def copy(http: httpx.Client, url: str, **said: str) -> str:
    headers = {f"{META}disk_format": "raw", f"{META}container_format": "bare", "x-glance-api-copy-from": url}
    answer = http.post("/v1/images", headers={**headers, **{META + name: value for name, value in said.items()}})
    assert answer.status_code == 201, answer.text
    image_id: str = answer.json()["image"]["id"]
    return image_id


def task(http: httpx.Client, url: str, **properties: Any) -> dict[str, Any]:
    asked = {
        "import_from": url,
        "import_from_format": "raw",
        "image_properties": {"disk_format": "raw", "container_format": "bare", **properties},
    }
    answer = http.post("/v2/tasks", json={"type": "import", "input": asked})
    assert answer.status_code == 201, answer.text
    entered: dict[str, Any] = answer.json()
    return entered


def over(http: httpx.Client, task_id: str) -> dict[str, Any]:
    """Return a task once it is over."""
    wait_until(
        lambda: http.get(f"/v2/tasks/{task_id}").json()["status"] in ("success", "failure"), "the task is over", 60
    )
    shown: dict[str, Any] = http.get(f"/v2/tasks/{task_id}").json()
    return shown


def stored(service: HeadwaterProcess) -> list[str]:
    return [
        file.name
        for file in service.data_dir.glob("stores/file/*/**/*")
        if file.is_file() and not file.name.startswith(".probe")
    ]


def held(go_on: threading.Event, reached: threading.Event) -> Callable[[Asked, SendBytes], None]:
    """Return how a server answers that stops in the middle of the blob until ``go_on``."""

    def answer(_asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BLOB))
        send(BLOB[: 10 * MIB])
        reached.set()
        go_on.wait(600)
        send(BLOB[10 * MIB :])

    return answer


# --- copy_from ------------------------------------------------------------------------------------


def test_a_copy_is_active_with_all_that_an_upload_has(http: httpx.Client, web: WebServer) -> None:
    image_id = copy(http, web.url("/image"), **{"property-a": "b"})
    wait_until(lambda: show(http, image_id)["status"] == "active", "the copy is there")
    shown = show(http, image_id)
    assert (shown["size"], shown["checksum"], shown["a"]) == (len(BLOB), MD5, "b")
    assert shown["os_hash_value"] == hashlib.sha512(BLOB).hexdigest()
    assert http.get(f"/v1/images/{image_id}").content == BLOB


def test_a_put_orders_a_copy_into_an_image_that_waits(http: httpx.Client, web: WebServer) -> None:
    headers = {f"{META}disk_format": "raw", f"{META}container_format": "bare"}
    image_id = http.post("/v1/images", headers=headers).json()["image"]["id"]
    web.pages["/moved"] = redirect(web.url("/image"))
    answer = http.put(f"/v1/images/{image_id}", headers={"x-glance-api-copy-from": web.url("/moved")})
    assert answer.status_code == 200, answer.text
    wait_until(lambda: show(http, image_id)["status"] == "active", "the copy is there")
    assert show(http, image_id)["checksum"] == MD5


@pytest.mark.parametrize("why", ["missing", "not the checksum", "not the format", "too large", "leads inside"])
def test_a_copy_that_cannot_be_is_killed_and_leaves_no_bytes(
    service: HeadwaterProcess, http: httpx.Client, web: WebServer, why: str
) -> None:
    web.pages["/large"] = content(bytes(41 * MIB), ranges=False)
    web.pages["/inside"] = redirect("http://169.254.169.254/latest/meta-data/")
    path = {"missing": "/nothing", "too large": "/large", "leads inside": "/inside"}.get(why, "/image")
    said = {"not the checksum": {"checksum": "0" * 32}, "not the format": {"disk_format": "qcow2"}}.get(why, {})
    image_id = copy(http, web.url(path), **said)
    wait_until(lambda: show(http, image_id)["status"] == "killed", "the image is killed")
    wait_until(lambda: not [name for name in stored(service) if image_id in name], "no byte is left")
    assert any(event.get("image") == image_id for event in service.logs() if event["event"] == "a copy was given up")


def test_a_server_that_fails_for_a_while_is_asked_again(http: httpx.Client, web: WebServer) -> None:
    answers = iter((b"HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n", b"", None))

    def page(asked: Asked, send: SendBytes) -> None:
        refusal = next(answers)
        if refusal is None:
            content(BLOB)(asked, send)
        else:
            send(refusal or b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(BLOB), BLOB[: 3 * MIB]))

    web.pages["/late"] = page
    image_id = copy(http, web.url("/late"))
    wait_until(lambda: show(http, image_id)["status"] == "active", "the copy is there", 60)
    assert show(http, image_id)["checksum"] == MD5
    assert len(web.asked) == 3


def test_an_image_that_is_deleted_while_it_is_copied_leaves_no_bytes(
    service: HeadwaterProcess, http: httpx.Client, web: WebServer
) -> None:
    go_on, reached = threading.Event(), threading.Event()
    web.pages["/slow"] = held(go_on, reached)
    image_id = copy(http, web.url("/slow"))
    assert reached.wait(30)
    wait_until(lambda: show(http, image_id)["status"] == "saving", "it is copied")
    assert http.delete(f"/v2/images/{image_id}").status_code == 204
    go_on.set()
    wait_until(lambda: not [name for name in stored(service) if image_id in name], "no byte is left")


# --- Locations ------------------------------------------------------------------------------------


def test_an_image_whose_data_lies_elsewhere_is_active_at_once(http: httpx.Client, web: WebServer) -> None:
    said = {f"{META}disk_format": "raw", f"{META}container_format": "bare"}
    located = {**said, f"{META}location": web.url("/image")}
    created = http.post("/v1/images", headers=located).json()["image"]
    waiting = http.post("/v1/images", headers=said).json()["image"]
    updated = http.put(f"/v1/images/{waiting['id']}", headers={f"{META}location": web.url("/image")}).json()["image"]
    for shown in (created, updated):
        assert (shown["status"], shown["size"], shown["checksum"]) == ("active", len(BLOB), None)
        given = http.get(f"/v1/images/{shown['id']}")
        assert given.content == BLOB
        # Neither where it lies, nor a checksum that a client would compare with.
        assert not {f"{META}location", f"{META}checksum"} & set(given.headers)
    again = http.put(f"/v1/images/{created['id']}", headers={f"{META}location": web.url("/image")})
    assert (again.status_code, "not in queued status" in again.text) == (400, True)
    wrong = http.post("/v1/images", headers={**located, f"{META}size": "5"})
    assert (wrong.status_code, "Size mismatch" in wrong.text) == (400, True)
    missing = http.post("/v1/images", headers={**said, f"{META}location": web.url("/nothing")})
    assert missing.status_code == 400


# --- Tasks ----------------------------------------------------------------------------------------


def test_an_import_task_makes_an_image_and_says_which(http: httpx.Client, web: WebServer) -> None:
    entered = task(http, web.url("/image"), name="imported", os_distro="ubuntu")
    assert (entered["status"], entered["result"], entered["message"]) == ("pending", None, "")
    shown = over(http, entered["id"])
    assert (shown["status"], shown["message"]) == ("success", "")
    assert shown["input"] == entered["input"]
    assert shown["expires_at"] > shown["updated_at"]
    imported = show(http, shown["result"]["image_id"])
    assert (imported["status"], imported["name"], imported["checksum"]) == ("active", "imported", MD5)
    assert [each["id"] for each in http.get("/v2/tasks?limit=1").json()["tasks"]] == [entered["id"]]


def test_an_import_that_fails_says_why(service: HeadwaterProcess, http: httpx.Client, web: WebServer) -> None:
    missing = over(http, task(http, web.url("/nothing"))["id"])
    assert (missing["status"], missing["result"]) == ("failure", None)
    assert missing["message"] == f"{web.url('/nothing')}: the server answered 404"
    wrong = over(http, task(http, web.url("/image"), disk_format="qcow2")["id"])
    assert "disk_format qcow2 does not match" in wrong["message"]
    # The image waits: its data may come in another way.
    assert show(http, wrong["image_id"])["status"] == "queued"
    assert not [name for name in stored(service) if wrong["image_id"] in name]


# --- Processes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["v1", "task"])
def test_a_copy_whose_process_is_killed_begins_again(tmp_path: Path, web: WebServer, way: str) -> None:
    go_on, reached = threading.Event(), threading.Event()
    web.pages["/slow"] = held(go_on, reached)
    service = HeadwaterProcess(tmp_path, toml=TOML, workers=1)
    service.start()
    try:
        with httpx.Client(base_url=service.images_url, timeout=60) as http:
            entered = task(http, web.url("/slow")) if way == "task" else {}
            image_id = entered.get("image_id") or copy(http, web.url("/slow"))
            assert reached.wait(30)
            wait_until(lambda: show(http, image_id)["status"] == "saving", "it is copied")
            service.kill()
            go_on.set()
            web.pages["/slow"] = content(BLOB)
            service.start()
            wait_until(lambda: show(http, image_id)["status"] == "active", "the copy is there", 60)
            assert show(http, image_id)["checksum"] == MD5
            assert http.get(f"/v2/images/{image_id}/file").content == BLOB
            if way == "task":
                assert over(http, entered["id"])["result"] == {"image_id": image_id}
        wait_until(lambda: len(stored(service)) == 1, "only the image's bytes are there")
    finally:
        service.kill()


def test_a_copy_makes_way_for_a_stop_and_begins_again(tmp_path: Path, web: WebServer) -> None:
    stop = threading.Event()

    def slow(_asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BLOB))
        for at in range(0, len(BLOB), 65536):
            send(BLOB[at : at + 65536])
            stop.wait(0.1)

    web.pages["/slow"] = slow
    service = HeadwaterProcess(tmp_path, toml=TOML, workers=1)
    service.start()
    try:
        with httpx.Client(base_url=service.images_url, timeout=60) as http:
            image_id = copy(http, web.url("/slow"))
            wait_until(lambda: show(http, image_id)["status"] == "saving", "it is copied")
            assert service.stop(timeout_s=20) == 0
            assert stored(service) == []
            web.pages["/slow"] = content(BLOB)
            service.start()
            wait_until(lambda: show(http, image_id)["status"] == "active", "the copy is there", 60)
    finally:
        stop.set()
        service.kill()
