"""An image looked into where there is no libguestfs, and copies that cannot be made."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from headwater.cli.main import app
from headwater.errors import HeadwaterError
from headwater.images.preparing import appliance
from headwater.images.preparing.prepare import CopyExists, CopyNotWritten, Limits, NothingToMendWith, prepare, write
from needs import program


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    program("qemu-img")
    file = tmp_path / "disk.raw"
    file.write_bytes((b"\xeb\x63\x90".ljust(510, b"\0") + b"\x55\xaa").ljust(1 << 20, b"\0"))
    return file


@pytest.fixture
def _no_libguestfs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appliance, "_PYTHON", "/nonexistent/python3")


@pytest.mark.usefixtures("_no_libguestfs")
def test_without_libguestfs_the_bytes_are_told_and_what_to_install(disk: Path) -> None:
    report = prepare(disk, Limits())
    assert (report.seen.disk.format, report.seen.disk.firmware, report.seen.guest) == ("raw", "bios", None)
    assert [each.rule for each in report.findings] == ["not-looked-into"]
    assert "install python3-guestfs" in report.findings[0].says
    assert report.properties == {"disk_format": "raw", "hw_firmware_type": "bios", "min_disk": "1"}


@pytest.mark.usefixtures("_no_libguestfs")
@pytest.mark.parametrize(("level", "code"), [("error", 0), ("note", 1)])
def test_the_exit_code_goes_by_the_level(disk: Path, level: str, code: int) -> None:
    done = CliRunner().invoke(app, ["image", "prepare", str(disk), "--level", level])
    assert done.exit_code == code, done.output
    assert "note not-looked-into: " in done.output
    assert "properties: disk_format=raw hw_firmware_type=bios min_disk=1\n" in done.output


def test_options_of_a_copy_need_one(disk: Path) -> None:
    done = CliRunner().invoke(app, ["image", "prepare", str(disk), "--skip", "machine-id"])
    assert done.exit_code == 2


def test_nothing_is_written_over(disk: Path, tmp_path: Path) -> None:
    new = tmp_path / "new.qcow2"
    new.write_bytes(b"mine")
    with pytest.raises(CopyExists, match="another name"):
        write(disk, new, Limits())
    with pytest.raises(CopyExists):
        write(disk, disk, Limits())
    assert new.read_bytes() == b"mine"


def test_a_step_that_there_is_not_is_named_with_those_that_there_are(disk: Path, tmp_path: Path) -> None:
    with pytest.raises(NothingToMendWith, match=r"no step 'host-key'; there are cloud-init, .*host-keys"):
        write(disk, tmp_path / "new.qcow2", Limits(), skip=["host-key"])


@pytest.mark.parametrize(
    ("names", "message"),
    [((), "holds none"), (("a.deb", "b.rpm"), "either"), (None, "No such file")],
    ids=["none", "both", "no-directory"],
)
def test_packages_are_of_one_kind(
    disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...] | None, message: str
) -> None:
    monkeypatch.setattr(appliance, "missing", lambda: None)
    packages = tmp_path / "packages"
    if names is not None:
        packages.mkdir()
        for name in names:
            (packages / name).touch()
    with pytest.raises(NothingToMendWith, match=message):
        write(disk, tmp_path / "new.qcow2", Limits(), packages=packages)


@pytest.mark.parametrize("name", ["new.qcow2", "nowhere/new.qcow2"], ids=["in-a-directory", "in-none"])
def test_what_fails_leaves_no_copy(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def broken(*_: object, **__: object) -> object:
        raise appliance.LookFailed("no kernel")

    monkeypatch.setattr(appliance, "missing", lambda: None)
    monkeypatch.setattr(appliance, "mend", broken)
    with pytest.raises((appliance.LookFailed, CopyNotWritten)) as error:
        write(disk, tmp_path / name, Limits())
    assert isinstance(error.value, HeadwaterError)
    assert list(tmp_path.iterdir()) == [disk]
