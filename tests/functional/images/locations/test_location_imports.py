"""Images whose data lies on a web server, the new way: the locations API."""

from __future__ import annotations

import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from functional.images.locations.location_requests import DATA, MD5, SHA512, WEB, Api, served
from servers.http.web import Answer, Asked, SendBytes, WebServer, content


def held_up(data: bytes, go_on: threading.Event) -> Answer:
    """Return how a server answers that stops in the middle of ``data``."""

    def answer(asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data))
        if asked.method == "GET":
            send(data[: len(data) // 2])
            go_on.wait(600)  # as long as it takes: a machine that stands still for a minute changes nothing
            send(data[len(data) // 2 :])

    return answer


def test_an_image_is_active_at_once_and_has_its_hashes_when_its_data_was_read(api: Api, web: WebServer) -> None:
    go_on = threading.Event()
    web.pages["/slow"] = held_up(DATA, go_on)
    path, url = api.make(), web.url("/slow?signature=secret")
    answer = api.ask_for(path, url)
    assert (answer.status_code, answer.content) == (202, b"")
    while not any(asked.method == "GET" for asked in web.asked):
        time.sleep(0.05)
    image = api.wait(path, "status", "active")
    assert [image[name] for name in ("size", "os_hash_value", "checksum")] == [len(DATA), None, None]
    assert image["locations"] == [{"url": url, "metadata": {"store": "web"}}]
    assert api.ask_for(path, web.url("/data")).status_code == 409
    go_on.set()
    image = api.wait(path, "os_hash_value", SHA512)
    assert (image["os_hash_algo"], image["os_hash_value"], image["checksum"]) == ("sha512", SHA512, MD5)
    assert (image["size"], image["locations"]) == (len(DATA), [{"url": url, "metadata": {"store": "web"}}])
    task = api.task(path)
    assert (task["type"], task["status"], task["message"]) == ("location_import", "success", "")
    assert task["result"] == {"image_id": image["id"]} and task["image_id"] == image["id"]
    assert task["request_id"] == answer.headers["x-openstack-request-id"]
    assert "secret" not in str(task)
    assert not task["created_at"].endswith("Z") and "." in task["created_at"]
    assert api.http.get(f"{path}/locations").json() == image["locations"]


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha512"])
def test_hashes_that_are_given_are_checked_before_the_image_is_active(api: Api, web: WebServer, algorithm: str) -> None:
    right = hashlib.new(algorithm, DATA).hexdigest()
    path = api.make()
    assert api.ask_for(path, web.url("/data"), os_hash_algo=algorithm, os_hash_value=right.upper()).status_code == 202
    image = api.wait(path, "status", "active")
    assert (image["os_hash_algo"], image["os_hash_value"], image["checksum"]) == (algorithm, right, MD5)
    assert api.task(path)["status"] == "success"


def test_data_with_other_hashes_is_let_go_of(api: Api, web: WebServer) -> None:
    path = api.make()
    assert api.ask_for(path, web.url("/other"), os_hash_algo="sha512", os_hash_value=SHA512).status_code == 202
    task = api.task(path)
    assert (task["status"], "does not have the sha512" in task["message"]) == ("failure", True)
    image = api.image(path)
    assert (image["status"], image["locations"], image["size"]) == ("queued", [], None)
    assert [image[name] for name in ("checksum", "os_hash_algo", "os_hash_value")] == [None] * 3
    assert api.http.get(f"{path}/file").status_code == 204
    assert api.ask_for(path, web.url("/data"), os_hash_algo="sha512", os_hash_value=SHA512).status_code == 202
    assert api.wait(path, "status", "active")["os_hash_value"] == SHA512


def test_where_nothing_is_hashed_what_is_said_is_believed(tmp_path: Path, web: WebServer) -> None:
    with served(tmp_path, WEB + "do_secure_hash = false\n") as (_process, api):
        believed, silent = api.make(), api.make()
        said = {"os_hash_algo": "sha256", "os_hash_value": "0" * 64}
        api.ask_for(believed, web.url("/data"), **said)
        api.ask_for(silent, web.url("/data"))
        image = api.wait(believed, "status", "active")
        assert (image["os_hash_algo"], image["os_hash_value"], image["checksum"]) == ("sha256", "0" * 64, None)
        image = api.wait(silent, "status", "active")
        assert (image["os_hash_algo"], image["os_hash_value"], image["checksum"]) == (None, None, None)
        assert {api.task(path)["status"] for path in (believed, silent)} == {"success"}
        assert {asked.method for asked in web.asked} == {"HEAD"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"url": 5}, 400),
        ({"url": None}, 400),
        ({"url": "URL", "validation_data": None}, 400),
        ({"url": "URL", "validation_data": "x"}, 400),
        ({"url": "URL", "validation_data": {"os_hash_algo": "sha512"}}, 400),
        ({"url": "URL", "validation_data": {"os_hash_value": SHA512}}, 400),
        ({"url": "URL", "validation_data": {"os_hash_algo": "sha512", "os_hash_value": SHA512, "checksum": MD5}}, 400),
        ({"url": "URL", "validation_data": {"os_hash_algo": "sha512", "os_hash_value": MD5}}, 400),
        ({"url": "URL", "validation_data": {"os_hash_algo": "md5", "os_hash_value": "x" * 32}}, 400),
        ({"url": "URL", "validation_data": {"os_hash_algo": "sha384", "os_hash_value": "0" * 96}}, 400),
        ({"url": "URL", "validation_data": {"os_hash_algo": ["md5"], "os_hash_value": MD5}}, 400),
        ({"url": "file:///etc/passwd"}, 403),
        ({"url": "rbd://a/b/c/d"}, 403),
        ({"url": "http://127.1/"}, 400),
        ({"url": "http://user:hunter2@127.0.0.1/"}, 400),
        ({"url": "http://169.254.169.254/"}, 400),
        ([], 400),
        ("URL", 400),
    ],
)
def test_what_cannot_be_imported_is_refused_at_once(api: Api, web: WebServer, body: Any, status: int) -> None:
    if isinstance(body, dict) and body.get("url") == "URL":
        body = {**body, "url": web.url("/data")}
    path = api.make()
    answer = api.http.post(f"{path}/locations", json=body)
    assert answer.status_code == status, answer.text
    assert "hunter2" not in answer.text
    assert (api.image(path)["status"], api.http.get(f"{path}/tasks").json()) == ("queued", {"tasks": []})


def test_more_keys_than_are_known_and_empty_validation_are_fine(api: Api, web: WebServer) -> None:
    path = api.make()
    body = {"url": web.url("/data"), "validation_data": {}, "more": 1}
    assert api.http.post(f"{path}/locations", json=body).status_code == 202
    api.wait(path, "os_hash_value", SHA512)


def test_only_an_image_that_waits_and_knows_its_formats_takes_a_location(api: Api, web: WebServer) -> None:
    active = api.located(web.url("/data"))
    assert api.ask_for(active, web.url("/data")).status_code == 409
    nameless = api.http.post("/images", json={}).json()["id"]
    assert api.ask_for(f"/images/{nameless}", web.url("/data")).status_code == 400
    assert api.ask_for("/images/7c9bd5a6-8b4e-4d35-ae63-94dfb2a1d1e4", web.url("/data")).status_code == 404
    assert api.http.put(f"{active}/locations").headers["Allow"] == "GET, HEAD, POST"


def test_a_server_that_fails_is_asked_again_and_then_no_more(api: Api, web: WebServer) -> None:
    failing = [b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"]
    good = content(DATA)

    def once(asked: Asked, send: SendBytes) -> None:
        if failing:
            send(failing.pop())
        else:
            good(asked, send)

    web.pages["/once"] = once
    healed, lost = api.make(), api.make()
    api.ask_for(healed, web.url("/once"))
    api.ask_for(lost, web.url("/absent"))
    assert api.wait(healed, "os_hash_value", SHA512)["status"] == "active"
    task = api.task(lost)
    assert (task["status"], task["message"].endswith("/absent: the server answered 404")) == ("failure", True)
    assert api.image(lost)["status"] == "queued"


def test_data_that_cannot_be_read_leaves_the_image_active_without_a_hash(api: Api, web: WebServer) -> None:
    def short(asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        send(b"abc" if asked.method == "GET" else b"")

    web.pages["/short"] = short
    path = api.make()
    api.ask_for(path, web.url("/short"))
    task = api.task(path)
    assert (task["status"], "could not be hashed" in task["message"]) == ("success", True)
    image = api.image(path)
    assert [image[name] for name in ("status", "os_hash_algo", "os_hash_value")] == ["active", None, None]


@pytest.mark.parametrize("validated", [True, False])
def test_deleting_the_image_ends_its_hashing(api: Api, web: WebServer, validated: bool) -> None:
    ended = threading.Event()

    def endless(asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        if asked.method == "GET":
            try:
                while True:
                    send(b"x" * 1000)
                    time.sleep(0.05)
            finally:
                ended.set()

    web.pages["/endless"] = endless
    path = api.make()
    said = {"os_hash_algo": "sha512", "os_hash_value": SHA512} if validated else {}
    assert api.ask_for(path, web.url("/endless"), **said).status_code == 202
    api.wait(path, "status", "importing" if validated else "active")
    deadline = time.monotonic() + 10
    while not any(asked.method == "GET" for asked in web.asked):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert api.http.delete(path).status_code == 204
    assert ended.wait(10)
    assert api.http.get(path).status_code == 404


@pytest.mark.parametrize("validated", [True, False])
def test_hashing_that_was_killed_is_done_after_the_next_start(tmp_path: Path, web: WebServer, validated: bool) -> None:
    go_on = threading.Event()
    web.pages["/slow"] = held_up(DATA, go_on)
    with served(tmp_path, WEB) as (process, api):
        path = api.make()
        said = {"os_hash_algo": "sha512", "os_hash_value": SHA512} if validated else {}
        api.ask_for(path, web.url("/slow"), **said)
        deadline = time.monotonic() + 10
        while not any(asked.method == "GET" for asked in web.asked):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert api.image(path)["status"] == ("importing" if validated else "active")
        process.kill()
        go_on.set()
        process.start()
        assert api.wait(path, "os_hash_value", SHA512)["status"] == "active"
        assert api.task(path)["status"] == "success"


def test_a_service_that_stops_leaves_the_hashing_to_the_next(tmp_path: Path, web: WebServer) -> None:
    def endless(asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(DATA))
        while asked.method == "GET":
            send(b"x")
            time.sleep(0.05)

    web.pages["/slow"] = endless
    with served(tmp_path, WEB) as (process, api):
        path = api.make()
        api.ask_for(path, web.url("/slow"))
        api.wait(path, "status", "active")
        began = time.monotonic()
        process.stop()
        assert time.monotonic() - began < 10
        web.pages["/slow"] = content(DATA)
        process.start()
        assert api.wait(path, "os_hash_value", SHA512)["status"] == "active"


def test_servers_that_are_slow_hold_up_nobody_else(tmp_path: Path, web: WebServer) -> None:
    stop = threading.Event()

    def dripping(asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while asked.method == "GET" and not stop.wait(0.5):
            send(b"x")

    def silent(_asked: Asked, _send: SendBytes) -> None:
        stop.wait(60)

    web.pages |= {"/drips": dripping, "/silent": silent}
    threads = "[server]\nweb_threads = 4\ncatalogue_threads = 1\ntransfer_threads = 2\n"
    with served(tmp_path, threads + WEB) as (_process, api), ThreadPoolExecutor(12) as others:
        ours, *slow = (api.make() for _ in range(9))
        assert api.upload(ours, DATA).status_code == 204
        for path in slow[:3]:
            assert api.ask_for(path, web.url("/drips")).status_code == 202
            api.wait(path, "status", "active")
        for path in slow[:3]:
            others.submit(api.http.get, f"{path}/file")
        for path in slow[3:]:
            others.submit(api.add, path, web.url("/silent"))
        time.sleep(1)
        began = time.monotonic()
        assert api.image(ours)["size"] == len(DATA)
        assert api.http.get(f"{ours}/file", headers={"Range": "bytes=1-9"}).content == DATA[1:10]
        assert api.upload(api.make(), DATA).status_code == 204
        assert time.monotonic() - began < 3
        stop.set()
