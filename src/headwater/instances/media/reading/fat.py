"""FAT12, FAT16 and FAT32 with long names, as they are found. Source: Microsoft's FAT specification (1.03)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial

from headwater.instances.media.reading.medium import (
    BODY_LIMIT,
    DEPTH_LIMIT,
    ENTRIES_LIMIT,
    FOLDERS_LIMIT,
    FileAt,
    Medium,
    NotAMedium,
)

_ENTRY = 32
_LABEL, _DIRECTORY, _LONG = 0x08, 0x10, 0x0F
_FAT12_BELOW, _FAT16_BELOW = 4085, 65525  # clusters
_LOWER_STEM, _LOWER_EXTENSION = 0x08, 0x10


def is_fat(data: bytes) -> bool:
    """Return whether the first sector could be one of FAT."""
    if len(data) < 512 or data[510:512] != b"\x55\xaa":
        return False
    sector, cluster, reserved, fats = struct.unpack_from("<HBHB", data, 11)
    return (
        sector in (512, 1024, 2048, 4096) and cluster > 0 and cluster & cluster - 1 == 0 and reserved > 0 and fats > 0
    )


def read(data: bytes) -> Medium:
    """Return the medium.

    Raises:
        NotAMedium: It is cut off or broken.
    """
    volume = _Volume(data)
    volume.walk()
    return Medium(kind=f"FAT{volume.bits}", label=volume.label, size=len(data), spaces={"FAT": volume.files})


class _Volume:
    def __init__(self, data: bytes) -> None:
        self.files: dict[str, FileAt] = {}
        self._data = data
        self._entries = 0
        self._left = FOLDERS_LIMIT
        self._seen: set[int] = set()
        self._sector, per_cluster, reserved, fats, root_entries, small = struct.unpack_from("<HBHBHH", data, 11)
        fat_sectors = struct.unpack_from("<H", data, 22)[0] or struct.unpack_from("<I", data, 36)[0]
        sectors = small or struct.unpack_from("<I", data, 32)[0]
        self._cluster = self._sector * per_cluster
        self._fat_at = reserved * self._sector
        root_at = reserved + fats * fat_sectors
        first_data = root_at + -(-root_entries * _ENTRY // self._sector)
        count = (sectors - first_data) // per_cluster
        if count <= 0 or not fat_sectors:
            raise NotAMedium("it has no room for files")
        self.bits = 12 if count < _FAT12_BELOW else 16 if count < _FAT16_BELOW else 32
        self._last = count + 1
        self._data_at = first_data * self._sector
        self._root_at, self._root_size = root_at * self._sector, root_entries * _ENTRY
        boot_label = data[71:82] if self.bits == 32 else data[43:54]
        signed = data[66 if self.bits == 32 else 38] == 0x29
        self.label = boot_label.decode("cp437").rstrip() if signed else ""

    def walk(self) -> None:
        if self.bits == 32:
            root = self._content(struct.unpack_from("<I", self._data, 44)[0])
        else:
            root = self._data[self._root_at : self._root_at + self._root_size]
        self._folder(root, "", 0)

    def _folder(self, content: bytes, path: str, depth: int) -> None:
        if depth > DEPTH_LIMIT:
            raise NotAMedium("its folders are too deep")
        for name, entry in self._named(content):
            attributes = entry[11]
            first = struct.unpack_from("<H", entry, 26)[0]
            if self.bits == 32:
                first |= struct.unpack_from("<H", entry, 20)[0] << 16
            size = struct.unpack_from("<I", entry, 28)[0]
            if attributes & _LABEL:
                if depth == 0:
                    self.label = entry[:11].decode("cp437").rstrip()
            elif attributes & _DIRECTORY:
                if name in (".", ".."):
                    continue
                if first in self._seen:
                    raise NotAMedium("its folders contain themselves")
                self._seen.add(first)
                self._folder(self._content(first), f"{path}{name}/", depth + 1)
            else:
                self.files[path + name] = FileAt(size, partial(self._body, first, size))

    def _named(self, content: bytes) -> Iterator[tuple[str, bytes]]:
        """Yield entries with their real names."""
        long: dict[int, bytes] = {}
        for at in range(0, len(content) - _ENTRY + 1, _ENTRY):
            entry = content[at : at + _ENTRY]
            if entry[0] == 0:
                return
            self._entries += 1
            if self._entries > ENTRIES_LIMIT:
                raise NotAMedium(f"it has more than {ENTRIES_LIMIT} entries")
            if entry[0] == 0xE5:
                long.clear()
            elif entry[11] & 0x3F == _LONG:
                if entry[0] & 0x40:
                    long.clear()
                long[entry[0] & 0x3F] = entry[1:11] + entry[14:26] + entry[28:32]
            else:
                wide = b"".join(long[number] for number in sorted(long)).decode("utf-16-le", "replace")
                long.clear()
                yield (wide.split("\0")[0] or _short(entry)).replace("/", "_"), entry

    def _content(self, first: int) -> bytes:
        """Return what is in a folder."""
        found = self._chain(first, self._left + 1)
        self._left -= len(found)
        if self._left < 0:
            raise NotAMedium("its folders are too large")
        return found

    def _chain(self, first: int, limit: int) -> bytes:
        """Return what a chain of clusters holds, at most ``limit`` bytes and a cluster."""
        found, seen, cluster = bytearray(), set(), first
        while 2 <= cluster <= self._last and len(found) < limit:
            if cluster in seen:
                raise NotAMedium("a file goes round in a circle")
            seen.add(cluster)
            start = self._data_at + (cluster - 2) * self._cluster
            if start + self._cluster > len(self._data):
                raise NotAMedium("a file lies outside of it")
            found += self._data[start : start + self._cluster]
            cluster = self._next(cluster)
        return bytes(found)

    def _next(self, cluster: int) -> int:
        at = self._fat_at + cluster * self.bits // 8
        width = 4 if self.bits == 32 else 2
        value = int.from_bytes(self._data[at : at + width], "little")
        if self.bits == 12:
            return value >> 4 if cluster & 1 else value & 0xFFF
        return value & 0x0FFFFFFF

    def _body(self, first: int, size: int) -> bytes:
        if size > BODY_LIMIT:
            raise NotAMedium("a file is too large to look into")
        content = self._chain(first, size) if size else b""
        if len(content) < size:
            raise NotAMedium("a file is cut off")
        return content[:size]


def _short(entry: bytes) -> str:
    stem, extension = entry[:8].decode("cp437").rstrip(), entry[8:11].decode("cp437").rstrip()
    if entry[12] & _LOWER_STEM:
        stem = stem.lower()
    if entry[12] & _LOWER_EXTENSION:
        extension = extension.lower()
    return f"{stem}.{extension}" if extension else stem
