"""The formats that a disk image can be recognised as.

Recognition and checks are those of ``oslo.utils`` (``imageutils.format_inspector``), the same code that Nova and
Cinder trust. Here is what it lacks: disks that need another file in ways that it does not look for, VHD files that
are known by their end, and boot sectors that hold no partition table.
"""

from __future__ import annotations

import re
import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from oslo_utils.imageutils import format_inspector
from oslo_utils.imageutils.format_inspector import FileInspector, SafetyCheck, SafetyViolation

PartitionTables = Literal["lenient", "strict"]

HEAD = 1024  # bytes; every format but iso has its signature in them
TAIL = 1536  # bytes at the end that some format is known by: VMDK's footer and the markers around it
FOOTER = 512  # bytes of them that are VHD's

_SLICE = 64 << 10


def slices(chunk: bytes) -> Iterator[bytes]:
    """Yield ``chunk`` in parts so small that the allocator gives them back.

    The inspectors copy what they are given, whole, for each region that they look for, be it of 32 bytes. Copies of a
    MiB stayed with the process: some 10 MiB for each thread that ever looked at an image.
    """
    for start in range(0, len(chunk), _SLICE):
        yield chunk[start : start + _SLICE]


class Vmdk(format_inspector.VMDKInspector):
    """A VMDK; safe when it holds all of its data itself.

    Source of what else would be read: QEMU's block/vmdk.c. It follows ``parentFileNameHint`` in any subformat, takes
    an image without a capacity for a descriptor, and looks for ``createType`` in any bytes up to the first NUL.
    """

    vmdktype = "formatnotfound"  # until a descriptor is read
    _PARENT_READ = 512 + 20 * 512  # bytes in which QEMU looks for a parent
    _DESCRIPTOR = re.compile(
        rb"\s*# Disk DescriptorFile|(?:[ \t]*(?:#[^\n]*)?\r?\n)*version=[123]\b"
        rb"|.*createType..(?:monolithic|vmfs|seSparse|twoGbMaxExtent|streamOptimized|fullDevice|partitionedDevice)",
        re.IGNORECASE | re.DOTALL,
    )
    _SUBFORMAT = re.compile(rb'createType="?([a-z]{1,32})', re.IGNORECASE)

    def _initialize(self) -> None:
        super()._initialize()
        self._head = b""
        self._is_text = False
        self.add_safety_check(SafetyCheck("parent", self._check_parent))
        self.add_safety_check(SafetyCheck("extents", self._check_extents))

    def eat_chunk(self, chunk: bytes) -> None:
        before = len(self._head)
        if before < self.DESC_MAX_SIZE:
            self._head += bytes(chunk[: max(0, HEAD - before)])
            if self._head.startswith(b"KDMV") or b"\0" not in self._head:  # else no text goes on behind this
                more = chunk[len(self._head) - before :]
                self._head += bytes(more[: self.DESC_MAX_SIZE - len(self._head)])
            self._is_text = self._DESCRIPTOR.match(self._head.partition(b"\0")[0]) is not None
        for part in slices(chunk):
            super().eat_chunk(part)

    @property
    def format_match(self) -> bool:
        return self._is_text or super().format_match

    @property
    def subformat(self) -> str | None:
        """What its descriptor calls it, such as ``monolithicFlat``."""
        found = self._SUBFORMAT.search(self._head)
        return found[1].decode() if found else None

    def _check_parent(self) -> None:
        if b"parentfilenamehint" in self._head[: self._PARENT_READ].lower():
            raise SafetyViolation("Image has a backing file")

    def _check_extents(self) -> None:
        if self._is_text or self._head[12:20] == bytes(8):
            raise SafetyViolation("Image is a descriptor of other files")


class Vhd(format_inspector.VHDInspector):
    """A VHD that begins with a copy of its footer: it grows, or holds what differs from another one."""

    def _initialize(self) -> None:
        super()._initialize()
        self.add_safety_check(SafetyCheck("type", self._check_type))

    @property
    def virtual_size(self) -> int:
        return Footer(bytes(self.region("header").data)).size if self.region("header").complete else 0

    def _check_type(self) -> None:
        kind = Footer(bytes(self.region("header").data)).type
        if kind == Footer.DIFFERENCING:
            raise SafetyViolation("Image has a parent")
        if kind != Footer.DYNAMIC:
            raise SafetyViolation(f"Unsupported VHD type {kind}")


@dataclass(frozen=True, slots=True)
class Footer:
    """The 512 bytes at the end of a VHD; a fixed one has nothing else. Source: Microsoft's VHD specification 1.0."""

    data: bytes

    FIXED = 2
    DYNAMIC = 3
    DIFFERENCING = 4

    @property
    def type(self) -> int:
        """FIXED, DYNAMIC, DIFFERENCING or what no file should have."""
        return int.from_bytes(self.data[60:64], "big")

    @property
    def size(self) -> int:
        """Of the disk, in bytes."""
        return int.from_bytes(self.data[48:56], "big")

    def fault(self, file_size: int) -> str | None:
        """Return why a file of so many bytes that ends with this is no fixed VHD."""
        if self.type != self.FIXED:
            return f"its footer says type {self.type}, which is not that of a fixed VHD"
        if ~sum(self.data[:64] + self.data[68:]) & 0xFFFFFFFF != int.from_bytes(self.data[64:68], "big"):
            return "the checksum of its footer is wrong"
        if self.size + FOOTER != file_size:
            return f"its footer tells of {self.size} bytes, and {file_size - FOOTER} come before it"
        return None


def footer_in(tail: bytes) -> Footer | None:
    """Return the VHD footer that a file with this end has."""
    data = tail[-FOOTER:]
    return Footer(data) if len(data) == FOOTER and data.startswith(b"conectix") else None


class Vhdx(format_inspector.VHDXInspector):
    """A VHDX; safe when it has no parent."""

    _PARENT_LOCATOR = uuid.UUID("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C").bytes_le

    def _initialize(self) -> None:
        super()._initialize()
        self.add_safety_check(SafetyCheck("size", self._check_size))
        self.add_safety_check(SafetyCheck("parent", self._check_parent))

    def _check_size(self) -> None:
        if not self.has_region("vds"):
            raise SafetyViolation("Image does not tell the size of its disk")

    def _check_parent(self) -> None:
        if self.has_region("metadata") and self._PARENT_LOCATOR in bytes(self.region("metadata").data):
            raise SafetyViolation("Image has a parent")


class Vdi(format_inspector.VDIInspector):
    """A VDI; safe when it is no difference to another one."""

    _ALONE = frozenset({1, 2})  # dynamic, fixed; then undo, difference

    def _initialize(self) -> None:
        super()._initialize()
        self.add_safety_check(SafetyCheck("type", self._check_type))

    def _check_type(self) -> None:
        if int.from_bytes(self.region("header").data[0x4C:0x50], "little") not in self._ALONE:
            raise SafetyViolation("Image has a parent")


class PartitionTable(format_inspector.GPTInspector):
    """A disk whose first sector holds a partition table; its format is called ``gpt`` in any case."""

    _GPT = 0xEE
    _JUMPS = (0xEB, 0xE9)  # how the boot record of a file system begins

    def __init__(self, strictness: PartitionTables) -> None:
        super().__init__()
        self._strict = strictness == "strict"

    @property
    def format_match(self) -> bool:
        """Whether there is a table. The boot record of a file system ends with ``55 AA`` too, after zeros or code."""
        sector = self.region("mbr").data
        if not self.region("mbr").complete or sector[510:] != b"\x55\xaa":
            return False
        used = [(boot, kind) for boot, kind, _ in self._entries() if kind]
        proper = [kind for boot, kind in used if boot in (0x00, 0x80)]
        if not used or len(proper) == len(used):
            return bool(used)
        return sector[0] not in self._JUMPS and (bool(proper) or any(kind == self._GPT for _, kind in used))

    def check_mbr_partitions(self) -> None:
        """Refuse a table that is none; the strict check, which is that of OpenStack, refuses hybrid ones as well."""
        if self._strict:
            super().check_mbr_partitions()
            return
        used = [(number, *entry) for number, entry in enumerate(self._entries()) if entry[1]]
        for number, boot, _, _ in used:
            if boot not in (0x00, 0x80):
                raise SafetyViolation(f"MBR PTE {number} has invalid boot flag")
        protective = [start for _, _, kind, start in used if kind == self._GPT]
        if protective and 1 not in protective:
            raise SafetyViolation("GPT MBR has invalid start LBA")

    def _entries(self) -> list[tuple[int, int, int]]:
        """Return boot flag, type and first block of all four."""
        sector = bytes(self.region("mbr").data)
        return [
            (boot, kind, start)
            for boot, kind, start, _ in struct.iter_unpack("<B3xB3xII", sector[self.MBR_PTE_START : 510])
        ]


def inspectors(partition_tables: PartitionTables) -> list[FileInspector]:
    """Return a fresh inspector for each format but raw."""
    own: dict[str, type[FileInspector]] = {"vmdk": Vmdk, "vhd": Vhd, "vhdx": Vhdx, "vdi": Vdi}
    known = {**format_inspector.ALL_FORMATS, **own}
    found = [kind() for name, kind in known.items() if name not in ("raw", "gpt")]
    return [*found, PartitionTable(partition_tables)]
