"""Disks told by their bytes, in formats that qemu-img made."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from headwater.errors import UnsupportedMedia
from headwater.images.preparing.disk import OF_QEMU, DiskUnreadable, NotADisk, look
from headwater.server.trying.machine import TooSlow, disk_format
from needs import program

MIB = 1 << 20
AT = 5 * MIB  # not in the first block that is read


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A disk with boot code and one partition, on which a file system begins that says it is XFS."""
    file = tmp_path / "legacy, one.raw"
    sector = bytearray(512)
    sector[:4] = b"\xeb\x63\x90\x90"
    sector[446:462] = struct.pack("<B3xB3xII", 0x80, 0x83, AT // 512, 2048)
    sector[510:] = b"\x55\xaa"
    with file.open("wb") as opened:
        opened.write(sector)
        opened.seek(AT)
        opened.write(b"XFSB")
        opened.truncate(8 * MIB)
    return file


@pytest.mark.parametrize("kind", OF_QEMU)
def test_a_disk_is_read_in_each_format(raw: Path, tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"disk.{kind}" if kind != "raw" else raw
    if kind != "raw":
        options = {"vmdk": ("-o", "subformat=monolithicSparse"), "vhd": ("-o", "force_size=on")}.get(kind, ())
        command = [str(program("qemu-img")), "convert", "-f", "raw", "-O", OF_QEMU[kind], *options, str(raw), str(file)]
        subprocess.run(command, check=True)
    found = look(file, tmp_path, time_s=60)
    assert (found.format, found.virtual_size, found.size) == (kind, 8 * MIB, file.stat().st_size)
    assert (found.table, found.firmware, found.told) == ("mbr", "bios", {"os_type": "linux"})
    assert [(each.start, each.file_system) for each in found.partitions] == [(AT, "xfs")]
    assert not (tmp_path / "block").exists()


def test_a_disk_that_refers_to_another_one_is_refused(raw: Path, tmp_path: Path) -> None:
    file = tmp_path / "layer.qcow2"
    command = [str(program("qemu-img")), "create", "-q", "-f", "qcow2", "-b", raw.name, "-F", "raw", str(file)]
    subprocess.run(command, check=True, cwd=tmp_path)
    with pytest.raises(UnsupportedMedia, match="backing_file"):
        look(file, tmp_path, time_s=60)


def test_an_iso_is_no_disk(tmp_path: Path) -> None:
    file = tmp_path / "cd.iso"
    file.write_bytes(bytes(32769) + b"CD001" + bytes(1 << 20))
    with pytest.raises(NotADisk, match="convert it"):
        look(file, tmp_path, time_s=60)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DiskUnreadable, match=r"nothing\.raw: No such file"):
        look(tmp_path / "nothing.raw", tmp_path, time_s=60)


def test_a_disk_without_a_boot_sector_is_started_by_no_firmware(tmp_path: Path) -> None:
    file = tmp_path / "disk.raw"
    file.write_bytes(b"root:x:0:0:root:/root:/bin/sh\n".ljust(MIB, b"\0"))
    found = look(file, tmp_path, time_s=60)
    assert (found.firmware, found.told) == ("unknown", {})


def test_a_disk_that_is_too_large_to_be_read_in_time_is_given_up(tmp_path: Path) -> None:
    file = tmp_path / "disk.raw"
    with file.open("wb") as opened:
        opened.truncate(1 << 42)
    with pytest.raises(DiskUnreadable, match=r"longer than 0\.01 s; --time"):
        look(file, tmp_path, time_s=0.01)
    with file.open("rb") as opened, pytest.raises(TooSlow, match=r"longer than 0\.01 s; --time"):
        disk_format(opened, 0.01)
