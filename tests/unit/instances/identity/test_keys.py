"""A key is published before it signs, and until the last token that it signed is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from headwater.database.engine import Database
from headwater.instances.identity.keys import LONGEST_S, PUBLISHED_S, KeyRows, Keys
from templates import sqlite_catalogue

AT = 1_800_000_000_000_000
S = 1_000_000


class Clock:
    def __init__(self) -> None:
        self.at = AT

    def __call__(self) -> int:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(sqlite_catalogue(tmp_path / "catalogue.db"))
    yield database
    database.close()


def ids(keys: Keys) -> list[str]:
    return [each["kid"] for each in keys.published()]


def test_the_first_key_is_made_once_and_every_process_has_it(database: Database, clock: Clock) -> None:
    first, second = (Keys(KeyRows(database, clock), clock) for _ in range(2))
    assert first.signing() == second.signing()
    (published,) = second.published()
    assert (published["kty"], published["alg"], published["use"], published["e"]) == ("RSA", "RS256", "sig", "AQAB")
    assert not {"d", "p", "q", "dp", "dq", "qi"} & set(published)
    assert first.signing().pem not in repr(first.signing())


def test_a_new_key_is_published_at_once_and_signs_when_all_know_it(database: Database, clock: Clock) -> None:
    keys = Keys(KeyRows(database, clock), clock)
    old = keys.signing()
    clock.at += S
    new = KeyRows(database, clock).rotate()
    clock.at += 31 * S
    assert (keys.signing().id, ids(keys)) == (old.id, [new.id, old.id])
    clock.at += PUBLISHED_S * S
    assert keys.signing().id == old.id
    clock.at += 60 * S
    assert (keys.signing().id, ids(keys)) == (new.id, [new.id, old.id])


def test_an_old_key_is_published_until_its_last_token_is_over(database: Database, clock: Clock) -> None:
    keys = Keys(KeyRows(database, clock), clock)
    old = keys.signing()
    clock.at += S
    new = KeyRows(database, clock).rotate()
    clock.at += (PUBLISHED_S + 60 + LONGEST_S) * S
    assert ids(keys) == [new.id, old.id]
    clock.at += (PUBLISHED_S + 31) * S
    assert ids(keys) == [new.id]
    newest = KeyRows(database, clock).rotate()
    assert [each.id for each in KeyRows(database, clock).all()] == [new.id, newest.id]


def test_a_rotation_does_not_forget_a_key_whose_tokens_are_good(database: Database, clock: Clock) -> None:
    keys = Keys(KeyRows(database, clock), clock)
    made = [keys.signing().id]
    for _ in range(3):
        clock.at += S
        made.append(KeyRows(database, clock).rotate().id)
        clock.at += 400 * S
    assert ids(keys) == made[::-1]


def test_what_is_revoked_is_published_no_more(database: Database, clock: Clock) -> None:
    keys = Keys(KeyRows(database, clock), clock)
    keys.signing()
    clock.at += S
    new = KeyRows(database, clock).rotate(revoke=True)
    clock.at += 31 * S
    assert (keys.signing().id, ids(keys)) == (new.id, [new.id])
