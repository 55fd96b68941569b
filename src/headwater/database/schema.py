"""Bring a database to the newest schema, or say what stands in the way.

The number of a schema is the name of its last migration (``migrations/versions``). A start reads one
row; Alembic is loaded only when there is something to do, because loading it takes longer than the
rest of the start.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from headwater.database.engine import Database
from headwater.errors import SettingsError

NEWEST = "0005"

_MIGRATIONS = Path(__file__).parent / "migrations"


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

    def read(connection: Connection) -> str | None:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()

    return database.read(read)


def check(database: Database) -> None:
    """Return when the database has the newest schema.

    Raises:
        CatalogueTooNew: Its schema is not known here.
        CatalogueTooOld: It needs ``upgrade``.
    """
    found = version(database)
    name = database.url.render_as_string(hide_password=True)
    if found is None or (found < NEWEST and found in _known()):
        raise CatalogueTooOld(name, found)
    if found != NEWEST:
        raise CatalogueTooNew(name, found)


def upgrade(database: Database) -> bool:
    """Run the migrations that are missing, and return whether there were any.

    Several processes may call this at once: on SQLite the file's lock, elsewhere the database's own
    advisory lock lets one of them work while the others wait.

    Raises:
        CatalogueTooNew: The database was written by a newer Headwater.
    """
    try:
        check(database)
    except CatalogueTooOld:
        _run_migrations(database)
        return True
    return False


def _known() -> set[str]:
    return {file.name.split("_")[0] for file in (_MIGRATIONS / "versions").glob("[0-9]*.py")}


def _run_migrations(database: Database) -> None:
    from alembic import command  # noqa: PLC0415 - loaded only when needed, see above
    from alembic.config import Config  # noqa: PLC0415

    configuration = Config()
    configuration.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with database.engine.connect() as connection:
        backend = database.url.get_backend_name()
        if backend == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        elif backend == "postgresql":
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
        else:
            connection.execute(text("SELECT GET_LOCK(:key, 300)"), {"key": f"headwater-{_LOCK}"})
        try:
            configuration.attributes["connection"] = connection
            command.upgrade(configuration, "head")
            connection.commit()
        finally:
            if backend == "postgresql":
                connection.rollback()
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
            elif backend == "mysql":
                connection.execute(text("SELECT RELEASE_LOCK(:key)"), {"key": f"headwater-{_LOCK}"})


_LOCK = 4_203_120_261  # any number that nothing else on the same server locks
