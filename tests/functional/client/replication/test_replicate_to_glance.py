"""Copies to a service that answers as Glance does: data in one request, no resumption, policies that refuse."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from functional.client.replication.test_replicate import DATA, Pair
from functional.conftest import FreshHeadwater

# What Glance's policies refuse to those who are no administrators; source: its publicize_image.
_REFUSED = {"/visibility"}


class Glance(BaseHTTPRequestHandler):
    """The part of Glance's answers that a replication asks for."""

    protocol_version = "HTTP/1.1"
    images: ClassVar[dict[str, dict[str, Any]]]
    damages = False  # the next data

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, status: int, document: object = None) -> None:
        body = b"" if document is None else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _one(self) -> str:
        return self.path.split("?")[0].split("/")[3]

    def do_OPTIONS(self) -> None:
        self._answer(405)

    def do_GET(self) -> None:
        if self.path.split("?")[0] == "/v2/images":
            self._answer(200, {"images": []})
        elif (found := self.images.get(self._one())) is None:
            self._answer(404)
        else:
            self._answer(200, found)

    def do_POST(self) -> None:
        asked = json.loads(self._body())
        if asked["id"] in self.images:
            self._answer(409)
            return
        made = {"visibility": "shared", "protected": False, "os_hidden": False, "tags": [], **asked}
        made |= {"status": "queued", "created_at": f"2026-01-01T00:00:{len(self.images):02}Z"}
        self.images[asked["id"]] = made
        self._answer(201, made)

    def do_PUT(self) -> None:
        data, image = self._body(), self.images[self._one()]
        data = data[:-1] + b"?" if self.damages else data
        digest = hashlib.sha512(data).hexdigest()
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        image |= {"status": "active", "size": len(data), "os_hash_algo": "sha512", "os_hash_value": digest}
        image["checksum"] = md5
        self._answer(204)

    def do_PATCH(self) -> None:
        operations = json.loads(self._body())
        if any(each["path"] in _REFUSED for each in operations):
            self._answer(403)
            return
        for each in operations:
            self.images[self._one()][each["path"][1:]] = each["value"]
        self._answer(200, self.images[self._one()])

    def do_DELETE(self) -> None:
        del self.images[self._one()]
        self._answer(204)


class Fake:
    """A running one."""

    def __init__(self) -> None:
        class OneGlance(Glance):
            images: ClassVar[dict[str, dict[str, Any]]] = {}

        self.kind = OneGlance
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self.kind)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def images(self) -> dict[str, dict[str, Any]]:
        return self.kind.images

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def fake() -> Iterator[Fake]:
    made = Fake()
    yield made
    made.close()


@pytest.fixture
def pair(fresh_headwater: FreshHeadwater, tmp_path: Path) -> Iterator[Pair]:
    source = fresh_headwater()
    made = Pair(tmp_path, source, source)
    yield made
    made.one.close()
    made.other.close()


def test_what_glance_does_not_let_is_told_and_the_rest_is_copied(pair: Pair, fake: Fake) -> None:
    image = pair.make(visibility="public", protected=True, os_distro="debian", tags=["t"])
    (told,) = pair.run(to=fake.url)["images"]
    assert (told["outcome"], told["verified_by"]) == ("done", "sha512")
    assert [each.split(":")[0] for each in told["notes"]] == ["visibility was not set"]
    copy = fake.images[image]
    assert (copy["size"], copy["protected"], copy["os_distro"], copy["visibility"]) == (
        len(DATA),
        True,
        "debian",
        "shared",
    )


def test_data_that_arrive_damaged_are_deleted_again(pair: Pair, fake: Fake) -> None:
    fake.kind.damages = True
    pair.make()
    (told,) = pair.run(to=fake.url, code=1)["images"]
    assert (told["outcome"], fake.images) == ("failed", {})
    assert "sha512" in told["error"]
    fake.kind.damages = False
    assert pair.run(to=fake.url)["counts"] == {"done": 1}
