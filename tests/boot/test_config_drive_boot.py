"""A real machine boots from an image of the service, and learns from its config drive who it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from boot.guest import OPENSTACK, registered, reported, require_taken
from boot.machine import machine, product
from functional.headwater_process import HeadwaterProcess

pytestmark = pytest.mark.timeout(900)  # a machine in software, where others run beside it


def test_a_guest_without_any_network_learns_from_its_config_drive_who_it_is(
    image: Path, service: HeadwaterProcess, tmp_path: Path
) -> None:
    key = registered(service, tmp_path, "web2")
    drive = tmp_path / "drive.iso"
    done = service.command("config-drive", "build", "web2", "--output", drive)
    assert done.returncode == 0, done.stderr
    cdrom = ("-drive", f"file={drive},if=none,id=drive,format=raw,readonly=on", "-device", "virtio-scsi-pci")
    with machine(tmp_path, image, *cdrom, "-device", "scsi-cd,drive=drive", *product(OPENSTACK)) as guest:
        report = reported(guest.powered_off())
    require_taken(report, service, "web2", key)
    assert report["platform"] == "configdrive"
