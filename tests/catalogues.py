"""The catalogues of released schemas (``tests/data/catalogues``), and all that a database holds, for comparison."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Boolean, Connection, MetaData, inspect

from headwater.database import migrating, schema
from headwater.database.engine import Database
from headwater.database.migrations import steps

KEPT = {file.stem: file for file in sorted((Path(__file__).parent / "data" / "catalogues").glob("*.sql"))}
RELEASED = "0010"  # the newest schema that a release has had
_MADE_BY_MIGRATIONS = {"alembic_version", "sqlite_sequence"}


def fill(database: Database, number: str) -> None:
    """Make an empty database the kept catalogue of a schema: that schema, and its rows."""
    migrating.run(database, schema.MIGRATIONS, number)
    with sqlite3.connect(":memory:") as kept:
        kept.row_factory = sqlite3.Row
        kept.executescript(KEPT[number].read_text())

    def work(connection: Connection) -> None:
        tables = MetaData()
        tables.reflect(connection)
        connection.execute(tables.tables["catalogue_revisions"].delete())
        for table in tables.sorted_tables:
            if table.name in _MADE_BY_MIGRATIONS:
                continue
            for row in kept.execute(f"SELECT * FROM {table.name}"):
                values = dict(row)
                for column in table.columns:
                    if isinstance(column.type, Boolean):
                        values[column.name] = bool(values[column.name])
                connection.execute(table.insert().values(values))

    database.write(work)
    kept.close()


def empty(database: Database) -> None:
    """Remove every table."""

    def work(connection: Connection) -> None:
        tables = MetaData()
        tables.reflect(connection)
        tables.drop_all(connection)

    database.write(work)


def content(database: Database) -> dict[str, Any]:
    """Return the columns, indexes and rows of every table."""

    def read(connection: Connection) -> dict[str, Any]:
        found = inspect(connection)
        return {
            table: (
                [(column["name"], repr(column["type"]), column["nullable"]) for column in found.get_columns(table)],
                sorted((str(index["name"]), index["column_names"]) for index in found.get_indexes(table)),
                sorted(map(repr, connection.exec_driver_sql(f"SELECT * FROM {table}"))),
            )
            for table in found.get_table_names()
            if table != steps.TABLE  # empty, when the kill came after the last step
        }

    return database.read(read)
