"""Lists of instances keep their promises on every database, also those that an older release has filled."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from sqlalchemy import Connection, insert, text

from contracts.instances.instance_lists import DISK, InstanceListsContract
from contracts.instances.registry import NOON, an_instance
from headwater.database import migrating, schema, tables
from headwater.database.engine import Database
from headwater.instances.lists import rows
from headwater.instances.lists.rows import InstanceLists
from headwater.instances.lists.wanted import EVERY, Wanted

COUNT = 12_000
PAGE = 25
MOST = 30  # rows that one scan may read for a page


class TestInstanceLists(InstanceListsContract):
    """On SQLite, PostgreSQL and MariaDB."""


def test_what_is_there_before_the_columns_is_found_by_them(database_url: str) -> None:
    database = Database(database_url)
    migrating.run(database, schema.MIGRATIONS, "0009")
    quoted = 'a "quoted" \\ ☃'
    kept = [
        an_instance("a", project_id=quoted, image_id=DISK, vendor_data={"text": "☃"}),
        an_instance("b"),
        an_instance("c", project_id="p", vendor_data={"nul": "\0"}),  # which PostgreSQL cannot look into
    ]
    add = text("INSERT INTO instances VALUES (:id, :name, :at, :at, 0, :document)")
    for instance in kept:
        document = msgspec.json.encode({"instance": instance.to_dict(), "replaced": None}).decode()
        values = {"id": instance.id, "name": instance.name, "at": NOON, "document": document}
        database.write(lambda connection, values=values: connection.execute(add, values))  # type: ignore[misc]
    schema.upgrade(database)
    lists = InstanceLists(database)
    assert lists.page().found == kept
    for wanted in (Wanted(project_id=quoted), Wanted(image_id=DISK)):
        assert lists.page(wanted).found == kept[:1]
    assert lists.page(Wanted(project_id="null")).found == []
    assert lists.page(Wanted(project_id="p")).found in (kept[2:], [])
    database.close()


def fill(database: Database) -> None:
    """Register many instances of a few projects, by two images."""
    made = [
        an_instance(
            f"web{n:05}", f"10.0.{n // 250}.{n % 250}", project_id=f"p{n % 60}", image_id=DISK if n % 100 == 3 else None
        )
        for n in range(COUNT)
    ]

    def work(connection: Connection) -> None:
        connection.execute(
            insert(tables.instances),
            [
                {
                    **{name: getattr(each, name) for name in ("id", "name", "created_at", "updated_at", "revision")},
                    "document": msgspec.json.encode({"instance": each.to_dict(), "replaced": None}).decode(),
                    "project_id": each.project_id,
                    "image_id": each.image_id,
                }
                for each in made
            ],
        )
        addresses = [{"address": each.addresses[0], "instance_id": each.id} for each in made]
        connection.execute(insert(tables.instance_addresses), addresses)
        connection.execute(text("ANALYZE"))

    database.write(work)


def rows_read(node: dict[str, Any]) -> list[tuple[str, float]]:
    """Return what each scan of a plan has read, those that it threw away included."""
    found = [each for child in node.get("Plans", ()) for each in rows_read(child)]
    if "Scan" in node["Node Type"]:
        read = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        found.append((f"{node['Node Type']} {node.get('Index Name', '')}", read))
    return found


@pytest.mark.postgresql
def test_a_page_reads_hardly_more_than_it_shows(postgresql_catalogue_url: str) -> None:
    database = Database(postgresql_catalogue_url)
    fill(database)
    lists = (
        EVERY,
        Wanted(project_id="p7"),
        Wanted(image_id=DISK),
        Wanted(project_id="p7", address="10.0.0.7"),
        Wanted(name="web00009"),
    )
    for wanted in lists:
        for after in (None, f"web{COUNT // 2:05}"):
            query = rows._narrowed(rows._HEADS, wanted, after).limit(PAGE + 1)
            bound = query.compile(database.engine, compile_kwargs={"literal_binds": True})
            explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {bound}"
            said: Any = database.read(lambda connection, e=explain: connection.exec_driver_sql(e).scalar_one())  # type: ignore[misc]
            for scan, read in rows_read(said[0]["Plan"]):
                assert read <= MOST, (wanted, after, scan, read)
    database.close()
