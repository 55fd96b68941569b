"""``headwater try``: a real machine boots once from an image, and what it took is told."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from boot.machine import BOOT_S
from functional.headwater_process import run_headwater

pytestmark = pytest.mark.timeout(900)  # a machine in software, where others run beside it

USER_DATA = """\
#cloud-config
runcmd: [[sh, -c, "echo TOOK-$(hostname) >/dev/ttyS0"]]
power_state: {mode: poweroff}
"""


def test_a_guest_takes_its_user_data_and_its_image_stays_as_it_is(image: Path, tmp_path: Path) -> None:
    before = hashlib.sha256(image.read_bytes()).digest()
    given = tmp_path / "user-data"
    given.write_text(USER_DATA)
    told = ("--user-data", given, "--hostname", "tried", "--memory", "512", "--time", str(BOOT_S))
    done = run_headwater("try", image, "--no-kvm", *told, directory=tmp_path, timeout_s=BOOT_S + 60)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    assert "TOOK-tried" in done.stdout
    assert "read its medium (/dev/" in done.stdout
    assert hashlib.sha256(image.read_bytes()).digest() == before
