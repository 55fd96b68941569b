"""`openstack image …` of python-openstackclient, as its users type it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import httpx2 as httpx
import pytest

from functional import clients
from functional.clients import Client
from functional.conftest import FreshHeadwater, NewImage
from functional.inputs import DiskImage, iso_image


def a_name() -> str:
    return f"noble-{uuid.uuid4().hex[:8]}"


@pytest.mark.parametrize("disk_format", ["raw", "qcow2", "vmdk", "vhdx", "iso"])
def test_a_real_image_is_stored_and_saved_byte_for_byte(
    openstack: Client,
    http: httpx.Client,
    disks: Mapping[str, DiskImage],
    distribution_iso: Path,
    tmp_path: Path,
    disk_format: str,
) -> None:
    openstack = replace(openstack, anew=disk_format == "raw")
    disk = iso_image(distribution_iso) if disk_format == "iso" else disks[disk_format]
    words = ["--disk-format", disk_format, "--container-format", "bare", "--public"]
    properties = ["os_distro=ubuntu", "os_version=24.04", "architecture=x86_64"]
    given = [word for each in properties for word in ("--property", each)]
    name = a_name()
    image = openstack.json("image", "create", "--file", disk.path, *words, *given, name)
    try:
        assert (image["status"], image["visibility"], image["name"]) == ("active", "public", name)
        assert (image["size"], image["checksum"]) == (disk.size, disk.md5)
        assert image["virtual_size"] == disk.virtual_size
        assert (image["properties"]["os_hash_algo"], image["properties"]["os_hash_value"]) == ("sha512", disk.sha512)
        assert image["properties"]["os_version"] == "24.04"
        openstack("image", "save", "--file", "saved", name)
        assert (tmp_path / "saved").read_bytes() == disk.data
    finally:
        http.delete(f"/v2/images/{image['id']}").raise_for_status()


def test_an_image_goes_through_all_that_can_be_set_and_unset(openstack: Client, new_image: NewImage) -> None:
    image = new_image(b"some bytes", owner_note="x")
    changed = f"{image['name']}-changed"
    words = "--property hw_disk_bus=virtio --property os_version=24.04 --tag lts --tag amd64 --min-disk 2 --hidden"
    openstack("image", "set", *words.split(), "--private", "--protected", "--name", changed, image["id"])
    shown = openstack.json("image", "show", image["id"])
    assert shown["name"] == changed
    assert shown["properties"]["hw_disk_bus"] == "virtio"
    assert shown["properties"]["os_hidden"] is True
    assert sorted(shown["tags"]) == ["amd64", "lts"]
    assert (shown["min_disk"], shown["visibility"], shown["protected"]) == (2, "private", True)

    openstack("image", "unset", "--property", "hw_disk_bus", "--tag", "amd64", image["id"])
    openstack("image", "set", "--unhidden", "--unprotected", "--shared", image["id"])
    shown = openstack.json("image", "show", image["id"])
    assert "hw_disk_bus" not in shown["properties"]
    assert shown["properties"]["os_version"] == "24.04"
    assert shown["tags"] == ["lts"]
    assert (shown["properties"]["os_hidden"], shown["visibility"], shown["protected"]) == (False, "shared", False)


def test_a_name_finds_a_hidden_image(openstack: Client, new_image: NewImage) -> None:
    image = new_image(os_hidden=True)
    assert openstack.json("image", "show", image["name"])["id"] == image["id"]


def test_a_protected_image_is_not_deleted_and_the_user_reads_why(openstack: Client, new_image: NewImage) -> None:
    image = new_image(protected=True)
    done = openstack.attempt("image", "delete", image["id"])
    assert done.returncode == 1
    assert f"Image {image['id']} is protected and cannot be deleted." in done.stderr
    assert openstack.json("image", "show", image["id"])["status"] == "queued"


def test_a_deleted_image_is_gone(openstack: Client, new_image: NewImage) -> None:
    image = new_image(b"some bytes")
    openstack("image", "delete", image["name"])
    done = openstack.attempt("image", "show", image["id"])
    assert done.returncode == 1
    assert "No Image found" in done.stderr


def test_an_image_is_deactivated_and_active_again(openstack: Client, new_image: NewImage, tmp_path: Path) -> None:
    image = new_image(b"some bytes")
    openstack("image", "set", "--deactivate", image["id"])
    assert openstack.json("image", "show", image["id"])["status"] == "deactivated"
    # Without an identity service everybody is an admin, who may read it all the same.
    openstack("image", "save", "--file", "saved", image["id"])
    assert (tmp_path / "saved").read_bytes() == b"some bytes"
    openstack("image", "set", "--activate", image["id"])
    assert openstack.json("image", "show", image["id"])["status"] == "active"


def test_a_file_that_is_not_of_its_declared_format_is_refused_and_the_user_reads_why(
    openstack: Client, http: httpx.Client, disks: Mapping[str, DiskImage]
) -> None:
    name = a_name()
    words = ["--disk-format", "qcow2", "--container-format", "bare"]
    done = openstack.attempt("image", "create", "--file", disks["vmdk"].path, *words, name)
    assert done.returncode == 1
    assert "Image disk_format qcow2 does not match stream data" in done.stderr
    # The client has deleted the image that it had entered for the file.
    assert http.get("/v2/images", params={"name": name}).json()["images"] == []


def test_lists_are_filtered_and_sorted(openstack: Client, new_image: NewImage) -> None:
    group = a_name()
    first = new_image(b"22", name=f"{group}-a", tags=["lts", group], os_distro=group, os_version="24.04")
    second = new_image(b"1", name=f"{group}-b", tags=[group], os_distro=group, visibility="public")
    queued = new_image(name=f"{group}-c", tags=[group], os_distro=group, visibility="private")

    def names(*words: str) -> list[str]:
        return [image["Name"] for image in openstack.json("image", "list", "--tag", group, *words)]

    assert names("--sort", "name:asc") == [first["name"], second["name"], queued["name"]]
    assert names("--sort", "size:desc,name:asc", "--status", "active") == [first["name"], second["name"]]
    assert names("--tag", "lts") == [first["name"]]
    assert names("--public") == [second["name"]]
    assert names("--name", queued["name"]) == [queued["name"]]
    assert names("--property", f"os_distro={group}", "--property", "os_version=24.04") == [first["name"]]
    assert names("--sort", "name:desc", "--limit", "2") == [queued["name"], second["name"]]
    assert names("--limit", "1", "--marker", second["id"]) == [first["name"]]  # newest first


def test_a_list_longer_than_a_page_is_complete(
    openstack_client: Path, fresh_headwater: FreshHeadwater, tmp_path: Path
) -> None:
    small_pages = fresh_headwater(toml="[images]\nlimit_default = 3\n")
    for number in range(10):
        httpx.post(f"{small_pages.images_url}/v2/images", json={"name": f"image-{number}"}).raise_for_status()
    openstack = clients.openstack(openstack_client, tmp_path, small_pages.images_url)
    listed = [image["Name"] for image in openstack.json("image", "list", "--sort", "name:asc")]
    assert listed == [f"image-{number}" for number in range(10)]
    pages = small_pages.requests(method="GET", path="/v2/images")
    assert len(pages) == 4
