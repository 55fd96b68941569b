"""The newest schema, made by the migrations once in each run and copied for each test.

A migration of all takes ten times as long as most tests. Those of the migrations themselves begin with an empty
database; ``contracts/database/test_schema.py`` compares a copy with what they make.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from headwater.clock import now
from headwater.database import schema
from headwater.database.engine import Database
from headwater.images.metadefs import loading
from headwater.images.metadefs.catalogue import MetadefRows


def migrated(url: str) -> Database:
    """Bring an empty database to the newest schema, and return it."""
    database = Database(url)
    schema.upgrade(database)
    return database


def sqlite_catalogue(file: Path, *, started: bool = False) -> str:
    """Make a database file of SQLite with the newest schema, and return its address.

    Args:
        started: It also holds the metadata definitions that a first start of the service enters.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.touch(mode=0o600)
    file.write_bytes(_sqlite_file(started=started))
    return f"sqlite:///{file}"


@cache
def _sqlite_file(*, started: bool) -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "catalogue.db"
        database = migrated(f"sqlite:///{file}")
        if started:
            loading.load_base(MetadefRows(database), now)
        database.close()  # the last connection moves the write-ahead log into the file
        return file.read_bytes()
