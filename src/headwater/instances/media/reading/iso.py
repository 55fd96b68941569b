"""ISO 9660 as it is found: the primary tree, Joliet and Rock Ridge.

Sources: ECMA-119, the Joliet specification, RRIP 1.12 and SUSP 1.12.
"""

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

_SECTOR = 2048
_FIRST, _DESCRIPTORS_LIMIT = 16, 64
_PRIMARY, _SUPPLEMENTARY, _END = 1, 2, 255
_JOLIET = (b"%/@", b"%/C", b"%/E")
_DIRECTORY = 2
_CONTINUATIONS_LIMIT = 16
_CURRENT_OR_PARENT = (b"\x00", b"\x01")


def is_iso(data: bytes) -> bool:
    """Return whether the first descriptor is one."""
    return data[_FIRST * _SECTOR + 1 : _FIRST * _SECTOR + 6] == b"CD001"


def read(data: bytes) -> Medium:
    """Return the medium.

    Raises:
        NotAMedium: It is cut off or broken.
    """
    primary = joliet = None
    for number in range(_FIRST, _FIRST + _DESCRIPTORS_LIMIT):
        descriptor = data[number * _SECTOR : (number + 1) * _SECTOR]
        if len(descriptor) < _SECTOR or descriptor[1:6] != b"CD001" or descriptor[0] == _END:
            break
        if descriptor[0] == _PRIMARY:
            primary = primary or descriptor
        elif descriptor[0] == _SUPPLEMENTARY and descriptor[88:91] in _JOLIET:
            joliet = joliet or descriptor
    if primary is None:
        raise NotAMedium("it has no primary volume")
    plain = _Tree(data, primary, wide=False)
    plain.walk()
    spaces = {}
    if plain.has_rock_ridge:
        spaces["Rock Ridge"] = plain.real
    if joliet is not None:
        wide = _Tree(data, joliet, wide=True)
        wide.walk()
        spaces["Joliet"] = wide.files
    spaces["primary"] = plain.files
    label = primary[40:72].decode("ascii", "replace").rstrip(" \0")
    return Medium(kind="ISO 9660", label=label, size=len(data), spaces=spaces)


class _Tree:
    """One tree of names, and beside the primary one what Rock Ridge calls its files."""

    def __init__(self, data: bytes, descriptor: bytes, *, wide: bool) -> None:
        self.files: dict[str, FileAt] = {}
        self.real: dict[str, FileAt] = {}
        self.has_rock_ridge = False
        self._data, self._wide = data, wide
        self._root = descriptor[156:190]
        self._seen: set[int] = set()
        self._entries = 0
        self._left = FOLDERS_LIMIT

    def walk(self) -> None:
        self._folder(self._root, "", "", 0)

    def _folder(self, record: bytes, path: str, real: str, depth: int) -> None:
        extent, size = _place(record)
        if extent in self._seen or depth > DEPTH_LIMIT:
            raise NotAMedium("its folders contain themselves, or are too deep")
        self._left -= size
        if self._left < 0 or extent * _SECTOR + size > len(self._data):
            raise NotAMedium("a folder lies outside of it, or they are too large")
        self._seen.add(extent)
        for inner in _records(self._data[extent * _SECTOR : extent * _SECTOR + size]):
            self._entries += 1
            if self._entries > ENTRIES_LIMIT:
                raise NotAMedium(f"it has more than {ENTRIES_LIMIT} entries")
            raw = inner[33 : 33 + inner[32]]
            if raw in _CURRENT_OR_PARENT:
                continue
            name = self._name(raw)
            called = None if self._wide else self._called(inner)
            self.has_rock_ridge |= called is not None
            its_name = real + (called or name.lower())  # as Linux shows what Rock Ridge does not name
            if inner[25] & _DIRECTORY:
                self._folder(inner, f"{path}{name}/", f"{its_name}/", depth + 1)
                continue
            at, length = _place(inner)
            file = FileAt(length, partial(self._body, at * _SECTOR, length))
            self.files[path + name] = file
            self.real[its_name] = file

    def _name(self, raw: bytes) -> str:
        """Return a name without its version, which is always 1."""
        text = raw.decode("utf-16-be" if self._wide else "utf-8", "replace")
        return text.removesuffix(";1").replace("/", "_")

    def _called(self, record: bytes) -> str | None:
        """Return the name that Rock Ridge gives; ``None``: it gives none."""
        start = 33 + record[32]
        area = record[start + start % 2 :]
        name, found = b"", False
        for _ in range(_CONTINUATIONS_LIMIT):
            further = None
            while len(area) >= 4 and area[2] >= 4:
                kind, body = area[:2], area[4 : area[2]]
                if kind == b"NM" and body:
                    name, found = name + body[1:], True
                elif kind == b"CE" and len(body) >= 24:
                    block, offset, length = (struct.unpack_from("<I", body, at)[0] for at in (0, 8, 16))
                    place = block * _SECTOR + offset
                    further = self._data[place : place + min(length, _SECTOR)]
                area = area[area[2] :]
            if further is None:
                break
            area = further
        return name.decode("utf-8", "replace").replace("/", "_") if found else None

    def _body(self, start: int, size: int) -> bytes:
        if size > BODY_LIMIT or start + size > len(self._data):
            raise NotAMedium("a file lies outside of it, or is too large to look into")
        return self._data[start : start + size]


def _place(record: bytes) -> tuple[int, int]:
    extent, _, size = struct.unpack_from("<III", record, 2)
    return int(extent), int(size)


def _records(content: bytes) -> Iterator[bytes]:
    """Yield the entries of a folder; none goes from one sector into the next."""
    at = 0
    while at < len(content):
        length = content[at]
        if length == 0:
            at = (at // _SECTOR + 1) * _SECTOR
            continue
        record = content[at : at + length]
        if len(record) < 34 or 33 + record[32] > len(record):
            raise NotAMedium("an entry of a folder is cut off")
        yield record
        at += length
