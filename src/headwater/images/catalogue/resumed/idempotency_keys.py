"""The keys under which images were created, so that a creation that is tried again makes no second image.

A key is kept in the transaction that creates the image: there is neither without the other, and of two requests at once
with one key the second waits for the first and finds what that has made.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from headwater.database.engine import Database
from headwater.database.tables import idempotency_keys
from headwater.errors import Conflict
from headwater.identity.caller import Caller
from headwater.images.catalogue.transaction import Step, Transaction


@dataclass(frozen=True, slots=True)
class Key:
    """A key, as one caller uses it for one request."""

    owner: str
    user_id: str
    key: str
    fingerprint: str  # of what is asked for: SHA-256 in hex

    @classmethod
    def of(cls, caller: Caller, key: str, fingerprint: str) -> Key:
        """Return the key of this caller: the same word of another one is another key."""
        return cls(caller.project_id or "", caller.user_id or "", key, fingerprint)


@dataclass(frozen=True, slots=True)
class Creation:
    """What was created under a key."""

    fingerprint: str
    image_id: str


class KeyUsed(Conflict):
    """Another request with this key has just created an image."""

    def __init__(self, creation: Creation) -> None:
        super().__init__(f"Image {creation.image_id} was created under this Idempotency-Key at this moment")
        self.creation = creation


class IdempotencyKeyRows:
    """The keys of one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, key: Key, now: int) -> Creation | None:
        """Return what was created under ``key``, whatever was asked for; ``None``: nothing that is remembered."""
        return self._database.read(lambda connection: _found(connection, key, now))

    def forget_expired(self, now: int) -> int:
        """Forget the keys whose time is over, and return how many."""
        statement = delete(idempotency_keys).where(idempotency_keys.c.expires_at < now)
        return self._database.write(lambda connection: connection.execute(statement).rowcount)


def kept(key: Key, image_id: str, *, now: int, expires_at: int) -> Step[None]:
    """Keep a key beside the image that is created under it.

    Raises:
        KeyUsed: An image was created under it meanwhile.
    """

    def step(transaction: Transaction) -> None:
        connection = transaction.connection
        creation = _found(connection, key, now)
        if creation is not None:
            raise KeyUsed(creation)
        # One whose time is over makes way, and no other: it may be there by now, unseen until this waited for it.
        connection.execute(delete(idempotency_keys).where(*_is(key), idempotency_keys.c.expires_at < now))
        # Where another transaction keeps the same key, this waits for its end, is run again, and finds it.
        connection.execute(
            insert(idempotency_keys),
            {
                "owner": key.owner,
                "user_id": key.user_id,
                "idempotency_key": key.key,
                "fingerprint": key.fingerprint,
                "image_id": image_id,
                "expires_at": expires_at,
            },
        )

    return step


def _found(connection: Connection, key: Key, now: int) -> Creation | None:
    table = idempotency_keys.c
    query = select(table.fingerprint, table.image_id).where(*_is(key), table.expires_at >= now)
    row = connection.execute(query).first()
    return None if row is None else Creation(row.fingerprint, row.image_id)


def _is(key: Key) -> tuple[ColumnElement[bool], ...]:
    table = idempotency_keys.c
    return table.owner == key.owner, table.user_id == key.user_id, table.idempotency_key == key.key
