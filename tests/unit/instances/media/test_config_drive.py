from __future__ import annotations

import io
import json
import os
import stat
import time
from dataclasses import replace
from pathlib import Path

import pycdlib
import pytest

from headwater.instances.media.config_drive import drive_files, write_config_drive
from headwater.instances.media.writing.file import DriveExists, DriveNotWritten
from headwater.instances.model import File, Instance
from unit.instances.examples import BARE, EC2_META_DATA, META_DATA, NETWORK_DATA, WEB_1, zeros

AT = 1_700_000_000

WITH_FILES = replace(WEB_1, files=(File(path="/etc/motd", data=b"hello"),))


def write(instance: Instance, path: Path) -> bytes:
    size = write_config_drive(instance, path, AT, entropy=zeros)
    image = path.read_bytes()
    assert len(image) == size
    return image


def test_a_drive_holds_these_files() -> None:
    dates = ["2012-08-10", "2013-04-04", "2013-10-17", "2015-10-15", "2016-06-30", "2016-10-06"]
    dates += ["2017-02-22", "2018-08-27", "2020-10-14", "2025-04-04", "latest"]
    expected = {
        f"ec2/{version}/{name}" for version in ("2009-04-04", "latest") for name in ("meta-data.json", "user-data")
    }
    expected |= {f"openstack/{date}/{name}" for date in dates for name in ("meta_data.json", "user_data")}
    expected |= {f"openstack/{date}/vendor_data.json" for date in dates[2:]}
    expected |= {f"openstack/{date}/network_data.json" for date in dates[3:]}
    expected |= {f"openstack/{date}/vendor_data2.json" for date in dates[5:]}
    assert set(drive_files(WEB_1)) == expected
    assert set(drive_files(WITH_FILES)) == expected | {"openstack/content/0000"}
    assert not [path for path in drive_files(BARE) if "user" in path or "network" in path]


def test_what_a_machine_does_not_have_has_no_name_on_its_drive() -> None:
    files = drive_files(BARE)
    for version in ("2009-04-04", "latest"):
        document = json.loads(files[f"ec2/{version}/meta-data.json"])
        assert not {"local-ipv4", "public-ipv4", "public-keys", "placement", "instance-type"} & set(document)
        assert not [name for name, value in document.items() if value in (None, "", [], {})]
    assert None not in json.loads(files["openstack/latest/meta_data.json"]).values()


def test_the_documents_are_the_worked_examples() -> None:
    files = drive_files(WEB_1, zeros)
    assert files["openstack/latest/meta_data.json"] == META_DATA
    assert files["openstack/2025-04-04/meta_data.json"] == META_DATA
    assert files["ec2/latest/meta-data.json"] == EC2_META_DATA
    assert files["ec2/2009-04-04/meta-data.json"] == EC2_META_DATA
    assert files["openstack/latest/user_data"] == files["ec2/latest/user-data"] == WEB_1.user_data
    assert json.loads(files["openstack/latest/network_data.json"]) == NETWORK_DATA


@pytest.mark.parametrize("name_space", ["iso_path", "rr_path", "joliet_path"])
def test_every_name_space_holds_every_file_under_its_real_name(tmp_path: Path, name_space: str) -> None:
    write(WITH_FILES, tmp_path / "drive.iso")
    iso = pycdlib.PyCdlib()
    iso.open(str(tmp_path / "drive.iso"))
    try:
        found: dict[str, bytes] = {}
        for directory, _, names in iso.walk(**{name_space: "/"}):
            for name in names:
                body = io.BytesIO()
                iso.get_file_from_iso_fp(body, **{name_space: f"{directory.rstrip('/')}/{name}"})
                found[f"{directory}/{name}".lstrip("/").removesuffix(";1")] = body.getvalue()
        assert found == drive_files(WITH_FILES, zeros)
        assert iso.pvd.volume_identifier.rstrip() == b"config-2"
    finally:
        iso.close()


def test_ironic_finds_the_network_document(tmp_path: Path) -> None:
    write(WEB_1, tmp_path / "drive.iso")
    iso = pycdlib.PyCdlib()
    iso.open(str(tmp_path / "drive.iso"))
    try:
        body = io.BytesIO()
        iso.get_file_from_iso_fp(body, iso_path="/openstack/latest/network_data.json;1")
        assert json.loads(body.getvalue()) == NETWORK_DATA
    finally:
        iso.close()


def test_the_same_instance_and_time_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = write(WITH_FILES, tmp_path / "1.iso")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        monkeypatch.setattr(time, "time", lambda: AT + 86400.0)
        second = write(WITH_FILES, tmp_path / "2.iso")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert first == second
    assert b"2023111422132000\x00" in first, "the time is the one given, in UTC"


def test_the_clock_of_pycdlib_runs_again_afterwards(tmp_path: Path) -> None:
    write(WEB_1, tmp_path / "drive.iso")
    assert vars(pycdlib.dates)["time"] is time


def test_a_drive_is_smaller_than_what_every_guest_reads(tmp_path: Path) -> None:
    assert len(write(WEB_1, tmp_path / "drive.iso")) < 512 * 1024


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    write(WEB_1, tmp_path / "drive.iso")
    assert stat.S_IMODE((tmp_path / "drive.iso").stat().st_mode) == 0o600


def test_a_file_that_is_there_gives_way_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "drive.iso"
    path.write_bytes(b"mine")
    with pytest.raises(DriveExists, match="--force"):
        write_config_drive(WEB_1, path, AT)
    assert path.read_bytes() == b"mine"
    write_config_drive(WEB_1, path, AT, replace=True)
    assert path.read_bytes() != b"mine"


def test_a_drive_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DriveNotWritten, match="No such file or directory"):
        write_config_drive(WEB_1, tmp_path / "missing" / "drive.iso", AT)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DriveNotWritten, match="No space left"):
        write_config_drive(WEB_1, tmp_path / "drive.iso", AT)
    assert list(tmp_path.iterdir()) == []
