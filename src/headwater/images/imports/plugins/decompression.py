"""Unpack what comes compressed: gzip, xz, bzip2, zstd, and a zip archive of one file.

What data is shows in its first bytes, never in a name. It is unpacked while it streams past. The output is bounded in
each step, so a small input that would become a large output is refused before that is made.
Source: Glance 33 (image_decompression): data in a container_format ``compressed`` is meant to stay compressed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated

from pydantic import Field

from headwater.config import Section
from headwater.images.imports.plugins import packed, zip_archive
from headwater.images.imports.plugins.packed import Compressed, Damaged
from headwater.images.imports.plugins.plugin import Data, PluginFailed, PluginType, Work

NAME = "image_decompression"
# A disk begins with much that is empty, so its first bytes say little of the whole.
_FREE = 64 << 20  # bytes of output that may come from any input
# Kernels and initial RAM disks are compressed files, and used as such.
_PARTS = frozenset({"aki", "ari", "ami"})

_BY_MAGIC: dict[bytes, tuple[str, Callable[[Compressed], Iterator[bytes]]]] = {
    b"\x1f\x8b\x08": ("gzip", packed.gzip),
    b"\xfd7zXZ\0": ("xz", packed.xz),
    b"BZh": ("bzip2", packed.bzip2),
    b"\x28\xb5\x2f\xfd": ("zstd", packed.zstd),
    b"PK\x03\x04": ("zip", zip_archive.unpacked),
}


class DecompressionSettings(Section):
    """Section ``[import_plugins.image_decompression]``."""

    max_ratio: Annotated[
        int,
        Field(
            description="How many bytes may come of one compressed byte, on average; judged after 64 MiB. "
            "A disk that is mostly empty has some 100.",
            ge=2,
        ),
    ] = 500


class Decompression:
    """The plugin."""

    def __init__(self, settings: DecompressionSettings) -> None:
        self._max_ratio = settings.max_ratio

    def wants(self, data: Data, work: Work) -> bool:
        """Return whether it is compressed, and not meant to stay so."""
        if data.container_format != "bare" or data.disk_format in _PARTS or work.is_signed:
            return False
        return _unpacker(data.head) is not None

    def apply(self, data: Data, work: Work) -> Data:
        """Return the unpacked data."""
        unpacker = _unpacker(data.head)
        if unpacker is None or not self.wants(data, work):
            return data
        return data.holding(self._unpacked(*unpacker, data.pieces, work.size_cap))

    def _unpacked(
        self, kind: str, unpack: Callable[[Compressed], Iterator[bytes]], pieces: Iterator[bytes], size_cap: int
    ) -> Iterator[bytes]:
        compressed, size = Compressed(pieces), 0
        try:
            for piece in unpack(compressed):
                size += len(piece)
                if size > size_cap:
                    raise PluginFailed(
                        NAME, f"the {kind} data unpacks to more than {size_cap} bytes, the most of an image"
                    )
                if size > _FREE and size > self._max_ratio * compressed.taken:
                    raise PluginFailed(
                        NAME,
                        f"the {kind} data unpacks to more than {self._max_ratio} times its size, "
                        "which is more than max_ratio allows; unpack it before you upload it",
                    )
                if piece:
                    yield piece
        except Damaged as error:
            raise PluginFailed(NAME, f"the {kind} data cannot be unpacked: {error}") from error


def _unpacker(head: bytes) -> tuple[str, Callable[[Compressed], Iterator[bytes]]] | None:
    return next((found for magic, found in _BY_MAGIC.items() if head.startswith(magic)), None)


PLUGIN = PluginType(NAME, DecompressionSettings, Decompression)
