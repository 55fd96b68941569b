"""A catalogue that is killed on its way to a newer schema arrives there at the next start, with every row."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import inspect

from catalogues import content, empty, fill
from headwater.database import schema
from headwater.database.engine import Database

Try = Callable[[str, int], str]


@pytest.fixture(scope="module")
def upgrade_to_a_kill() -> Iterator[Try]:
    """Try an upgrade that is killed at its statement of a number, and tell what came of it."""
    with subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("broken_upgrade.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def run(url: str, number: int) -> str:
            assert process.stdin is not None
            assert process.stdout is not None
            print(url, number, file=process.stdin, flush=True)
            return process.stdout.readline().strip()

        yield run


@pytest.mark.parametrize("number", [None, "0003"])  # all there is to make; all rows that are moved
def test_an_upgrade_killed_at_any_statement_is_completed_by_the_next(
    database_url: str, upgrade_to_a_kill: Try, number: str | None
) -> None:
    undisturbed = upgraded(database_url, number)
    with_tables = prepared(database_url, number)
    for at in itertools.count(1):
        outcome = upgrade_to_a_kill(database_url, at)
        if outcome == "done":
            break
        assert outcome == "killed"
        if not database_url.startswith("mysql"):
            assert tables(database_url) == with_tables
    assert at > 5
    assert upgraded(database_url, number, prepare=False) == undisturbed


def prepared(url: str, number: str | None) -> list[str]:
    """Make the database the kept catalogue of a schema, or an empty one; return the names of its tables."""
    database = Database(url)
    empty(database)
    if number is not None:
        fill(database, number)
    database.close()
    return tables(url)


def upgraded(url: str, number: str | None, *, prepare: bool = True) -> dict[str, object]:
    """Return what an upgrade makes of the database when nothing breaks it off."""
    if prepare:
        prepared(url, number)
    database = Database(url)
    assert schema.upgrade(database) == prepare
    found = content(database)
    database.close()
    return found


def tables(url: str) -> list[str]:
    database = Database(url)
    names = database.read(lambda connection: inspect(connection).get_table_names())
    database.close()
    return sorted(names)
