"""Requests about images whose data lies on a web server, and a service that takes them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx

from functional.headwater_process import HeadwaterProcess

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
