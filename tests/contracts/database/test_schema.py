"""The schema that the migrations make, on every database."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, insert, inspect, text
from sqlalchemy.exc import IntegrityError

from catalogues import content
from contracts.image_catalogue import add, an_image
from contracts.unheard import UnheardImages
from headwater.database import migrating, schema
from headwater.database.engine import Database
from headwater.database.tables import image_tags, metadata
from headwater.images.catalogue.images import ImageExists
from headwater.images.catalogue.lists.query import Query, Viewer
from headwater.images.catalogue.public import PublicImageRows, Revision
from headwater.images.catalogue.rows import row_of
from headwater.images.model import Location


@pytest.fixture
def empty(database_url: str) -> Iterator[Database]:
    """A database without any table."""
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def migrated(empty: Database) -> Database:
    """A database that the migrations have brought to the newest schema; ``database`` is a copy of such a one."""
    schema.upgrade(empty)
    return empty


def default_differs(
    _context: object, _found: object, _column: object, is_default: str | None, _wanted: object, default: str | None
) -> bool:
    """Say whether a column has another default. Each database writes texts and truth values in its own way."""

    def said(value: str | None) -> str | None:
        bare = (value or "").partition("::")[0].strip("()'")
        return {"0": "false", "1": "true", "": None}.get(bare, bare)

    return said(is_default) != said(default)


def test_a_copy_of_the_schema_is_what_the_migrations_make(mariadb_url: str, mariadb_catalogue_url: str) -> None:
    """MariaDB is told what to make; SQLite and PostgreSQL copy all of a database by themselves."""

    def made(connection: Connection) -> list[str]:
        tables = sorted(inspect(connection).get_table_names())
        return [connection.exec_driver_sql(f"SHOW CREATE TABLE {table}").one()[1] for table in tables]

    migrated, copied = Database(mariadb_url), Database(mariadb_catalogue_url)
    schema.upgrade(migrated)
    assert copied.read(made) == migrated.read(made)
    assert content(copied) == content(migrated)
    copied.close()
    migrated.close()


def test_the_migrations_make_the_tables_that_the_code_uses(migrated: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": default_differs}
        )
        return list(compare_metadata(context, metadata))

    assert migrated.read(differences) == []


def test_the_migrations_give_the_columns_the_collations_that_the_code_needs(empty: Database) -> None:
    """Compared by what the database says, as alembic does not look at collations."""

    def columns(connection: Connection) -> dict[str, list[tuple[str, str, bool]]]:
        found = inspect(connection)
        return {
            table: sorted(
                (column["name"], repr(column["type"]), bool(column["nullable"])) for column in found.get_columns(table)
            )
            for table in metadata.tables
        }

    schema.upgrade(empty)
    migrated = empty.read(columns)
    empty.write(metadata.drop_all)
    empty.write(metadata.create_all)
    assert migrated == empty.read(columns)


def test_an_upgrade_says_whether_there_was_something_to_do(empty: Database) -> None:
    assert schema.version(empty) is None
    with pytest.raises(schema.CatalogueTooOld, match=r"no schema.*headwater db upgrade"):
        schema.check(empty)
    assert schema.upgrade(empty)
    assert schema.version(empty) == schema.NEWEST
    schema.check(empty)
    assert not schema.upgrade(empty)


def test_an_upgrade_keeps_what_is_there(database: Database) -> None:
    catalogue = UnheardImages(database)
    image = an_image("kept", tags=("t",))
    add(catalogue, image)
    schema.upgrade(database)
    assert catalogue.get(image.id) == image


def test_a_newer_catalogue_is_refused_and_left_alone(database: Database) -> None:
    database.write(lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    for use in (schema.check, schema.upgrade):
        with pytest.raises(schema.CatalogueTooNew, match=f"9999.*{schema.NEWEST}.*newer Headwater") as caught:
            use(database)
        assert str(database.url.password or "no secret") not in str(caught.value)
    assert schema.version(database) == "9999"


_UPGRADE = """
import sys
from headwater.database import migrating, schema
from headwater.database.engine import Database
database = Database(sys.argv[1])
sys.stdin.read(1)
schema.upgrade(database)
print(schema.version(database))
"""


def test_processes_that_upgrade_at_once_all_end_with_the_newest_schema(database_url: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _UPGRADE, database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"g")
        process.stdin.flush()
    outcomes = [process.communicate(timeout=60) for process in processes]
    assert [(out.decode().strip(), err.decode()) for out, err in outcomes] == [(schema.NEWEST, "")] * 3
    database = Database(database_url)
    assert PublicImageRows(database).revision() == Revision(0, None)
    database.close()


def test_deleting_an_image_takes_what_is_searched_for_with_it(database: Database) -> None:
    catalogue = UnheardImages(database)
    image = an_image(tags=("a", "b"), properties={"p": "1"})
    add(catalogue, image)
    catalogue.delete(image.id, lambda _image: None, 0)
    for table in ("image_tags", "image_properties", "image_locations", "images"):
        rows = database.read(lambda connection, table=table: connection.scalar(text(f"SELECT count(*) FROM {table}")))  # type: ignore[misc]
        assert rows == 0, table


def test_a_tag_of_an_image_that_is_not_there_is_refused_by_the_database(database: Database) -> None:
    """The foreign keys are really in force; SQLite needs to be told."""
    with pytest.raises(IntegrityError):
        database.write(
            lambda connection: connection.execute(insert(image_tags).values(image_id="nobody", tag="t", created_at=0))
        )


def test_an_upgrade_keeps_where_the_bytes_are_and_which_ids_were_used(empty: Database) -> None:
    image, gone = an_image(owner="p"), an_image()

    def before(connection: Connection) -> None:
        row = {name: value for name, value in row_of(image).items() if name != "audience"}
        connection.execute(
            text(f"INSERT INTO images ({', '.join(row)}) VALUES ({', '.join(f':{n}' for n in row)})"), row
        )
        connection.execute(
            text("INSERT INTO image_locations (image_id, store, object_key) VALUES (:id, 'file', 'key')"),
            {"id": image.id},
        )
        connection.execute(text("INSERT INTO deleted_images (id, deleted_at) VALUES (:id, 5)"), {"id": gone.id})

    to_schema(empty, "0003")
    empty.write(before)
    schema.upgrade(empty)
    catalogue = UnheardImages(empty)
    assert catalogue.get(image.id) == image
    assert catalogue.page(Query(viewer=Viewer(project_id="p"))) == [image]
    assert catalogue.location(image.id) == Location("file", "key")
    with pytest.raises(ImageExists):
        catalogue.create(gone, fresh_id=False)


def to_schema(database: Database, number: str) -> None:
    """Bring an empty database to an older schema."""
    migrating.run(database, schema.MIGRATIONS, number)
