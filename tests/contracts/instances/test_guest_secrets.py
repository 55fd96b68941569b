"""What is kept of guests beside their records: the secrets of their tokens, and their passwords, on every database."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from headwater.database.engine import Database
from headwater.instances.errors import InstanceNotFound
from headwater.instances.identity.keys import KeyRows
from headwater.instances.password.posting import PasswordSet
from headwater.instances.password.rows import OF_CLOUD, REGISTERED, Of, PasswordRows
from headwater.instances.registry.rows import InstanceRows
from headwater.instances.sealing import KEY_BYTES, Seal, SealUnknown
from headwater.instances.sources.openstack.rows import CloudRows
from headwater.instances.sources.openstack.told import Told
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


def known(database: Database, of: Of) -> PasswordRows:
    """Return where passwords are, with one machine there."""
    if of is OF_CLOUD:
        told = Told(instance=WEB_1, replaced=None, changed_at=NOON, loaded_at=NOON)
        CloudRows(database).write([(told, True)])
    else:
        InstanceRows(database).add(WEB_1)
    return PasswordRows(database, of=of)


def forgotten(database: Database, of: Of) -> None:
    """Let the machine be gone."""
    if of is OF_CLOUD:
        CloudRows(database).remove(WEB_1.id)
    else:
        InstanceRows(database).remove(WEB_1.id)


WHOSE = pytest.mark.parametrize("of", [REGISTERED, OF_CLOUD], ids=["registered", "cloud"])


@WHOSE
def test_a_password_is_posted_once_until_it_is_cleared(database: Database, of: Of) -> None:
    rows = known(database, of)
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


@WHOSE
def test_of_passwords_posted_at_once_one_is_kept_and_the_others_are_told(database: Database, of: Of) -> None:
    known(database, of)
    barrier = Barrier(4)

    def post(value: str) -> bool:
        barrier.wait()
        try:
            PasswordRows(database, of=of).put(WEB_1.id, value)
        except PasswordSet:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        posts = {value: pool.submit(post, value) for value in ("a", "b", "c", "d")}
        kept = [value for value, result in posts.items() if result.result()]
    assert kept == [PasswordRows(database, of=of).get(WEB_1.id)]


@WHOSE
def test_a_password_goes_with_its_machine(database: Database, of: Of) -> None:
    rows = known(database, of)
    rows.put(WEB_1.id, "one")
    forgotten(database, of)
    with pytest.raises(InstanceNotFound):
        rows.put(WEB_1.id, "two")
    known(database, of)
    assert rows.get(WEB_1.id) is None


def test_a_registered_machine_and_one_of_the_cloud_share_nothing(database: Database) -> None:
    of_cloud, registered = (known(database, of) for of in (OF_CLOUD, REGISTERED))
    of_cloud.put(WEB_1.id, "of the cloud")
    assert registered.get(WEB_1.id) is None
    registered.put(WEB_1.id, "registered")
    forgotten(database, REGISTERED)
    assert (registered.get(WEB_1.id), of_cloud.get(WEB_1.id)) == (None, "of the cloud")
