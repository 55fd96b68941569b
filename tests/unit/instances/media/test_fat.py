"""FAT images, held against the tools of the distribution: what mtools and fsck read is what was written."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from headwater.instances.media.config_drive import drive_files, write_config_drive
from headwater.instances.media.writing import fat
from headwater.instances.media.writing.file import write_files
from needs import program
from unit.instances.examples import WEB_1, zeros

AT = 1_700_000_000


def out(*command: str | Path) -> bytes:
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout


def test_mtools_reads_every_file_and_the_label(tmp_path: Path) -> None:
    path = tmp_path / "drive.vfat"
    size = write_config_drive(WEB_1, path, AT, kind="vfat", entropy=zeros)
    assert size == path.stat().st_size == 64 << 20
    assert path.stat().st_blocks * 512 < 1 << 20, "most of it is never written"
    files = drive_files(WEB_1, zeros)
    for name, body in files.items():
        assert out(program("mtype"), "-i", path, f"::/{name}") == body
    assert b"config-2" in out(program("mlabel"), "-i", path, "-s", "::")
    listed = out(program("mdir"), "-b", "-/", "-i", path, "::").decode().split()
    assert {each.removeprefix("::/") for each in listed if not each.endswith("/")} == set(files)


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"empty": b""},
        {"x" * 13: b"1", "y" * 26: b"2", "z" * 27: b"3", "☃ Ünïcode 🚀.txt": b"4"},
        {f"directory/file-{number:04}.json": bytes([number % 256]) * number for number in range(1500)},
        {"a/b/c/d/e/f": b"deep", "A1.TXT": b"x", "large": b"\xa5" * (5 << 20)},
    ],
    ids=["none", "empty", "names", "many", "deep and large"],
)
def test_fsck_finds_nothing_wrong(tmp_path: Path, files: dict[str, bytes]) -> None:
    path = tmp_path / "some.vfat"
    write_files(files, "cidata", path, AT, kind="vfat")
    said = out(program("fsck.vfat"), "-n", path)
    assert b"clusters" in said
    assert b"differ" not in said
    for name, body in list(files.items())[::100]:
        assert out(program("mtype"), "-i", path, f"::/{name}") == body


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.vfat"
    with pytest.raises(fat.MediumFull, match="ISO 9660"):
        write_files({"large": bytes(65 << 20)}, "cidata", path, AT, kind="vfat")
    with pytest.raises(fat.MediumFull):
        write_files({f"{number}": b"" for number in range(600)}, "cidata", path, AT, kind="vfat")
    assert not path.exists()


def test_the_same_files_and_time_give_the_same_bytes() -> None:
    files = drive_files(WEB_1, zeros)
    assert fat.image(files, "config-2", AT) == fat.image(files, "config-2", AT)
    assert fat.image(files, "config-2", 0), "a time before FAT's first"
