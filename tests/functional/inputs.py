"""Real disk images: a file system that mke2fs made of real files, in the formats that qemu-img writes."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from needs import program

VIRTUAL_SIZE = 24 << 20  # bytes of the disk that a guest sees
_FILES = 6 << 20  # bytes of files on it, so that no format is all holes

# By disk_format: qemu-img's name, and its options.
CONVERSIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "qcow2": ("qcow2", ("-o", "compat=1.1")),
    "vmdk": ("vmdk", ("-o", "subformat=streamOptimized")),
    "vhdx": ("vhdx", ("-o", "subformat=dynamic")),
}


@dataclass(frozen=True)
class DiskImage:
    """A disk image and what it is."""

    path: Path
    disk_format: str
    virtual_size: int  # bytes

    @property
    def data(self) -> bytes:
        return self.path.read_bytes()

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    @property
    def md5(self) -> str:
        return hashlib.md5(self.data, usedforsecurity=False).hexdigest()

    @property
    def sha512(self) -> str:
        return hashlib.sha512(self.data).hexdigest()


def disk_images(directory: Path) -> dict[str, DiskImage]:
    """Make a raw disk with an ext4 file system and its conversions below ``directory``; return them by format."""
    raw = _file_system(directory)
    made = {"raw": DiskImage(raw, "raw", VIRTUAL_SIZE)}
    for disk_format, (name, options) in CONVERSIONS.items():
        path = directory / f"disk.{disk_format}"
        _run("qemu-img", "convert", "-f", "raw", "-O", name, *options, raw, path)
        made[disk_format] = DiskImage(path, disk_format, VIRTUAL_SIZE)
    return made


def iso_image(path: Path) -> DiskImage:
    """Describe an ISO image; its own size stands in its primary volume descriptor (ECMA-119, 8.4)."""
    descriptor = path.read_bytes()[16 * 2048 : 17 * 2048]
    blocks = int.from_bytes(descriptor[80:84], "little")
    block_size = int.from_bytes(descriptor[128:130], "little")
    return DiskImage(path, "iso", blocks * block_size)


def _file_system(directory: Path) -> Path:
    root = directory / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "hostname").write_text("headwater\n")
    block = hashlib.sha512(b"the same bytes in every run").digest()
    # Half of it does not compress, half of it does.
    noise = b"".join(hashlib.sha512(block + bytes([n % 256, n // 256])).digest() for n in range(_FILES // 128))
    (root / "noise").write_bytes(noise)
    (root / "text").write_bytes(b"machine images\n" * (_FILES // 30))
    raw = directory / "disk.raw"
    with raw.open("wb") as file:
        file.truncate(VIRTUAL_SIZE)
    _run("mke2fs", "-q", "-F", "-t", "ext4", "-L", "cloudimg-rootfs", "-d", root, raw)
    return raw


def _run(name: str, *arguments: str | Path) -> None:
    subprocess.run([program(name), *arguments], check=True, capture_output=True, timeout=120)
