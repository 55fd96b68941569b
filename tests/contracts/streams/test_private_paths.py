"""Secret paths, on every database."""

from __future__ import annotations

import threading
import uuid

import pytest

from contracts.image_catalogue import NOON
from headwater.database import tables
from headwater.database.engine import Database
from headwater.images.catalogue.sharing import private_paths as steps
from headwater.images.catalogue.sharing.private_paths import (
    MOST,
    PathNotFound,
    PrivatePath,
    PrivatePathRows,
    TooManyPaths,
)
from headwater.images.catalogue.transaction import Step, Transaction, written
from questions import questions

HOUR = 3_600_000_000


def a_path(project: str = "a", *, expires_at: int | None = None, created_at: int = NOON) -> PrivatePath:
    return PrivatePath(
        id=str(uuid.uuid4()),
        project_id=project,
        user_id="ann",
        name="edge",
        with_community=True,
        created_at=created_at,
        expires_at=expires_at,
    )


def run(database: Database, step: Step[object]) -> None:
    written(database, lambda connection: step(Transaction(connection, lambda _: None)))


def test_a_secret_finds_its_path_until_it_is_removed_and_no_other_text_does(database: Database) -> None:
    rows, path, other = PrivatePathRows(database), a_path(), a_path("b")
    run(database, steps.added(path, "Secret-1"))
    run(database, steps.added(other, "Secret-2"))
    assert rows.find("Secret-1", NOON) == path
    for wrong in ("secret-1", "Secret-1 ", "Secret-", "", "Secret-1\x00", "é", "\udcff", "x" * 9999):
        assert rows.find(wrong, NOON) is None
    assert rows.of("a", NOON) == [path]
    assert set(rows.of(None, NOON)) == {path, other}
    run(database, steps.removed(path.id))
    assert rows.find("Secret-1", NOON) is None
    with pytest.raises(PathNotFound):
        run(database, steps.removed(path.id))
    with pytest.raises(PathNotFound):
        rows.get(path.id, NOON)
    assert rows.find("Secret-2", NOON) == other


def test_a_secret_is_nowhere_in_the_database(database: Database) -> None:
    run(database, steps.added(a_path(), "the-secret-itself"))
    query = tables.private_paths.select()
    (row,) = database.read(lambda connection: connection.execute(query).all())
    assert "the-secret-itself" not in str(row)


def test_a_path_that_is_over_is_not_there_and_goes_when_the_next_is_made(database: Database) -> None:
    rows, path = PrivatePathRows(database), a_path(expires_at=NOON + HOUR)
    run(database, steps.added(path, "s"))
    assert rows.find("s", NOON + HOUR - 1) == path
    for over in (NOON + HOUR, NOON + 2 * HOUR):
        assert rows.find("s", over) is None
        assert rows.of("a", over) == []
        with pytest.raises(PathNotFound):
            rows.get(path.id, over)
    run(database, steps.added(a_path(created_at=NOON + HOUR), "t"))
    count = database.read(lambda connection: len(connection.execute(tables.private_paths.select()).all()))
    assert count == 1


def test_a_secret_is_looked_for_in_one_way_wherever_it_leads(database: Database) -> None:
    rows, revoked = PrivatePathRows(database), a_path()
    run(database, steps.added(a_path(), "right"))
    run(database, steps.added(a_path(expires_at=NOON), "over"))
    run(database, steps.added(revoked, "revoked"))
    run(database, steps.removed(revoked.id))
    rows.find("warm", NOON)  # a first connection asks more
    asked_for = []
    for secret in ("right", "over", "revoked", "never", ""):
        with questions() as asked:
            rows.find(secret, NOON)
        asked_for.append([each.statement for each in asked])
    assert all(each == asked_for[0] for each in asked_for)


def test_a_project_has_a_bounded_number_of_paths(database: Database) -> None:
    for number in range(MOST):
        run(database, steps.added(a_path(), f"s{number}"))
    with pytest.raises(TooManyPaths):
        run(database, steps.added(a_path(), "one more"))
    run(database, steps.added(a_path("b"), "of another"))


def test_two_that_revoke_one_path_at_once_revoke_it_once(database: Database) -> None:
    path, refused = a_path(), []
    run(database, steps.added(path, "s"))

    def revoke() -> None:
        try:
            run(database, steps.removed(path.id))
        except PathNotFound as error:
            refused.append(error)

    both = [threading.Thread(target=revoke) for _ in range(2)]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert len(refused) == 1
