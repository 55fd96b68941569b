"""Locations with the clients that people use."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import openstack
import pytest
from openstack.image.v2._proxy import Proxy

from functional import clients
from functional.clients import Client
from functional.headwater_process import HeadwaterProcess
from headwater.images.http import versions
from servers.http.web import WebServer, content, web_server

DATA = bytes(range(256)) * 400
SHA512 = hashlib.sha512(DATA).hexdigest()
SETTINGS = """
[stores.file]
type = "file"
[stores.web]
type = "http"
[fetch]
allowed_hosts = ["127.0.0.1"]
allowed_ports = []
[images]
show_multiple_locations = true
"""

announced = pytest.mark.skipif("v2.17" not in versions.IDS, reason="clients look for v2.17 first")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    process = HeadwaterProcess(tmp_path_factory.mktemp("location-clients"), toml=SETTINGS)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def http(service: HeadwaterProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{service.images_url}/v2", timeout=30) as client:
        yield client


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        server.pages |= {"/one": content(DATA), "/two": content(DATA)}
        yield server


@pytest.fixture
def queued(http: httpx.Client) -> str:
    return str(http.post("/images", json={"disk_format": "raw", "container_format": "bare"}).json()["id"])


@pytest.fixture
def glance(glance_client: Path, service: HeadwaterProcess, tmp_path: Path) -> Client:
    return clients.glance(glance_client, tmp_path, service.images_url)


def image(http: httpx.Client, image_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = http.get(f"/images/{image_id}").raise_for_status().json()
    return shown


def hashed(http: httpx.Client, image_id: str) -> dict[str, Any]:
    """Return the image when it has its hash."""
    deadline = time.monotonic() + 20
    while (shown := image(http, image_id))["os_hash_value"] is None:
        assert time.monotonic() < deadline, shown
        time.sleep(0.1)
    return shown


def test_glance_adds_updates_and_deletes_locations(
    glance: Client, http: httpx.Client, web: WebServer, queued: str, tmp_path: Path
) -> None:
    one, two = web.url("/one"), web.url("/two")
    words = ["--hash-algo", "sha512", "--hash-value", SHA512, "--checksum", hashlib.md5(DATA).hexdigest()]
    printed = glance("location-add", "--url", one, "--metadata", '{"where": "here"}', *words, queued)
    assert re.search(r"^\| status +\| active +\|$", printed, re.MULTILINE)
    glance("location-add", "--url", two, queued)
    assert [each["url"] for each in image(http, queued)["locations"]] == [one, two]

    glance("location-update", "--url", two, "--metadata", '{"where": "there"}', queued)
    assert image(http, queued)["locations"][1]["metadata"] == {"where": "there", "store": "web"}

    glance("image-download", "--file", "saved", queued)
    assert (tmp_path / "saved").read_bytes() == DATA

    glance("location-delete", "--url", one, queued)
    assert [each["url"] for each in image(http, queued)["locations"]] == [two]
    refused = glance.attempt("location-delete", "--url", two, queued)
    assert (refused.returncode, "Cannot remove last location" in refused.stderr) == (1, True)
    refused = glance.attempt("location-add", "--url", "file:///etc/passwd", queued)
    assert (refused.returncode, "Invalid location" in refused.stderr) == (1, True)


@announced
def test_glance_adds_a_location_the_new_way(glance: Client, http: httpx.Client, web: WebServer, queued: str) -> None:
    glance("add-location", "--url", web.url("/one"), queued)
    assert hashed(http, queued)["os_hash_value"] == SHA512


def test_openstack_shows_and_saves_an_image_that_lies_elsewhere(
    openstack_client: Path, service: HeadwaterProcess, http: httpx.Client, web: WebServer, queued: str, tmp_path: Path
) -> None:
    assert http.post(f"/images/{queued}/locations", json={"url": web.url("/one")}).status_code == 202
    hashed(http, queued)
    client = clients.openstack(openstack_client, tmp_path, service.images_url)
    shown = client.json("image", "show", queued)
    assert (shown["status"], shown["size"]) == ("active", len(DATA))
    client("image", "save", "--file", "saved", queued)
    assert (tmp_path / "saved").read_bytes() == DATA
    client("image", "delete", queued)
    assert http.get(f"/images/{queued}").status_code == 404


# What the SDK says of its own code.
@pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK50Warning")
@pytest.mark.filterwarnings("ignore::openstack.warnings.RemovedInSDK60Warning")
def test_the_sdk_reads_locations(
    service: HeadwaterProcess, http: httpx.Client, web: WebServer, queued: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(service.directory))
    assert http.post(f"/images/{queued}/locations", json={"url": web.url("/one")}).status_code == 202
    hashed(http, queued)
    cloud = openstack.connect(
        load_yaml_config=False, load_envvars=False, auth_type="none", endpoint=service.images_url, app_name="tests"
    )
    try:
        images = cloud.image
        assert isinstance(images, Proxy)
        (location,) = images.image_locations(queued)
        assert (location.url, location.metadata) == (web.url("/one"), {"store": "web"})
    finally:
        cloud.close()
