"""A catalogue of every released schema comes to the newest with all that is in it; a release runs beside the next."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, TextClause, text

from catalogues import KEPT, fill
from contracts.image_catalogue import add, an_image, anything, renamed
from contracts.instances.registry import an_instance
from contracts.unheard import UnheardImages
from headwater.database import schema
from headwater.database.engine import Database
from headwater.database.tables import metadata
from headwater.images.catalogue.images import ImageExists
from headwater.images.catalogue.lists.query import Query, Viewer
from headwater.images.catalogue.rows import row_of
from headwater.images.model import Location, Status, Visibility
from headwater.instances.registry.rows import InstanceRows


def an_id(number: int) -> str:
    return f"0000000{number}-1111-4111-8111-111111111111"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


@pytest.mark.parametrize("number", KEPT)
def test_a_kept_catalogue_is_upgraded_with_all_that_is_in_it(database: Database, number: str) -> None:
    fill(database, number)
    assert schema.upgrade(database) == (number != schema.NEWEST)

    catalogue = UnheardImages(database)
    public = catalogue.get(an_id(1))
    assert (public.name, public.visibility, public.protected) == ("image 1", Visibility.PUBLIC, True)
    assert public.properties == {"os_distro": "ubuntu", "ähnlich": "größer 😀"}
    assert public.tags == ("lts", "😀")
    assert catalogue.get(an_id(5)).status is Status.SAVING
    shown = {hidden: {image.id for image in catalogue.page(seen_by("p1", hidden=hidden))} for hidden in (False, True)}
    assert shown == {False: {an_id(1), an_id(3), an_id(5)}, True: {an_id(2)}}
    if number >= "0003":  # since then images are shared
        assert {image.id for image in catalogue.page(seen_by("p2"))} == {an_id(1), an_id(3)}
    assert [catalogue.location(an_id(each)) for each in (1, 2, 3)] == [
        Location("file", f"objects/{each}") for each in (1, 2, 3)
    ]
    for used in (7, 8):
        with pytest.raises(ImageExists):
            catalogue.create(an_image(id=an_id(used)), fresh_id=False)
    gone = catalogue.deleted(since=0, limit=9)
    assert catalogue.deleted_by_age(since=0, limit=9, newest_first=False) == sorted(
        gone, key=lambda each: (each[0].created_at, each[0].id)
    )
    assert InstanceRows(database).get("web1").addresses == ("10.0.0.5",)
    assert database.read(uploads) == [(an_id(5), "objects/5", "p1")]

    def differences(connection: Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata))

    assert database.read(differences) == []


def seen_by(project: str, *, hidden: bool = False) -> Query:
    return Query(viewer=Viewer(project_id=project), visibility=None, os_hidden=hidden, limit=50)


def uploads(connection: Connection) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in connection.execute(text("SELECT image_id, object_key, owner FROM uploads"))]


_NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "9999"
down_revision = "{newest}"
{promise}


def upgrade() -> None:
    for table in ("images", "image_members", "deleted_images", "uploads", "instances", "jobs", "tasks"):
        op.add_column(table, sa.Column("of_the_next", sa.Integer(), nullable=True))
        op.add_column(table, sa.Column("with_a_default", sa.String(20), nullable=False, server_default="x"))
    op.create_table("of_the_next", sa.Column("id", sa.Integer(), primary_key=True))
    op.create_index("ix_of_the_next", "images", ["of_the_next", "created_at"])
"""


def test_what_a_database_cannot_look_into_is_upgraded_too(database: Database) -> None:
    """PostgreSQL takes nothing out of a document that holds a NUL."""
    fill(database, "0004")
    deleted = "INSERT INTO deleted_images (id, owner, deleted_at, document) VALUES (:id, 'p1', 5, :document)"
    image = an_image(properties={"p": "a\0b"})
    document = msgspec.json.encode({**row_of(image), "members": []}).decode()
    database.write(lambda connection: connection.execute(text(deleted), {"id": image.id, "document": document}))
    schema.upgrade(database)
    catalogue = UnheardImages(database)
    aged = [each.id for each, _ in catalogue.deleted_by_age(since=0, limit=9, newest_first=True)]
    ageless = [each.id for each, _ in catalogue.deleted_of_no_age(since=0, limit=9)]
    assert image.id in aged + ageless
    assert len(aged + ageless) == len(catalogue.deleted(since=0, limit=9))


def test_addresses_and_macs_of_instances_that_are_there_are_known_after_an_upgrade(database: Database) -> None:
    fill(database, "0009")
    macs = [f"fa:16:3e:00:00:0{n}" for n in range(4)]
    links = [
        {"ethernet_mac_address": macs[1].upper().replace(":", "-")},
        {"vlan_mac_address": macs[2], "ethernet_mac_address": None},
        {"ethernet_mac_address": "no address at all"},
    ]
    devices = [{"type": "nic", "mac": macs[0]}, {"type": "disk", "serial": "x"}]
    known = {"devices": devices, "network_data": {"links": links}, "meta": {"mac": macs[3]}}
    documents = {"a": {"instance": known}, "b": {"instance": {"meta": {"x": "a\0b"}, **known}}, "c": {}}
    row = "INSERT INTO instances (id, name, created_at, updated_at, revision, document) VALUES (:id, :id, 1, 1, 0, :it)"
    for name, document in documents.items():
        said = {"id": name, "it": msgspec.json.encode(document).decode()}
        database.write(partial(_execute, text(row), said))
    schema.upgrade(database)
    question = text("SELECT mac FROM instance_macs WHERE instance_id = :id ORDER BY mac")
    found = {name: [mac for (mac,) in database.read(partial(_execute, question, {"id": name}))] for name in documents}
    assert (found["a"], found["c"]) == (macs[:3], [])
    assert found["b"] in (macs[:3], [])  # which PostgreSQL cannot read
    registry = InstanceRows(database)
    edition = registry.editions.at(["10.0.0.5"])["10.0.0.5"]
    assert registry.get(edition.instance_id).addresses == ("10.0.0.5",)


def _execute(statement: TextClause, values: dict[str, str], connection: Connection) -> list[Any]:
    found = connection.execute(statement, values)
    return list(found) if found.returns_rows else []


def upgraded_by_the_next(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, promise: str) -> None:
    """Bring the database to the schema of a release to come."""
    migrations = tmp_path / "next"
    shutil.copytree(schema.MIGRATIONS, migrations, ignore=shutil.ignore_patterns("__pycache__"))
    script = _NEXT.format(newest=schema.NEWEST, promise=promise)
    (migrations / "versions" / "9999_next.py").write_text(script)
    with monkeypatch.context() as next_release:
        next_release.setattr(schema, "MIGRATIONS", migrations)
        next_release.setattr(schema, "NEWEST", "9999")
        assert schema.upgrade(database)
        assert schema.version(database) == "9999"


def test_this_release_goes_on_beside_a_schema_that_only_widens(
    database_url: str, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(database, max(KEPT))
    schema.upgrade(database)
    running = Database(database_url)  # a worker with open connections
    catalogue, registry = UnheardImages(running), InstanceRows(running)
    before = an_image("before", owner="p1")
    add(catalogue, before)
    catalogue.page(seen_by("p1"))

    upgraded_by_the_next(database, tmp_path, monkeypatch, f'compatible_with = "{schema.NEWEST}"')

    started_again = Database(database_url, may_make=False)
    assert schema.check(started_again) == "9999"
    assert not schema.upgrade(started_again)
    for each in (catalogue, UnheardImages(started_again)):
        image = an_image("after", owner="p1", tags=("t",), properties={"p": "1"})
        add(each, image)
        assert image.id in {found.id for found in each.page(seen_by("p1"))}
        assert each.change(before.id, renamed("changed")).name == "changed"
        each.change(before.id, lambda image: replace(image, name="before"))
        each.delete(image.id, anything, 5)
        assert each.deleted(since=0, limit=10)
    registry.add(an_instance("new", "10.0.0.9"))
    assert registry.get("web1").addresses == ("10.0.0.5",)
    running.close()
    started_again.close()


@pytest.mark.parametrize("promise", ["", 'compatible_with = "9999"'])
def test_this_release_stops_at_a_schema_that_is_not_made_for_it(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, promise: str
) -> None:
    schema.upgrade(database)
    upgraded_by_the_next(database, tmp_path, monkeypatch, promise)
    for use in (schema.check, schema.upgrade):
        with pytest.raises(schema.CatalogueTooNew, match="9999"):
            use(database)


def test_a_table_of_somebody_else_is_never_taken_for_a_step_that_was_done(mariadb_url: str) -> None:
    """Also at the second try, when the step that failed has been begun before."""
    database = Database(mariadb_url)
    database.write(lambda connection: connection.execute(text("CREATE TABLE images (mine INTEGER)")))
    for _ in range(3):
        with pytest.raises(Exception, match="'images' already exists"):
            schema.upgrade(database)
    database.write(lambda connection: connection.execute(text("DROP TABLE images")))
    assert schema.upgrade(database)
    schema.check(database)
    database.close()


def test_an_upgrade_that_another_version_began_otherwise_is_refused(mariadb_url: str) -> None:
    database = Database(mariadb_url)
    database.write(lambda connection: connection.execute(text("CREATE TABLE images (mine INTEGER)")))
    with pytest.raises(Exception, match="already exists"):
        schema.upgrade(database)
    database.write(lambda connection: connection.execute(text("UPDATE migration_steps SET statement = 'x'")))
    with pytest.raises(Exception, match="step 1 is another one"):
        schema.upgrade(database)
    database.close()
