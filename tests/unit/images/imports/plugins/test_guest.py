"""What is on a disk is told without booting or mounting it."""

from __future__ import annotations

import random
import struct
import subprocess
from pathlib import Path

import pytest

from headwater.images.imports.plugins.guest import GuestInspection, GuestSettings, found_on, os_release
from headwater.images.imports.plugins.plugin import Data, Work, read
from headwater.images.inspection.inspect import Rules

MIB = 1 << 20
UBUNTU = 'PRETTY_NAME="Ubuntu 24.04 LTS"\nID=ubuntu\nVERSION_ID="24.04"\n'
ROOT, ESP, BIOS_BOOT = "8304", "ef00", "ef02"  # as sgdisk calls them; the first is that of x86-64


def file_system(directory: Path, release: str, path: str = "usr/lib/os-release") -> bytes:
    """Return an ext4 in which a system says what it is."""
    tree = directory / "tree"
    file = tree / path
    file.parent.mkdir(parents=True)
    (tree / "etc").mkdir(exist_ok=True)
    file.write_text(release)
    if path != "etc/os-release":
        (tree / "etc/os-release").symlink_to(f"../{path}")
    subprocess.run(["mkfs.ext4", "-q", "-d", str(tree), str(directory / "fs"), "8M"], check=True)
    return (directory / "fs").read_bytes()


def partitioned(directory: Path, *kinds: str, last: bytes = b"") -> Path:
    """Return a disk with a GPT; its last partition holds ``last``."""
    disk = directory / "disk"
    with disk.open("wb") as out:
        out.truncate(32 * MIB)
    made = []
    for number, kind in enumerate(kinds, 1):
        end = "0" if number == len(kinds) else "+1M"
        made += ["-n", f"{number}:0:{end}", "-t", f"{number}:{kind}"]
    subprocess.run(["sgdisk", "-Z", *made, str(disk)], check=True, capture_output=True)
    with disk.open("r+b") as out:
        out.seek(len(kinds) * MIB)
        out.write(last)
    return disk


def test_a_cloud_image_says_what_it_is(tmp_path: Path) -> None:
    disk = partitioned(tmp_path, ESP, ROOT, last=file_system(tmp_path, UBUNTU))
    assert found_on(disk) == {
        "os_type": "linux",
        "os_distro": "ubuntu",
        "os_version": "24.04",
        "architecture": "x86_64",
        "hw_firmware_type": "uefi",
    }


def test_a_file_system_without_partitions_says_it_too(tmp_path: Path) -> None:
    disk = tmp_path / "whole"
    disk.write_bytes(file_system(tmp_path, "ID='opensuse-leap'\nVERSION_ID='15.6'\n", "etc/os-release"))
    assert found_on(disk) == {"os_type": "linux", "os_distro": "opensuse", "os_version": "15.6"}


def test_an_mbr_is_read(tmp_path: Path) -> None:
    content = file_system(tmp_path, UBUNTU)
    entry = struct.pack("<B3xB3xII", 0x80, 0x83, 2048, len(content) // 512)
    disk = tmp_path / "disk"
    disk.write_bytes((b"\xeb" + bytes(445) + entry + bytes(48) + b"\x55\xaa").ljust(MIB, b"\0") + content)
    assert found_on(disk) == {"os_type": "linux", "os_distro": "ubuntu", "os_version": "24.04"}


def test_a_disk_that_a_bios_boots_as_well_does_not_say_uefi(tmp_path: Path) -> None:
    assert "hw_firmware_type" not in found_on(partitioned(tmp_path, BIOS_BOOT, ESP, ROOT))
    disk = partitioned(tmp_path, ESP, ROOT)
    with disk.open("r+b") as out:
        out.write(b"\xeb\x63\x90")
    assert "hw_firmware_type" not in found_on(disk)


def test_windows_is_known_by_its_partitions(tmp_path: Path) -> None:
    found = found_on(partitioned(tmp_path, ESP, "0c01", "0700", last=b"\xeb\x52\x90NTFS    "))
    assert found == {"os_type": "windows", "hw_firmware_type": "uefi"}


@pytest.mark.parametrize(("magic", "at"), [(b"XFSB", 0), (b"_BHRfS_M", (64 << 10) + 64)])
def test_file_systems_that_are_not_read_are_linux(magic: bytes, at: int, tmp_path: Path) -> None:
    assert found_on(partitioned(tmp_path, "8300", last=bytes(at) + magic))["os_type"] == "linux"


def test_a_system_that_says_nonsense_says_nothing(tmp_path: Path) -> None:
    assert os_release('ID="$(reboot)"\nVERSION_ID="1 2"\nNAME=\'x\nID_LIKE=\n#ID=x\nnothing\n\0=\0') == {}
    disk = tmp_path / "whole"
    disk.write_bytes(file_system(tmp_path, "ID=" + "x" * 300_000))
    assert found_on(disk) == {"os_type": "linux"}


def test_a_damaged_disk_fails_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert found_on(tmp_path / "empty") == {}
    table = partitioned(tmp_path, ESP, ROOT).read_bytes()[:8192]
    chance = random.Random(5)
    for number in range(200):
        damaged = bytearray(table)
        for _ in range(60):
            damaged[chance.randrange(440, 4096)] = chance.randrange(256)
        (tmp_path / "damaged").write_bytes(damaged[: chance.randrange(8192)] if number % 2 else damaged)
        found_on(tmp_path / "damaged")


def test_a_table_that_tells_of_a_million_partitions_is_read_in_part(tmp_path: Path) -> None:
    disk = partitioned(tmp_path, ESP, ROOT)
    with disk.open("r+b") as out:
        out.seek(512 + 80)
        out.write(b"\xff\xff\xff\xff")
    assert found_on(disk)["architecture"] == "x86_64"


def test_what_the_user_has_said_stays(tmp_path: Path) -> None:
    disk = partitioned(tmp_path, ESP, ROOT, last=file_system(tmp_path, UBUNTU))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    work = Work(
        scratch=scratch,
        size_cap=1 << 30,
        rules=Rules(),
        roles=frozenset(),
        is_signed=False,
        advance=lambda done, total: None,
    )
    plugin = GuestInspection(GuestSettings())
    said = {"os_distro": "debian", "hw_firmware_type": "bios"}
    data = Data(disk_format="raw", container_format="bare", properties=said, pieces=iter(()))
    looked = plugin.apply(data.holding(read(disk)), work)
    assert looked.properties == {**said, "os_type": "linux", "os_version": "24.04", "architecture": "x86_64"}
    assert b"".join(looked.pieces) == disk.read_bytes()
