"""What Nova does at the Image API when it takes snapshots and backups of servers, acted out request by request."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess

OCTETS = {"Content-Type": "application/octet-stream"}
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"
BASE = "b5e1f0c4-1f40-4a3b-93b2-6d5d0c3b9e11"


@pytest.fixture
def http(headwater: HeadwaterProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=headwater.images_url, timeout=60, trust_env=False) as client:
        yield client


@pytest.fixture
def server() -> str:
    return str(uuid.uuid4())


def of_server(server: str, kind: str = "snapshot") -> dict[str, str]:
    """Return the properties that Nova's API gives to an image of a server, before there is data."""
    return {
        "instance_uuid": server,
        "user_id": "ann",
        "image_type": kind,
        "base_image_ref": BASE,
        "boot_roles": "member,reader",
        "owner_user_name": "ann",
        "owner_project_name": "a",
        "owner_specified.openstack.object": "images/noble",
        "hw_disk_bus": "virtio",
        "os_type": "",
    }


def create(http: httpx.Client, name: str, **said: Any) -> dict[str, Any]:
    document = {"name": name, "visibility": "private", "min_ram": 0, "min_disk": 10, **said}
    made: dict[str, Any] = http.post("/v2/images", json=document).raise_for_status().json()
    return made


def listed(http: httpx.Client, **filters: str) -> list[str]:
    found = http.get("/v2/images", params={"limit": "20", **filters}).raise_for_status().json()["images"]
    return [each["id"] for each in found]


def test_a_snapshot_is_registered_by_the_api_and_filled_by_the_hypervisor(http: httpx.Client, server: str) -> None:
    said = of_server(server)
    made = create(http, "snap", **said)
    assert (made["status"], made["size"], made["disk_format"]) == ("queued", None, None)

    # Source: Nova's driver of libvirt, which adds what it knows and then brings the data.
    known = {"image_location": "snapshot", "image_state": "available", "owner_id": "a", "kernel_id": "", "hw_new": "x"}
    operations = [{"op": "add", "path": f"/{name}", "value": value} for name, value in known.items()]
    operations += [
        {"op": "replace", "path": f"/{name}", "value": value}
        for name, value in {"disk_format": "raw", "container_format": "bare", "name": "snap"}.items()
    ]
    path = f"/v2/images/{made['id']}"
    http.patch(path, headers=PATCH, content=json.dumps(operations)).raise_for_status()
    http.put(f"{path}/file", headers=OCTETS, content=iter([b"0" * 600, b"1" * 424])).raise_for_status()

    image = http.get(path).raise_for_status().json()
    assert (image["status"], image["size"], image["min_disk"]) == ("active", 1024, 10)
    assert {name: image[name] for name in {**said, **known}} == {**said, **known}
    for filters in ({"image_type": "snapshot"}, {"base_image_ref": BASE}, {"user_id": "ann", "status": "active"}):
        assert listed(http, instance_uuid=server, **filters) == [made["id"]]
    assert listed(http, instance_uuid=server, image_type="backup") == []


def test_no_property_of_a_snapshot_is_taken_for_an_attribute(http: httpx.Client, server: str) -> None:
    # Nova drops from an image's properties what the schema lists without "is_base": false.
    schema = http.get("/v2/schemas/image").raise_for_status().json()["properties"]
    written = {*of_server(server), "image_location", "image_state", "owner_id", "kernel_id", "backup_type", "bdm_v2"}
    written |= {"block_device_mapping", "mappings", "root_device_name", "instance_owner", "img_signature"}
    assert not written & schema.keys()
    # The first of these that its hypervisor writes is the format of a snapshot.
    formats = [each for each in schema["disk_format"]["enum"] if each in ("qcow2", "vhd", "vmdk", "raw")]
    assert formats == ["vhd", "vmdk", "raw", "qcow2"]


def test_a_snapshot_of_volumes_is_nothing_but_its_properties(http: httpx.Client, server: str) -> None:
    volumes = [
        {
            "source_type": "snapshot",
            "destination_type": "volume",
            "snapshot_id": str(uuid.uuid4()),
            "boot_index": number,
            "device_name": f"/dev/vd{chr(97 + number)}",
            "delete_on_termination": False,
            "volume_size": 10,
            "disk_bus": "virtio",
            "image_id": None,
            "volume_type": None,
        }
        for number in range(26)
    ]
    mapping = json.dumps(volumes)
    assert len(mapping) > 4096
    said = {**of_server(server), "block_device_mapping": mapping, "bdm_v2": "True", "root_device_name": "/dev/vda"}
    made = create(http, "volumes", disk_format="raw", container_format="bare", **said)
    http.put(f"/v2/images/{made['id']}/file", headers=OCTETS, content=b"").raise_for_status()

    image = http.get(f"/v2/images/{made['id']}").raise_for_status().json()
    assert (image["status"], image["size"], image["checksum"]) == ("active", 0, EMPTY_MD5)
    assert json.loads(image["block_device_mapping"]) == volumes
    assert listed(http, instance_uuid=server, bdm_v2="True") == [made["id"]]
    assert http.get(f"/v2/images/{made['id']}/file").status_code in (200, 204)


def test_a_snapshot_for_the_owner_of_the_server_is_shared_with_it(http: httpx.Client, server: str) -> None:
    said = {**of_server(server), "instance_owner": "another-project", "visibility": "shared"}
    made = create(http, "cross", disk_format="raw", container_format="bare", **said)
    member = http.post(f"/v2/images/{made['id']}/members", json={"member": "another-project"}).raise_for_status()
    assert member.json()["status"] == "pending"
    assert listed(http, instance_owner="another-project", instance_uuid=server) == [made["id"]]


def back_up(http: httpx.Client, server: str, kind: str, rotation: int) -> str:
    """Do what Nova does for ``createBackup``: take an image, then delete what is beyond the rotation."""
    said = {**of_server(server, "backup"), "backup_type": kind}
    made = create(http, f"{kind}-backup", disk_format="raw", container_format="bare", **said)
    http.put(f"/v2/images/{made['id']}/file", headers=OCTETS, content=b"0").raise_for_status()
    newest_first = listed(
        http, image_type="backup", backup_type=kind, instance_uuid=server, sort_key="created_at", sort_dir="desc"
    )
    for beyond in reversed(newest_first[rotation:]):
        http.delete(f"/v2/images/{beyond}").raise_for_status()
    return str(made["id"])


def test_backups_of_one_kind_and_server_are_rotated_and_others_are_left(http: httpx.Client, server: str) -> None:
    other_server = back_up(http, str(uuid.uuid4()), "daily", 1)
    snapshot = create(http, "snap", **of_server(server))["id"]
    weekly = back_up(http, server, "weekly", 4)
    odd = back_up(http, server, "before upgrade", 1)
    daily = [back_up(http, server, "daily", 3) for _ in range(5)]
    assert listed(http, instance_uuid=server, backup_type="daily") == daily[:1:-1]
    assert listed(http, instance_uuid=server) == [*daily[:1:-1], odd, weekly, snapshot]
    assert http.get(f"/v2/images/{other_server}").status_code == 200
    back_up(http, server, "daily", 0)  # takes none at all
    assert listed(http, instance_uuid=server, image_type="backup", backup_type="daily") == []
