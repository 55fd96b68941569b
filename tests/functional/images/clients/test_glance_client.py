"""`glance …` of python-glanceclient, as its users type it.

It prints tables only, so each test reads what was stored through HTTP.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import httpx2 as httpx

from functional.clients import Client
from functional.conftest import NewImage
from functional.image_requests import show
from functional.inputs import DiskImage


def row(table: str, name: str) -> str:
    """Return the value beside ``name`` in a table that the client printed."""
    found = re.search(rf"^\| {re.escape(name)} +\| (.*?) +\|$", table, re.MULTILINE)
    assert found, table
    return found[1]


def test_an_image_is_created_downloaded_and_deleted(
    glance: Client, http: httpx.Client, disks: Mapping[str, DiskImage], tmp_path: Path
) -> None:
    glance = replace(glance, anew=True)
    disk = disks["qcow2"]
    words = "--disk-format qcow2 --container-format bare --visibility public --property os_distro=ubuntu --tags lts"
    table = glance("image-create", "--name", f"noble-{uuid.uuid4().hex[:8]}", "--file", disk.path, *words.split())
    image_id = row(table, "id")
    assert row(table, "status") == "active"
    assert row(table, "checksum") == disk.md5
    assert row(table, "os_distro") == "ubuntu"
    assert row(table, "size") == str(disk.size)

    # The client itself compares what it reads with os_hash_value.
    glance("image-download", "--file", "saved", image_id)
    assert (tmp_path / "saved").read_bytes() == disk.data

    glance("image-delete", image_id)
    assert http.get(f"/v2/images/{image_id}").status_code == 404


def test_data_is_uploaded_to_an_image_that_waits_for_it(
    glance: Client, http: httpx.Client, new_image: NewImage, disks: Mapping[str, DiskImage]
) -> None:
    disk = disks["vmdk"]
    image = new_image(disk_format="vmdk")
    glance("image-upload", "--file", disk.path, "--size", str(disk.size), image["id"])
    assert show(http, image["id"])["os_hash_value"] == disk.sha512

    again = glance.attempt("image-upload", "--file", disk.path, image["id"])
    assert again.returncode == 1
    assert "409" in again.stderr + again.stdout
    assert show(http, image["id"])["os_hash_value"] == disk.sha512


def test_an_image_is_entered_without_data(glance: Client, http: httpx.Client) -> None:
    table = glance("image-create", "--name", "no-data", "--disk-format", "raw", "--container-format", "bare")
    assert row(table, "status") == "queued"
    http.delete(f"/v2/images/{row(table, 'id')}").raise_for_status()


def test_an_image_is_shown_and_changed(glance: Client, http: httpx.Client, new_image: NewImage) -> None:
    image = new_image(b"some bytes", os_distro="debian", old="1")
    table = glance("image-show", image["id"])
    assert row(table, "name") == image["name"]
    assert row(table, "os_distro") == "debian"

    changes = "--name changed --min-ram 512 --protected True --property os_distro=ubuntu --remove-property old"
    glance("image-update", *changes.split(), image["id"])
    after = show(http, image["id"])
    assert (after["name"], after["min_ram"], after["protected"]) == ("changed", 512, True)
    assert after["os_distro"] == "ubuntu"
    assert "old" not in after

    refused = glance.attempt("image-delete", image["id"])
    assert refused.returncode == 1
    # It has its own words for 403.
    assert f"You are not permitted to delete the image '{image['id']}'" in refused.stderr
    assert show(http, image["id"])["name"] == "changed"


def test_tags_are_given_and_taken(glance: Client, http: httpx.Client, new_image: NewImage) -> None:
    image = new_image()
    glance("image-tag-update", image["id"], "lts")
    assert show(http, image["id"])["tags"] == ["lts"]
    glance("image-tag-delete", image["id"], "lts")
    assert show(http, image["id"])["tags"] == []


def test_an_image_is_deactivated_and_reactivated(glance: Client, http: httpx.Client, new_image: NewImage) -> None:
    image = new_image(b"some bytes")
    glance("image-deactivate", image["id"])
    assert show(http, image["id"])["status"] == "deactivated"
    glance("image-reactivate", image["id"])
    assert show(http, image["id"])["status"] == "active"


def test_a_list_takes_filters_sorting_and_several_pages(glance: Client, new_image: NewImage) -> None:
    group = uuid.uuid4().hex
    ids = [new_image(name=f"{group}-{number}", batch=group)["id"] for number in range(5)]
    words = ["--property-filter", f"batch={group}", "--sort", "name:desc", "--page-size", "2"]
    listed = re.findall(r"^\| ([0-9a-f-]{36}) ", glance("image-list", *words), re.MULTILINE)
    assert listed == list(reversed(ids))
    limited = glance("image-list", *words, "--limit", "3")
    assert re.findall(r"^\| ([0-9a-f-]{36}) ", limited, re.MULTILINE) == list(reversed(ids))[:3]
