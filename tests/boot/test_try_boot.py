"""``headwater try``: a real machine boots once from an image, and what it took is told."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from boot.machine import BOOT_S
from functional.headwater_process import HeadwaterProcess, run_headwater

pytestmark = pytest.mark.timeout(900)  # a machine in software, where others run beside it

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@here"
USER_DATA = """\
#cloud-config
runcmd: [[sh, -c, "echo TOOK-$(hostname) >/dev/ttyS0"]]
power_state: {mode: poweroff}
"""


def test_a_guest_takes_its_user_data_and_its_image_stays_as_it_is(image: Path, tmp_path: Path) -> None:
    before = hashlib.sha256(image.read_bytes()).digest()
    given = tmp_path / "user-data"
    given.write_text(USER_DATA)
    told = ("--user-data", given, "--ssh-key", KEY, "--hostname", "tried", "--memory", "512", "--time", str(BOOT_S))
    done = run_headwater("try", image, "--no-kvm", *told, directory=tmp_path, timeout_s=BOOT_S + 60)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    assert "TOOK-tried" in done.stdout
    assert "read its medium (/dev/" in done.stdout
    assert "host name tried: taken" in done.stdout
    assert "SSH key me@here: taken" in done.stdout
    assert hashlib.sha256(image.read_bytes()).digest() == before


def test_an_image_of_the_service_is_tried_by_its_name(tmp_path: Path) -> None:
    # Writes to the first serial port, and restarts the machine, which ends it.
    code = bytes.fromhex("baf803be137c ac08c07403eeebf8ea0000ffff".replace(" ", "")) + b"TRIED-BY-NAME\n\0"
    (tmp_path / "disk.raw").write_bytes(code.ljust(510, b"\0") + b"\x55\xaa" + bytes((1 << 20) - 512))
    service = HeadwaterProcess(tmp_path)
    service.start()
    try:
        at = ("--url", service.images_url)
        made = service.command("image", "upload", "disk.raw", "--name", "small", *at)
        assert made.returncode == 0, made.stderr
        done = service.command("try", "small", "--no-kvm", "--time", "60", *at)
        unknown = service.command("try", "large", *at)
    finally:
        service.stop()
    assert (done.returncode, "TRIED-BY-NAME" in done.stdout) == (1, True), done.stdout + done.stderr
    assert unknown.returncode == 1
    assert "no file 'large' here, and no image of that name" in unknown.stderr
