"""Small disk images, made of their bytes: what each format needs to be recognised, and what makes it unsafe."""

from __future__ import annotations

import struct

GIB = 1 << 30


def qcow2(
    version: int = 3, *, backing: str = "", data_elsewhere: bool = False, unknown_feature: bool = False, size: int = GIB
) -> bytes:
    """Return the head of a qcow2 image and its first cluster. Source: docs/interop/qcow2.txt of QEMU."""
    features = (1 << 2 if data_elsewhere else 0) | (1 << 30 if unknown_feature else 0)
    header = struct.pack(">4sIQIIQ", b"QFI\xfb", version, 512 if backing else 0, len(backing), 16, size)
    header += struct.pack(">IIQQIIQ", 0, 1, 65536, 131072, 1, 0, 0)
    if version >= 3:
        header += struct.pack(">QQQII", features, 0, 0, 4, 104)
    return header.ljust(512, b"\0") + backing.encode() + bytes(4096)


def gpt(*, boot_flag: int = 0, second_partition: bool = False) -> bytes:
    """Return a protective MBR, the head of a GPT and some data. Source: UEFI specification, section 5."""
    protective = struct.pack("<B3BB3BII", boot_flag, 0, 2, 0, 0xEE, 0xFF, 0xFF, 0xFF, 1, 0xFFFFFFFF)
    other = struct.pack("<B3BB3BII", 0, 0, 2, 0, 0x83, 0, 0, 0, 2048, 4096) if second_partition else bytes(16)
    return bytes(446) + protective + other + bytes(32) + b"\x55\xaa" + b"EFI PART" + bytes(100_000)


def iso(*, hybrid: bool = False) -> bytes:
    """Return an ISO 9660 file system of 30 blocks; ``hybrid``: with a partition table before it."""
    system_area = (gpt() if hybrid else b"").ljust(32768, b"\0")[:32768]
    descriptor = bytearray(2048)
    descriptor[:7] = b"\x01CD001\x01"
    descriptor[80:88] = struct.pack("<I", 30) + struct.pack(">I", 30)
    descriptor[128:132] = struct.pack("<H", 2048) + struct.pack(">H", 2048)
    return system_area + bytes(descriptor) + bytes(28 * 1024)


def vmdk(create_type: str = "monolithicSparse", extent: str = 'RW 2048 SPARSE "disk.vmdk"') -> bytes:
    """Return a sparse VMDK with its descriptor. Source: VMware's "Virtual Disk Format 5.0"."""
    header = struct.pack("<4sIIQQQQIQQ", b"KDMV", 1, 3, 2048, 128, 1, 20, 512, 0, 21)
    descriptor = (
        f'# Disk DescriptorFile\nversion=1\nCID=1\ncreateType="{create_type}"\n{extent}\nddb.adapterType="ide"\n'
    )
    return header.ljust(512, b"\0") + descriptor.encode().ljust(20 * 512, b"\0") + bytes(65536)


def vmdk_text(extent: str = 'RW 2048 FLAT "/etc/passwd" 0') -> bytes:
    """Return a VMDK that is a descriptor only, of a kind that names other files."""
    return f'# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\n{extent}\n'.encode() + b"# more\n" * 100
