"""Drivers in initial RAM disks, in the forms that distributions make."""

from __future__ import annotations

import bz2
import gzip
import lzma
from pathlib import Path

import pytest
import zstandard

from headwater.images.preparing.initramfs import drivers_in


def cpio(*names: str) -> bytes:
    """Return an archive of empty files, as the kernel reads it (newc)."""
    made = b""
    for name in (*names, "TRAILER!!!"):
        fields = [0] * 13
        fields[11] = len(name) + 1
        entry = b"070701" + b"".join(f"{each:08x}".encode() for each in fields) + name.encode() + b"\0"
        made += entry + bytes(-len(entry) % 4)
    return made + bytes(-len(made) % 512)


DRIVERS = cpio("lib/modules/6.1/kernel/drivers/block/virtio_blk.ko.xz", "usr/lib/modules/6.1/net/virtio_net.ko")
EARLY = cpio("kernel/x86/microcode/AuthenticAMD.bin")
FORMS = {
    "plain": DRIVERS,
    "gzip": gzip.compress(DRIVERS),
    "bzip2": bz2.compress(DRIVERS),
    "xz": lzma.compress(DRIVERS, check=lzma.CHECK_CRC32),
    "zstd": zstandard.compress(DRIVERS),
}


@pytest.mark.parametrize("early", [b"", EARLY], ids=["alone", "behind-microcode"])
@pytest.mark.parametrize("form", FORMS)
def test_drivers_are_found(tmp_path: Path, form: str, early: bytes) -> None:
    file = tmp_path / "initramfs"
    file.write_bytes(early + FORMS[form] + bytes(512))
    assert drivers_in(file) == frozenset({"virtio_blk", "virtio_net"})


def test_a_name_that_is_like_one_is_none(tmp_path: Path) -> None:
    file = tmp_path / "initramfs"
    file.write_bytes(gzip.compress(cpio("lib/modules/6.1/not_virtio_blk.ko", "lib/virtio_blk.kom", "virtio_scsi")))
    assert drivers_in(file) == frozenset()


@pytest.mark.parametrize(
    "data",
    [b"", b"\x02\x21\x4c\x18 lz4", b"\x1f\x8b damaged", EARLY[:100] + b"zz" * 40],
    ids=["empty", "lz4", "damaged", "early-damaged"],
)
def test_what_is_not_read_is_not_told(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "initramfs"
    file.write_bytes(data)
    assert not drivers_in(file)
