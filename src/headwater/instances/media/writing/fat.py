"""FAT16 images with long names, as ``mkfs.vfat`` and Nova make them: 64 MiB, most of it never written.

Source: Microsoft's FAT specification (1.03); its numbers of sections stand below. The geometry is what mkfs.fat writes:
mtools, which cloudbase-init reads with, refuses an image that has none.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from headwater.errors import TooLarge

SIZE = 64 << 20
_SECTOR = 512
_PER_CLUSTER = 4
_CLUSTER = _SECTOR * _PER_CLUSTER
_RESERVED = 4
_FATS = 2
_FAT_SECTORS = 128
_ROOT_ENTRIES = 512
_ENTRY = 32
_ROOT_SECTORS = _ROOT_ENTRIES * _ENTRY // _SECTOR
_DATA = _RESERVED + _FATS * _FAT_SECTORS + _ROOT_SECTORS  # the first sector of the data
_CLUSTERS = (SIZE // _SECTOR - _DATA) // _PER_CLUSTER
_MEDIA = 0xF8
_END = 0xFFFF
_READ_ONLY, _LABEL, _DIRECTORY, _LONG = 0x01, 0x08, 0x10, 0x0F
_SHORT = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
_EPOCH = 1980


class MediumFull(TooLarge):
    """The files do not fit on a FAT image."""

    def __init__(self) -> None:
        super().__init__(f"the files are more than a FAT image of {SIZE >> 20} MiB holds; write ISO 9660")


@dataclass(slots=True)
class _Folder:
    files: dict[str, bytes] = field(default_factory=dict)
    folders: dict[str, _Folder] = field(default_factory=dict)


def image(files: Mapping[str, bytes], label: str, at: int) -> bytes:
    """Return the image up to its last byte that is not zero by itself; it is ``SIZE`` bytes long.

    Args:
        files: By path, in the order in which they are written.
        at: The time that it carries, in seconds since 1970, UTC.

    Raises:
        MediumFull: They do not fit.
    """
    writer = _Writer(at)
    root = _Folder()
    for path, body in files.items():
        *parents, name = path.split("/")
        folder = root
        for each in parents:
            folder = folder.folders.setdefault(each, _Folder())
        folder.files[name] = body
    entries = writer.folder(root, own=0, parent=None, label=label)
    if len(entries) > _ROOT_ENTRIES * _ENTRY:
        raise MediumFull
    fat = struct.pack(f"<{len(writer.fat)}H", *writer.fat).ljust(_FAT_SECTORS * _SECTOR, b"\0")
    return b"".join(
        (
            _boot_sector(label, at).ljust(_RESERVED * _SECTOR, b"\0"),
            fat * _FATS,
            entries.ljust(_ROOT_SECTORS * _SECTOR, b"\0"),
            *writer.clusters,
        )
    )


class _Writer:
    """Gives clusters away, each file and directory a run of them."""

    def __init__(self, at: int) -> None:
        self.fat = [0xFF00 | _MEDIA, _END]
        self.clusters: list[bytes] = []
        self._stamp = _stamp(at)

    def folder(self, folder: _Folder, *, own: int, parent: int | None, label: str = "") -> bytes:
        """Write what is in a folder, and return its own entries.

        Args:
            own: Its first cluster.
            parent: The first cluster of the folder it is in, 0 for the root; ``None``: it is the root.
        """
        entries = bytearray()
        if parent is None:
            entries += self._entry(label.encode("ascii").ljust(11), _LABEL, 0, 0)
        else:
            entries += self._entry(b".".ljust(11), _DIRECTORY, own, 0)
            entries += self._entry(b"..".ljust(11), _DIRECTORY, parent, 0)
        taken: set[bytes] = set()
        for name, body in folder.files.items():
            first = self._put(body) if body else 0
            entries += self._named(name, taken, _READ_ONLY, first, len(body))
        for name, inner in folder.folders.items():
            first = self._room(_entries_size(inner))
            content = self.folder(inner, own=first, parent=own)
            self._fill(first, content)
            entries += self._named(name, taken, _DIRECTORY, first, 0)
        return bytes(entries)

    def _put(self, body: bytes) -> int:
        first = self._room(len(body))
        self._fill(first, body)
        return first

    def _room(self, size: int) -> int:
        """Return the first of as many clusters as it takes, in a chain."""
        count = -(-size // _CLUSTER)
        first = len(self.fat)
        if first + count > _CLUSTERS + 2:
            raise MediumFull
        self.fat += [*range(first + 1, first + count), _END]
        self.clusters += [b""] * count
        return first

    def _fill(self, first: int, body: bytes) -> None:
        for number, start in enumerate(range(0, len(body), _CLUSTER), first - 2):
            self.clusters[number] = body[start : start + _CLUSTER].ljust(_CLUSTER, b"\0")

    def _named(self, name: str, taken: set[bytes], attributes: int, first: int, size: int) -> bytes:
        short = _short_name(name, taken)
        taken.add(short)
        return _long_name(name, short) + self._entry(short, attributes, first, size)

    def _entry(self, short: bytes, attributes: int, first: int, size: int) -> bytes:
        clock, day = self._stamp
        return struct.pack("<11sBBBHHHHHHHI", short, attributes, 0, 0, clock, day, day, 0, clock, day, first, size)


def _entries_size(folder: _Folder) -> int:
    names = [*folder.files, *folder.folders]
    return _ENTRY * (2 + sum(1 + _long_entries(name) for name in names))


def _long_entries(name: str) -> int:
    return -(-len(name.encode("utf-16-le")) // 26)


def _long_name(name: str, short: bytes) -> bytes:
    """Return the entries before an entry that hold its real name, the last part first (section 7)."""
    checksum = 0
    for byte in short:
        checksum = ((checksum & 1) << 7 | checksum >> 1) + byte & 0xFF
    coded = name.encode("utf-16-le")
    count = _long_entries(name)
    if len(coded) < 26 * count:
        coded = (coded + b"\0\0").ljust(26 * count, b"\xff")
    found = bytearray()
    for number in range(count, 0, -1):
        part = coded[26 * (number - 1) : 26 * number]
        order = number | (0x40 if number == count else 0)
        found += struct.pack("<B10sBBB12sH4s", order, part[:10], _LONG, 0, checksum, part[10:22], 0, part[22:])
    return bytes(found)


def _short_name(name: str, taken: set[bytes]) -> bytes:
    """Return a name of eight and three characters that is free, as Windows makes them (section 7.5)."""
    stem, _, extension = name.upper().rpartition(".")
    if not stem:
        stem, extension = extension, ""
    letters = "".join(each if each in _SHORT else "_" for each in stem)
    end = "".join(each if each in _SHORT else "_" for each in extension)[:3].ljust(3)
    number = 1
    while True:
        tail = f"~{number}"
        short = (letters[: 8 - len(tail)] + tail).ljust(8).encode() + end.encode()
        if short not in taken:
            return short
        number += 1


def _stamp(at: int) -> tuple[int, int]:
    """Return a time of day and a date as FAT has them, which begins in 1980 (section 6)."""
    moment = time.gmtime(at)
    if moment.tm_year < _EPOCH:
        return 0, 1 << 5 | 1
    clock = moment.tm_hour << 11 | moment.tm_min << 5 | moment.tm_sec // 2
    return clock, moment.tm_year - _EPOCH << 9 | moment.tm_mon << 5 | moment.tm_mday


def _boot_sector(label: str, at: int) -> bytes:
    head = struct.pack(
        "<3s8sHBHBHHBHHHIIBBBI11s8s",
        b"\xeb\x3c\x90",
        b"mkfs.fat",
        _SECTOR,
        _PER_CLUSTER,
        _RESERVED,
        _FATS,
        _ROOT_ENTRIES,
        0,  # the number of sectors stands below, as it needs 32 bits
        _MEDIA,
        _FAT_SECTORS,
        32,  # sectors in a track
        8,  # heads
        0,
        SIZE // _SECTOR,
        0x80,
        0,
        0x29,  # what follows is there
        at & 0xFFFFFFFF,  # the number of the volume
        label.encode("ascii").ljust(11),
        b"FAT16   ",
    )
    return head.ljust(_SECTOR - 2, b"\0") + b"\x55\xaa"
