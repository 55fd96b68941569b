"""The keys that sign who machines are, kept in SQL: every process of the service has the same.

A new key is published before it signs, and an old one for as long as what it signed is good. Private keys lie in the
catalogue sealed (``sealing.py``); without a key to seal them with, who can read that can sign for any machine.
"""

from __future__ import annotations

import base64
import contextlib
import threading
import uuid
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from headwater.clock import Clock, now
from headwater.database.engine import Database
from headwater.database.tables import instance_identity_keys
from headwater.instances.sealing import NO_SEAL, Seal

LONGEST_S = 3600  # of what a key signs
PUBLISHED_S = 300  # for how long who checks may keep what is published

_FIRST = "first"  # one of several processes makes it
_BITS = 2048  # what every library that checks can do
_READ_EVERY_US = 30 * 1_000_000
_SIGNS_AFTER_US = (PUBLISHED_S + 60) * 1_000_000
_KEPT_US = (LONGEST_S + PUBLISHED_S) * 1_000_000


@dataclass(frozen=True)
class Key:
    """One key."""

    id: str
    made_at: int  # microseconds since 1970, UTC
    pem: str = field(repr=False)

    @cached_property
    def private(self) -> RSAPrivateKey:
        """What signs."""
        found = serialization.load_pem_private_key(self.pem.encode(), None)
        assert isinstance(found, RSAPrivateKey)
        return found

    def published(self) -> dict[str, Any]:
        """Return the public half as a JSON Web Key (RFC 7517)."""
        numbers = self.private.public_key().public_numbers()
        parts = {name: _base64url(value) for name, value in (("n", numbers.n), ("e", numbers.e))}
        return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.id, **parts}


class KeyRows:
    """The keys in the catalogue; safe to use from several threads."""

    def __init__(self, database: Database, clock: Clock = now, *, seal: Seal = NO_SEAL) -> None:
        self._database, self._clock, self._seal = database, clock, seal

    def all(self) -> list[Key]:
        """Return the keys, the oldest first; the first one is made now, if there is none.

        Raises:
            SealUnknown: One cannot be opened.
        """
        found = self._database.read(self._read)
        if found:
            return found
        pem, at = _new_pem(), self._clock()
        with contextlib.suppress(IntegrityError):  # another process was quicker
            self._database.write(lambda connection: self._add(connection, Key(_FIRST, at, pem)))
        return self._database.read(self._read)

    def require_open(self) -> None:
        """Raise ``SealUnknown`` when one of the keys that there are cannot be opened."""
        self._database.read(self._read)

    def rotate(self, *, revoke: bool = False) -> Key:
        """Make a new key, and forget those that nothing good is signed with; what stays is sealed anew.

        Args:
            revoke: Forget all others at once: what they signed is refused by whoever asks for the keys again.

        Raises:
            SealUnknown: One that stays cannot be opened.
        """
        key = Key(str(uuid.uuid4()), self._clock(), _new_pem())

        def work(connection: Connection) -> None:
            found = [] if revoke else self._read(connection)
            kept = _needed(found, key.made_at) if found else []
            columns = instance_identity_keys.c
            connection.execute(delete(instance_identity_keys).where(columns.id.not_in([each.id for each in kept])))
            for each in kept:
                sealed = {"private_key": self._sealed(each.pem)}
                connection.execute(update(instance_identity_keys).where(columns.id == each.id).values(sealed))
            self._add(connection, key)

        self._database.write(work)
        return key

    def _read(self, connection: Connection) -> list[Key]:
        columns = instance_identity_keys.c
        rows = connection.execute(select(instance_identity_keys).order_by(columns.made_at, columns.id))
        return [Key(row.id, row.made_at, self._opened(row.id, row.private_key)) for row in rows]

    def _add(self, connection: Connection, key: Key) -> None:
        values = {"id": key.id, "made_at": key.made_at, "private_key": self._sealed(key.pem)}
        connection.execute(insert(instance_identity_keys).values(values))

    def _sealed(self, pem: str) -> str:
        return self._seal.closed(pem.encode()) if self._seal else pem

    def _opened(self, key_id: str, kept: str) -> str:
        found = self._seal.opened(kept, f"the identity key {key_id!r}")
        return kept if found is None else found.decode()


class Keys:
    """The keys, as one process knows them; safe to use from several threads."""

    def __init__(self, rows: KeyRows, clock: Clock = now) -> None:
        self._rows, self._clock = rows, clock
        self._lock = threading.Lock()
        self._known: list[Key] = []
        self._read_at = 0

    def signing(self) -> Key:
        """Return the key that signs now."""
        return _signing(self._all(), self._clock())

    def published(self) -> list[dict[str, Any]]:
        """Return what is to be published, the newest first."""
        return [each.published() for each in self.good()]

    def good(self) -> list[Key]:
        """Return the keys that signed what may still be good, and those that will sign, the newest first."""
        return _needed(self._all(), self._clock())[::-1]

    def _all(self) -> list[Key]:
        at = self._clock()
        with self._lock:
            if not self._known or not 0 <= at - self._read_at < _READ_EVERY_US:
                before = {each.id: each for each in self._known}
                self._known = [before.get(each.id, each) for each in self._rows.all()]  # what is loaded stays so
                self._read_at = at
            return self._known


def _signing(keys: list[Key], at: int) -> Key:
    return next((each for each in reversed(keys) if at - each.made_at >= _SIGNS_AFTER_US), keys[0])


def _needed(keys: list[Key], at: int) -> list[Key]:
    """Return the key that signs, those after it, and those before it whose last token may still be good."""
    signing = keys.index(_signing(keys, at))
    return [
        each
        for number, each in enumerate(keys)
        if number >= signing or at - (keys[number + 1].made_at + _SIGNS_AFTER_US) < _KEPT_US
    ]


def _new_pem() -> str:
    key = generate_private_key(65537, _BITS)
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()


def _base64url(number: int) -> str:
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
