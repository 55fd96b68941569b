"""Run the migrations that a database lacks. Loaded only when there are some: loading Alembic takes long.

Each migration says in ``compatible_with`` which schema's release may go on beside it. What that comes to is kept in the
database, where a release reads it that does not know the migration (``schema.check``).
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, func, insert, select, text

from headwater.database.engine import Database
from headwater.database.migrations.steps import NO_STEP, Steps
from headwater.database.tables import SCHEMA, catalogue_revisions

_LOCK = 4_203_120_261  # any number that nothing else on the same server locks
_log = logging.getLogger(__name__)


def run(database: Database, migrations: Path, target: str = "head") -> None:
    """Bring the database to a schema; whoever comes at the same time waits, and finds nothing left to do.

    Args:
        migrations: The directory with Alembic's ``env.py``.
    """
    configuration = Config()
    configuration.set_main_option("script_location", str(migrations).replace("%", "%%"))
    with database.migrating() as connection:
        _alone(connection)
        steps = Steps(connection) if connection.dialect.name == "mysql" else None

        def version_reached(**reached: Any) -> None:
            script = reached["step"].up_revision
            oldest = getattr(script.module, "compatible_with", script.revision)
            _note_compatible(connection, script.revision, int(oldest))
            if steps is not None:
                steps.version_reached()

        configuration.attributes["connection"] = connection
        configuration.attributes["version_reached"] = version_reached
        command.upgrade(configuration, target)
        if steps is not None:
            steps.end()
        connection.commit()


def _note_compatible(connection: Connection, number: str, oldest: int) -> None:
    """Keep the oldest schema whose release may run beside all the migrations up to this one."""
    table = catalogue_revisions
    before = connection.scalar(select(func.max(table.c.revision)).where(table.c.scope.startswith(SCHEMA)))
    row = {"scope": SCHEMA + number, "revision": max(before or 0, oldest)}
    connection.execute(insert(table).values(row), execution_options=NO_STEP)


def _alone(connection: Connection) -> None:
    """Keep every other upgrade of this database waiting until the connection ends."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    elif connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
    else:
        while not connection.scalar(text("SELECT GET_LOCK(:key, 10)"), {"key": f"headwater-{_LOCK}"}):
            _log.info("another process upgrades the catalogue; waiting for it")
