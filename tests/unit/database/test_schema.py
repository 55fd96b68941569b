from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

import headwater.database
from catalogues import KEPT, RELEASED
from headwater.database import schema
from headwater.database.engine import Database
from headwater.errors import SettingsError


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path / 'catalogue.db'}")
    yield database
    database.close()


def migrations() -> ScriptDirectory:
    configuration = Config()
    configuration.set_main_option("script_location", str(Path(headwater.database.__path__[0]) / "migrations"))
    return ScriptDirectory.from_config(configuration)


def test_the_newest_schema_is_the_one_head_of_the_migrations() -> None:
    assert migrations().get_heads() == [schema.NEWEST]


def test_migrations_are_named_by_numbers_that_grow() -> None:
    revisions = [script.revision for script in migrations().walk_revisions()]
    assert sorted(revisions, reverse=True) == revisions
    assert schema._known() == set(revisions)
    assert all(len(revision) == 4 and revision.isdigit() for revision in revisions)


def test_every_released_schema_has_a_kept_catalogue() -> None:
    """The newest one may still be changed by the next commit; it is kept when a release has it, or another follows."""
    assert {number for number in schema._known() if number <= RELEASED or number < schema.NEWEST} - set(KEPT) == set()
    assert set(KEPT) <= schema._known()


@pytest.mark.parametrize("number", KEPT)
def test_a_kept_catalogue_is_of_its_schema_and_has_a_row_in_every_table(number: str) -> None:
    with closing(sqlite3.connect(":memory:")) as kept:
        kept.executescript(KEPT[number].read_text())
        assert kept.execute("SELECT version_num FROM alembic_version").fetchall() == [(number,)]
        tables = [name for (name,) in kept.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert [table for table in tables if not kept.execute(f"SELECT count(*) FROM {table}").fetchone()[0]] == []


@pytest.mark.parametrize("found", [f"{int(schema.NEWEST) + 1:04}", "9999", "zzzz", "0000"])
def test_a_schema_that_is_not_known_here_is_refused(database: Database, found: str) -> None:
    schema.upgrade(database)
    database.write(lambda c: c.exec_driver_sql(f"UPDATE alembic_version SET version_num = '{found}'"))
    with pytest.raises(schema.CatalogueTooNew, match=f"schema {found}") as caught:
        schema.upgrade(database)
    assert isinstance(caught.value, SettingsError)
    assert "catalogue.db" in str(caught.value)


def test_an_upgrade_that_was_broken_off_is_run_again(database: Database) -> None:
    """On SQLite all of it is one transaction, so that the table of versions stands alone at most."""
    database.write(lambda c: c.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
    with pytest.raises(schema.CatalogueTooOld, match="no schema"):
        schema.check(database)
    assert schema.upgrade(database)
    assert schema.version(database) == schema.NEWEST


def test_an_upgrade_that_fails_leaves_the_database_as_it_was(database: Database) -> None:
    database.write(lambda c: c.exec_driver_sql("CREATE TABLE image_tags (mine INTEGER)"))
    with pytest.raises(Exception, match="image_tags"):
        schema.upgrade(database)
    names = database.read(lambda c: c.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").all())
    assert [name for (name,) in names] == ["image_tags"]
