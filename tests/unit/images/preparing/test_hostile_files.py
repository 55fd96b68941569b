"""``image prepare`` and ``try`` on what is no disk, or one that means harm: a message, and no file of the host read."""

from __future__ import annotations

import json
import os
import stat
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from headwater.cli.main import app
from headwater.errors import HeadwaterError
from headwater.images.imports.plugins.guest import found_on
from headwater.images.preparing import appliance, inside
from headwater.server.trying import machine
from needs import program
from unit.images.inspection.disk_images import vmdk, vmdk_text

SECRET = b"ID=of-the-host\n"
SECTOR, MIB = 512, 1 << 20
LINUX = bytes.fromhex("af3dc60f838472478e793d69d8477de4")


@pytest.fixture(autouse=True)
def _nothing_boots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither libguestfs nor QEMU start: what is refused is refused before them."""
    program("qemu-img")
    monkeypatch.setattr(appliance, "_PYTHON", "/nonexistent/python3")

    def boots(*_: object, **__: object) -> tuple[str, str]:
        raise machine.MachineFailed(1, "it would boot", "")

    monkeypatch.setattr(machine, "boot", boots)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret").write_bytes(SECRET)
    return tmp_path


def run(command: str, name: str) -> Result:
    words = {"prepare": ["image", "prepare", "--time", "20", "--", name], "try": ["try", "--time", "20", "--", name]}
    return CliRunner().invoke(app, words[command])


def qcow2(*, backing: bytes = b"", data_file: bool = False) -> bytes:
    place, length = (512, len(backing)) if backing else (0, 0)
    features = 4 if data_file else 0
    head = struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, place, length, 16, MIB, 0, 1, 65536, 131072, 1, 0, 0,
                       features, 0, 0, 4, 104)  # fmt: skip
    more = struct.pack(">II8s", 0x44415441, 6, b"secret\0\0") if data_file else b""
    return ((head + more).ljust(512, b"\0") + backing).ljust(4 * 65536, b"\0")


def mbr(*entries: tuple[int, int, int]) -> bytes:
    table = b"".join(struct.pack("<4xB3xII", kind, first, count) for kind, first, count in entries)
    return bytes(446) + table.ljust(64, b"\0") + b"\x55\xaa"


def gpt(*, count: int, entries: bytes, at: int = 2, size: int = 128) -> bytes:
    fields = (b"EFI PART", 0x10000, 92, 0, 0, 1, 99, 34, 90, bytes(16), at, count, size, zlib.crc32(entries))
    header = struct.pack("<8sIIIIQQQQ16sQIII", *fields)
    return (mbr((0xEE, 1, 0xFFFFFFFF)) + header.ljust(SECTOR, b"\0") + entries).ljust(MIB, b"\0")


def entry(first: int, last: int) -> bytes:
    return (LINUX + bytes(range(16)) + struct.pack("<QQQ", first, last, 0)).ljust(128, b"\0")


def a_socket(file: Path) -> None:
    os.mknod(file, stat.S_IFSOCK | 0o600)


def a_device(file: Path) -> None:
    try:
        os.mknod(file, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero
        file.open("rb").close()
    except PermissionError:
        file.unlink(missing_ok=True)
        file.symlink_to("/dev/zero")


def written(content: bytes) -> Callable[[Path], None]:
    return lambda file: void(file.write_bytes(content))


def void(_: object) -> None:
    """Return nothing, whatever was."""


REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty": (written(b""), "it is empty"),
    "directory": (lambda file: file.mkdir(), "a directory; name the image in it"),
    "fifo": (os.mkfifo, "a named pipe; write what comes from it to a file"),
    "socket": (a_socket, "it is a socket"),
    "endless-device": (a_device, "a device without an end"),
    "link-to-nothing": (lambda file: file.symlink_to("nowhere"), "No such file"),
    "link-to-itself": (lambda file: file.symlink_to(file.name), "Too many levels"),
    "link-to-a-directory": (lambda file: file.symlink_to("/"), "a directory"),
    "qcow2-with-backing-file": (written(qcow2(backing=b"secret")), "fails its safety check"),
    "qcow2-with-backing-json": (written(qcow2(backing=b'json:{"driver":"raw"}')), "fails its safety check"),
    "qcow2-with-data-file": (written(qcow2(data_file=True)), "fails its safety check"),
    "vmdk-with-extent-elsewhere": (written(vmdk_text('RW 2048 FLAT "secret" 0')), "fails its safety check"),
    "vmdk-with-extent-and-header": (written(vmdk(extent='RW 2048 FLAT "../secret" 0')), "fails its safety check"),
    "vmdk-with-a-parent": (written(vmdk(parent="secret")), "fails its safety check"),
    "luks": (written(b"LUKS\xba\xbe\x00\x02".ljust(MIB, b"\0")), "luks"),
}


@pytest.mark.parametrize("command", ["prepare", "try"])
@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_disk_or_refers_to_others_is_refused_at_once(here: Path, what: str, command: str) -> None:
    make, said = REFUSED[what]
    make(here / "disk")
    done = run(command, "./disk")
    assert isinstance(done.exception, HeadwaterError), done
    assert said in str(done.exception)
    assert "of-the-host" not in done.output + str(done.exception)


TABLES = {
    "overlapping-mbr": mbr((0x83, 1, 2000), (0x83, 1, 2000), (0x07, 2, 4), (0x83, 0xFFFFFFFF, 0xFFFFFFFF)),
    "extended-in-itself": mbr((0x05, 0, 0xFFFFFFFF), (0x0F, 1, 1)),
    "gpt-of-2^32-entries": gpt(count=0xFFFFFFFF, entries=entry(34, 90) * 128),
    "gpt-entries-overlap": gpt(count=128, entries=entry(34, 90) * 128),
    "gpt-entries-behind-the-end": gpt(count=128, entries=entry(1 << 49, (1 << 49) + 9) * 4),
    "gpt-entries-far-away": gpt(count=128, entries=b"", at=1 << 62),
    "gpt-entries-of-4-GiB": gpt(count=128, entries=b"", size=0xFFFFFFFF),
    "gpt-without-header": (mbr((0xEE, 1, 1)) + b"EFI").ljust(MIB, b"\0"),
    "lvm": (mbr((0x8E, 1, 2000)) + (b"LABELONE" + bytes(16) + b"LVM2 001") + b"a name with spaces").ljust(MIB, b"\0"),
    "nothing-but-zeros": bytes(MIB),
    "a-few-bytes": b"x",
}


@pytest.mark.parametrize("what", TABLES)
def test_tables_that_make_no_sense_are_looked_at_to_an_end(here: Path, what: str) -> None:
    (here / "disk").write_bytes(TABLES[what])
    done = run("prepare", "disk")
    assert done.exit_code == 0, (done.output, done.exception)
    assert "properties: disk_format=raw" in done.output


NAMES = [
    b"-rf",
    b"--help",
    b"a,b",
    b"a:b",
    b"nbd:localhost:1",
    b"json:{}",
    b"disk?offset=5",
    b"\xff\xfe",
    b"a\nb",
    b"\x1b[2J",
    b"%s {x}",
]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_a_name_is_a_name_whatever_programs_might_read_in_it(here: Path, name: bytes) -> None:
    disk, path = mbr((0x83, 1, 9)).ljust(MIB, b"\0"), os.fsencode(here) + b"/" + name
    Path(os.fsdecode(path)).write_bytes(disk)
    done = run("prepare", os.fsdecode(name))
    assert done.exit_code == 0, (done.output, done.exception)
    assert "properties: disk_format=raw" in done.output
    Path(os.fsdecode(path)).write_bytes(b"")
    refused = run("prepare", os.fsdecode(name)).exception
    assert "it is empty" in str(refused)
    assert str(refused).isprintable()
    str(refused).encode()


def a_system(file: Path, make: Callable[[Path], None]) -> None:
    """Write a disk that is one ext4 file system with a tree that ``make`` makes."""
    tree = file.with_name("tree")
    (tree / "etc").mkdir(parents=True)
    make(tree / "etc")
    command = [str(program("mke2fs")), "-q", "-F", "-t", "ext4", "-d", str(tree), str(file), "16M"]
    subprocess.run(command, check=True, capture_output=True)


def sparse_text(etc: Path) -> None:
    with (etc / "os-release").open("wb") as opened:
        opened.write(b"ID=huge\n")
        opened.truncate(256 << 20)


TREES: dict[str, Callable[[Path], Any]] = {
    "os-release-is-a-directory": lambda etc: (etc / "os-release").mkdir(),
    "os-release-leads-out": lambda etc: (etc / "os-release").symlink_to("/etc/os-release"),
    "os-release-leads-up": lambda etc: (etc / "os-release").symlink_to("../../../../../../etc/os-release"),
    "os-release-is-a-circle": lambda etc: (etc / "os-release").symlink_to("os-release"),
    "os-release-is-a-fifo": lambda etc: os.mkfifo(etc / "os-release"),
    "os-release-without-an-end": sparse_text,
    "os-release-is-no-text": lambda etc: (etc / "os-release").write_bytes(b"ID=\xff\xfe\nVERSION_ID='\n\0=\0\n"),
    "names-that-are-no-text": lambda etc: Path(os.fsdecode(os.fsencode(etc) + b"/\xff\xfe")).write_bytes(b"x"),
    "fstab-of-itself": lambda etc: (etc / "fstab").write_bytes(b"/dev/sda / ext4 bind 0 0\n/ / none bind\n" * 999),
}


@pytest.mark.parametrize("what", TREES)
def test_trees_tell_nothing_of_the_host_and_hold_up_nobody(here: Path, what: str) -> None:
    a_system(here / "disk", TREES[what])
    done = run("prepare", "disk")
    assert done.exit_code == 0, (done.output, done.exception)
    said = found_on(here / "disk")
    assert said.get("os_distro") is None  # none of these says who it is
    assert said["os_type"] == "linux"


def test_a_system_is_found_by_a_name_that_looks_like_an_option_or_another_file(here: Path) -> None:
    for name in ("-w", "disk?offset=99", "plain"):
        a_system(here / name, lambda etc: void((etc / "os-release").write_bytes(b"ID=debian\n")))
        subprocess.run(["rm", "-rf", here / "tree"], check=True)
        done = run("prepare", name)
        assert "os_distro=debian" in done.output, done.output


class _Handle:
    """libguestfs on a disk in which nothing can be said in UTF-8, or nothing can be read."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def list_filesystems(self) -> dict[str, str]:
        return {"/dev/vg/a name": "ext4"}

    def inspect_os(self) -> list[str]:
        return ["/dev/sda1"]

    def inspect_get_mountpoints(self, _: str) -> dict[str, str]:
        return {"/": "/dev/sda1", "/usr": "/dev/sda2"}

    def mount_ro(self, device: str, place: str) -> None:
        if place != "/":
            raise RuntimeError(f"{device}: no such device")

    def umount_all(self) -> None:
        pass

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def fails(*_: object, **__: object) -> Any:
            raise self._error

        return fails


@pytest.mark.parametrize(
    "error", [RuntimeError("bad message"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")], ids=["unread", "no-text"]
)
def test_what_libguestfs_cannot_say_is_a_trouble_and_not_the_end(
    error: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["inside.py", str(tmp_path)])
    request = {"texts": ["/etc/os-release"], "present": ["/etc/*"], "loaders": ["/boot/*"], "write": False}
    guest = inside.Guest(_Handle(error), request)
    seen = guest.look()
    guest.fetch_initramfs("/boot/initrd.img")
    (system,) = seen["systems"]
    assert set(system.values()) == {"/dev/sda1", "unknown"}
    assert (seen["texts"], seen["present"], seen["kernels"]) == ({}, [], {})
    assert any("/etc/os-release" in each for each in seen["troubles"])
    assert any("initrd" in each for each in seen["troubles"])
    json.dumps(seen)
