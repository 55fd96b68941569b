"""Bring a database to the newest schema, or say what stands in the way.

The number of a schema is the name of its last migration (``migrations/versions``). A start reads one
row; Alembic is loaded only when there is something to do, because loading it takes longer than the
rest of the start.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, select, text

from headwater.database.engine import Database
from headwater.database.tables import SCHEMA, catalogue_revisions
from headwater.errors import SettingsError
from headwater.garbage import no_garbage_search

NEWEST = "0011"

MIGRATIONS = Path(__file__).parent / "migrations"


class CatalogueTooNew(SettingsError):
    """A newer Headwater has written this database; running on it could lose what only that one knows."""

    def __init__(self, database: str, found: str) -> None:
        super().__init__(
            f"the catalogue {database} has schema {found}, and this Headwater knows only up to {NEWEST}: "
            "start the newer Headwater, or restore the catalogue from before its upgrade"
        )
        self.found = found


class CatalogueTooOld(SettingsError):
    """The database waits for its migrations."""

    def __init__(self, database: str, found: str | None) -> None:
        super().__init__(
            f"the catalogue {database} has {'schema ' + found if found else 'no schema'}, and this Headwater "
            f"needs {NEWEST}: run 'headwater db upgrade'"
        )
        self.found = found


def version(database: Database) -> str | None:
    """Return the number of the database's schema; ``None`` when it has none yet."""
    return database.read(_version)


def check(database: Database) -> str:
    """Return the schema when this release may use it: its newest, or one that a newer release has only widened.

    Raises:
        CatalogueTooNew: Its schema is not known here, and not made for this release too.
        CatalogueTooOld: It needs ``upgrade``.
    """
    name = database.url.render_as_string(hide_password=True)
    found, oldest = database.read(_version_and_oldest) if database.is_there else (None, None)
    if found is None or (found < NEWEST and found in _known()):
        raise CatalogueTooOld(name, found)
    if found != NEWEST and (oldest is None or oldest > int(NEWEST)):
        raise CatalogueTooNew(name, found)
    return found


def upgrade(database: Database) -> bool:
    """Run the migrations that are missing, and return whether there were any.

    Several processes may call this at once: on SQLite the file's lock, elsewhere the database's own
    advisory lock lets one of them work while the others wait. An upgrade that was broken off is taken up again.

    Raises:
        CatalogueTooNew: The database was written by a newer Headwater.
    """
    try:
        check(database)
    except CatalogueTooOld:
        with no_garbage_search():
            from headwater.database import migrating  # noqa: PLC0415 - loaded only when needed, see above

        migrating.run(database, MIGRATIONS)
        return True
    return False


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _version_and_oldest(connection: Connection) -> tuple[str | None, int | None]:
    """Return the schema, and the oldest one whose release may run beside it; ``None`` when nothing says so."""
    found = _version(connection)
    if found is None or found in _known():
        return found, None
    table = catalogue_revisions.c
    return found, connection.scalar(select(table.revision).where(table.scope == SCHEMA + found))


def _known() -> set[str]:
    return {file.name.split("_")[0] for file in (MIGRATIONS / "versions").glob("[0-9]*.py")}
