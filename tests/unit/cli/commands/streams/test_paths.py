from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from headwater.cli.main import app
from headwater.clock import now
from headwater.database.engine import Database
from headwater.images.catalogue.sharing.private_paths import PathNotFound, PrivatePathRows
from templates import sqlite_catalogue


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    directory.mkdir()
    sqlite_catalogue(directory / "headwater.db")
    return directory


def path(data_dir: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["--data-dir", str(data_dir), "streams", "path", *words])


def test_a_path_is_made_shown_once_listed_and_revoked(data_dir: Path) -> None:
    made = path(data_dir, "create", "--project", "p1", "--name", "edge", "--community")
    assert made.exit_code == 0, made.output
    secret = made.stdout.strip().removeprefix("/streams/private/")
    assert len(secret) == 32
    listed = json.loads(path(data_dir, "list", "--json").stdout)
    assert [(each["project_id"], each["name"], each["community"]) for each in listed] == [("p1", "edge", True)]
    for shown in (path(data_dir, "list").output, json.dumps(listed)):
        assert secret not in shown
    with closing(Database(f"sqlite:///{data_dir / 'headwater.db'}")) as database:
        found = PrivatePathRows(database).find(secret, now())
        assert found is not None
        assert found.id == listed[0]["id"]
        assert path(data_dir, "revoke", found.id.upper()).exit_code == 0
        assert PrivatePathRows(database).find(secret, now()) is None
    again = path(data_dir, "revoke", listed[0]["id"])
    assert again.exit_code != 0
    assert isinstance(again.exception, PathNotFound)


def test_a_path_ends_by_itself_and_belongs_to_one_project(data_dir: Path) -> None:
    made = json.loads(path(data_dir, "create", "--project", "p1", "--lifetime", "3600", "--json").stdout)
    assert made["expires_at"] > made["created_at"]
    path(data_dir, "create", "--project", "p2")
    assert len(json.loads(path(data_dir, "list", "--project", "p1", "--json").stdout)) == 1
    assert len(json.loads(path(data_dir, "list", "--json").stdout)) == 2


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--project", ""),
        ("--project", ".."),
        ("--project", "p", "--lifetime", "1"),
        ("--project", "p", "--name", "a\nb"),
    ],
)
def test_what_cannot_be_a_path_is_refused(data_dir: Path, words: tuple[str, ...]) -> None:
    refused = path(data_dir, "create", *words)
    assert refused.exit_code != 0
    assert not refused.stdout.startswith("/streams/private/")
