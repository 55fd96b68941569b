"""Commands that read leave the catalogue, and the disk, as they found them."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from catalogues import fill
from headwater.cli.main import app
from headwater.database import schema
from headwater.database.engine import Database

READING = [
    ("instance", "list"),
    ("instance", "show", "web1"),
    ("metadefs", "list"),
    ("metadefs", "export", "out"),
    ("config-drive", "build", "web1", "--output", "drive.iso"),
    ("db", "check"),
    ("db", "purge"),
    ("store", "check"),
    ("image", "retention", "used"),
]
WRITING = [
    ("instance", "add", "--name", "web2"),
    ("metadefs", "load"),
]


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


def run(data_dir: Path, words: tuple[str, ...]) -> Result:
    return CliRunner().invoke(app, ["--data-dir", str(data_dir), *words])


@pytest.mark.parametrize("words", READING)
def test_a_command_that_reads_makes_nothing(data_dir: Path, words: tuple[str, ...]) -> None:
    asked = run(data_dir, words)
    assert asked.exit_code != 0
    assert "no schema" in str(asked.exception)
    assert "headwater db upgrade" in str(asked.exception)
    assert list(data_dir.parent.iterdir()) == []


@pytest.mark.parametrize("words", [*READING, *WRITING])
@pytest.mark.parametrize("number", ["0001", "0003"])
def test_no_command_but_serve_and_upgrade_changes_the_schema(
    data_dir: Path, number: str, words: tuple[str, ...]
) -> None:
    url = f"sqlite:///{data_dir / 'headwater.db'}"
    old = Database(url)
    fill(old, number)
    old.close()
    asked = run(data_dir, words)
    assert asked.exit_code != 0
    assert f"schema {number}" in str(asked.exception)
    assert "headwater db upgrade" in str(asked.exception)
    database = Database(url)
    assert schema.version(database) == number
    database.close()


@pytest.mark.parametrize("words", WRITING)
def test_a_command_that_writes_makes_a_catalogue_where_there_is_none(data_dir: Path, words: tuple[str, ...]) -> None:
    assert run(data_dir, words).exit_code == 0
    assert run(data_dir, ("db", "check")).stdout == f"schema {schema.NEWEST}: right\n"
