"""The disk by its bytes: its format, its partitions and what starts it. No file on it is read.

``qemu-img`` gives the few blocks that are wanted, confined, and is told the format that the inspection found.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from headwater.errors import HeadwaterError, UnsupportedMedia
from headwater.images.imports.plugins import confined, disks, guest
from headwater.images.imports.plugins.confined import Bounds, ProgramFailed
from headwater.images.imports.plugins.disks import Disk
from headwater.images.inspection.disk_file import NoDiskFile, opened, shown
from headwater.images.inspection.inspect import Inspection, Rules
from headwater.images.preparing.model import DiskSeen, Firmware, Partition, Table

# Names of the Image API, and those of QEMU.
OF_QEMU: Final = {"raw": "raw", "qcow2": "qcow2", "vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc", "vhdx": "vhdx"}
_PIECE: Final = 1 << 20
_BLOCK: Final = 128 << 10
_MOST_BLOCKS: Final = 600  # that partitions can ask for: two for each, and the table
_BOUNDS: Final = Bounds(memory=1 << 30, processor_s=10, file_size=_BLOCK, time_s=30)


class _Info(msgspec.Struct):
    virtual_size: int = msgspec.field(name="virtual-size")


class NotADisk(UnsupportedMedia):
    """The file is of a format in which no machine's disk is looked at."""

    def __init__(self, detected: str) -> None:
        super().__init__(
            f"the image is {detected}, and only {', '.join(OF_QEMU)} are looked into; convert it to qcow2, or unpack "
            "it, first"
        )
        self.detected = detected


class DiskUnreadable(HeadwaterError):
    """The file, or what is in it, cannot be read."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot read the disk in {shown(path)}: {reason}")
        self.path, self.reason = path, reason


def look(path: Path, scratch: Path, *, time_s: float) -> DiskSeen:
    """Return what is seen of a disk image.

    Args:
        scratch: A directory for blocks of it.
        time_s: How long its file may be read: terabytes of nothing take hours.

    Raises:
        UnsupportedMedia: It refers to other files, may be read as several formats, or is no disk.
        DiskUnreadable: It is no file that could be one, or cannot be read, or qemu-img cannot, or not in time.
    """
    inspection = Inspection("raw", Rules(require_match=False))
    size, until = 0, time.monotonic() + time_s
    try:
        with opened(path) as file:
            while piece := file.read(_PIECE):
                inspection.feed(memoryview(piece))
                size += len(piece)
                if time.monotonic() > until:
                    raise DiskUnreadable(path, f"it took longer than {time_s:g} s; --time gives it more")
    except NoDiskFile as error:
        raise DiskUnreadable(path, error.reason) from error
    except OSError as error:
        raise DiskUnreadable(path, error.strerror or str(error)) from error
    detected = inspection.finish().format
    kind = "raw" if detected == "gpt" else detected
    if kind not in OF_QEMU:
        raise NotADisk(kind)
    named = plainly_named(path, scratch)
    try:
        virtual_size = _virtual_size(named, kind, scratch)
        disk = disks.disk_in(_reader(named, kind, virtual_size, scratch))
        told = guest.found_on(named) if kind == "raw" else guest.told_by(disk)
    except ProgramFailed as error:
        raise DiskUnreadable(path, str(error)) from error
    return DiskSeen(
        format=kind,
        size=size,
        virtual_size=virtual_size,
        table=_table(disk),
        partitions=tuple(Partition(start=p.start, kind=p.kind, file_system=p.file_system) for p in disk.partitions),
        firmware=_firmware(disk),
        told=told,
    )


def plainly_named(path: Path, scratch: Path) -> Path:
    """Return a name for a file, in ``scratch``, in which programs find no option, address or end of a name."""
    link = scratch / "disk"
    link.unlink(missing_ok=True)
    link.symlink_to(path.absolute())
    return link


def _virtual_size(path: Path, kind: str, scratch: Path) -> int:
    command = ["qemu-img", "info", "-f", OF_QEMU[kind], "--output=json", str(path)]
    return msgspec.json.decode(confined.run(command, scratch, _BOUNDS), type=_Info).virtual_size


def _reader(path: Path, kind: str, size: int, scratch: Path) -> Callable[[int, int], bytes]:
    blocks: dict[int, bytes] = {}

    def block(number: int) -> bytes:
        if number * _BLOCK >= size or len(blocks) > _MOST_BLOCKS:
            return b""
        if number not in blocks:
            at = number * _BLOCK
            blocks[number] = _block(path, kind, at, min(_BLOCK, size - at), scratch)
        return blocks[number]

    def read(at: int, length: int) -> bytes:
        found = b"".join(block(number) for number in range(at // _BLOCK, (at + length - 1) // _BLOCK + 1))
        return found[at % _BLOCK :][:length]

    return read


def _block(path: Path, kind: str, at: int, size: int, scratch: Path) -> bytes:
    target = scratch / "block"
    name = str(path).replace(",", ",,")
    part = f"driver=raw,offset={at},size={size}"
    file = f"file.driver={OF_QEMU[kind]},file.file.driver=file,file.file.filename={name}"
    try:
        command = ["qemu-img", "convert", "--image-opts", "-O", "raw", f"{part},{file}", str(target)]
        confined.run(command, scratch, _BOUNDS)
        return target.read_bytes()
    finally:
        target.unlink(missing_ok=True)


def _table(disk: Disk) -> Table:
    kinds = disk.kinds - {""}
    if not kinds:
        return "none"
    return "gpt" if any(len(kind) > len("ef") for kind in kinds) else "mbr"


def _firmware(disk: Disk) -> Firmware:
    uefi = bool(disk.kinds & {disks.ESP, disks.ESP_IN_MBR})
    bios = disk.has_boot_code or disks.BIOS_BOOT in disk.kinds
    if uefi:
        return "both" if bios else "uefi"
    return "bios" if bios else "unknown"
