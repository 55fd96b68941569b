from __future__ import annotations

from typing import Any

import pytest

from headwater.streams.live.bootable import obstacles
from unit.streams.catalogue import image


@pytest.mark.parametrize(
    "changes",
    [
        {"disk_format": "raw"},
        {"disk_format": "vmdk"},
        {"image_type": "image", "instance_uuid": "b", "base_image_ref": "c"},
        {"image_type": "base"},
        {"instance_uuid": " ", "base_image_ref": ""},
        {"block_device_mapping": "[]", "bdm_v2": "True"},
        {"kernel_id": "k", "ramdisk_id": "r"},
        # Nothing was uploaded yet: its status says so.
        {"disk_format": None, "container_format": None, "size": None},
    ],
)
def test_a_disk_of_a_system_boots_as_a_fresh_server(changes: dict[str, Any]) -> None:
    assert list(obstacles(image(1, **changes), "kvm")) == []


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"disk_format": "iso"}, "disk_format"),
        ({"disk_format": "aki"}, "disk_format"),
        ({"disk_format": "ari"}, "disk_format"),
        ({"disk_format": "ami"}, "disk_format"),
        ({"disk_format": "squashfs"}, "disk_format"),
        ({"disk_format": "root-tar"}, "disk_format"),
        ({"disk_format": "luks"}, "disk_format"),
        ({"container_format": "aki"}, "container_format"),
        ({"container_format": "ari"}, "container_format"),
        ({"container_format": "ami"}, "container_format"),
        ({"container_format": "ovf"}, "container_format"),
        ({"container_format": "ova"}, "container_format"),
        ({"container_format": "docker"}, "container_format"),
        ({"container_format": "compressed"}, "container_format"),
        ({"size": 0}, "size"),
        ({"image_type": "snapshot"}, "image_type"),
        ({"image_type": " Snapshot "}, "image_type"),
        ({"image_type": "backup"}, "image_type"),
        ({"instance_uuid": "6c1fae2a-0000-4000-8000-000000000000"}, "instance_uuid"),
        ({"base_image_ref": "6c1fae2a-0000-4000-8000-000000000000"}, "base_image_ref"),
        ({"block_device_mapping": '[{"source_type": "snapshot"}]', "bdm_v2": "True"}, "block_device_mapping"),
        ({"cinder_encryption_key_id": "6c1fae2a-0000-4000-8000-000000000000"}, "cinder_encryption_key_id"),
        ({"os_encrypt_key_id": "6c1fae2a-0000-4000-8000-000000000000"}, "os_encrypt_key_id"),
    ],
)
def test_what_does_not_boot_as_a_fresh_server_says_why(changes: dict[str, Any], word: str) -> None:
    (reason,) = obstacles(image(1, **changes), "kvm")
    assert word in reason


@pytest.mark.parametrize("disk_format", ["root-tar", "squashfs", "raw"])
def test_a_container_starts_from_a_tree_of_files_too(disk_format: str) -> None:
    assert list(obstacles(image(1, disk_format=disk_format), "lxd")) == []
