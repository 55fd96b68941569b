"""A feed on a web server of others, which answers as a test lets it, and counts what it is asked."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from servers.http.web import Asked, SendBytes, WebServer

INDEX = "streams/v1/index.json"
PRODUCTS = "streams/v1/images.json"


def hashes(data: bytes) -> dict[str, Any]:
    return {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def products(files: Mapping[str, bytes], updated: str = "Thu, 01 Jan 2026 00:00:00 +0000") -> bytes:
    """Return a products document that names these files."""
    items = {
        f"item{number}": {"ftype": "root", "path": path, **hashes(data)}
        for number, (path, data) in enumerate(files.items())
    }
    document = {
        "format": "products:1.0",
        "content_id": "images",
        "datatype": "image-downloads",
        "updated": updated,
        "products": {"test:noble:amd64": {"arch": "amd64", "os": "test", "versions": {"20260101": {"items": items}}}},
    }
    return json.dumps(document).encode()


def index(path: str = PRODUCTS, updated: str = "Thu, 01 Jan 2026 00:00:00 +0000") -> bytes:
    entry = {"format": "products:1.0", "datatype": "image-downloads", "path": path, "products": ["test:noble:amd64"]}
    return json.dumps({"format": "index:1.0", "updated": updated, "index": {"images": entry}}).encode()


@dataclass
class FarFeed:
    """Files by path; those that are not there are 404."""

    web: WebServer
    files: dict[str, bytes] = field(default_factory=dict)
    gives: dict[str, bytes] = field(default_factory=dict)  # instead of what the feed says
    held_at: dict[str, int] = field(default_factory=dict)  # where it waits for the gate
    breaks_at: dict[str, int] = field(default_factory=dict)  # where it breaks off, once
    wants: str | None = None  # the header Authorization that it takes
    status: int | None = None  # of every answer, instead
    gate: threading.Event = field(default_factory=threading.Event)
    asked: Counter[str] = field(default_factory=Counter)
    ranges: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.web.pages = _Every(self)

    @property
    def url(self) -> str:
        return self.web.url("/far")

    def publish(self, files: Mapping[str, bytes], updated: str = "Thu, 01 Jan 2026 00:00:00 +0000") -> None:
        self.files = {**files, PRODUCTS: products(files, updated), INDEX: index(updated=updated)}

    def answer(self, asked: Asked, send: SendBytes) -> None:
        path = asked.path.removeprefix("/far/")
        self.asked[path] += 1
        if self.wants is not None and asked.headers.get("authorization") != self.wants:
            send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
            return
        if self.status is not None:
            send(b"HTTP/1.1 %d Told\r\nContent-Length: 0\r\n\r\n" % self.status)
            return
        data = self.gives.get(path, self.files.get(path))
        if data is None:
            send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return
        tag = f'"{hashlib.md5(data).hexdigest()}"'.encode()
        if asked.headers.get("if-none-match", "").encode() == tag:
            send(b"HTTP/1.1 304 Not Modified\r\nETag: %b\r\n\r\n" % tag)
            return
        first = asked.headers.get("range", "").removeprefix("bytes=").partition("-")[0]
        start = int(first or 0)
        if first:
            self.ranges.append(f"{path} {start}")
        status = (
            b"206 Part\r\nContent-Range: bytes %d-%d/%d" % (start, len(data) - 1, len(data)) if first else b"200 OK"
        )
        send(b"HTTP/1.1 %b\r\nETag: %b\r\nContent-Length: %d\r\n\r\n" % (status, tag, len(data) - start))
        if path in self.breaks_at and start < self.breaks_at[path]:
            send(data[start : self.breaks_at.pop(path)])
            return
        stop = max(start, self.held_at.get(path, len(data)))
        send(data[start:stop])
        if stop < len(data):
            self.gate.wait(60)
            send(data[stop:])


class _Every(dict[str, Any]):
    def __init__(self, feed: FarFeed) -> None:
        self._feed = feed

    def get(self, _path: str, _default: Any = None) -> Any:
        return self._feed.answer
