"""Imports as programs of others begin and follow them: openstacksdk, and the requests of gophercloud and Terraform."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import openstack
import pytest
from openstack.image.v2._proxy import Proxy

from functional.headwater_process import HeadwaterProcess
from functional.image_requests import OCTETS
from functional.import_requests import ended
from servers.http.web import WebServer, content, web_server

# What the SDK says of its own code.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::openstack.warnings.{name}")
    for name in ("RemovedInSDK50Warning", "RemovedInSDK60Warning")
]
BLOB = random.Random(49).randbytes(3_000_001)
TOML = """
[stores.fast]
type = "file"
[stores.cheap]
type = "file"
[fetch]
allowed_hosts = ["127.0.0.1"]
allowed_ports = []
"""
V21 = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    process = HeadwaterProcess(tmp_path_factory.mktemp("clients"), toml=TOML)
    process.start()
    yield process
    process.stop()


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        server.pages["/image"] = content(BLOB)
        yield server


@pytest.fixture
def cloud(service: HeadwaterProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.setenv("HOME", str(tmp_path))
    connection = openstack.connect(
        load_yaml_config=False, load_envvars=False, auth_type="none", endpoint=service.images_url, app_name="tests"
    )
    images = connection.image
    assert isinstance(images, Proxy)
    yield images
    connection.close()


# It leaves the file open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_openstacksdk_creates_an_image_by_an_import(cloud: Proxy, http: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(BLOB)
    image = cloud.create_image(
        "sdk, staged",
        filename=str(tmp_path / "disk"),
        disk_format="raw",
        container_format="bare",
        use_import=True,
        import_method="glance-direct",
        stores=["fast", "cheap"],
        os_distro="ubuntu",
        wait=True,
    )
    assert ended(http, image.id)["message"] == ""
    shown = http.get(f"/v2/images/{image.id}").json()
    assert (shown["status"], sorted(shown["stores"].split(","))) == ("active", ["cheap", "fast"])
    assert shown["os_distro"] == "ubuntu"
    assert cloud.download_image(image.id).content == BLOB


def test_openstacksdk_imports_a_url_and_copies_the_image(cloud: Proxy, http: httpx.Client, web: WebServer) -> None:
    image = cloud.create_image("sdk, downloaded", disk_format="raw", container_format="bare")
    cloud.import_image(image, method="web-download", uri=web.url("/image"), stores=["fast"])
    assert ended(http, image.id)["message"] == ""
    image = cloud.get_image(image.id)
    assert (image.status, image.size) == ("active", len(BLOB))
    cloud.import_image(image, method="copy-image", all_stores=True, all_stores_must_succeed=True)
    assert ended(http, image.id)["message"] == ""
    updated = cloud.update_image(cloud.get_image(image.id), os_distro="debian")  # nothing of the import is in its way
    assert (updated.status, updated.properties.get("os_distro", updated.os_distro)) == ("active", "debian")
    (task,) = [
        each for each in cloud.image_tasks(image.id) if each["input"]["import_req"]["method"]["name"] != "copy-image"
    ]
    assert (task["status"], task["type"]) == ("success", "api_image_import")


# Source: gophercloud's imageimport.CreateOpts sends an empty uri; terraform-provider-openstack polls the status, and
# sends a change of each property that differs from its state.
@pytest.mark.parametrize("way", ["glance-direct", "web-download"])
def test_the_requests_of_terraform_go_through_and_nothing_of_the_import_is_sent_back(
    http: httpx.Client, web: WebServer, way: str
) -> None:
    created = http.post(
        "/v2/images", json={"name": "terraform", "disk_format": "raw", "container_format": "bare", "team": "a"}
    ).json()
    path = f"/v2/images/{created['id']}"
    if way == "glance-direct":
        assert http.put(f"{path}/stage", content=BLOB, headers=OCTETS).status_code == 204
    uri = "" if way == "glance-direct" else web.url("/image")
    assert http.post(f"{path}/import", json={"method": {"name": way, "uri": uri}}).status_code == 202
    during = [{"op": "replace", "path": "/team", "value": "b"}, {"op": "add", "path": "/late", "value": "yes"}]
    assert http.patch(path, json=during, headers=V21).status_code == 200
    assert ended(http, created["id"])["status"] == "success"
    image = http.get(path).json()
    assert (image["status"], image["team"], image["late"]) == ("active", "b", "yes")
    assert {name: value for name, value in image.items() if name.startswith("os_glance")} == {
        "os_glance_importing_to_stores": "",
        "os_glance_failed_import": "",
    }
    after = [{"op": "replace", "path": "/name", "value": "renamed"}, {"op": "remove", "path": "/late"}]
    assert http.patch(path, json=after, headers=V21).status_code == 200
    assert http.delete(path).status_code == 204
