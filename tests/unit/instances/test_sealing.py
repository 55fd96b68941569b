"""What the catalogue keeps to sign with is of no use without the key, and is read as before where there is none."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select

from headwater.database.engine import Database
from headwater.database.tables import instance_identity_keys, instance_secrets
from headwater.errors import SettingsError
from headwater.instances.identity.keys import KeyRows
from headwater.instances.sealing import KEY_BYTES, Seal, SealUnknown, seal_of
from headwater.instances.tokens.secrets import SecretRows
from templates import sqlite_catalogue

OLD, NEW = b"o" * KEY_BYTES, b"n" * KEY_BYTES


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(sqlite_catalogue(tmp_path / "catalogue.db"))
    yield database
    database.close()


def kept(database: Database) -> list[str]:
    secrets, keys = select(instance_secrets.c.secret), select(instance_identity_keys.c.private_key)
    return database.read(
        lambda connection: [*connection.execute(secrets).scalars(), *connection.execute(keys).scalars()]
    )


def test_what_is_sealed_fits_its_column_and_opens_with_its_key_alone() -> None:
    secret = os.urandom(32)
    closed = Seal([OLD]).closed(secret)
    assert len(closed) == 64
    assert secret.hex() not in closed
    assert Seal([NEW, OLD]).opened(closed, "it") == secret
    for other in (Seal([NEW]), Seal()):
        with pytest.raises(SealUnknown, match=r"^it in the catalogue is encrypted with the key \S{6}, which "):
            other.opened(closed, "it")


@pytest.mark.parametrize("end", ["", "A", "!!!!", "A" * 54], ids=["cut", "short", "no-base64", "forged"])
def test_what_was_changed_does_not_open(end: str) -> None:
    closed = Seal([OLD]).closed(bytes(32))
    with pytest.raises(SealUnknown):
        Seal([OLD]).opened(closed[:10] + end, "it")


def test_neither_secrets_nor_keys_can_be_read_in_the_catalogue(database: Database) -> None:
    rows, secrets = KeyRows(database, seal=Seal([OLD])), SecretRows(database, seal=Seal([OLD]))
    (key,), (secret,) = rows.all(), secrets.all()
    assert key.private.key_size == 2048
    assert [each[:3] for each in kept(database)] == ["s1.", "s1."]
    assert not any("PRIVATE KEY" in each or secret.value.hex() in each for each in kept(database))


def test_what_an_earlier_release_kept_is_read_and_sealed_with_the_next_rotation(database: Database) -> None:
    (key,), (secret,) = KeyRows(database).all(), SecretRows(database).all()
    rows, secrets = KeyRows(database, seal=Seal([NEW])), SecretRows(database, seal=Seal([NEW]))
    assert (rows.all()[0].pem, secrets.all()[0].value) == (key.pem, secret.value)
    rows.rotate()
    secrets.rotate()
    assert (rows.all()[0].pem, secrets.all()[0].value) == (key.pem, secret.value)
    assert [each[:3] for each in kept(database)] == ["s1."] * 4


def test_after_a_rotation_the_old_key_is_of_no_use(database: Database) -> None:
    KeyRows(database, seal=Seal([OLD])).all()
    SecretRows(database, seal=Seal([OLD])).all()
    both = Seal([NEW, OLD])
    KeyRows(database, seal=both).rotate()
    SecretRows(database, seal=both).rotate()
    assert len(KeyRows(database, seal=Seal([NEW])).all()) == 2
    assert len(SecretRows(database, seal=Seal([NEW])).all()) == 2


def test_without_the_key_nothing_is_forgotten_unless_it_is_revoked(database: Database) -> None:
    every: list[KeyRows | SecretRows] = [KeyRows(database, seal=Seal([OLD])), SecretRows(database, seal=Seal([OLD]))]
    for rows in every:
        rows.all()
    before = kept(database)
    for rows in (KeyRows(database, seal=Seal([NEW])), SecretRows(database, seal=Seal([NEW]))):
        for refused in (rows.require_open, rows.all, rows.rotate):
            with pytest.raises(SealUnknown):
                refused()
        assert kept(database) == before
    for rows in (KeyRows(database, seal=Seal([NEW])), SecretRows(database, seal=Seal([NEW]))):
        rows.rotate(revoke=True)
        rows.require_open()


def test_processes_that_begin_at_once_make_one_key_for_its_owner_alone(tmp_path: Path) -> None:
    catalogue = tmp_path / "headwater.db"
    with ThreadPoolExecutor(4) as pool:
        seals = [each.result() for each in [pool.submit(seal_of, None, catalogue) for _ in range(4)]]
    closed = seals[0].closed(b"x" * 32)
    assert {each.opened(closed, "it") for each in seals} == {b"x" * 32}
    (file,) = tmp_path.iterdir()
    assert (file.name, file.stat().st_mode & 0o777) == ("headwater.db-key", 0o600)


def test_a_catalogue_that_is_no_file_has_no_key_unless_one_is_named(tmp_path: Path) -> None:
    assert not seal_of(None, None)
    file = tmp_path / "keys"
    file.write_bytes(b"\r\n".join([base64.b64encode(NEW), b"", base64.b64encode(OLD)]))
    seal = seal_of(file, None)
    assert Seal([NEW]).opened(seal.closed(b"x"), "it") == b"x"
    assert seal.opened(Seal([OLD]).closed(b"y"), "it") == b"y"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (None, "cannot read .*: No such file"),
        (b"", "holds no key"),
        (b"\n\nc2hvcnQ=\n", "line 3 of .* is no key"),
        (b"-----BEGIN PRIVATE KEY-----\n", "line 1 of .* is no key"),
    ],
    ids=["missing", "empty", "short", "other"],
)
def test_a_file_that_is_no_good_says_so_and_what_makes_one(tmp_path: Path, data: bytes | None, says: str) -> None:
    file = tmp_path / "keys"
    if data is not None:
        file.write_bytes(data)
    with pytest.raises(SettingsError, match=f"section \\[metadata\\], key 'key_file': .*{says}.*openssl rand"):
        seal_of(file, tmp_path / "headwater.db")
