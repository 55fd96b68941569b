"""Upgrades of a catalogue: undisturbed ones, and tries that are killed on the way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import inspect

from catalogues import content, empty, fill
from headwater.database import schema
from headwater.database.engine import Database

Try = Callable[[str, int], str]


@contextmanager
def tries() -> Iterator[Try]:
    """Give what tries an upgrade that is killed at its statement of a number, and tells what came of it."""
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
