"""An import whose service ends in the middle goes on at that byte where the source allows it; else it begins anew."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess, wait_until
from functional.import_requests import ended, make
from servers.http.web import Asked, SendBytes, WebServer, web_server

MIB = 1 << 20
SIZE, FIRST, LEAST = 12 * MIB, 9 * MIB, 8 * MIB  # of all, before the end comes, and what is kept of that at least
OLD, NEW = (random.Random(seed).randbytes(SIZE) for seed in (1, 2))
TOML = """\
[stores.only]
type = "file"
[images]
http_retries = 3
[fetch]
allowed_hosts = ["127.0.0.1"]
allowed_ports = []
"""


@dataclass
class Page:
    """Gives data slowly the first time: what comes after ``FIRST`` waits until the service is gone."""

    then: Callable[[Page, Asked, SendBytes], None]  # how later requests are answered
    tag: str | None = '"old"'
    sent: int = 0
    ranges: list[str | None] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)

    def __call__(self, asked: Asked, send: SendBytes) -> None:
        with contextlib.suppress(OSError):  # whoever asked is gone
            if self.ranges or asked.method == "HEAD":
                self.ranges.append(asked.headers.get("range"))
                self.then(self, asked, send)
                return
            self.ranges.append(None)
            send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n" % (SIZE, self.etag(self.tag)))
            self.give(OLD[:FIRST], send)
            self.is_over.wait(60)

    @staticmethod
    def etag(tag: str | None) -> bytes:
        return b"" if tag is None else b"ETag: %s\r\n" % tag.encode()

    def give(self, data: bytes, send: SendBytes) -> None:
        for at in range(0, len(data), MIB):
            send(data[at : at + MIB])
            self.sent += len(data[at : at + MIB])

    def whole(self, data: bytes, tag: str | None, send: SendBytes) -> None:
        send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n" % (len(data), self.etag(tag)))
        self.give(data, send)

    def part(self, data: bytes, tag: str | None, asked: Asked, send: SendBytes) -> None:
        first, _, last = asked.headers["range"].removeprefix("bytes=").partition("-")
        start, end = int(first), int(last or len(data) - 1)
        head = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %d-%d/%d\r\n" % (start, end, len(data))
        send(head + b"Content-Length: %d\r\n%s\r\n" % (end + 1 - start, self.etag(tag)))
        self.give(data[start : end + 1], send)


def same(page: Page, asked: Asked, send: SendBytes) -> None:
    """Give the rest of the same data to whoever asks for that."""
    if asked.headers.get("if-range") == page.tag and "range" in asked.headers:
        page.part(OLD, page.tag, asked, send)
    else:
        page.whole(OLD, page.tag, send)


def changed(page: Page, _asked: Asked, send: SendBytes) -> None:
    """Give new data."""
    page.whole(NEW, '"new"', send)


def lying(page: Page, asked: Asked, send: SendBytes) -> None:
    """Give the rest of new data to whoever asks for that of the old."""
    if "range" in asked.headers:
        page.part(NEW, '"new"', asked, send)
    else:
        page.whole(NEW, '"new"', send)


def longer(page: Page, asked: Asked, send: SendBytes) -> None:
    """Give the rest of longer data under the old tag."""
    if "range" in asked.headers:
        page.part(NEW + b"more", page.tag, asked, send)
    else:
        page.whole(NEW, page.tag, send)


def failing(page: Page, asked: Asked, send: SendBytes) -> None:
    """Fail where a range is asked for."""
    if "range" in asked.headers:
        send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    else:
        page.whole(OLD, page.tag, send)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    process = HeadwaterProcess(tmp_path_factory.mktemp("resumed"), toml=TOML)
    process.start()
    yield process
    process.kill()


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


def files(service: HeadwaterProcess, image_id: str) -> list[Path]:
    return list((service.data_dir / "stores").glob(f"**/{image_id}.*"))


def interrupted(
    service: HeadwaterProcess, web: WebServer, pages: dict[str, Page], end: Callable[[dict[str, str]], object]
) -> dict[str, str]:
    """Begin an import of each page, end the service when it has ``LEAST`` of each, start it, and return the images."""
    ids: dict[str, str] = {}
    with httpx.Client(base_url=service.images_url, timeout=60) as http:
        for name, page in pages.items():
            web.pages[f"/{name}"] = page
            ids[name] = make(http)
            method = {"name": "web-download", "uri": web.url(f"/{name}")}
            assert http.post(f"/v2/images/{ids[name]}/import", json={"method": method}).status_code == 202
    for image_id in ids.values():
        wait_until(
            lambda image_id=image_id: sum(each.stat().st_size for each in files(service, image_id)) >= LEAST,  # type: ignore[misc]  # binds this turn's image
            "the beginning is written",
            60,
        )
    end(ids)
    for page in pages.values():
        page.is_over.set()
    service.start()
    return ids


def require(service: HeadwaterProcess, image_id: str, data: bytes) -> None:
    """Require that an image has the data, and that nothing else lies there of it."""
    with httpx.Client(base_url=service.images_url, timeout=60) as http:
        assert ended(http, image_id)["status"] == "success"
        image = http.get(f"/v2/images/{image_id}").raise_for_status().json()
        assert (image["status"], image["size"]) == ("active", len(data))
        assert image["os_hash_value"] == hashlib.sha512(data).hexdigest()
        assert http.get(f"/v2/images/{image_id}/file").content == data
    (lies,) = files(service, image_id)
    assert lies.parts[-3] == "objects"


def test_a_killed_import_goes_on_where_it_was_and_begins_anew_where_the_data_may_be_another(
    service: HeadwaterProcess, web: WebServer
) -> None:
    pages = {
        "same": Page(same),
        "untagged": Page(same, tag=None),
        "weak": Page(same, tag='W/"old"'),
        "changed": Page(changed),
        "lying": Page(lying),
        "longer": Page(longer),
        "failing": Page(failing),
    }
    ids = interrupted(service, web, pages, lambda _: service.kill())
    for name, image_id in ids.items():
        require(service, image_id, OLD if pages[name].then in (same, failing) else NEW)
    gone_on = pages["same"]
    assert gone_on.ranges == [None, f"bytes={LEAST}-{LEAST}", f"bytes={LEAST}-"]
    assert gone_on.sent == FIRST + 1 + SIZE - LEAST
    for name in ("untagged", "weak"):
        assert pages[name].ranges == [None, None]
    for name in ("changed", "lying", "longer", "failing"):
        assert pages[name].ranges == [None, f"bytes={LEAST}-{LEAST}", None]


def test_an_import_goes_on_after_a_stop_and_one_that_is_cancelled_meanwhile_leaves_nothing(
    service: HeadwaterProcess, web: WebServer
) -> None:
    pages = {"same": Page(same), "cancelled": Page(same)}
    kept: list[int] = []

    def stop_and_cancel(ids: dict[str, str]) -> None:
        service.stop()
        kept.extend(each.stat().st_size for image_id in ids.values() for each in files(service, image_id))
        (job,) = json.loads(service.command("jobs", "list", "--image", ids["cancelled"], "--json").stdout)
        assert service.command("jobs", "cancel", job["id"]).returncode == 0

    ids = interrupted(service, web, pages, stop_and_cancel)
    assert kept == [LEAST, LEAST]
    require(service, ids["same"], OLD)
    assert pages["same"].ranges[1:] == [f"bytes={LEAST}-{LEAST}", f"bytes={LEAST}-"]
    with httpx.Client(base_url=service.images_url, timeout=60) as http:
        assert ended(http, ids["cancelled"])["status"] == "failure"
        assert http.get(f"/v2/images/{ids['cancelled']}").json()["status"] == "queued"
    wait_until(lambda: files(service, ids["cancelled"]) == [], "what was kept is removed")
