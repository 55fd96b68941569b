"""The live feed as the simplestreams tools read and mirror it: what a mirror holds follows the catalogue."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest

from functional.clients import Client
from functional.conftest import FreshHeadwater
from needs import client

IS_NOBLE: dict[str, Any] = {"os_distro": "ubuntu", "os_version": "24.04", "architecture": "x86_64"}
FEED = "simplestreams/images/"
INDEX = "streams/v1/index.json"
CLOUDS = """
[[streams.clouds]]
region = "One"
endpoint = "https://one.example/v3"
[[streams.clouds]]
region = "Two"
endpoint = "https://two.example/v3"
"""


class Mirror:
    """A service of its own, and a mirror of its feed in a directory."""

    def __init__(self, images_url: str, directory: Path) -> None:
        self.http = httpx.Client(base_url=images_url)
        self._source, self._kept = f"{images_url}/{FEED}", directory / "mirror"
        self._mirror = Client(client("sstream-mirror"), directory)
        self._query = Client(client("sstream-query"), directory)

    def new_image(self) -> str:
        document = {"disk_format": "raw", "container_format": "bare", "visibility": "public", **IS_NOBLE}
        image_id = str(self.http.post("/v2/images", json=document).raise_for_status().json()["id"])
        kind = {"Content-Type": "application/octet-stream"}
        self.http.put(f"/v2/images/{image_id}/file", content=b"some bytes", headers=kind).raise_for_status()
        return image_id

    def hide(self, image_id: str) -> None:
        hidden = [{"op": "replace", "path": "/os_hidden", "value": True}]
        kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
        self.http.patch(f"/v2/images/{image_id}", json=hidden, headers=kind).raise_for_status()

    def after_a_run(self) -> dict[str, set[str]]:
        """Bring the mirror up to date; return the image ids that it holds, by version."""
        self._mirror("--path", INDEX, self._source, self._kept)
        (state,) = (self._kept / ".data").glob("com.ubuntu.cloud*")
        return {
            name: {item["id"] for item in version["items"].values()}
            for product in json.loads(state.read_text())["products"].values()
            for name, version in product["versions"].items()
        }

    def queried(self) -> list[dict[str, str]]:
        """Return the rows that sstream-query shows."""
        rows: list[dict[str, str]] = json.loads(self._query("--json", f"{self._source}{INDEX}"))
        return rows


@pytest.fixture
def mirror(fresh_headwater: FreshHeadwater, tmp_path: Path) -> Iterator[Mirror]:
    made = Mirror(fresh_headwater(toml=CLOUDS).images_url, tmp_path)
    yield made
    made.http.close()


def test_a_mirror_holds_what_the_feed_lists_whatever_is_deleted_or_hidden(mirror: Mirror) -> None:
    first, second, third, fourth = (mirror.new_image() for _ in range(4))
    before = mirror.after_a_run()
    assert [before[name] for name in sorted(before)] == [{first}, {second}, {third}, {fourth}]

    mirror.http.delete(f"/v2/images/{first}").raise_for_status()
    mirror.hide(third)
    fifth = mirror.new_image()
    after = mirror.after_a_run()
    assert [after[name] for name in sorted(after)] == [{second}, {fourth}, {fifth}]
    assert {name: ids for name, ids in after.items() if name in before} == {
        name: ids for name, ids in before.items() if ids & {second, fourth}
    }


def test_each_region_has_its_row(mirror: Mirror) -> None:
    image_id = mirror.new_image()
    assert {(row["id"], row["region"], row["endpoint"]) for row in mirror.queried()} == {
        (image_id, "One", "https://one.example/v3"),
        (image_id, "Two", "https://two.example/v3"),
    }
