from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from contracts.unheard import UnheardImages
from headwater.cli.main import app
from headwater.database.engine import Database
from headwater.images.catalogue.fingerprints.image_fingerprints import Fingerprint, FingerprintRows
from headwater.images.model import Image
from templates import sqlite_catalogue
from unit.streams.catalogue import image

OLD, NEW, SNAPSHOT = image(1), image(2), image(3, name="snap", image_type="snapshot", os_hidden=True)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    directory.mkdir()
    database = Database(sqlite_catalogue(directory / "headwater.db"))
    for each in (OLD, NEW, SNAPSHOT):
        UnheardImages(database).create(each, fresh_id=True)
    database.close()
    return directory


def why(data_dir: Path, wanted: str | Image, *words: str) -> Result:
    wanted = wanted if isinstance(wanted, str) else wanted.id
    return CliRunner().invoke(app, ["--data-dir", str(data_dir), "streams", "why", wanted, *words])


def test_an_image_that_is_listed_is_told_where(data_dir: Path) -> None:
    assert why(data_dir, NEW).stdout == (
        f"{NEW.id} is listed; it is the one that Juju takes\n"
        "- product com.ubuntu.cloud:server:24.04:amd64\n"
        "- version 20260721.120000000000000000000002\n"
        "- virt kvm\n"
        "Its files are not listed for LXD and Incus:\n"
        "- os_hash_value is not set: nobody has read all of its data yet\n"
    )
    assert f"Juju takes a newer one, {NEW.id}" in why(data_dir, OLD).stdout


def test_an_image_that_is_not_listed_is_told_every_reason(data_dir: Path) -> None:
    told = why(data_dir, "snap")
    assert told.exit_code == 0
    assert told.stdout == (
        f"{SNAPSHOT.id} is not listed:\n"
        "- it is hidden (os_hidden)\n"
        "- image_type is snapshot: it is the copy of a server, not a fresh one\n"
        "Its files are not listed for LXD and Incus:\n"
        "- it is hidden (os_hidden)\n"
        "- image_type is snapshot: it is the copy of a server, not a fresh one\n"
        "- os_hash_value is not set: nobody has read all of its data yet\n"
    )
    facts = json.loads(why(data_dir, "snap", "--json").stdout)
    assert (facts["listed"], len(facts["reasons"]), facts["product"]) == (False, 2, None)


def test_the_settings_say_which_kinds_of_guest_are_listed(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWATER_STREAMS__VIRT_TYPES", '["lxd"]')
    told = why(data_dir, OLD).stdout
    assert "kvm guests" in told
    assert "lists lxd" in told


def test_an_image_whose_files_are_listed_is_told_where(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, product = image(4, name="file", os_hash_value="ab" * 64, os_version="22.04"), "ubuntu:jammy:amd64:default"
    database = Database(f"sqlite:///{data_dir / 'headwater.db'}")
    UnheardImages(database).create(file, fresh_id=True)
    assert "fingerprint is not known yet" in why(data_dir, "file").stdout
    found = Fingerprint(
        image_id=file.id, data_hash="ab" * 64, sha256="12" * 32, product=product, metadata=b"x", combined="34" * 32
    )
    FingerprintRows(database).keep(found)
    database.close()
    assert why(data_dir, "file").stdout.endswith(
        "Its files are listed for LXD and Incus; aliases lead to it\n"
        f"- product {product}\n- virtual-machine {'34' * 32}\n"
        "- aliases ubuntu/jammy, ubuntu/22.04, ubuntu/jammy/default, ubuntu/22.04/default\n"
    )
    told = CliRunner().invoke(app, ["--data-dir", str(data_dir), "streams", "explain", "file"]).stdout
    assert f"  fingerprint {'34' * 32}\n" in told
    assert "  the one that aliases lead to" in told
    monkeypatch.setenv("HEADWATER_STREAMS__IMAGE_FILES", "false")
    assert "image_files is off" in why(data_dir, "file").stdout


def test_an_image_that_is_not_there_is_an_error(data_dir: Path) -> None:
    told = why(data_dir, "nothing")
    assert told.exit_code != 0
    assert "no image has the id or name" in str(told.exception)
