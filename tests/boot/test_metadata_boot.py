"""A real machine boots from an image of the service, and learns from its metadata who it is.

The guest is the distribution's own system with its cloud-init. Its user data reports on the serial port what it took,
and powers it off.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from boot.guest import OPENSTACK, registered, reported, require_taken
from boot.machine import machine, product
from functional.headwater_process import HeadwaterProcess
from functional.program import program

pytestmark = pytest.mark.timeout(900)  # a machine in software, where others run beside it

METADATA = "169.254.169.254:80"
NETWORK = "net=169.254.0.0/16,host=169.254.0.2,dns=169.254.0.3,dhcpstart=169.254.0.15"  # what it forwards lies in it


def test_a_guest_learns_from_the_metadata_service_who_it_is(
    image: Path, service: HeadwaterProcess, tmp_path: Path
) -> None:
    """Its network is QEMU's, which starts the command for each connection to the address of metadata services."""
    key = registered(service, tmp_path, "web1")
    places = ["--config", str(service.config_file), "--data-dir", str(service.data_dir)]
    proxy = tmp_path / "proxy"
    words = shlex.join([str(program()), *places, "metadata-proxy", "--instance", "web1"])
    proxy.write_text(f"#!/bin/sh\nexec {words}\n")
    proxy.chmod(0o700)
    nic = f"user,model=virtio-net-pci,{NETWORK},guestfwd=tcp:{METADATA}-cmd:{proxy}"
    with machine(tmp_path, image, "-nic", nic, *product(OPENSTACK)) as guest:
        report = reported(guest.powered_off())
    require_taken(report, service, "web1", key)
    assert report["platform"] == "openstack"
    log = service.command("instance", "boot-log", "web1")
    assert log.returncode == 0, log.stderr
    assert "GET  200 /openstack/2018-08-27/user_data" in log.stdout
    assert " 500 " not in log.stdout
