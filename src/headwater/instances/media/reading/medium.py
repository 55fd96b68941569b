"""A medium, whoever wrote it: what kind it is, its label, and its files. What is on it may be hostile.

Nothing is mounted and nothing is executed. A reader follows no more than ``ENTRIES_LIMIT`` entries and ``DEPTH_LIMIT``
folders, and takes no more than ``SIZE_LIMIT``, packed or unpacked: nothing on a
medium makes it run for ever or fill the memory.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from headwater.errors import Invalid, SettingsError

SIZE_LIMIT = 256 << 20
ENTRIES_LIMIT = 20_000
DEPTH_LIMIT = 16
FOLDERS_LIMIT = 16 << 20  # bytes of all folders
BODY_LIMIT = 16 << 20  # of one file that is looked into
_GZIP = b"\x1f\x8b"
_BASE64 = re.compile(rb"[A-Za-z0-9+/\s]{64}")


class NotAMedium(Invalid):
    """A file holds no file system that machines read who they are from, or a broken one."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"this is no medium that could be read: {problem}")
        self.problem = problem


class MediumUnreadable(SettingsError):
    """The file of a medium cannot be read."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot read {path}: {reason}")
        self.path, self.reason = path, reason


@dataclass(frozen=True, slots=True)
class FileAt:
    """A file on a medium: how long it says that it is, and how to read that."""

    size: int
    read: Callable[[], bytes] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """What was found."""

    kind: str  # such as "ISO 9660" or "FAT16"
    label: str
    size: int
    coding: str | None = None  # what it was wrapped in: "gzip", or "base64 and gzip" as Ironic has it
    # By name space, the one that Linux shows first; paths without a slash at the beginning.
    spaces: Mapping[str, Mapping[str, FileAt]]

    @property
    def files(self) -> Mapping[str, FileAt]:
        """The files as Linux shows them."""
        return next(iter(self.spaces.values()))


def unwrapped(data: bytes) -> tuple[bytes, str | None]:
    """Return the image in what may be compressed, or base64 of that, and how it was coded.

    Raises:
        NotAMedium: The coding is broken, or there is too much in it.
    """
    coding = []
    if _BASE64.match(data[:64]):
        try:
            data = base64.b64decode(b"".join(data.split()), validate=True)
        except binascii.Error as error:
            raise NotAMedium(f"it begins as base64 and does not go on: {error}") from error
        coding.append("base64")
    if data[:2] == _GZIP:
        unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            data = unpacking.decompress(data, SIZE_LIMIT)
        except zlib.error as error:
            raise NotAMedium(f"its gzip is broken: {error}") from error
        if not unpacking.eof:
            raise NotAMedium(f"its gzip is cut off, or holds more than {SIZE_LIMIT >> 20} MiB")
        coding.append("gzip")
    return data, " and ".join(coding) or None
