"""Images whose data lies on a web server: the old way (PATCH of locations) and the new one (the locations API)."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess
from headwater.testing.object_store import some_bytes
from servers.http.web import Answer, Asked, SendBytes, WebServer, content, redirect, web_server
from unit.images.inspection.disk_images import qcow2

DATA = bytes(range(256)) * 4000
OTHER = bytes(reversed(range(256))) * 4000
SHA512, MD5 = hashlib.sha512(DATA).hexdigest(), hashlib.md5(DATA).hexdigest()
PATCH = "application/openstack-images-v2.1-json-patch"
WEB = """
[stores.file]
type = "file"
[stores.web]
type = "http"
[fetch]
allowed_hosts = ["127.0.0.1", "localhost"]
allowed_ports = []
answer_timeout_s = 5
read_timeout_s = 5
[images]
show_multiple_locations = true
show_image_direct_url = true
http_retries = 1
"""


class Api:
    """One service and the requests of these tests."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=f"{url}/v2", headers={"Accept": "application/json"}, timeout=30)

    def make(self, **more: Any) -> str:
        made = self.http.post("/images", json={"disk_format": "raw", "container_format": "bare", **more})
        assert made.status_code == 201, made.text
        return f"/images/{made.json()['id']}"

    def image(self, path: str) -> dict[str, Any]:
        shown: dict[str, Any] = self.http.get(path).json()
        return shown

    def patch(self, path: str, op: str, pointer: str, value: Any = None) -> httpx.Response:
        operation = {"op": op, "path": pointer, **({} if op == "remove" else {"value": value})}
        return self.http.patch(path, json=[operation], headers={"Content-Type": PATCH})

    def add(self, path: str, url: str, position: str = "-", **more: Any) -> httpx.Response:
        return self.patch(path, "add", f"/locations/{position}", {"url": url, "metadata": {}, **more})

    def upload(self, path: str, data: bytes) -> httpx.Response:
        return self.http.put(f"{path}/file", content=data, headers={"Content-Type": "application/octet-stream"})

    def located(self, url: str) -> str:
        """Make an image whose data is at ``url``, and return its path."""
        path = self.make()
        answer = self.add(path, url)
        assert answer.status_code == 200, answer.text
        return path

    def ask_for(self, path: str, url: str, **validation: str) -> httpx.Response:
        body = {"url": url, **({"validation_data": validation} if validation else {})}
        return self.http.post(f"{path}/locations", json=body)

    def wait(self, path: str, name: str, *wanted: Any, seconds: float = 20) -> dict[str, Any]:
        """Return the image as soon as an attribute of it is one of those wanted."""
        deadline = time.monotonic() + seconds
        while (image := self.image(path))[name] not in wanted:
            assert time.monotonic() < deadline, image
            time.sleep(0.05)
        return image

    def task(self, path: str, *, ended: bool = True, seconds: float = 20) -> dict[str, Any]:
        """Return the only task of an image, when it has ended."""
        deadline = time.monotonic() + seconds
        while True:
            (task,) = self.http.get(f"{path}/tasks").json()["tasks"]
            if not ended or task["status"] in ("success", "failure"):
                return dict(task)
            assert time.monotonic() < deadline, task
            time.sleep(0.05)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    process = HeadwaterProcess(tmp_path_factory.mktemp("locations"), toml=WEB, workers=2)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def api(service: HeadwaterProcess) -> Iterator[Api]:
    api = Api(service.images_url)
    yield api
    api.http.close()


@contextmanager
def served(directory: Path, toml: str) -> Iterator[tuple[HeadwaterProcess, Api]]:
    """Start a service of the test's own, with one worker."""
    process = HeadwaterProcess(directory, toml=toml, workers=1)
    process.start()
    api = Api(process.images_url)
    try:
        yield process, api
    finally:
        api.http.close()
        process.stop()


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        server.pages |= {"/data": content(DATA), "/same": content(DATA), "/other": content(OTHER)}
        server.pages["/small"] = content(b"small")
        yield server


# --- PATCH ----------------------------------------------------------------------------------------


def test_a_location_makes_a_queued_image_active_and_its_data_readable(api: Api, web: WebServer) -> None:
    path = api.make()
    assert api.image(path)["locations"] == []
    assert "direct_url" not in api.image(path)
    url = web.url("/data") + "#new"
    answer = api.patch(path, "add", "/locations/-", {"url": url, "metadata": {"foo": "bar"}})
    assert answer.status_code == 200, answer.text
    image = api.image(path)
    assert image == answer.json()
    assert (image["status"], image["size"], image["direct_url"]) == ("active", len(DATA), url)
    assert [image[name] for name in ("checksum", "os_hash_algo", "os_hash_value", "virtual_size")] == [None] * 4
    assert image["locations"] == [{"url": url, "metadata": {"foo": "bar", "store": "web"}}]
    assert [each for each in api.http.get("/images").json()["images"] if each["id"] == image["id"]] == [image]
    assert api.http.get(f"{path}/locations").json() == image["locations"]

    assert api.http.get(f"{path}/file").content == DATA
    part = api.http.get(f"{path}/file", headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, DATA[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(DATA)}"
    assert (
        api.http.put(f"{path}/file", content=b"x", headers={"Content-Type": "application/octet-stream"}).status_code
        == 409
    )


def test_the_older_media_type_and_a_name_that_leads_to_an_allowed_loopback(api: Api, web: WebServer) -> None:
    path, url = api.make(), web.url("/data", "localhost")
    headers = {"Content-Type": PATCH.replace("v2.1", "v2.0")}
    added = api.http.patch(path, json=[{"add": "/locations/-", "value": {"url": url, "metadata": {}}}], headers=headers)
    assert added.status_code == 200, added.text
    assert api.http.get(f"{path}/file").content == DATA


def test_deleting_an_image_leaves_what_belongs_to_others(api: Api, web: WebServer) -> None:
    path = api.located(web.url("/data"))
    assert api.http.delete(path).status_code == 204
    assert api.http.get(path).status_code == 404
    assert {asked.method for asked in web.asked} == {"HEAD"}


def test_validation_data_becomes_the_hashes_and_is_told_once(api: Api, web: WebServer) -> None:
    path = api.make()
    validation = {"checksum": MD5, "os_hash_algo": "sha512", "os_hash_value": SHA512}
    answer = api.add(path, web.url("/data"), validation_data=validation)
    assert answer.json()["locations"][0]["validation_data"] == validation
    image = api.image(path)
    assert (image["checksum"], image["os_hash_algo"], image["os_hash_value"]) == (MD5, "sha512", SHA512)
    assert "validation_data" not in image["locations"][0]
    assert api.add(path, web.url("/same"), validation_data=validation).status_code == 200
    wrong = {**validation, "os_hash_value": SHA512[::-1]}
    assert api.add(path, web.url("/data?3"), validation_data=wrong).status_code == 409
    other = {**validation, "os_hash_algo": "sha256"}
    assert api.add(path, web.url("/data?4"), validation_data=other).status_code == 409
    assert len(api.image(path)["locations"]) == 2


@pytest.mark.parametrize(
    "validation",
    [
        {"os_hash_algo": "sha512"},
        {"os_hash_value": SHA512},
        {"checksum": MD5},
        {"os_hash_algo": "sha256", "os_hash_value": "0" * 64},
        {"os_hash_algo": "sha512", "os_hash_value": "0" * 64},
        {"os_hash_algo": "sha512", "os_hash_value": "g" * 128},
        {"os_hash_algo": "sha512", "os_hash_value": SHA512, "checksum": "0" * 31},
        {"os_hash_algo": "sha512", "os_hash_value": SHA512, "more": "x"},
        None,
    ],
)
def test_validation_data_that_cannot_be_is_refused(api: Api, web: WebServer, validation: Any) -> None:
    path = api.make()
    assert api.add(path, web.url("/data"), validation_data=validation).status_code == 400
    assert (api.image(path)["status"], web.connections) == ("queued", 0)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "filesystem:///etc/passwd",
        "swift+config://ref/container/object",
        "memory://x/y",
        "ftp://127.0.0.1/x",
        "foo",
        "",
        "http://127.1/data",
        "http://0x7f000001/data",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:127.0.0.1]/data",
        "http://user:hunter2@127.0.0.1/data",
        "http://127.0.0.1:1/refused",
    ],
)
def test_a_url_that_is_not_for_callers_is_refused(api: Api, url: str) -> None:
    path = api.make()
    answer = api.add(path, url)
    assert answer.status_code == 400, answer.text
    assert "Invalid location" in answer.text
    assert "hunter2" not in answer.text
    assert (api.image(path)["status"], api.image(path)["locations"]) == ("queued", [])


def test_redirects_do_not_lead_around_the_filter(api: Api, web: WebServer) -> None:
    web.pages["/away"] = redirect("http://169.254.169.254/latest/meta-data")
    assert api.add(api.make(), web.url("/away")).status_code == 400


def test_a_location_without_data_is_refused(api: Api, web: WebServer) -> None:
    web.pages["/unsized"] = lambda _asked, send: send(b"HTTP/1.1 200 OK\r\n\r\nabc")
    for name in ("/absent", "/unsized"):
        assert api.add(api.make(), web.url(name)).status_code == 400


def test_the_list_of_locations_keeps_its_order_and_its_rules(api: Api, web: WebServer) -> None:
    path = api.located(web.url("/data"))
    assert api.add(path, web.url("/same"), "0").status_code == 200
    assert api.add(path, web.url("/data?2"), "99").status_code == 200
    urls = [web.url(name) for name in ("/same", "/data", "/data?2")]
    held = api.image(path)["locations"]
    assert [each["url"] for each in held] == urls

    assert api.add(path, urls[1]).status_code == 400, "it is there already"
    assert "has 1024000" in api.add(path, web.url("/small")).text, "it is other data"
    for pointer in ("x", "-1", "1.0", "٣"):
        assert api.add(path, web.url("/other"), pointer).status_code == 400
    assert api.patch(path, "add", "/locations", held).status_code == 400
    assert api.patch(path, "replace", "/locations/0", held[0]).status_code == 400

    reordered = [{**held[2], "metadata": {"a": 1}}, held[0], held[1]]
    assert api.patch(path, "replace", "/locations", reordered).status_code == 200
    assert [each["url"] for each in api.image(path)["locations"]] == [urls[2], urls[0], urls[1]]
    assert api.image(path)["locations"][0]["metadata"] == {"a": 1, "store": "web"}
    for wrong in (held[:2], [*held, {"url": web.url("/other"), "metadata": {}}], [held[0]] * 3):
        assert api.patch(path, "replace", "/locations", wrong).status_code == 400
    assert api.patch(path, "replace", "/locations", []).status_code == 403

    assert api.patch(path, "remove", "/locations/0").status_code == 200
    assert api.patch(path, "remove", "/locations/-").status_code == 200
    last = api.patch(path, "remove", "/locations/0")
    assert (last.status_code, "last location" in last.text) == (403, True)
    image = api.image(path)
    assert ([each["url"] for each in image["locations"]], image["status"]) == ([urls[0]], "active")


def test_replace_fills_an_empty_list_with_several_at_once(api: Api, web: WebServer) -> None:
    path = api.make()
    both = [{"url": web.url(name), "metadata": {}} for name in ("/data", "/same")]
    assert api.patch(path, "replace", "/locations", [both[0], both[0]]).status_code == 400
    assert (
        api.patch(path, "replace", "/locations", [both[0], {"url": web.url("/small"), "metadata": {}}]).status_code
        == 400
    )
    assert api.image(path)["status"] == "queued"
    assert api.patch(path, "replace", "/locations", both).status_code == 200
    assert (len(api.image(path)["locations"]), api.image(path)["size"]) == (2, len(DATA))


def test_ten_locations_and_no_more(api: Api, web: WebServer) -> None:
    path = api.make()
    ten = [{"url": web.url(f"/data?{number}"), "metadata": {}} for number in range(10)]
    assert api.patch(path, "replace", "/locations", ten).status_code == 200
    asked = web.connections
    assert api.add(path, web.url("/same")).status_code == 413
    assert web.connections == asked


@pytest.mark.parametrize("status", ["deactivated", "queued"])
def test_the_status_decides_which_changes_are_allowed(api: Api, web: WebServer, status: str) -> None:
    path = api.make()
    if status == "deactivated":
        api.add(path, web.url("/data"))
        assert api.http.post(f"{path}/actions/deactivate").status_code == 204
        assert api.add(path, web.url("/same")).status_code == 409
        assert api.patch(path, "replace", "/locations", []).status_code == 409
    assert api.patch(path, "remove", "/locations/0").status_code == 409


def test_other_changes_of_the_same_patch_are_made_or_none(api: Api, web: WebServer) -> None:
    made = api.http.post("/images", json={}).json()
    path = f"/images/{made['id']}"
    assert "disk_format" in api.add(path, web.url("/data")).text
    operations = [
        {"op": "add", "path": "/locations/-", "value": {"url": web.url("/data"), "metadata": {}}},
        {"op": "replace", "path": "/disk_format", "value": "raw"},
        {"op": "replace", "path": "/container_format", "value": "bare"},
        {"op": "replace", "path": "/absent", "value": "x"},
    ]
    headers = {"Content-Type": PATCH}
    assert api.http.patch(path, json=operations, headers=headers).status_code == 409
    assert api.image(path)["status"] == "queued"
    assert api.http.patch(path, json=operations[:3], headers=headers).status_code == 200
    assert (api.image(path)["status"], api.image(path)["disk_format"]) == ("active", "raw")


def test_our_own_bytes_are_read_first_and_removed_with_their_location(
    api: Api, web: WebServer, service: HeadwaterProcess
) -> None:
    path = api.make()
    assert api.upload(path, DATA).status_code == 204
    (own,) = api.image(path)["locations"]
    file = Path(own["url"].removeprefix("file://"))
    assert (own["metadata"], file.read_bytes()) == ({"store": "file"}, DATA)
    assert file.is_relative_to(service.data_dir)
    assert api.add(path, web.url("/data"), "0").status_code == 200
    asked = web.connections
    assert api.http.get(f"{path}/file").content == DATA
    assert web.connections == asked
    assert api.patch(path, "remove", "/locations/1").status_code == 200
    assert not file.exists()
    assert api.http.get(f"{path}/file").content == DATA
    assert web.connections == asked + 1


def test_a_place_that_fails_makes_way_for_the_next_and_the_last_is_told(api: Api, web: WebServer) -> None:
    path = api.located(web.url("/data?signature=secret"))
    assert api.add(path, web.url("/same")).status_code == 200
    web.pages["/data"] = lambda _asked, send: send(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")
    assert api.http.get(f"{path}/file").content == DATA
    assert api.http.get(f"{path}/file", headers={"Range": "bytes=5-9"}).content == DATA[5:10]
    for status in (b"404 Not Found", b"500 Oh", b"403 No"):
        answer = lambda _asked, send, status=status: send(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % status)  # noqa: E731
        web.pages |= {"/data": answer, "/same": answer}
        told = api.http.get(f"{path}/file")
        assert told.status_code == 503, told.text
        assert "/same" in told.text
        assert "secret" not in told.text


def test_data_that_breaks_off_is_no_whole_answer(api: Api, web: WebServer) -> None:
    web.pages["/large"] = content(large := some_bytes(3 << 20))
    path = api.located(web.url("/large"))

    def short(_asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(large) + large[: 2 << 20])

    web.pages["/large"] = short
    # The connection is reset, which a client may notice before or after it has read what came.
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        api.http.get(f"{path}/file")
    web.pages["/large"] = content(large[: 2 << 20])  # whole, and not what it was
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        api.http.get(f"{path}/file")


def test_data_that_breaks_off_in_its_first_mib_is_no_answer_at_all(api: Api, web: WebServer) -> None:
    path = api.located(web.url("/data"))

    def short(_asked: Asked, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(DATA) + DATA[:1000])

    web.pages["/data"] = short
    assert api.http.get(f"{path}/file").status_code == 503
    web.pages["/data"] = content(DATA[:1000])  # whole, and not what it was
    assert api.http.get(f"{path}/file").status_code == 410


def test_locations_that_are_not_shown_cannot_be_changed(tmp_path: Path, web: WebServer) -> None:
    with served(tmp_path, WEB.replace("show_multiple_locations = true", "")) as (_process, api):
        path = api.make()
        for answer in (
            api.add(path, web.url("/data")),
            api.patch(path, "replace", "/locations", []),
            api.patch(path, "remove", "/locations/0"),
        ):
            assert (answer.status_code, "locations are invisible" in answer.text) == (403, True)
        assert "locations" not in api.image(path)
        assert api.ask_for(path, web.url("/data")).status_code == 202, "the new way does not depend on it"
        assert "locations" not in api.wait(path, "status", "active")


# --- The locations API ----------------------------------------------------------------------------


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


# --- Reading -----------------------------------------------------------------------------------------


def test_parts_are_given_once_all_was_read_and_found_right(api: Api, web: WebServer) -> None:
    path = api.make()
    assert api.add(path, web.url("/data")).status_code == 200
    part = {"Range": "bytes=1000-1999"}
    unread = api.http.get(f"{path}/file", headers=part)
    assert (unread.status_code, unread.content) == (200, DATA)  # all of it, as a server may answer
    read = api.http.get(f"{path}/file", headers=part)
    assert (read.status_code, read.content) == (206, DATA[1000:2000])


def test_nobody_gets_from_a_location_what_no_upload_could_bring(api: Api, web: WebServer) -> None:
    web.pages["/unsafe"] = content(qcow2(backing="/etc/passwd"))
    path = api.make(disk_format="qcow2")
    assert api.add(path, web.url("/unsafe")).status_code == 200
    refused = api.http.get(f"{path}/file")
    assert (refused.status_code, "safety check" in refused.json()["message"]) == (403, True)
    before = web.connections
    assert api.http.get(f"{path}/file", headers={"Range": "bytes=0-9"}).status_code == 403
    assert web.connections == before
