"""Small disk images, made of their bytes: what each format needs to be recognised, and what makes it unsafe."""

from __future__ import annotations

import struct
import uuid

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


def vmdk(
    create_type: str = "monolithicSparse",
    extent: str = 'RW 2048 SPARSE "disk.vmdk"',
    *,
    parent: str = "",
    pad: int = 0,
    capacity: int = 2048,
    footer: bool = False,
) -> bytes:
    """Return a sparse VMDK with its descriptor. Source: VMware's "Virtual Disk Format 5.0".

    Args:
        pad: How many bytes stand before the parent, so that it lies behind a descriptor said to be of one sector.
        footer: With the directory of its grains told at the end.
    """

    def header(directory: int) -> bytes:
        sectors = 1 if pad else 20
        fields = (b"KDMV", 1, 3, capacity, 128, 1, sectors, 512, 0, directory)
        return struct.pack("<4sIIQQQQIQQ", *fields).ljust(512, b"\0")

    descriptor = (
        f'# Disk DescriptorFile\nversion=1\nCID=1\ncreateType="{create_type}"\n{extent}\nddb.adapterType="ide"\n'
    )
    if parent:
        descriptor += "#" * pad + f'\nparentFileNameHint="{parent}"\n'
    body = header((1 << 64) - 1 if footer else 21) + descriptor.encode().ljust(20 * 512, b"\0") + bytes(65536)
    if not footer:
        return body
    marker, end = struct.pack("<QII496x", 1, 0, 3), bytes(512)
    return body + marker + header(99) + end


def vmdk_text(extent: str = 'RW 2048 FLAT "/etc/passwd" 0', create_type: str = "monolithicFlat") -> bytes:
    """Return a VMDK that is a descriptor only, of a kind that names other files."""
    return f'# Disk DescriptorFile\nversion=1\ncreateType="{create_type}"\n{extent}\n'.encode() + b"# more\n" * 100


def vhd_footer(size: int, kind: int = 2, *, checksum: int | None = None) -> bytes:
    """Return the footer of a VHD; ``kind`` 2 is fixed, 3 dynamic, 4 differencing. Source: Microsoft's VHD 1.0."""
    data_offset = 0xFFFFFFFFFFFFFFFF if kind == 2 else 512
    head = struct.pack(
        ">8sIIQI4sI4sQQII", b"conectix", 2, 0x10000, data_offset, 0, b"win ", 0, b"Wi2k", size, size, 0, kind
    )
    rest = bytes(range(16)).ljust(512 - len(head) - 4, b"\0")
    right = ~sum(head + rest) & 0xFFFFFFFF
    return head + struct.pack(">I", right if checksum is None else checksum) + rest


def fixed_vhd(disk: bytes) -> bytes:
    """Return a VHD that is the disk itself and a footer."""
    return disk + vhd_footer(len(disk))


def growing_vhd(kind: int = 3, size: int = GIB) -> bytes:
    """Return a VHD that has its footer at both ends."""
    return vhd_footer(size, kind) + b"cxsparse" + bytes(100_000) + vhd_footer(size, kind)


def vhdx(*, parent: bool = False, size: int | None = GIB) -> bytes:
    """Return the parts of a VHDX that tell its size. Source: Microsoft's MS-VHDX, section 2."""
    metadata_at, item_at = 2 << 20, 1 << 16
    region = uuid.UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E").bytes_le + struct.pack("<QII", metadata_at, 1 << 20, 1)
    items = []
    if parent:
        items.append("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C")
    if size is not None:
        items.append("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
    table = struct.pack("<8sHH20x", b"metadata", 0, len(items))
    table += b"".join(uuid.UUID(item).bytes_le + struct.pack("<IIII", item_at, 8, 6, 0) for item in items)
    head = b"vhdxfile".ljust(192 << 10, b"\0") + struct.pack("<IIII", 0x69676572, 0, 1, 0) + region
    return head.ljust(metadata_at, b"\0") + table.ljust(item_at, b"\0") + struct.pack("<Q", size or 0) + bytes(65536)


def vdi(kind: int = 1, size: int = GIB) -> bytes:
    """Return the header of a VDI; ``kind`` 1 is dynamic, 2 fixed, 4 differencing. Source: QEMU's block/vdi.c."""
    header = bytearray(512)
    header[:40] = b"<<< QEMU VM Virtual Disk Image >>>\n".ljust(40, b"\0")
    header[0x40:0x50] = struct.pack("<IIII", 0xBEDA107F, 0x10001, 0x180, kind)
    header[0x170:0x178] = struct.pack("<Q", size)
    return bytes(header) + bytes(65536)


def luks(version: int = 1, *, payload_at: int = 4096) -> bytes:
    """Return the header of an encrypted disk, whose data begins in sector ``payload_at``. Source: LUKS 1.2."""
    cipher = (b"aes", b"xts-plain64", b"sha256")
    fields = (b"LUKS\xba\xbe", version, *cipher, payload_at, 64, bytes(20), bytes(32), 1000)
    return struct.pack(">6sH32s32s32sII20s32sI", *fields).ljust(4096, b"\0") + bytes(65536)


def partitioned(*entries: tuple[int, int, int], code: bytes = b"") -> bytes:
    """Return a disk with a partition table of entries (boot flag, type, first block), behind ``code``."""
    table = b"".join(
        struct.pack("<B3sB3sII", boot, b"\0\2\0", kind, b"\xff" * 3, at, 2048) for boot, kind, at in entries
    )
    return code.ljust(446, b"\0")[:446] + table.ljust(64, b"\0") + b"\x55\xaa" + bytes(100_000)


def boot_record(start: bytes, code: bytes = b"") -> bytes:
    """Return a file system whose boot record begins with ``start``; ``code`` is where a partition table would be."""
    return start.ljust(446, b"\0") + code.ljust(64, b"\0") + b"\x55\xaa" + bytes(100_000)
