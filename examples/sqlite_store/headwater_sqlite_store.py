"""Small objects in one SQLite file: a store that another package brings (docs/how-to/write-a-store.md)."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from headwater.errors import SettingsError
from headwater.stores.store import (
    Abilities,
    ForeignUrl,
    ObjectNotFound,
    Piece,
    Stored,
    StoreFull,
    StoreUnavailable,
    checked_key,
    is_key,
)
from headwater.stores.store_type import StoreSettings, StoreType

TABLES = """
CREATE TABLE IF NOT EXISTS objects (key TEXT PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS mark (only INTEGER PRIMARY KEY CHECK (only = 1), identity TEXT NOT NULL);
"""
PIECE = 256 << 10  # bytes


class SqliteSettings(StoreSettings):
    """Section ``[stores.NAME]`` with ``type = "sqlite"``."""

    abilities: ClassVar[Abilities] = Abilities(shared_by_processes=True, gives_paths=False)

    type: Literal["sqlite"]
    file: Annotated[Path, Field(description="The SQLite file; made if missing, in a directory that is there.")]


class SqliteStore:
    """One file; each call opens it anew, so it may be used from many threads and processes."""

    abilities = SqliteSettings.abilities

    def __init__(self, name: str, file: Path) -> None:
        self.name = name
        self._file = file.absolute()
        self._expected: str | None = None

    # --- Which store it is -----------------------------------------------------------------------

    def identity(self) -> str | None:
        if not self._file.exists():
            return None
        with self._opened() as database:
            return _identity(database)

    def mark(self, identity: str) -> str:
        try:
            with contextlib.closing(sqlite3.connect(self._file, timeout=30)) as database:
                database.executescript(TABLES)
                with database:
                    database.execute("INSERT OR IGNORE INTO mark VALUES (1, ?)", (identity,))
                return _identity(database) or identity
        except sqlite3.Error as error:
            raise SettingsError(f"section [stores.{self.name}], key 'file': {self._file}: {error}") from error

    def expect(self, identity: str) -> None:
        self._expected = identity

    # --- Objects ---------------------------------------------------------------------------------

    def begin(self, key: str, size: int | None = None) -> SqliteWriter:
        if size is not None and size > 1_000_000_000:  # what SQLite takes as one value
            raise StoreFull(self.name, size)
        with self.there():
            return SqliteWriter(self, checked_key(key))

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        with self.there() as database:
            row = database.execute("SELECT data FROM objects WHERE key = ?", (checked_key(key),)).fetchone()
        if row is None:
            raise ObjectNotFound(self.name, key)
        data: bytes = row[0]
        end = len(data) if length is None else min(len(data), start + length)
        return (data[at : min(at + PIECE, end)] for at in range(start, end, PIECE))

    def path(self, key: str) -> None:
        self.stat(key)

    def url_of(self, key: str) -> str:
        return f"sqlite+{self._file.as_uri()}/{checked_key(key)}"

    def key_of(self, url: str) -> str:
        here = f"sqlite+{self._file.as_uri()}/"
        if url.startswith(here) and is_key(url.removeprefix(here)):
            return url.removeprefix(here)
        raise ForeignUrl(self.name, url)

    def presigned(self, key: str, expires_s: int) -> None:
        """Return ``None``: a file of this machine holds it."""

    def stat(self, key: str) -> Stored:
        with self.there() as database:
            row = database.execute("SELECT length(data) FROM objects WHERE key = ?", (checked_key(key),)).fetchone()
        if row is None:
            raise ObjectNotFound(self.name, key)
        return Stored(key, row[0])

    def list(self, prefix: str = "") -> Iterator[Stored]:
        query = "SELECT key, length(data) FROM objects WHERE substr(key, 1, ?) = ?"
        with self.there() as database:
            return iter([Stored(*row) for row in database.execute(query, (len(prefix), prefix))])

    def delete(self, key: str) -> None:
        with self.there() as database:
            database.execute("DELETE FROM objects WHERE key = ?", (checked_key(key),))

    def ping(self) -> None:
        with self.there() as database:
            database.execute("BEGIN IMMEDIATE")  # is undone by the end of the connection

    def close(self) -> None:
        """Nothing is held open between calls."""

    # --- The file --------------------------------------------------------------------------------

    @contextlib.contextmanager
    def there(self) -> Iterator[sqlite3.Connection]:
        """Open the file, if it is this store."""
        if self._expected is None and not self._file.exists():
            with contextlib.closing(sqlite3.connect(":memory:")) as nothing:
                nothing.executescript(TABLES)
                yield nothing
            return
        with self._opened() as database:
            if self._expected not in (None, _identity(database)):
                raise StoreUnavailable(self.name, f"{self._file} is another store")
            yield database

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        try:
            url = f"{self._file.as_uri()}?mode=rw"  # never makes a file
            with contextlib.closing(sqlite3.connect(url, uri=True, timeout=30, isolation_level=None)) as database:
                yield database
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise StoreFull(self.name) from error
            raise StoreUnavailable(self.name, str(error)) from error
        except sqlite3.Error as error:
            raise StoreUnavailable(self.name, str(error)) from error


class SqliteWriter:
    """Bytes that gather in memory until they become an object."""

    def __init__(self, store: SqliteStore, key: str) -> None:
        self._store, self._key = store, key
        self._gathered = bytearray()

    def write(self, piece: Piece) -> None:
        self._gathered += piece

    def commit(self) -> Stored:
        with self._store.there() as database:
            database.execute("INSERT OR REPLACE INTO objects VALUES (?, ?)", (self._key, self._gathered))
        return Stored(self._key, len(self._gathered))

    def abort(self) -> None:
        self._gathered.clear()


def _identity(database: sqlite3.Connection) -> str | None:
    row = database.execute("SELECT identity FROM mark").fetchone()
    return str(row[0]) if row else None


TYPE = StoreType("sqlite", SqliteSettings, lambda name, settings, _: SqliteStore(name, settings.file))
