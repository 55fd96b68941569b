"""What databases are asked, for tests of what an answer costs and of the indexes that it uses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Engine, event

from headwater.database.engine import Database


class Question(NamedTuple):
    """One statement, and the values that go with it."""

    statement: str
    values: Any


@contextmanager
def questions() -> Iterator[list[Question]]:
    """Note every statement that anything asks a database meanwhile, on whichever connection."""
    asked: list[Question] = []

    def note(_connection: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        asked.append(Question(statement, values))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def plan(database: Database, question: Question) -> list[str]:
    """Return the steps that SQLite takes for an answer."""
    with database.engine.connect() as connection:
        steps = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {question.statement}", question.values)
        return [row[3] for row in steps]
