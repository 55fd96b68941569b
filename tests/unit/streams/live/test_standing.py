from __future__ import annotations

from typing import Any

import pytest

from headwater.images.catalogue.fingerprints.image_fingerprints import Fingerprint
from headwater.images.model import Status, Visibility
from headwater.streams.live.files.listing import file_listing
from headwater.streams.live.listing import Listing
from headwater.streams.live.placement import place
from headwater.streams.live.standing import in_image_files, in_image_ids
from unit.streams.catalogue import image


@pytest.mark.parametrize(
    ("changes", "name", "value"),
    [
        ({"visibility": Visibility.PRIVATE}, "visibility", "private"),
        ({"status": Status.DEACTIVATED}, "status", "deactivated"),
        ({"os_hidden": True}, "os_hidden", "True"),
        ({"os_distro": None}, "os_distro", None),
        ({"os_version": "noble"}, "os_version", "noble"),
        ({"architecture": "vax"}, "architecture", "vax"),
        ({"simplestreams_stream": "a.b"}, "simplestreams_stream", "a.b"),
        ({"hypervisor_type": "a b"}, "hypervisor_type", "a b"),
        ({"img_hv_type": "lxc"}, "img_hv_type", "lxc"),
        ({"vm_mode": "xen"}, "vm_mode", "xen"),
        ({"disk_format": "iso"}, "disk_format", "iso"),
        ({"container_format": "ovf"}, "container_format", "ovf"),
        ({"size": 0}, "size", "0"),
        ({"image_type": "backup"}, "image_type", "backup"),
        ({"instance_uuid": "a"}, "instance_uuid", "a"),
        ({"base_image_ref": "a"}, "base_image_ref", "a"),
        ({"block_device_mapping": "[{}]"}, "block_device_mapping", "[{}]"),
        ({"cinder_encryption_key_id": "a"}, "cinder_encryption_key_id", "a"),
        ({"os_encrypt_key_id": "a"}, "os_encrypt_key_id", "a"),
    ],
)
def test_every_reason_names_its_property_and_the_fix(changes: dict[str, Any], name: str, value: str | None) -> None:
    out = image(1, **changes)
    [obstacle] = in_image_ids(Listing(out, place(out))).obstacles
    assert (obstacle.name, obstacle.value) == (name, value)
    assert obstacle.fix


@pytest.mark.parametrize(
    ("changes", "name", "value"),
    [
        ({"visibility": Visibility.COMMUNITY}, "visibility", "community"),
        ({"os_version": None}, "os_version", None),
        ({"disk_format": "raw"}, "disk_format", "raw"),
        ({"simplestreams_release": "a b"}, "simplestreams_release", "a b"),
        ({"simplestreams_variant": "a:b"}, "simplestreams_variant", "a:b"),
        ({"support_eol": "soon"}, "support_eol", "soon"),
        ({"os_hash_value": None}, "os_hash_value", None),
        ({"img_hv_type": "xen"}, "img_hv_type", "xen"),
        ({"container_format": "ova"}, "container_format", "ova"),
        ({"size": 0}, "size", "0"),
        ({"image_type": "snapshot"}, "image_type", "snapshot"),
        ({}, "fingerprint", None),
    ],
)
def test_every_reason_of_files_names_its_property_and_the_fix(
    changes: dict[str, Any], name: str, value: str | None
) -> None:
    out = image(1, **{"os_hash_value": "ab" * 64, **changes})
    [obstacle] = in_image_files(file_listing(out, None, {})).obstacles
    assert (obstacle.name, obstacle.value) == (name, value)
    assert obstacle.fix


def test_what_keeps_a_fingerprint_from_being_made_is_told() -> None:
    out = image(1, os_hash_value="ab" * 64)
    found = Fingerprint(image_id=out.id, data_hash="ab" * 64, attempts=1, error="the image's visibility is odd")
    [obstacle] = in_image_files(file_listing(out, found, {})).obstacles
    assert (obstacle.name, obstacle.reason) == (
        "fingerprint",
        "fingerprint cannot be made: the image's visibility is odd",
    )
    off = in_image_files(file_listing(out, None, {}, is_on=False)).obstacles
    assert [each.name for each in off] == ["image_files"]
