"""Media of anybody are read, whatever is wrong with them."""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import random
import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import pycdlib
import pytest

from headwater.instances.media.config_drive import LABELS, Layout, drive_files
from headwater.instances.media.reading.consumers import Verdict, verdicts
from headwater.instances.media.reading.medium import Medium, MediumUnreadable, NotAMedium
from headwater.instances.media.reading.open import medium_at, medium_in
from headwater.instances.media.writing import fat, iso
from headwater.instances.model import File
from needs import program
from unit.instances.examples import WEB_1, zeros

AT = 1_700_000_000
MACHINE = replace(WEB_1, files=(File(path="/etc/motd", data=b"hello"),))
WRITERS = {"iso9660": iso.image, "vfat": fat.image}


def written(layout: Layout = "openstack", kind: str = "iso9660") -> bytes:
    image = WRITERS[kind](drive_files(MACHINE, zeros, layout=layout), LABELS[layout], AT)
    return image.ljust(fat.SIZE, b"\0") if kind == "vfat" else image


def iso_with(files: dict[str, bytes], label: str = "config-2") -> Medium:
    return medium_in(iso.image(files, label, AT))


def said(medium: Medium) -> dict[str, Verdict]:
    return {each.consumer: each for each in verdicts(medium)}


@pytest.mark.parametrize("kind", ["iso9660", "vfat"])
@pytest.mark.parametrize("layout", ["openstack", "nocloud"])
def test_what_we_write_is_what_is_read(layout: Layout, kind: str) -> None:
    medium = medium_in(written(layout, kind))
    assert medium.label == LABELS[layout]
    for files in medium.spaces.values():
        assert {path: file.read() for path, file in files.items()} == drive_files(MACHINE, zeros, layout=layout)
    assert set(medium.spaces) == ({"FAT"} if kind == "vfat" else {"Rock Ridge", "Joliet", "primary"})


def test_ironics_coding_is_undone() -> None:
    medium = medium_in(base64.encodebytes(gzip.compress(written())))
    assert (medium.kind, medium.coding) == ("ISO 9660", "base64 and gzip")
    assert medium_in(gzip.compress(written())).coding == "gzip"
    assert medium_in(base64.b64encode(written())).coding == "base64"


@pytest.mark.parametrize(("size", "kind"), [(1 << 20, "FAT12"), (32 << 20, "FAT16"), (64 << 20, "FAT32")])
def test_fat_of_others_is_read(tmp_path: Path, size: int, kind: str) -> None:
    path = tmp_path / "seed.img"
    path.write_bytes(bytes(size))
    bits = ["-F", "32", "-s", "1"] if kind == "FAT32" else []
    make = [str(program("mkfs.vfat")), *bits, "-n", "CIDATA", str(path)]
    subprocess.run(make, check=True, capture_output=True, timeout=60)
    body = random.Random(1).randbytes(100_000)
    (tmp_path / "user-data").write_bytes(body)
    (tmp_path / "meta-data").write_bytes(b"instance-id: x\n")
    for name in ("user-data", "meta-data"):
        copy = [str(program("mcopy")), "-i", str(path), str(tmp_path / name), f"::{name}"]
        subprocess.run(copy, check=True, capture_output=True, timeout=60)
    medium = medium_at(path)
    assert (medium.kind, medium.label) == (kind, "CIDATA")
    assert medium.files["user-data"].read() == body
    assert said(medium)["cloud-init, NoCloud"].takes == ("meta-data", "user-data")


def test_iso_with_the_names_of_genisoimage_is_read() -> None:
    image = io.BytesIO()
    disc = pycdlib.PyCdlib()
    disc.new(interchange_level=1, joliet=3, rock_ridge="1.09", vol_ident="cidata")
    for short, name in (("META_DAT", "meta-data"), ("USER_DAT", "user-data" + "x" * 200)):
        disc.add_fp(io.BytesIO(b"a: b"), 4, f"/{short}.;1", rr_name=name, joliet_path=f"/{name[:60]}")
    disc.write_fp(image)
    disc.close()
    medium = medium_in(image.getvalue())
    assert set(medium.files) == {"meta-data", "user-data" + "x" * 200}
    assert set(medium.spaces["primary"]) == {"META_DAT.", "USER_DAT."}


def test_what_each_consumer_takes_of_ours() -> None:
    openstack = said(medium_in(written()))
    assert openstack["cloud-init, OpenStack config drive"].problems == ()
    assert openstack["cloud-init, OpenStack config drive"].takes == (
        *(f"openstack/2018-08-27/{name}" for name in ("meta_data.json", "user_data", "vendor_data.json")),
        *(f"openstack/2018-08-27/{name}" for name in ("vendor_data2.json", "network_data.json")),
        "openstack/content/0000",
    )
    assert openstack["cloudbase-init, config drive"].takes
    assert openstack["Ironic, network of the config drive"].takes
    assert not openstack["cloud-init, NoCloud"].takes
    nocloud = said(medium_in(written("nocloud")))
    assert nocloud["cloud-init, NoCloud"].problems == ()
    assert nocloud["cloudbase-init, NoCloud"].takes[0] == "meta-data"
    assert not nocloud["cloud-init, OpenStack config drive"].takes


ROOT = "openstack/latest/"
GOOD = {f"{ROOT}meta_data.json": b'{"uuid": "1"}'}


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({}, "meta_data.json is missing"),
        ({f"{ROOT}meta_data.json": b"[]"}, "no object with a uuid"),
        ({f"{ROOT}meta_data.json": b"[" * 100_000}, "is not JSON"),
        (GOOD | {f"{ROOT}vendor_data.json": b""}, "vendor_data.json is not JSON"),
        (GOOD | {f"{ROOT}vendor_data.json": b"null"}, "neither an object"),
        (GOOD | {f"{ROOT}network_data.json": b"{}"}, "network away"),
        ({f"{ROOT}meta_data.json": b'{"uuid": "1", "files": [{"content_path": "/content/1"}]}'}, "is not there"),
        ({f"{ROOT}meta_data.json": b'{"uuid": "1", "files": [1]}'}, "is not there"),
    ],
)
def test_what_cloud_init_would_stumble_over_is_said(files: dict[str, bytes], problem: str) -> None:
    verdict = said(iso_with(files))["cloud-init, OpenStack config drive"]
    assert problem in " ".join(verdict.problems)


def test_nocloud_needs_both_files() -> None:
    assert "user-data is missing" in said(iso_with({"meta-data": b""}, "cidata"))["cloud-init, NoCloud"].problems[0]
    both = {"meta-data": b"- no\n- mapping", "user-data": b""}
    assert "no YAML mapping" in said(iso_with(both, "cidata"))["cloud-init, NoCloud"].problems[0]


def test_what_is_no_medium_is_said(tmp_path: Path) -> None:
    for data in (b"", b"nonsense", bytes(100_000), gzip.compress(bytes(100)), b"\x1f\x8b broken", b"A" * 65):
        with pytest.raises(NotAMedium):
            medium_in(data)
    with pytest.raises(NotAMedium, match="cut off"):
        medium_in(gzip.compress(written())[:-100])
    with pytest.raises(NotAMedium, match="more than 256 MiB"):
        medium_in(gzip.compress(bytes(257 << 20), 1))
    with pytest.raises(MediumUnreadable, match="No such file"):
        medium_at(tmp_path / "missing")


@pytest.mark.parametrize("kind", ["iso9660", "vfat"])
def test_a_medium_that_is_broken_anywhere_ends_in_an_answer(kind: str) -> None:
    chance = random.Random(7)
    whole = WRITERS[kind](drive_files(MACHINE, zeros), "config-2", AT)
    for _ in range(150):
        broken = bytearray(whole)
        for _ in range(chance.choice((1, 8, 200))):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        data = bytes(broken[: chance.choice((len(broken), chance.randrange(len(broken))))])
        with contextlib.suppress(NotAMedium):
            verdicts(medium_in(data))


def test_folders_and_files_that_go_round_are_refused() -> None:
    image = bytearray(WRITERS["vfat"]({"a/b": b"x" * 5000}, "cidata", AT))
    fat_at = 4 * 512
    struct.pack_into("<H", image, fat_at + 4, 2)  # the folder goes on in itself
    with pytest.raises(NotAMedium, match="circle"):
        medium_in(bytes(image))


def test_many_folders_in_one_place_are_not_read_again_and_again() -> None:
    files = {f"{number}/f": b"" for number in range(100)}
    image = bytearray(WRITERS["vfat"](files, "cidata", AT).ljust(fat.SIZE, b"\0"))
    for cluster in range(2, 30_000):  # each folder goes on through everything that follows
        struct.pack_into("<H", image, 4 * 512 + 2 * cluster, cluster + 1)
    with pytest.raises(NotAMedium, match="too large"):
        medium_in(bytes(image))
