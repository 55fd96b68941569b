from __future__ import annotations

import gzip
import io
import random
import tarfile
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.images.inspection.disk_formats import PartitionTables
from headwater.images.inspection.inspect import (
    ContentAmbiguous,
    ContentMismatch,
    ContentUnsafe,
    Finding,
    Inspection,
    Rules,
)
from unit.images.inspection.disk_images import (
    GIB,
    boot_record,
    fixed_vhd,
    gpt,
    growing_vhd,
    iso,
    luks,
    partitioned,
    qcow2,
    vdi,
    vhd_footer,
    vhdx,
    vmdk,
    vmdk_text,
)

NOISE = random.Random(5).randbytes(100_000)


FORMATS = ("ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop")


def inspected(
    declared: str,
    data: bytes,
    *cuts: int,
    require_match: bool = True,
    partition_tables: PartitionTables = "lenient",
    bare: bool = True,
) -> Finding:
    """Look at ``data`` in pieces that end at ``cuts``."""
    rules = Rules(require_match=require_match, partition_tables=partition_tables, disk_formats=FORMATS)
    inspection = Inspection(declared, rules, bare=bare)
    for start, stop in pairwise([0, *cuts, len(data)]):
        inspection.feed(memoryview(data)[start:stop])
    return inspection.finish()


@pytest.mark.parametrize(
    ("declared", "data", "finding"),
    [
        pytest.param("qcow2", qcow2(2), Finding("qcow2", GIB), id="qcow2, version 2"),
        pytest.param("qcow2", qcow2(3, size=5 * GIB), Finding("qcow2", 5 * GIB), id="qcow2, version 3"),
        pytest.param("iso", iso(), Finding("iso", 30 * 2048), id="iso"),
        pytest.param("iso", iso(hybrid=True), Finding("iso", 30 * 2048), id="iso that boots from a stick"),
        pytest.param("vmdk", vmdk(), Finding("vmdk", 2048 * 512), id="sparse vmdk"),
        pytest.param("vmdk", vmdk("streamOptimized"), Finding("vmdk", 2048 * 512), id="vmdk for streaming"),
        pytest.param("vhd", growing_vhd(), Finding("vhd", GIB), id="vhd that grows"),
        pytest.param("vhd", fixed_vhd(NOISE), Finding("vhd", len(NOISE)), id="fixed vhd"),
        pytest.param("vhd", fixed_vhd(gpt()), Finding("vhd", len(gpt())), id="fixed vhd of a disk with partitions"),
        pytest.param("raw", fixed_vhd(gpt()), Finding("vhd", len(gpt()) + 512), id="fixed vhd taken as it is"),
        pytest.param("vhdx", vhdx(), Finding("vhdx", GIB), id="vhdx"),
        pytest.param("vdi", vdi(), Finding("vdi", GIB), id="vdi"),
        pytest.param("luks", luks(payload_at=8), Finding("luks", len(luks()) - 4096), id="encrypted disk"),
        pytest.param("raw", luks(), Finding("luks", len(luks())), id="encrypted disk taken as it is"),
        pytest.param("raw", NOISE, Finding("raw", len(NOISE)), id="raw"),
        pytest.param("raw", gpt(), Finding("gpt", len(gpt())), id="raw disk with partitions"),
        pytest.param("raw", b"x", Finding("raw", 1), id="one byte"),
        pytest.param("ami", NOISE, Finding("raw", len(NOISE)), id="ami"),
        pytest.param("aki", NOISE, Finding("raw", len(NOISE)), id="kernel"),
        pytest.param("ploop", NOISE, Finding("raw", len(NOISE)), id="a format that has no inspector"),
    ],
)
def test_what_is_declared_rightly_is_taken(declared: str, data: bytes, finding: Finding) -> None:
    assert inspected(declared, data) == finding


@pytest.mark.parametrize(
    ("declared", "data", "detected"),
    [
        pytest.param("qcow2", NOISE, None, id="noise as qcow2"),
        pytest.param("qcow2", b"QFI", None, id="too short for qcow2"),
        pytest.param("qcow2", b"", None, id="nothing as qcow2"),
        pytest.param("vmdk", b"", None, id="nothing as vmdk"),
        pytest.param("vhd", b"", None, id="nothing as vhd"),
        pytest.param("iso", iso()[:33_000], None, id="the beginning of an iso"),
        pytest.param("qcow2", fixed_vhd(NOISE), None, id="fixed vhd as qcow2"),
        pytest.param("iso", qcow2(), None, id="qcow2 as iso"),
        pytest.param("vmdk", qcow2(), None, id="qcow2 as vmdk"),
        pytest.param("vdi", NOISE, None, id="noise as vdi"),
        pytest.param("vhd", bytes(100_000), None, id="zeros as vhd"),
        pytest.param("vhdx", iso(), None, id="iso as vhdx"),
        pytest.param("ami", qcow2(), "qcow2", id="qcow2 as ami"),
        pytest.param("ploop", iso(), "iso", id="iso as ploop"),
    ],
)
def test_what_is_declared_wrongly_is_refused(declared: str, data: bytes, detected: str | None) -> None:
    with pytest.raises(ContentMismatch, match=f"disk_format {declared} does not match") as caught:
        inspected(declared, data)
    assert caught.value.declared == declared
    if detected is not None:
        assert caught.value.detected == detected
        assert f"set disk_format to {detected}" in str(caught.value)


def test_another_format_declared_raw_is_taken_when_it_is_safe() -> None:
    """Source: 20.1; Glance takes it, and calls it what was declared."""
    assert inspected("raw", qcow2()) == Finding("qcow2", len(qcow2()))


def test_a_match_need_not_be_required() -> None:
    assert inspected("qcow2", NOISE, require_match=False).format == "raw"
    assert inspected("iso", qcow2(), require_match=False).format == "qcow2"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(qcow2(backing="/etc/passwd"), "backing file", id="qcow2 with a backing file"),
        pytest.param(qcow2(2, backing="json:{}"), "backing file", id="old qcow2 with a backing file"),
        pytest.param(qcow2(data_elsewhere=True), "data_file", id="qcow2 whose data is elsewhere"),
        pytest.param(qcow2(unknown_feature=True), "features", id="qcow2 of the future"),
        pytest.param(qcow2(1), "version", id="qcow of the past"),
        pytest.param(vmdk("monolithicFlat"), "subformat", id="vmdk of another kind"),
        pytest.param(vmdk(extent='RW 2048 SPARSE "/etc/passwd"'), "extent", id="vmdk that names a path"),
        pytest.param(vmdk(extent="include /etc/passwd"), "descriptor", id="vmdk with an unknown line"),
        pytest.param(vmdk_text(), "subformat", id="vmdk that is a text"),
        pytest.param(gpt(boot_flag=0x17), "boot flag", id="partition table that is none"),
        pytest.param(b"QED\0" + bytes(600), "not allowed", id="qed"),
        pytest.param(qcow2(backing="/etc/passwd")[:200], "backing file", id="qcow2 shorter than a sector"),
        pytest.param(b"QFI\xfb", "version", id="the beginning of a qcow2"),
        pytest.param(qcow2(size=(1 << 64) - 1), "18446744073709551615 bytes", id="qcow2 of a disk that nobody has"),
        pytest.param(vmdk(parent="../../etc/passwd"), "backing file", id="vmdk with a parent"),
        pytest.param(vmdk(parent="x", pad=600), "backing file", id="vmdk with a parent behind its descriptor"),
        pytest.param(vmdk(capacity=0), "other files", id="vmdk whose header only leads to a descriptor"),
        pytest.param(vmdk_text('RW 8 FLAT "sibling" 0', "monolithicSparse"), "other files", id="vmdk text of siblings"),
        pytest.param(b"#\xe9\nversion=1\ncreateType", "other files", id="vmdk text that is not ASCII"),
        pytest.param(b'\1\1createType"=monolithicFlat"\n', "other files", id="vmdk text that QEMU reads"),
        pytest.param(vmdk()[:700], "to its end", id="the beginning of a vmdk"),
        pytest.param(growing_vhd(4), "parent", id="vhd with a parent"),
        pytest.param(growing_vhd(9), "type 9", id="vhd of a type there is not"),
        pytest.param(vhdx(parent=True), "parent", id="vhdx with a parent"),
        pytest.param(vhdx(size=None), "size of its disk", id="vhdx without a size"),
        pytest.param(vhdx()[:100_000], "to its end", id="the beginning of a vhdx"),
        pytest.param(vdi(4), "parent", id="vdi with a parent"),
        pytest.param(luks(2), "version 2", id="encrypted in a newer way"),
    ],
)
@pytest.mark.parametrize(("require_match", "bare"), [(True, True), (False, True), (True, False)])
def test_what_could_harm_a_host_is_refused_whatever_it_is_called(
    data: bytes, reason: str, require_match: bool, bare: bool
) -> None:
    with pytest.raises(ContentUnsafe, match=reason) as caught:
        inspected("raw", data, require_match=require_match, bare=bare)
    assert caught.value.detected in str(caught.value)


def test_what_could_be_two_formats_is_refused() -> None:
    both = qcow2().ljust(510, b"\0")[:510] + b"\x55\xaa" + bytes(32768 - 512) + iso()[32768:]
    for declared in ("raw", "qcow2", "iso"):
        with pytest.raises(ContentAmbiguous, match="iso, qcow2"):
            inspected(declared, both)


HEADS = {
    "qcow2": qcow2(backing="/etc/passwd"),
    "vmdk": vmdk(),
    "vhd": growing_vhd(),
    "vhdx": vhdx(),
    "luks": luks(),
    "qed": b"QED\0" + bytes(600),
    "vdi": vdi(),
}
MARKS = {
    "iso": (0x8001, b"CD001"),
    "vdi": (0x40, b"\x7f\x10\xda\xbe"),
    "gpt": (446, gpt()[446:512]),
    "vhd": (300_000, vhd_footer(300_000)),
}


@pytest.mark.parametrize("mark", sorted(MARKS))
@pytest.mark.parametrize("head", sorted(HEADS))
@pytest.mark.parametrize(("require_match", "bare"), [(True, True), (False, True), (True, False)])
def test_two_formats_in_one_file_are_refused_whatever_the_settings_say(
    head: str, mark: str, require_match: bool, bare: bool
) -> None:
    if head == mark:
        return
    at, sign = MARKS[mark]
    data = bytearray(HEADS[head][:300_000].ljust(300_000, b"\0"))
    data[at : at + len(sign)] = sign
    for declared in ("raw", head, mark):
        # A table's sign stands in the descriptor of no VHD or VDI; in a VMDK's header it hides the text behind it.
        with pytest.raises((ContentAmbiguous, ContentUnsafe)):
            inspected(declared, bytes(data), require_match=require_match, bare=bare)


@pytest.mark.parametrize("declared", ["vmdk", "raw", "qcow2"])
def test_an_archive_is_taken_for_what_it_holds(declared: str) -> None:
    """Source: Nova and Cinder unpack an OVA; what is in it they inspect themselves."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("disk.vmdk")
        entry.size = len(vmdk())
        tar.addfile(entry, io.BytesIO(vmdk()))
    assert inspected(declared, archive.getvalue(), bare=False) == Finding("raw", None)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(boot_record(b"\xeb\x58\x90EXTLINUX"), id="ext4"),
        pytest.param(boot_record(b"\xeb\x3c\x90mkfs.fat\0\2\4\1\0\1", b"not a bootable disk"), id="FAT of one table"),
        pytest.param(boot_record(b"\xeb\x52\x90NTFS    \0\2\x08", b"\r\nBOOTMGR is missing\0" * 3), id="NTFS"),
        pytest.param(boot_record(b"\xeb\x76\x90EXFAT   ", NOISE[:64]), id="exFAT"),
        pytest.param(boot_record(b"XFSB"), id="XFS"),
        pytest.param(boot_record(b""), id="nothing but the signature"),
    ],
)
@pytest.mark.parametrize("partition_tables", ["lenient", "strict"])
def test_a_boot_record_without_partitions_is_a_raw_disk(data: bytes, partition_tables: PartitionTables) -> None:
    assert inspected("raw", data, partition_tables=partition_tables) == Finding("raw", len(data))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(partitioned((0, 0xEE, 1), (0x80, 0x0C, 2048)), id="GPT first"),
        pytest.param(partitioned((0x80, 0x0C, 2048), (0, 0xEE, 1), (0, 0x83, 9999)), id="GPT second"),
        pytest.param(partitioned((0, 0x0C, 2048), (0, 0x83, 4096), (0, 0x83, 8192), (0, 0xEE, 1)), id="GPT last"),
        pytest.param(partitioned((0, 0xEE, 1), (0, 0x0C, 2048), (0, 0xEE, 4096)), id="GPT on both sides"),
    ],
)
def test_a_hybrid_partition_table_is_taken_unless_the_operator_is_strict(data: bytes) -> None:
    assert inspected("raw", data) == Finding("gpt", len(data))
    with pytest.raises(ContentUnsafe, match=r'images\.partition_tables is "lenient"'):
        inspected("raw", data, partition_tables="strict")


@pytest.mark.parametrize("partition_tables", ["lenient", "strict"])
def test_a_usual_partition_table_is_taken(partition_tables: PartitionTables) -> None:
    for data in (
        gpt(),
        partitioned((0x80, 0x83, 2048), code=b"\xeb\x63\x90"),
        partitioned((0, 0x0C, 8), (0, 0x83, 99)),
    ):
        assert inspected("raw", data, partition_tables=partition_tables) == Finding("gpt", len(data))


def test_the_first_sector_of_a_kernel_is_no_partition_table() -> None:
    """Source: Linux, arch/x86/boot/header.S: the signature of a boot sector stands before the header."""
    kernel = partitioned((0x17, 0xEE, 5), code=b"MZ")
    assert inspected("aki", kernel) == Finding("gpt", len(kernel))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(NOISE + vhd_footer(len(NOISE), checksum=1), "checksum", id="checksum"),
        pytest.param(NOISE + vhd_footer(len(NOISE) + 512), "tells of 100512 bytes, and 100000 come", id="size"),
        pytest.param(NOISE + vhd_footer(len(NOISE), 3), "type 3", id="type"),
    ],
)
def test_a_footer_that_is_wrong_makes_no_vhd(data: bytes, reason: str) -> None:
    with pytest.raises(ContentUnsafe, match=reason):
        inspected("vhd", data)
    assert inspected("raw", data) == Finding("raw", len(data))


@pytest.mark.parametrize(
    ("declared", "data", "advice"),
    [
        pytest.param("vmdk", vmdk_text(), "monolithicFlat.*-o subformat=streamOptimized", id="vmdk in pieces"),
        pytest.param("vmdk", vmdk("custom"), "custom.*-o subformat=streamOptimized", id="vmdk of a device"),
        pytest.param("qcow2", qcow2(backing="b"), "qemu-img convert -O qcow2", id="backing file"),
        pytest.param("qcow2", gzip.compress(qcow2()), "packed with gzip; unpack it", id="packed"),
        pytest.param("vmdk", b"COWD" + bytes(1020), "sparse VMDK of ESX; .*qemu-img convert -O vmdk", id="of ESX"),
        pytest.param("vhd", b"MSWIM\0\0\0" + bytes(1020), "no disk; install it", id="WIM"),
        pytest.param("qcow2", b"<!DOCTYPE html><html>404", "page of a web site", id="the page of an error"),
        pytest.param("qcow2", gpt(), "set disk_format to raw", id="partitions"),
        pytest.param("qcow2", b"", "empty", id="nothing"),
        pytest.param("raw", b"QED\0" + bytes(600), "qemu-img convert -f qed", id="a format that nobody takes"),
    ],
)
def test_a_refusal_says_what_to_do(declared: str, data: bytes, advice: str) -> None:
    with pytest.raises((ContentMismatch, ContentUnsafe), match=advice):
        inspected(declared, data)


def test_a_format_that_is_not_taken_here_is_not_advised() -> None:
    with pytest.raises(ContentMismatch, match="vdi is not taken here; convert it"):
        inspection = Inspection("qcow2", Rules(disk_formats=("qcow2", "raw")))
        inspection.feed(memoryview(vdi()))
        inspection.finish()


def test_a_mismatch_is_told_before_the_last_piece() -> None:
    inspection = Inspection("qcow2")
    with pytest.raises(ContentMismatch):
        inspection.feed(memoryview(NOISE))


def test_an_inspection_keeps_little_of_what_it_sees() -> None:
    import tracemalloc  # noqa: PLC0415

    piece = memoryview(bytes(2 << 20))
    inspection = Inspection("raw")
    inspection.feed(piece)
    tracemalloc.start()
    for _ in range(50):
        inspection.feed(piece)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 1 << 20
    assert inspection.finish() == Finding("raw", 51 * (2 << 20))


def test_an_inspection_copies_little_of_what_it_sees() -> None:
    """Large copies stay with the process when they are over, as the allocator keeps their memory."""
    import tracemalloc  # noqa: PLC0415

    piece = memoryview(bytes(16) + random.Random(0).randbytes(2 << 20))
    inspection = Inspection("raw", Rules())
    tracemalloc.start()
    try:
        inspection.feed(piece)
        assert tracemalloc.get_traced_memory()[1] < 512 << 10
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("before", [0, 1000, 100_000, 900_000])
def test_the_word_that_makes_a_descriptor_may_come_late(before: int) -> None:
    data = b"#\xe9" + b"x" * before + b'createType="monolithicFlat"\n'
    with pytest.raises(ContentUnsafe):
        inspected("raw", data + bytes(2 << 20))


def outcome(declared: str, data: bytes, *cuts: int) -> object:
    try:
        return inspected(declared, data, *cuts)
    except (ContentMismatch, ContentAmbiguous, ContentUnsafe) as error:
        return type(error), error.detected


IMAGES = {
    "qcow2": qcow2(),
    "qcow2 with a backing file": qcow2(backing="/etc/passwd"),
    "iso": iso(),
    "hybrid iso": iso(hybrid=True),
    "gpt": gpt(),
    "vmdk": vmdk(),
    "noise": NOISE,
    "fixed vhd": fixed_vhd(gpt()),
    "vhd": growing_vhd(),
    "vhdx": vhdx(),
    "vdi": vdi(),
    "luks": luks(),
    "vmdk text": vmdk_text(),
    "vmdk with a footer": vmdk(footer=True),
}


@settings(max_examples=120)
@given(
    name=st.sampled_from(sorted(IMAGES)),
    declared=st.sampled_from(["raw", "qcow2", "iso", "vhd", "vhdx", "vmdk", "ami"]),
    cuts=st.lists(st.integers(1, 140_000) | st.integers(1, 600) | st.just(2 << 20), max_size=6),
)
def test_the_size_of_the_pieces_changes_nothing(name: str, declared: str, cuts: list[int]) -> None:
    data = IMAGES[name]
    inside = sorted({cut for cut in cuts if 512 <= cut < len(data)})
    assert outcome(declared, data, *inside) == outcome(declared, data)


@settings(max_examples=150)
@given(
    start=st.sampled_from([b"", b"QFI\xfb", b"KDMV", b"conectix", b"vhdxfile", b"LUKS\xba\xbe", b"QED\0", b"# Disk "]),
    rest=st.binary(max_size=2000),
    declared=st.sampled_from(["raw", "qcow2", "vmdk", "vhd", "vhdx", "vdi", "iso", "luks", "ami"]),
    require_match=st.booleans(),
)
def test_any_bytes_are_told_or_refused(start: bytes, rest: bytes, declared: str, require_match: bool) -> None:
    data = start + rest
    if not data:
        return
    try:
        finding = inspected(declared, data, require_match=require_match)
    except (ContentMismatch, ContentAmbiguous, ContentUnsafe) as error:
        assert str(error)
    else:
        assert finding.virtual_size is None or finding.virtual_size >= 0


@settings(max_examples=200)
@given(
    name=st.sampled_from(sorted(IMAGES)),
    declared=st.sampled_from(FORMATS),
    edits=st.lists(st.tuples(st.integers(0, 700) | st.integers(196_608, 196_700), st.binary(max_size=9)), max_size=6),
    length=st.none() | st.integers(0, 2000),
)
def test_no_head_makes_a_parser_fail(
    name: str, declared: str, edits: list[tuple[int, bytes]], length: int | None
) -> None:
    data = bytearray(IMAGES[name])
    for at, change in edits:
        data[at : at + len(change)] = change
    outcome(declared, bytes(data[:length]))
