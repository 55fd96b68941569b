"""What lies on a raw disk: its partitions, and the file systems in them, read from the bytes alone.

Source: UEFI specification 2.10, section 5.3 (GPT); the UAPI group's Discoverable Partitions Specification (types of
root partitions); the magic numbers of the file systems.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

_SECTOR = 512
_MOST = 128  # partitions that are looked at
_LAST_SECTOR = 1 << 50  # what is said to lie behind it cannot be asked for
_GPT_IN_MBR = 0xEE
_EXTENDED = frozenset({0x05, 0x0F, 0x85})

ESP, BIOS_BOOT = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "21686148-6449-6e6f-744e-656564454649"
ESP_IN_MBR = "ef"
MICROSOFT = frozenset({"e3c9e316-0b5c-4db8-817d-f92df00215ae", "de94bba4-06d1-4d40-a16a-bfd50179d6ac"})
ROOTS = {
    "4f68bce3-e8cd-4db1-96e7-fbcaf984b709": "x86_64",
    "44479540-f297-41b2-9af7-d131d5f0458a": "i686",
    "b921b045-1df0-41c3-af44-4c6f280d3fae": "aarch64",
    "69dad710-2ce4-4e3c-b16c-21a1d49abed3": "armv7l",
    "72ec70a6-cf74-40e6-bd49-4bda08e8f224": "riscv64",
    "c31c45e6-3f39-412e-80fb-4809c4980599": "ppc64le",
    "5eead9a9-fe09-4a1e-a1d7-520d00531306": "s390x",
    "77055800-792c-4f94-b39a-98c91b762bb6": "loongarch64",
}

FileSystem = Literal["ext", "xfs", "btrfs", "ntfs"]
_MAGIC: tuple[tuple[FileSystem, int, bytes], ...] = (
    ("ext", 1024 + 56, b"\x53\xef"),
    ("xfs", 0, b"XFSB"),
    ("btrfs", (64 << 10) + 64, b"_BHRfS_M"),
    ("ntfs", 3, b"NTFS    "),
)

ReadAt = Callable[[int, int], bytes]  # offset and length; fewer bytes at the end of the disk


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition, or a disk without any."""

    start: int  # bytes
    kind: str  # GUID of its type, or two hex digits of an MBR's; empty: the whole disk
    file_system: FileSystem | None


@dataclass(frozen=True, slots=True)
class Disk:
    """What lies on a disk."""

    partitions: tuple[Partition, ...]
    has_boot_code: bool  # what a BIOS would run

    @property
    def kinds(self) -> frozenset[str]:
        """The types of its partitions."""
        return frozenset(each.kind for each in self.partitions)


def disk_in(read: ReadAt) -> Disk:
    """Return what lies on the disk whose bytes ``read`` gives. What makes no sense is left out."""
    sector = read(0, _SECTOR)
    entries: list[tuple[int, str]] = []
    is_boot_sector = len(sector) == _SECTOR and sector.endswith(b"\x55\xaa")
    if is_boot_sector:
        table = [(kind, first * _SECTOR) for kind, first in struct.iter_unpack("<4xB3xI4x", sector[446:510])]
        entries = _gpt(read) if any(kind == _GPT_IN_MBR for kind, _ in table) else _mbr(table)
    if not entries:
        entries = [(0, "")]
    partitions = tuple(Partition(start, kind, _file_system(read, start)) for start, kind in entries)
    return Disk(partitions, has_boot_code=is_boot_sector and any(sector[:440]))


def _mbr(table: list[tuple[int, int]]) -> list[tuple[int, str]]:
    return [(start, f"{kind:02x}") for kind, start in table if kind and kind not in _EXTENDED and start]


def _gpt(read: ReadAt) -> list[tuple[int, str]]:
    header = read(_SECTOR, 92)
    if len(header) < 92 or not header.startswith(b"EFI PART"):
        return []
    at, count, size = struct.unpack_from("<QII", header, 72)
    if not 128 <= size <= 4096 or at > _LAST_SECTOR:
        return []
    found = []
    for number in range(min(count, _MOST)):
        entry = read(at * _SECTOR + number * size, 128)
        if len(entry) < 128:
            break
        kind, (first, last) = entry[:16], struct.unpack_from("<QQ", entry, 32)
        if any(kind) and 0 < first <= last <= _LAST_SECTOR:
            found.append((first * _SECTOR, str(uuid.UUID(bytes_le=kind))))
    return found


def _file_system(read: ReadAt, start: int) -> FileSystem | None:
    return next((name for name, at, magic in _MAGIC if read(start + at, len(magic)) == magic), None)
