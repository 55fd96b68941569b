"""Properties that nobody knows, as the commands tell of them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest

from functional.headwater_process import HeadwaterProcess

IMAGE = {"disk_format": "raw", "container_format": "bare", "visibility": "private"}


def warnings(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.startswith("warning: ")]


@pytest.fixture
def colours(headwater: HeadwaterProcess) -> Iterator[str]:
    """A definition that only this service has."""
    name = f"hw_colour_{uuid.uuid4().hex[:8]}"
    namespace = f"Own::{name}"
    made = {
        "namespace": namespace,
        "visibility": "public",
        "resource_type_associations": [{"name": "OS::Glance::Image", "prefix": "hw_"}],
        "properties": {name.removeprefix("hw_"): {"type": "string", "title": "Colour", "enum": ["red", "blue"]}},
    }
    url = f"{headwater.images_url}/v2/metadefs/namespaces"
    httpx.post(url, json=made, trust_env=False).raise_for_status()
    yield name
    httpx.delete(f"{url}/{namespace}", trust_env=False).raise_for_status()


def test_lint_finds_what_is_misspelt_by_the_definitions_of_the_service(
    headwater: HeadwaterProcess, colours: str
) -> None:
    name = f"misspelt-{uuid.uuid4().hex[:8]}"
    said = {"hw_disk_buss": "virtio", "hw_vif_model": "viritio", colours: "ret", "hw_quantum": "x", "mine": "y"}
    made = httpx.post(f"{headwater.images_url}/v2/images", json={"name": name, **IMAGE, **said}, trust_env=False)
    image_id = made.raise_for_status().json()["id"]
    command = ("image", "lint", "--url", headwater.images_url, "--profile", "definitions", name)

    ended = headwater.command(*command, "--json")
    assert ended.returncode == 1, ended.stderr
    found = {each["property"]: (each["level"], each["allowed"]) for each in json.loads(ended.stdout)["findings"]}
    assert found == {
        "hw_disk_buss": ("error", "hw_disk_bus"),
        "hw_vif_model": ("error", "virtio"),
        colours: ("error", "red"),
        "hw_quantum": ("advice", "what the metadata definitions name"),
    }
    lines = headwater.command(*command).stdout.splitlines()
    assert f"'{name}' ({image_id}): error: hw_vif_model is 'viritio'; allowed: virtio" in lines
    assert lines[-1] == "1 images: 3 errors, 1 pieces of advice"


def test_set_and_upload_warn_and_do_it(headwater: HeadwaterProcess, tmp_path: Path) -> None:
    file = tmp_path / "disk.raw"
    file.write_bytes(b"0" * 512)
    service = ("--url", headwater.images_url, "--json")
    wrong = ("--property", "hw_disk_buss=virtio", "--property", "mine=x")
    ended = headwater.command("image", "upload", str(file), "--visibility", "private", *wrong, *service)
    assert ended.returncode == 0, ended.stderr
    assert warnings(ended.stderr) == ["warning: hw_disk_buss is no property that is defined; allowed: hw_disk_bus"]
    image = json.loads(ended.stdout)
    assert (image["status"], image["hw_disk_buss"]) == ("active", "virtio")

    ended = headwater.command("image", "set", image["id"], "--property", "hw_disk_bus=viritio", *service)
    assert ended.returncode == 0, ended.stderr
    assert warnings(ended.stderr) == ["warning: hw_disk_bus is 'viritio'; allowed: virtio"]
    assert json.loads(ended.stdout)["hw_disk_bus"] == "viritio"

    ended = headwater.command("image", "set", image["id"], "--property", "hw_disk_bus=virtio", *service)
    assert (ended.returncode, ended.stderr) == (0, "")
