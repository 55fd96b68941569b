"""Clients that ask the Compute API for images: openstacksdk, in this process, as programs use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import openstack
import pytest
from openstack.compute.v2._proxy import Proxy
from openstack.exceptions import BadRequestException, NotFoundException

from functional.headwater_process import HeadwaterProcess
from functional.users import PASSWORD, users_file

# What the SDK says of its own code.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore::openstack.warnings.{name}")
    for name in ("RemovedInSDK50Warning", "RemovedInSDK60Warning", "OpenStackDeprecationWarning")
]
SERVER = "3f1c4ad2-6f0a-4c0a-9a51-6ea4ad0d2b5c"


@pytest.fixture(scope="module")
def headwater(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeadwaterProcess]:
    directory = tmp_path_factory.mktemp("compute")
    users = users_file(directory, ann=("a", "member"))
    process = HeadwaterProcess(directory, toml=f"{users}\n[images]\ncompute_image_proxy = true\n")
    process.start()
    yield process
    process.stop()


@pytest.fixture
def cloud(headwater: HeadwaterProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.setenv("HOME", str(tmp_path))
    connection = openstack.connect(
        load_yaml_config=False,
        load_envvars=False,
        auth_type="http_basic",
        auth={"username": "ann", "password": PASSWORD, "endpoint": headwater.images_url},
        compute_endpoint_override=f"{headwater.images_url}/compute/v2.1",
        app_name="headwater-tests",
    )
    compute = connection.compute
    assert isinstance(compute, Proxy)
    yield compute
    connection.close()


def make(headwater: HeadwaterProcess, **said: str) -> str:
    url = f"{headwater.images_url}/v2/images"
    with httpx.Client(auth=httpx.BasicAuth("ann", PASSWORD), trust_env=False) as client:
        document = {"disk_format": "raw", "container_format": "bare", **said}
        image_id: str = client.post(url, json=document).raise_for_status().json()["id"]
        octets = {"Content-Type": "application/octet-stream"}
        client.put(f"{url}/{image_id}/file", headers=octets, content=b"0" * 100).raise_for_status()
    return image_id


def test_images_are_listed_shown_and_deleted(headwater: HeadwaterProcess, cloud: Proxy) -> None:
    snapshot = make(headwater, name="snapshot", image_type="snapshot", instance_uuid=SERVER)
    base = make(headwater, name="base")
    assert [each.id for each in cloud.images()] == [base, snapshot]
    assert [each.id for each in cloud.images(details=False, limit=1)] == [base, snapshot]  # page by page
    assert [each.id for each in cloud.images(type="snapshot")] == [snapshot]
    assert [each.id for each in cloud.images(server=SERVER, status="ACTIVE")] == [snapshot]
    shown = cloud.get_image(snapshot)
    assert (shown.name, shown.status, shown.progress, shown.size) == ("snapshot", "ACTIVE", 100, 100)
    found = cloud.find_image("base")
    assert found is not None
    assert found.id == base
    for image_id in (base, snapshot):
        cloud.delete_image(image_id, ignore_missing=False)
    assert list(cloud.images()) == []
    with pytest.raises(NotFoundException, match=f"No image found with ID {base}"):
        cloud.get_image(base)


def test_metadata_is_read_set_and_deleted(headwater: HeadwaterProcess, cloud: Proxy) -> None:
    image_id = make(headwater, name="x", kind="old", other="stays")
    cloud.set_image_metadata(image_id, kind="new", more="1")
    assert cloud.fetch_image_metadata(image_id).metadata == {"kind": "new", "other": "stays", "more": "1"}
    cloud.delete_image_metadata(image_id, ["more"])
    assert cloud.fetch_image_metadata(image_id).metadata == {"kind": "new", "other": "stays"}
    with pytest.raises(BadRequestException, match="'size' is an attribute of every image"):
        cloud.set_image_metadata(image_id, size="1")
    cloud.delete_image_metadata(image_id)
    assert cloud.fetch_image_metadata(image_id).metadata == {}


def test_a_client_that_asks_for_the_newest_version_finds_one_that_has_images(cloud: Proxy) -> None:
    found = cloud.get_endpoint_data()
    assert found is not None
    assert (found.min_microversion, found.max_microversion) == ((2, 1), (2, 35))
    assert cloud.get("/images", microversion="2.35").status_code == 200
    assert cloud.get("/images", microversion="2.36").status_code == 404
