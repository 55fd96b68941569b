"""The secrets by which tokens are signed, kept in SQL: every process of the service has the same.

A new one is read by all before it signs, so that no process meets a token that it cannot know.
"""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from headwater.clock import Clock, now
from headwater.database.engine import Database
from headwater.database.tables import instance_secrets

_FIRST = "first"  # one of several processes makes it
_BYTES = 32
_READ_EVERY_US = 30 * 1_000_000
_SIGNS_AFTER_US = 2 * _READ_EVERY_US


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """One secret of the service."""

    id: str
    made_at: int  # microseconds since 1970, UTC
    value: bytes = field(repr=False)


class SecretRows:
    """The secrets in the catalogue; safe to use from several threads."""

    def __init__(self, database: Database, clock: Clock = now) -> None:
        self._database, self._clock = database, clock

    def all(self) -> list[Secret]:
        """Return the secrets, the oldest first; the first one is made now, if there is none."""
        found = self._database.read(_read)
        if found:
            return found
        with contextlib.suppress(IntegrityError):  # another process was quicker
            self._database.write(lambda connection: _add(connection, _FIRST, self._clock()))
        return self._database.read(_read)

    def rotate(self, *, revoke: bool = False) -> Secret:
        """Make a new secret, and forget those before the last one.

        Args:
            revoke: Forget the last one too: every token ends at once, within the time in which processes read again.
        """
        new_id, at = str(uuid.uuid4()), self._clock()

        def work(connection: Connection) -> Secret:
            last = _read(connection)[-1:]
            kept = [] if revoke else [each.id for each in last]
            connection.execute(delete(instance_secrets).where(instance_secrets.c.id.not_in(kept)))
            return _add(connection, new_id, at)

        return self._database.write(work)


class Secrets:
    """The secrets, as one process knows them; safe to use from several threads."""

    def __init__(self, rows: SecretRows, clock: Clock = now) -> None:
        self._rows, self._clock = rows, clock
        self._lock = threading.Lock()
        self._known: list[Secret] = []
        self._read_at = 0

    def __call__(self) -> Sequence[bytes]:
        """Return the secrets, first the one that signs.

        Raises:
            Unavailable: The catalogue does not answer, and was never read.
        """
        at = self._clock()
        with self._lock:
            if not self._known or not 0 <= at - self._read_at < _READ_EVERY_US:
                self._known, self._read_at = self._rows.all(), at
            known = self._known
        signs = next((each for each in reversed(known) if at - each.made_at >= _SIGNS_AFTER_US), known[0])
        return [signs.value, *(each.value for each in known if each is not signs)]


def _read(connection: Connection) -> list[Secret]:
    columns = instance_secrets.c
    rows = connection.execute(select(instance_secrets).order_by(columns.made_at, columns.id))
    return [Secret(id=row.id, made_at=row.made_at, value=bytes.fromhex(row.secret)) for row in rows]


def _add(connection: Connection, new_id: str, at: int) -> Secret:
    value = os.urandom(_BYTES)
    connection.execute(insert(instance_secrets).values(id=new_id, made_at=at, secret=value.hex()))
    return Secret(id=new_id, made_at=at, value=value)
