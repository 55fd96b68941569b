"""Which virtio drivers are in an initial RAM disk: archives of cpio one after the other, of which some are compressed.

Source: the kernel's documentation of the buffer format (driver-api/early-userspace/buffer-format.rst).
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Protocol

import zstandard

from headwater.images.preparing.model import Virtio

_MOST: Final = 1 << 30  # bytes, unpacked
_PIECE: Final = 256 << 10
_CPIO: Final = (b"070701", b"070702")
_DRIVER: Final = re.compile(rb"/(virtio_blk|virtio_scsi|virtio_net)\.ko(?:\.[a-z]+)?\0")
_OVERLAP: Final = 64
_XZ_MEMORY: Final = 256 << 20  # bytes


class _Unpacks(Protocol):
    def decompress(self, data: bytes, /) -> bytes: ...


def drivers_in(file: Path) -> frozenset[Virtio] | None:
    """Return the virtio drivers whose files are named in it; ``None``: it is of a form that is not read."""
    with file.open("rb") as opened:
        start = _behind_plain_archives(opened.read(16 << 20))
        opened.seek(start)
        head = opened.read(6)
        opened.seek(start)
        try:
            unpacked = _unpacked(head, iter(lambda: opened.read(_PIECE), b""))
            return None if unpacked is None else _named(unpacked)
        except (zlib.error, lzma.LZMAError, OSError, zstandard.ZstdError):
            return None


def _behind_plain_archives(data: bytes) -> int:
    """Return where what follows the early archive begins, which holds microcode and no drivers; 0: there is none."""
    at = 0
    if not data.startswith(_CPIO):
        return 0
    while data[at : at + 6] in _CPIO:
        try:
            size, name = int(data[at + 54 : at + 62], 16), int(data[at + 94 : at + 102], 16)
        except ValueError:
            return 0
        name_at = at + 110
        is_last = data[name_at : name_at + name].rstrip(b"\0") == b"TRAILER!!!"
        if _DRIVER.search(b"/" + data[name_at : name_at + name]):
            return 0  # all of it is one plain archive
        at = (((name_at + name + 3) & ~3) + size + 3) & ~3
        if is_last:
            while at < len(data) and data[at] == 0:
                at += 1
            return at if at < len(data) else 0
    return 0


def _unpacked(head: bytes, pieces: Iterable[bytes]) -> Iterator[bytes] | None:
    if head in _CPIO:
        return iter(pieces)
    decoder: _Unpacks
    if head.startswith(b"\x1f\x8b"):
        decoder = zlib.decompressobj(31)
    elif head.startswith(b"BZh"):
        decoder = bz2.BZ2Decompressor()
    elif head.startswith((b"\xfd7zXZ\0", b"\x5d\0\0")):
        decoder = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
    elif head.startswith(b"\x28\xb5\x2f\xfd"):
        decoder = zstandard.ZstdDecompressor(max_window_size=128 << 20).decompressobj()
    else:
        return None
    return _until_its_end(decoder, pieces)


def _until_its_end(decoder: _Unpacks, pieces: Iterable[bytes]) -> Iterator[bytes]:
    for piece in _small(pieces):
        try:
            yield decoder.decompress(piece)
        except EOFError:  # what follows is padding
            return


def _small(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield pieces of which none unpacks to more memory than a process has to spare."""
    for piece in pieces:
        for at in range(0, len(piece), 4096):
            yield piece[at : at + 4096]


def _named(pieces: Iterable[bytes]) -> frozenset[Virtio]:
    found: set[bytes] = set()
    before, total = b"", 0
    for piece in pieces:
        text = before + piece
        found.update(_DRIVER.findall(text))
        before, total = text[-_OVERLAP:], total + len(piece)
        if len(found) == len(("virtio_blk", "virtio_scsi", "virtio_net")) or total > _MOST:
            break
    names: tuple[Virtio, ...] = ("virtio_blk", "virtio_scsi", "virtio_net")
    return frozenset(name for name in names if name.encode() in found)
