"""The secrets by which tokens are signed, kept in SQL: every process of the service has the same.

A new one is read by all before it signs, so that no process meets a token that it cannot know. They lie there sealed
(``sealing.py``), where there is a key to seal them with.
"""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from headwater.clock import Clock, now
from headwater.database.engine import Database
from headwater.database.tables import instance_secrets
from headwater.instances.sealing import NO_SEAL, Seal

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

    def __init__(self, database: Database, clock: Clock = now, *, seal: Seal = NO_SEAL) -> None:
        self._database, self._clock, self._seal = database, clock, seal

    def all(self) -> list[Secret]:
        """Return the secrets, the oldest first; the first one is made now, if there is none.

        Raises:
            SealUnknown: One cannot be opened.
        """
        found = self._database.read(self._read)
        if found:
            return found
        with contextlib.suppress(IntegrityError):  # another process was quicker
            self._database.write(lambda connection: self._add(connection, _FIRST, self._clock()))
        return self._database.read(self._read)

    def require_open(self) -> None:
        """Raise ``SealUnknown`` when one of the secrets that there are cannot be opened."""
        self._database.read(self._read)

    def rotate(self, *, revoke: bool = False) -> Secret:
        """Make a new secret, and forget those before the last one, which is sealed anew.

        Args:
            revoke: Forget the last one too: every token ends at once, within the time in which processes read again.

        Raises:
            SealUnknown: The last one cannot be opened, and is to stay.
        """
        new_id, at = str(uuid.uuid4()), self._clock()

        def work(connection: Connection) -> Secret:
            kept = [] if revoke else self._read(connection)[-1:]
            columns = instance_secrets.c
            connection.execute(delete(instance_secrets).where(columns.id.not_in([each.id for each in kept])))
            for each in kept:
                sealed = {"secret": self._sealed(each.value)}
                connection.execute(update(instance_secrets).where(columns.id == each.id).values(sealed))
            return self._add(connection, new_id, at)

        return self._database.write(work)

    def _read(self, connection: Connection) -> list[Secret]:
        columns = instance_secrets.c
        rows = connection.execute(select(instance_secrets).order_by(columns.made_at, columns.id))
        return [Secret(id=row.id, made_at=row.made_at, value=self._opened(row.id, row.secret)) for row in rows]

    def _add(self, connection: Connection, new_id: str, at: int) -> Secret:
        value = os.urandom(_BYTES)
        connection.execute(insert(instance_secrets).values(id=new_id, made_at=at, secret=self._sealed(value)))
        return Secret(id=new_id, made_at=at, value=value)

    def _sealed(self, value: bytes) -> str:
        return self._seal.closed(value) if self._seal else value.hex()

    def _opened(self, secret_id: str, kept: str) -> bytes:
        found = self._seal.opened(kept, f"the token secret {secret_id!r}")
        return bytes.fromhex(kept) if found is None else found


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
