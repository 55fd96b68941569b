"""What is kept of guests beside their records: the secrets of their tokens, and their passwords, on every database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from headwater.database.engine import Database
from headwater.instances.errors import InstanceNotFound
from headwater.instances.identity.keys import KeyRows
from headwater.instances.password.posting import PasswordSet
from headwater.instances.password.rows import PasswordRows
from headwater.instances.registry import InstanceRows
from headwater.instances.sealing import KEY_BYTES, Seal, SealUnknown
from headwater.instances.tokens.secrets import SecretRows, Secrets
from unit.instances.examples import WEB_1

MINUTE = 60 * 1_000_000
NOON = 1_800_000_000_000_000


class Clock:
    """Stands still unless it is moved."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> int:
        return self.at


def test_processes_that_begin_at_once_have_one_secret(database: Database) -> None:
    barrier = Barrier(4)

    def begins() -> list[bytes]:
        barrier.wait()
        return list(Secrets(SecretRows(database))())

    with ThreadPoolExecutor(4) as pool:
        found = [begun.result() for begun in [pool.submit(begins) for _ in range(4)]]
    assert len(found[0]) == 1
    assert all(each == found[0] for each in found)


def test_a_new_secret_is_known_to_all_before_it_signs(database: Database) -> None:
    clock = Clock()
    rows = SecretRows(database, clock)
    first, second = Secrets(rows, clock), Secrets(rows, clock)
    (old,) = first()
    second()
    clock.at += 1
    rows.rotate()
    for _ in range(2):
        clock.at += MINUTE // 2
        knows = [set(first()), set(second())]
        assert all(len(each) == 2 for each in knows)
        if clock.at < NOON + MINUTE:
            assert first()[0] == old
    assert first()[0] == second()[0] != old
    assert old in first()


def test_a_secret_is_forgotten_with_the_rotation_after_the_next_or_when_it_is_revoked(database: Database) -> None:
    rows = SecretRows(database)
    one = rows.all()
    two = rows.rotate()
    assert [each.id for each in rows.all()] == [one[0].id, two.id]
    three = rows.rotate()
    assert {each.id for each in rows.all()} == {two.id, three.id}
    four = rows.rotate(revoke=True)
    assert [each.id for each in rows.all()] == [four.id]
    assert repr(four.value) not in repr(four)


def test_what_is_sealed_fits_every_database_and_is_read_back(database: Database) -> None:
    seal = Seal([b"k" * KEY_BYTES])
    (secret,), (key,) = SecretRows(database, seal=seal).all(), KeyRows(database, seal=seal).all()
    assert len(secret.value) == 32
    assert key.pem.startswith("-----BEGIN PRIVATE KEY-----")
    with pytest.raises(SealUnknown):
        SecretRows(database).all()
    SecretRows(database, seal=seal).rotate()
    assert SecretRows(database, seal=seal).all()[0].value == secret.value


def test_a_password_is_posted_once_until_it_is_cleared(database: Database) -> None:
    InstanceRows(database).add(WEB_1)
    rows = PasswordRows(database)
    assert rows.get(WEB_1.id) is None
    rows.put(WEB_1.id, "one")
    rows.put(WEB_1.id, "one")
    with pytest.raises(PasswordSet):
        rows.put(WEB_1.id, "two")
    assert rows.get(WEB_1.id) == "one"
    assert rows.clear(WEB_1.id)
    assert not rows.clear(WEB_1.id)
    rows.put(WEB_1.id, "x" * 1020)
    assert rows.get(WEB_1.id) == "x" * 1020


def test_of_passwords_posted_at_once_one_is_kept_and_the_others_are_told(database: Database) -> None:
    InstanceRows(database).add(WEB_1)
    barrier = Barrier(4)

    def post(value: str) -> bool:
        barrier.wait()
        try:
            PasswordRows(database).put(WEB_1.id, value)
        except PasswordSet:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        posts = {value: pool.submit(post, value) for value in ("a", "b", "c", "d")}
        kept = [value for value, result in posts.items() if result.result()]
    assert kept == [PasswordRows(database).get(WEB_1.id)]


def test_a_password_goes_with_its_machine(database: Database) -> None:
    registry, rows = InstanceRows(database), PasswordRows(database)
    registry.add(WEB_1)
    rows.put(WEB_1.id, "one")
    registry.remove(WEB_1.id)
    with pytest.raises(InstanceNotFound):
        rows.put(WEB_1.id, "two")
    registry.add(WEB_1)
    assert rows.get(WEB_1.id) is None
