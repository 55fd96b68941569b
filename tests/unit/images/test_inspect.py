from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.images.inspect import ContentMismatch, ContentUnsafe, Finding, Inspection
from unit.images.disk_images import GIB, gpt, iso, qcow2, vmdk, vmdk_text

NOISE = random.Random(5).randbytes(100_000)


def inspected(declared: str, data: bytes, *cuts: int, require_match: bool = True) -> Finding:
    """Look at ``data`` in pieces that end at ``cuts``."""
    inspection = Inspection(declared, require_match=require_match)
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
        pytest.param(gpt(second_partition=True), "partitions", id="partition table with a second view"),
        pytest.param(b"QED\0" + bytes(600), "not allowed", id="qed"),
    ],
)
@pytest.mark.parametrize("require_match", [True, False])
def test_what_could_harm_a_host_is_refused_whatever_it_is_called(data: bytes, reason: str, require_match: bool) -> None:
    with pytest.raises(ContentUnsafe, match=reason) as caught:
        inspected("raw", data, require_match=require_match)
    assert caught.value.detected in str(caught.value)


def test_what_could_be_two_formats_is_refused() -> None:
    both = qcow2().ljust(510, b"\0")[:510] + b"\x55\xaa" + bytes(32768 - 512) + iso()[32768:]
    for declared in ("raw", "qcow2", "iso"):
        with pytest.raises(ContentMismatch, match="gpt, iso, qcow2"):
            inspected(declared, both)


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


def outcome(declared: str, data: bytes, *cuts: int) -> object:
    try:
        return inspected(declared, data, *cuts)
    except (ContentMismatch, ContentUnsafe) as error:
        return type(error), getattr(error, "detected", None) if isinstance(error, ContentUnsafe) else None


IMAGES = {
    "qcow2": qcow2(),
    "qcow2 with a backing file": qcow2(backing="/etc/passwd"),
    "iso": iso(),
    "hybrid iso": iso(hybrid=True),
    "gpt": gpt(),
    "vmdk": vmdk(),
    "noise": NOISE,
}


@settings(max_examples=120)
@given(
    name=st.sampled_from(sorted(IMAGES)),
    declared=st.sampled_from(["raw", "qcow2", "iso", "ami"]),
    cuts=st.lists(st.integers(1, 140_000) | st.integers(1, 600), max_size=6),
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
    except (ContentMismatch, ContentUnsafe) as error:
        assert str(error)
    else:
        assert finding.virtual_size is None or finding.virtual_size >= 0
