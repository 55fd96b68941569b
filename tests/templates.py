"""The newest schema, made by the migrations once in each run and copied for each test.

A migration of all takes ten times as long as most tests. Those of the migrations themselves begin with an empty
database; ``contracts/test_image_catalogue.py`` compares a copy with what they make.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from headwater.database import schema
from headwater.database.engine import Database


def migrated(url: str) -> Database:
    """Bring an empty database to the newest schema, and return it."""
    database = Database(url)
    schema.upgrade(database)
    return database


def sqlite_catalogue(file: Path) -> str:
    """Make a database file of SQLite with the newest schema, and return its address."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_bytes(_sqlite_file())
    return f"sqlite:///{file}"


@cache
def _sqlite_file() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "catalogue.db"
        migrated(f"sqlite:///{file}").close()  # the last connection moves the write-ahead log into the file
        return file.read_bytes()
