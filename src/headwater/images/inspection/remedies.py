"""What to do about an image that is refused: one sentence for each reason there is."""

from __future__ import annotations

from collections.abc import Collection

from oslo_utils.imageutils.format_inspector import FileInspector

from headwater.images.inspection.disk_formats import Vmdk

_ALONE = "its data lies in other files, which would be read from the host; write all of it into one"
_TO_QCOW2 = "qemu-img convert -O qcow2 FILE NEW"
_TO_VMDK = "qemu-img convert -O vmdk -o subformat=streamOptimized FILE NEW"
DAMAGED = "the file is damaged or cut off, or meant to mislead; upload one that qemu-img convert wrote"

# By format and check, of which most are those of oslo.utils.
_AFTER_CHECK = {
    ("qcow2", "backing_file"): f"{_ALONE}: {_TO_QCOW2}",
    ("qcow2", "data_file"): f"{_ALONE}: {_TO_QCOW2}",
    ("qcow2", "unknown_features"): f"versions 2 and 3 without extended L2 entries are taken: {_TO_QCOW2}",
    ("qed", "banned"): "convert it: qemu-img convert -f qed -O qcow2 FILE NEW",
    ("vmdk", "parent"): f"{_ALONE}: {_TO_VMDK}",
    ("vmdk", "extents"): f"{_ALONE}: {_TO_VMDK}",
    (
        "vhd",
        "type",
    ): "merge it with its parent first (Merge-VHD, vhd-util coalesce); qemu-img convert -O vpc writes whole ones",
    ("vhdx", "parent"): "merge it with its parent first (Merge-VHD); qemu-img convert -O vhdx writes whole ones",
    ("vdi", "type"): "write all of it into one file: VBoxManage clonemedium disk FILE NEW",
    ("luks", "version"): "LUKS of version 1 is taken: cryptsetup convert --type luks1 FILE",
}

# Source: the magic numbers in the specification of each format.
_PACKED = {
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7-zip",
}
_TAR_AT = 257
# What no reader of disks here knows, and what to do with it: as raw it would be garbage.
_NOT_TAKEN = {
    b"COWD": f"it is a sparse VMDK of ESX; {_TO_VMDK}",
    b"MSWIM\0\0\0": "it is a Windows image (WIM), which holds files and is no disk; install it on a disk first",
}
_CALLED = {"gpt": "a raw disk with a partition table", "luks": "an encrypted disk (LUKS)"}


def after_check(inspector: FileInspector, check: str) -> str:
    """Return what to do when this check of a format failed."""
    detected = str(inspector)
    if isinstance(inspector, Vmdk) and check in ("descriptor", "extents", "footer") and inspector.subformat:
        return (
            f"its subformat is {inspector.subformat}; a VMDK of monolithicSparse or streamOptimized that one "
            f"program wrote whole is taken: {_TO_VMDK}"
        )
    if (detected, check) == ("gpt", "mbr"):
        return (
            "repair the table (sgdisk --verify FILE shows it); hybrid ones are taken where the setting "
            'images.partition_tables is "lenient"'
        )
    return _AFTER_CHECK.get((detected, check), DAMAGED)


def after_mismatch(declared: str, detected: str, head: bytes, disk_formats: Collection[str]) -> str:
    """Return what to do when an image is not what it was declared.

    Args:
        head: Its first bytes.
        disk_formats: Those that images may have here.
    """
    if not head:
        return "the file is empty; upload the image that was meant"
    if detected == "raw":
        packed = "tar" if head[_TAR_AT:].startswith(b"ustar") else None
        packed = packed or next((name for magic, name in _PACKED.items() if head.startswith(magic)), None)
        if packed:
            return f"it is packed with {packed}; unpack it, and upload the image that is in it"
        if head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
            return "it is a page of a web site; upload the image that was meant"
        known = next((what for magic, what in _NOT_TAKEN.items() if head.startswith(magic)), None)
        if known:
            return known
        return "it has no signature of any format; upload the image that was meant, or set disk_format to raw"
    if detected in _CALLED:
        return f"it is {_CALLED[detected]}; set disk_format to raw, or upload the image that was meant"
    if detected in disk_formats:
        return f"set disk_format to {detected}, or upload the image that was meant"
    return f"{detected} is not taken here; convert it: qemu-img convert FILE NEW -O one of {', '.join(disk_formats)}"
