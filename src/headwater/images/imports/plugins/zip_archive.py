"""A zip archive of one file, unpacked while it streams past.

What the file is stands before it, and again in the directory at the end; where the two differ, or the directory has
another file, nothing of the archive is taken: readers would not agree about what is in it.
Source: PKWARE's APPNOTE 6.3.10, sections 4.3 to 4.5.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from headwater.images.imports.plugins.packed import Compressed, Damaged, Deflate, member

_LOCAL, _CENTRAL, _DESCRIPTOR = b"PK\x03\x04", b"PK\x01\x02", b"PK\x07\x08"
_END, _END_64, _LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_ENCRYPTED, _DESCRIBED_LATER = 0x0001, 0x0008
_STORED, _DEFLATED = 0, 8
_IN_ZIP64 = 0xFFFFFFFF
_ZIP64 = 1  # the id of the extra field


@dataclass(frozen=True, slots=True)
class _Said:
    """What a header says of the file."""

    crc: int
    packed: int  # bytes
    size: int  # bytes


def unpacked(compressed: Compressed) -> Iterator[bytes]:
    """Yield the bytes of the one file."""
    compressed.exactly(4)  # by which it was recognised
    flags, method, crc, packed, size, name, extra = struct.unpack("<2xHH4xIIIHH", compressed.exactly(26))
    path, fields = compressed.exactly(name), compressed.exactly(extra)
    if flags & _ENCRYPTED:
        raise Damaged("it is encrypted")
    if path.endswith(b"/"):
        raise Damaged("it has a directory; pack the file alone")
    if method not in (_STORED, _DEFLATED):
        raise Damaged(f"its method of compression is {method}; pack it again with deflate")
    said = _wide(_Said(crc, packed, size), fields)
    is_later = bool(flags & _DESCRIBED_LATER)
    if is_later and method == _STORED:
        raise Damaged("its file is stored, and its size not told before it; pack it again with deflate")
    begun, got, checked = compressed.taken, 0, 0
    pieces = _stored(compressed, said.packed) if method == _STORED else member(compressed, Deflate(-15))
    for piece in pieces:
        got, checked = got + len(piece), zlib.crc32(piece, checked)
        yield piece
    found = _Said(checked, compressed.taken - begun, got)
    following = _described(compressed, found) if is_later else compressed.exactly(4)
    if not is_later and said != found:
        raise Damaged("its file is not what is said before it")
    _require_end(compressed, following, found, (flags, method))


def _stored(compressed: Compressed, left: int) -> Iterator[bytes]:
    while left:
        piece = compressed.exactly(min(left, 64 << 10))
        left -= len(piece)
        yield piece


def _described(compressed: Compressed, found: _Said) -> bytes:
    """Read what is said after the file, and return the signature behind that.

    It has a signature or not, and numbers of 4 or of 8 bytes; what was found, and what follows, say which.
    """
    narrow = struct.pack("<III", found.crc, found.packed & _IN_ZIP64, found.size & _IN_ZIP64)
    wide = struct.pack("<IQQ", found.crc, found.packed, found.size)
    seen = compressed.exactly(4)
    if seen == _DESCRIPTOR and found.crc != int.from_bytes(_DESCRIPTOR, "little"):
        seen = b""
    seen += compressed.exactly(len(narrow) + 4 - len(seen))
    if seen[:12] == narrow and seen[12:] in (_CENTRAL, _LOCAL):
        return seen[12:]
    seen += compressed.exactly(len(wide) + 4 - len(seen))
    if seen[:20] != wide:
        raise Damaged("its file is not what is said behind it")
    return seen[20:]


def _require_end(compressed: Compressed, signature: bytes, found: _Said, local: tuple[int, int]) -> None:
    """Read the directory to the end of the archive; it has the file that was found, and no other."""
    if signature == _LOCAL:
        raise Damaged("it has several files; pack one alone")
    if signature != _CENTRAL:
        raise Damaged("its directory does not follow its file")
    flags, method, crc, packed, size, name, extra, comment, at = struct.unpack(
        "<4xHH4xIIIHHH8xI", compressed.exactly(42)
    )
    compressed.exactly(name)
    said = _wide(_Said(crc, packed, size), compressed.exactly(extra))
    compressed.exactly(comment)
    if said != found or (flags, method) != local or at not in (0, _IN_ZIP64):
        raise Damaged("its directory says something else of its file")
    following = compressed.exactly(4)
    if following == _CENTRAL:
        raise Damaged("it has several files; pack one alone")
    if following == _END_64:
        length = int.from_bytes(compressed.exactly(8), "little")
        if length > 64 << 10:
            raise Damaged("the end of its directory is too long")
        compressed.exactly(length)
        if compressed.exactly(4) != _LOCATOR_64:
            raise Damaged("its end is not one of ZIP64")
        compressed.exactly(16)
        following = compressed.exactly(4)
    if following != _END:
        raise Damaged("its directory has no end")
    disk, start, here, total, comment = struct.unpack("<HHHH8xH", compressed.exactly(18))
    if (here, total) not in ((1, 1), (0xFFFF, 0xFFFF)) or disk not in (0, 0xFFFF) or start not in (0, 0xFFFF):
        raise Damaged("its end tells of other files or other volumes")
    compressed.exactly(comment)
    if compressed.some():
        raise Damaged("something else follows its end")


def _wide(said: _Said, fields: bytes) -> _Said:
    """Return what is said with the numbers that are too large for their place."""
    at = 0
    while at + 4 <= len(fields):
        kind, length = struct.unpack_from("<HH", fields, at)
        held = fields[at + 4 : at + 4 + length]
        if kind == _ZIP64:
            numbers = iter(struct.unpack_from(f"<{len(held) // 8}Q", held))
            size = next(numbers, 0) if said.size == _IN_ZIP64 else said.size
            packed = next(numbers, 0) if said.packed == _IN_ZIP64 else said.packed
            return _Said(said.crc, packed, size)
        at += 4 + length
    return said
