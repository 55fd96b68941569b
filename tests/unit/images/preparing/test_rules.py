"""What is found in an image, and which properties it should have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from headwater.findings import Level
from headwater.images.preparing.facts import DRIVERS
from headwater.images.preparing.model import CloudInit, Guest, Ssh
from headwater.images.preparing.properties import properties_for
from headwater.images.preparing.rules import RULES, found_in
from unit.images.preparing.guests import CLEAN, DISK, guest, seen

GOOD = guest(CLEAN, frozenset(DRIVERS))
WINDOWS = Guest(type="windows", virtio={"virtio_blk": "missing", "virtio_scsi": "missing", "virtio_net": "module"})


def ids(found: Guest | None, **disk: Any) -> set[str]:
    return {each.rule for each in found_in(seen(found, **disk))}


def test_nothing_is_found_in_a_good_image() -> None:
    assert ids(GOOD) == set()


def test_a_legacy_image_has_all_its_faults_the_worst_first() -> None:
    found = found_in(seen(guest()))
    assert {each.rule for each in found} == {
        "no-virtio-at-boot",
        "no-cloud-init",
        "password-set",
        "ssh-passwords",
        "ssh-root",
        "ssh-host-keys",
        "machine-id",
        "network-rules",
        "fixed-address",
        "no-serial-console",
        "root-does-not-grow",
        "drives-by-name",
    }
    assert [each.level for each in found] == sorted((each.level for each in found), reverse=True)


@pytest.mark.parametrize(
    ("changed", "rule"),
    [
        (replace(GOOD, virtio=dict.fromkeys(DRIVERS, "missing")), "no-virtio-disk"),
        (replace(GOOD, virtio=dict.fromkeys(DRIVERS, "missing")), "no-virtio-network"),
        (replace(GOOD, virtio=dict.fromkeys(DRIVERS, "unknown")), "virtio-not-told"),
        (replace(GOOD, cloud_init=CloudInit(version=None, sources=("VMware",))), "data-sources"),
        (replace(GOOD, cloud_init=CloudInit(version=None, sources=None, disabled_by="/x")), "cloud-init-disabled"),
        (
            replace(GOOD, cloud_init=CloudInit(version=None, sources=None, state=("/var/lib/cloud/instances",))),
            "old-instance",
        ),
        (replace(GOOD, accounts={"admin": "empty"}), "password-empty"),
        (replace(GOOD, others=1), "several-systems"),
        (WINDOWS, "windows-without-virtio"),
        (WINDOWS, "no-cloudbase-init"),
        (None, "no-system"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_fault_is_found(changed: Guest | None, rule: str) -> None:
    assert rule in ids(changed)


def test_a_disk_that_nothing_starts_is_found() -> None:
    assert ids(GOOD, firmware="unknown") == {"no-boot-loader"}


def test_a_system_that_was_not_looked_at_is_no_missing_system() -> None:
    found = found_in(replace(seen(None), not_looked="libguestfs is not installed: install it"))
    assert [(each.rule, each.level) for each in found] == [("not-looked-into", Level.NOTE)]
    assert "install it" in found[0].says


def test_a_password_is_no_error_where_sshd_takes_none() -> None:
    closed = replace(GOOD, accounts={"root": "set"}, ssh=Ssh(installed=True, password_authentication=False))
    assert ids(closed) == {"password-set"}


def test_rules_have_ids_of_their_own() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)


def test_a_good_image_gets_the_properties_of_its_system() -> None:
    assert properties_for(seen(replace(GOOD, guest_agent=True))) == {
        "architecture": "x86_64",
        "disk_format": "vmdk",
        "hw_disk_bus": "virtio",
        "hw_firmware_type": "bios",
        "hw_qemu_guest_agent": "yes",
        "hw_vif_model": "virtio",
        "min_disk": "4",
        "os_distro": "debian",
        "os_type": "linux",
        "os_version": "12",
    }


@pytest.mark.parametrize(
    ("virtio", "expected"),
    [
        ({"virtio_blk": "module", "virtio_scsi": "initramfs"}, {"hw_disk_bus": "scsi", "hw_scsi_model": "virtio-scsi"}),
        ({"virtio_blk": "module", "virtio_scsi": "missing"}, {"hw_disk_bus": "sata"}),
        ({"virtio_blk": "unknown", "virtio_scsi": "missing"}, {}),
        ({"virtio_net": "missing"}, {"hw_vif_model": "e1000"}),
        ({"virtio_net": "module"}, {"hw_vif_model": "virtio"}),
    ],
    ids=["scsi-at-boot", "none-at-boot", "not-told", "no-network", "network"],
)
def test_devices_are_those_that_have_a_driver(virtio: dict[Any, Any], expected: dict[str, str]) -> None:
    found = properties_for(seen(replace(GOOD, virtio=virtio)))
    assert {name: found[name] for name in found if name.startswith("hw_") and name != "hw_firmware_type"} == expected


def test_what_the_bytes_tell_is_said_without_a_look() -> None:
    found = properties_for(seen(None, firmware="uefi", told={"hw_firmware_type": "uefi", "architecture": "aarch64"}))
    assert found == {
        "architecture": "aarch64",
        "disk_format": DISK.format,
        "hw_firmware_type": "uefi",
        "min_disk": "4",
    }
