"""Streams of gzip, xz, bzip2 and zstd, unpacked piece by piece; each may have several members, one after the other.

What ends too early, or goes on with something else, is damaged. Padding with zeros is taken where the formats or their
tools take it: behind gzip (tapes) and xz.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Protocol

import zstandard

_OUT = 1 << 20  # bytes of output made in one go, at most
_IN = 64 << 10  # bytes of input given in one go
_FIRST_IN = 4 << 10  # bytes of input given first, as a file may have a million members of a few bytes
_XZ_MEMORY = 256 << 20  # bytes; xz -9 needs 65 MiB
_ZSTD_WINDOW = 128 << 20  # bytes; zstd --ultra -22 has this one, and the tool itself takes no larger one
_ZSTD_MAGIC, _ZSTD_SKIPPABLE = 0xFD2FB528, 0x184D2A50
_SKIPPED_AT_ONCE = 1 << 20  # bytes


class Damaged(Exception):
    """The data cannot be unpacked; the message says why."""


class CutOff(Damaged):
    """There should be more data."""

    def __init__(self) -> None:
        super().__init__("it is cut off")


class Compressed:
    """Compressed bytes that are taken in the portions that their format has."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._piece = b""
        self._at = 0
        self.taken = 0  # bytes

    def some(self, most: int = _IN) -> bytes:
        """Return what comes next, ``most`` bytes at most; none at the end."""
        while self._at == len(self._piece):
            piece = next(self._pieces, None)
            if piece is None:
                return b""
            self._piece, self._at = piece, 0
        found = self._piece[self._at : self._at + most]
        self._at += len(found)
        self.taken += len(found)
        return found

    def exactly(self, count: int) -> bytes:
        """Return the next bytes; raise ``CutOff`` when there are fewer."""
        found = b""
        while len(found) < count:
            part = self.some(count - len(found))
            if not part:
                raise CutOff
            found += part
        return found

    def give_back(self, rest: bytes) -> None:
        """Take back what came last and was not used."""
        assert len(rest) <= self._at  # as ``some`` gives of one piece at a time
        self._at -= len(rest)
        self.taken -= len(rest)


class Decoder(Protocol):
    """What ``bz2`` and ``lzma`` have for one member."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class Deflate:
    """``zlib`` in the same form."""

    def __init__(self, wbits: int) -> None:
        self._inner = zlib.decompressobj(wbits)
        self._full = False

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._full and not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = 0) -> bytes:
        found = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self._full = len(found) == max_length  # it may hold more output than it could give
        return found


def gzip(compressed: Compressed) -> Iterator[bytes]:
    """Yield what a gzip file holds."""
    return _members(compressed, lambda: Deflate(31), padded=True)


def xz(compressed: Compressed) -> Iterator[bytes]:
    """Yield what an xz file holds."""
    return _members(compressed, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY), padded=True)


def bzip2(compressed: Compressed) -> Iterator[bytes]:
    """Yield what a bzip2 file holds."""
    return _members(compressed, bz2.BZ2Decompressor, padded=False)


def member(compressed: Compressed, decoder: Decoder) -> Iterator[bytes]:
    """Yield what one member holds, in pieces of a bounded size, and leave what follows it."""
    try:
        most = _FIRST_IN
        while not decoder.eof:
            given = b""
            if decoder.needs_input and not (given := compressed.some(most)):
                raise CutOff
            most = _IN
            yield decoder.decompress(given, _OUT)
    except (zlib.error, lzma.LZMAError, OSError, ValueError) as error:  # OSError is what bz2 raises
        raise Damaged(str(error)) from error
    compressed.give_back(decoder.unused_data)


def _members(compressed: Compressed, decoder: Callable[[], Decoder], *, padded: bool) -> Iterator[bytes]:
    yield from member(compressed, decoder())
    while following := compressed.some(_FIRST_IN):
        if padded and not following.strip(b"\0"):
            continue
        compressed.give_back(following.lstrip(b"\0") if padded else following)
        try:
            yield from member(compressed, decoder())
        except CutOff:
            raise
        except Damaged as error:
            raise Damaged(f"something else follows, or it is damaged there: {error}") from error


# --- zstd --------------------------------------------------------------------------------------------


def zstd(compressed: Compressed) -> Iterator[bytes]:
    """Yield what a zstd file holds.

    The library makes all output of what it is given at once, and does not tell of a frame that is cut off. So it
    is given one block at a time, of which none has more than 128 KiB of output.
    Source: RFC 8878, sections 3.1.1 and 3.1.2.
    """
    following = compressed.exactly(4)
    while following:
        magic = int.from_bytes(following + compressed.exactly(4 - len(following)), "little")
        if magic == _ZSTD_MAGIC:
            yield from _frame(compressed)
        elif magic & ~0xF == _ZSTD_SKIPPABLE:
            left = int.from_bytes(compressed.exactly(4), "little")
            while left:
                left -= len(compressed.exactly(min(left, _SKIPPED_AT_ONCE)))
        else:
            raise Damaged("something else follows its end")
        following = compressed.some(4)


def _frame(compressed: Compressed) -> Iterator[bytes]:
    head = compressed.exactly(1)
    flags = head[0]
    is_single, has_checksum = flags & 0x20, flags & 0x04
    content = (1 if is_single else 0, 2, 4, 8)[flags >> 6]
    if flags & 0x03:
        raise Damaged("it needs a dictionary")
    head += compressed.exactly((0 if is_single else 1) + content)
    frame = _ZSTD_MAGIC.to_bytes(4, "little") + head
    try:
        window = zstandard.get_frame_parameters(frame).window_size
    except zstandard.ZstdError as error:
        raise Damaged(str(error)) from error
    if window > _ZSTD_WINDOW:
        raise Damaged(f"its window is {window} bytes, and the largest that is taken {_ZSTD_WINDOW}")
    decoder = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
    try:
        yield decoder.decompress(frame)
        is_last = False
        while not is_last:
            header = compressed.exactly(3)
            said = int.from_bytes(header, "little")
            is_last, kind, size = bool(said & 1), said >> 1 & 3, said >> 3
            if size > 128 << 10:
                raise Damaged("one of its blocks is too large")
            yield decoder.decompress(header + compressed.exactly(1 if kind == 1 else size))
        if has_checksum:
            yield decoder.decompress(compressed.exactly(4))
    except zstandard.ZstdError as error:
        raise Damaged(str(error)) from error
    if not decoder.eof:
        raise Damaged("one of its frames does not end where it says")
