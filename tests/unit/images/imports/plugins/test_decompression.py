"""What comes compressed is unpacked while it streams past, and bounded."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
import subprocess
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard

from headwater.images.imports.plugins.decompression import Decompression, DecompressionSettings
from headwater.images.imports.plugins.plugin import Data, PluginFailed, Work
from headwater.images.inspection.inspect import Rules

MIB = 1 << 20
BLOB = random.Random(4).randbytes(300_000) + bytes(900_000) + b"the end"


def zipped(data: bytes = BLOB, method: int = zipfile.ZIP_DEFLATED, names: tuple[str, ...] = ("disk.img",)) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name in names:
            archive.writestr(name, data)
    return out.getvalue()


class _Pipe(io.RawIOBase):
    """What cannot seek: a zip written to it says the sizes behind the file."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.data += bytes(data)  # type: ignore[call-overload]
        return len(bytes(data))  # type: ignore[call-overload]


def zipped_to_a_pipe(data: bytes = BLOB, *, method: int = zipfile.ZIP_DEFLATED, zip64: bool = False) -> bytes:
    pipe = _Pipe()
    with (
        zipfile.ZipFile(pipe, "w", method) as archive,
        archive.open("disk.img", "w", force_zip64=zip64) as member,
    ):
        member.write(data)
    return pipe.data


def by_tool(*command: str) -> Callable[[bytes], bytes]:
    return lambda data: subprocess.run(command, input=data, capture_output=True, check=True).stdout


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "gzip, the tool": by_tool("gzip", "-c"),
    "xz": lzma.compress,
    "xz, the tool, in blocks": by_tool("xz", "-c", "-9", "--block-size=100000"),
    "bzip2": bz2.compress,
    "bzip2, the tool": by_tool("bzip2", "-c"),
    "zstd": zstandard.compress,
    "zstd with a checksum": zstandard.ZstdCompressor(write_checksum=True, write_content_size=False).compress,
    "zstd, the tool": by_tool("zstd", "-c", "-q"),
    "zstd, the tool, at its best": by_tool("zstd", "-c", "-q", "--ultra", "-22", "--long=27"),
    "zip": zipped,
    "zip, stored": lambda data: zipped(data, zipfile.ZIP_STORED),
    "zip, to a pipe": zipped_to_a_pipe,
    "zip64, to a pipe": lambda data: zipped_to_a_pipe(data, zip64=True),
    "zip, the tool": by_tool("zip", "-q", "-", "-"),
}


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(
        scratch=tmp_path,
        size_cap=1 << 30,
        rules=Rules(),
        roles=frozenset(),
        is_signed=False,
        advance=lambda done, total: None,
    )


def offered(packed: bytes, size: int = 1000, disk_format: str = "raw", container_format: str = "bare") -> Data:
    said = Data(pieces=iter(()), disk_format=disk_format, container_format=container_format)
    return said.holding(pieces(packed, size))


def unpacked(packed: bytes, work: Work, size: int = 1000, max_ratio: int = 500) -> bytes:
    plugin = Decompression(DecompressionSettings(max_ratio=max_ratio))
    data = offered(packed, size)
    assert plugin.wants(data, work)
    return b"".join(plugin.apply(data, work).pieces)


@pytest.mark.parametrize("size", [1, 7, 65536, 10 * MIB])
@pytest.mark.parametrize("kind", PACKERS)
def test_what_the_tools_pack_is_unpacked(kind: str, size: int, work: Work) -> None:
    blob = BLOB if size > 7 else BLOB[:3000]
    assert unpacked(PACKERS[kind](blob), work, size) == blob


@pytest.mark.parametrize("kind", PACKERS)
def test_an_empty_file_is_unpacked(kind: str, work: Work) -> None:
    assert unpacked(PACKERS[kind](b""), work) == b""


@pytest.mark.parametrize("kind", [kind for kind in PACKERS if not kind.startswith("zip")])
def test_several_members_are_one_file(kind: str, work: Work) -> None:
    assert unpacked(PACKERS[kind](BLOB) + PACKERS[kind](b"more") * 3, work) == BLOB + b"more" * 3


@pytest.mark.parametrize("kind", PACKERS)
def test_what_is_cut_off_anywhere_is_refused(kind: str, work: Work) -> None:
    packed = PACKERS[kind](BLOB[:2000])
    for length in [*range(7, 60), *range(60, len(packed), 97), *range(len(packed) - 60, len(packed))]:
        with pytest.raises(PluginFailed, match="cut off"):
            unpacked(packed[:length], work, 64)


@pytest.mark.parametrize("kind", PACKERS)
def test_what_goes_on_with_something_else_is_refused(kind: str, work: Work) -> None:
    with pytest.raises(PluginFailed, match=r"else follows|cut off"):
        unpacked(PACKERS[kind](BLOB) + b"GARBAGE that is no member", work)


@pytest.mark.parametrize("kind", ["gzip", "xz"])
def test_zeros_behind_the_end_are_padding(kind: str, work: Work) -> None:
    assert unpacked(PACKERS[kind](BLOB) + bytes(512), work) == BLOB


@pytest.mark.parametrize(
    "kind", ["gzip", "xz", "bzip2", "zstd with a checksum", "zip", "zip, stored", "zip, to a pipe"]
)
def test_a_changed_byte_is_found(kind: str, work: Work) -> None:
    packed = bytearray(PACKERS[kind](BLOB))
    packed[len(packed) // 2] ^= 0x40
    with pytest.raises(PluginFailed, match="cannot be unpacked"):
        unpacked(bytes(packed), work)


# --- Bombs --------------------------------------------------------------------------------------------


def zeros(kind: str) -> bytes:
    """Return what unpacks to 3 GiB of zeros, without making them."""
    return PACKERS[kind](bytes(32 * MIB)) * 96


@pytest.mark.parametrize("kind", ["gzip", "xz", "bzip2", "zstd"])
def test_a_bomb_is_refused_before_it_goes_off(kind: str, work: Work) -> None:
    bomb = zeros(kind)
    plugin, count = Decompression(DecompressionSettings()), 0
    tracemalloc.start()
    try:
        with pytest.raises(PluginFailed, match="more than 500 times its size"):
            for piece in plugin.apply(offered(bomb, 64 << 10), work).pieces:
                count += len(piece)
        assert tracemalloc.get_traced_memory()[1] < 24 * MIB
    finally:
        tracemalloc.stop()
    assert count < 3 << 30


def test_more_than_an_image_may_have_is_refused(work: Work) -> None:
    with pytest.raises(PluginFailed, match="more than 1000000 bytes, the most of an image"):
        unpacked(gzip.compress(BLOB), replace(work, size_cap=1_000_000))


def test_a_window_that_needs_too_much_memory_is_refused(work: Work) -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=29, write_content_size=False)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(PluginFailed, match="its window is 536870912 bytes"):
        unpacked(packer.compress(BLOB) + packer.flush(), work)


def test_a_dictionary_that_needs_too_much_memory_is_refused(work: Work) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": 8 << 20}]
    packed = bytearray(lzma.compress(BLOB, filters=filters))
    at = 12  # the header of the first block: its size, its flags, the filter, its properties
    size = (packed[at] + 1) * 4
    packed[at + 4] = 40  # a dictionary of 4 GiB
    packed[at + size - 4 : at + size] = struct.pack("<I", zlib.crc32(bytes(packed[at : at + size - 4])))
    with pytest.raises(PluginFailed, match=r"[Mm]emory"):
        unpacked(bytes(packed), work)


# --- Zip ----------------------------------------------------------------------------------------------


def test_a_zip_of_several_files_is_refused(work: Work) -> None:
    with pytest.raises(PluginFailed, match="several files"):
        unpacked(zipped(names=("one", "two")), work)


def test_a_zip_with_a_directory_is_refused(work: Work) -> None:
    with pytest.raises(PluginFailed, match="has a directory"):
        unpacked(zipped(b"", names=("folder/",)), work)


def test_an_encrypted_zip_is_refused(work: Work) -> None:
    packed = bytearray(zipped())
    packed[6] |= 1
    with pytest.raises(PluginFailed, match="encrypted"):
        unpacked(bytes(packed), work)


def test_a_zip_with_another_compression_is_refused(work: Work) -> None:
    with pytest.raises(PluginFailed, match="method of compression is 14"):
        unpacked(zipped(method=zipfile.ZIP_LZMA), work)


def test_a_stored_file_of_unknown_size_is_refused(work: Work) -> None:
    with pytest.raises(PluginFailed, match="its size not told before it"):
        unpacked(zipped_to_a_pipe(method=zipfile.ZIP_STORED), work)


@pytest.mark.parametrize(("field", "length"), [(10, 2), (16, 4), (20, 4), (24, 4), (42, 4)])
def test_a_zip_whose_directory_says_something_else_is_refused(field: int, length: int, work: Work) -> None:
    packed = bytearray(zipped())
    at = packed.rindex(b"PK\x01\x02") + field
    packed[at : at + length] = b"\x07" * length
    with pytest.raises(PluginFailed, match="directory says something else"):
        unpacked(bytes(packed), work)


# --- What is left as it is ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("packed", "said"),
    [
        (BLOB, ("raw", "bare")),
        (b"", ("raw", "bare")),
        (gzip.compress(BLOB), ("raw", "compressed")),
        (gzip.compress(BLOB), ("raw", "ova")),
        (gzip.compress(BLOB), ("ari", "bare")),
    ],
)
def test_what_is_meant_to_be_so_stays(packed: bytes, said: tuple[str, str], work: Work) -> None:
    plugin, data = Decompression(DecompressionSettings()), offered(packed, 1000, *said)
    assert not plugin.wants(data, work)
    assert b"".join(plugin.apply(data, work).pieces) == packed


def test_signed_data_stays(work: Work) -> None:
    assert not Decompression(DecompressionSettings()).wants(offered(gzip.compress(BLOB)), replace(work, is_signed=True))
