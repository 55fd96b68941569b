"""The file of an SQLite catalogue is the one that was opened.

When a file is removed or replaced, SQLite goes on in the one that has no name any more, and what is written there is
lost with the last connection. When it is cut short, a read through its mapping in memory ends the process. So before
each use, and after each commit, the name is compared with what was opened first: two microseconds.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from headwater.database.connecting import uri
from headwater.database.faults import DatabaseFull, DatabaseUnavailable
from headwater.errors import SettingsError

_LATELY_S = 0.05
_ROOM = 1 << 20  # bytes that a disk must have left to count as well


class DatabaseFileChanged(DatabaseUnavailable):
    """The file is gone, another one, or shorter than it was."""

    def __init__(self, file: Path, what: str) -> None:
        super().__init__(f"the database file {file} {what}: put it back, and start Headwater again")
        self.file = file


class SqliteFile:
    """The file of one ``Database``."""

    def __init__(self, file: Path, *, may_make: bool) -> None:
        """Take the file.

        Args:
            may_make: The file is made when the first connection finds none.
        """
        self._file = file
        self._may_make = may_make
        self._known: tuple[int, int] | None = None
        self._size = 0
        self._looked_at = float("-inf")

    def guard(self, engine: Engine) -> None:
        """Let the engine open this file and no other."""

        @event.listens_for(engine, "do_connect")
        def on_connect(_dialect: Any, _record: Any, _arguments: Any, options: dict[str, Any]) -> sqlite3.Connection:
            return self._open(options)

    @property
    def is_there(self) -> bool:
        return self._file.exists()

    def require_lately(self) -> None:
        """Raise as ``require`` does, for a read: what was looked at a moment ago counts.

        A system call lets go of the interpreter, and with many threads it takes long to get it back.
        """
        if time.monotonic() - self._looked_at > _LATELY_S:
            self.require()

    def require(self) -> None:
        """Raise ``DatabaseFileChanged`` when the file is not what was opened."""
        if self._known is None:
            return
        looked_at = time.monotonic()
        least = self._size  # read first: the file may grow meanwhile, and other threads note that
        try:
            found = os.stat(self._file)  # noqa: PTH116 - of each call, and Path's takes twice as long
        except FileNotFoundError:
            raise DatabaseFileChanged(self._file, "was removed") from None
        except OSError as error:
            raise DatabaseFileChanged(self._file, f"cannot be reached ({error.strerror})") from error
        if (found.st_dev, found.st_ino) != self._known:
            raise DatabaseFileChanged(self._file, "was replaced by another one")
        if found.st_size < least and not self._has_all(found.st_size):
            raise DatabaseFileChanged(self._file, "was cut short")
        self._size, self._looked_at = found.st_size, looked_at

    def _has_all(self, size: int) -> bool:
        """Return whether the file is as long as it says of itself: ``VACUUM`` makes it shorter."""
        # Source: sqlite.org/fileformat2.html, "The Database Header": page size at 16 (1 for 65536), pages at 28.
        try:
            with self._file.open("rb") as file:
                page, pages = struct.unpack(">16xH10xI", file.read(32))
        except (OSError, struct.error):
            return False
        return size > 0 and size == (65536 if page == 1 else page) * pages

    def require_room(self) -> None:
        """Raise ``DatabaseFull`` when no change would find room."""
        disk = os.statvfs(self._file.parent)
        if disk.f_bavail * disk.f_frsize < _ROOM:
            raise DatabaseFull(str(self._file))

    def _open(self, options: dict[str, Any]) -> sqlite3.Connection:
        self.require()
        if self._known is None and self._may_make:
            self._make()
        connection: sqlite3.Connection = sqlite3.connect(uri(str(self._file)), uri=True, **options)
        if self._known is None:
            found = self._file.stat()
            self._known = (found.st_dev, found.st_ino)
        self.require()  # it was there when it was opened, and still is
        return connection

    def _make(self) -> None:
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"section [database], key 'url': cannot make the directory {self._file.parent}: {error.strerror}; "
                "give a file in a directory that this user may write to"
            ) from error
        if not self._file.exists():
            self._file.touch(0o600)
