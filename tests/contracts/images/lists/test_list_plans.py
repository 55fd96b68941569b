"""How PostgreSQL finds the pages of a list, once it has its statistics: by reading few rows of many."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Connection, insert, text

from contracts.image_catalogue import NOON, an_image
from headwater.database import tables
from headwater.database.engine import Database
from headwater.images.catalogue.lists import listing
from headwater.images.catalogue.lists.query import Condition, Query, Viewer
from headwater.images.catalogue.rows import digest, property_rows, row_of, tag_rows
from headwater.images.model import Status, Visibility

COUNT = 12_000
MOST = 400  # rows that one part of a page may read; the page has 25

ADMIN, MEMBER = Viewer(project_id="p7", sees_all=True), Viewer(project_id="p7")
DEFAULT = Query(conditions=(Condition("status", "neq", "killed"),), visibility=None)
LISTS = {
    "default": DEFAULT,
    "by name": replace(DEFAULT, conditions=(Condition("name", "eq", "nightly"), *DEFAULT.conditions)),
    "by property": replace(DEFAULT, properties=(("os", "ubuntu"),)),
    "by two properties": replace(DEFAULT, properties=(("arch", "x86_64"), ("os", "ubuntu"))),
    "by tag": replace(DEFAULT, tags=("production",)),
    "by visibility": replace(DEFAULT, visibility="public"),
    "sorted by name": replace(DEFAULT, sort=(("name", "asc"),)),
    "sorted by size": replace(DEFAULT, sort=(("size", "desc"),)),
    "sorted by update": replace(DEFAULT, sort=(("updated_at", "desc"),)),
}


@pytest.fixture(scope="module")
def filled(postgresql_server: Any, postgresql_template: str) -> Iterator[Database]:
    """Twelve thousand images of many projects, of which one member sees some hundred."""
    from servers.database.postgresql import new_database  # noqa: PLC0415 - found only with the tests' own path

    with new_database(postgresql_server, postgresql_template) as url:
        database = Database(url)
        images = [
            an_image(
                "nightly" if n % 2 else f"name-{n}",
                id=str(uuid.UUID(int=n * 7919 + 1)),
                size=(n * 7919) % 100_003,
                status=Status.ACTIVE,
                visibility=Visibility.PUBLIC if n % 100 == 3 else Visibility.PRIVATE,
                owner=f"p{n % 60}",
                created_at=NOON + n,
                updated_at=NOON + (n * 31) % 50_000,
                properties={"os": "ubuntu" if n % 5 < 3 else "debian", "arch": "x86_64" if n % 3 else "arm64"},
                tags=("production",) if n % 3 else (),
            )
            for n in range(COUNT)
        ]

        def fill(connection: Connection) -> None:
            connection.execute(insert(tables.images), [row_of(image) for image in images])
            properties = [row for image in images for row in property_rows(image)]
            connection.execute(insert(tables.image_properties), properties)
            connection.execute(insert(tables.image_tags), [row for image in images for row in tag_rows(image)])

        database.write(fill)
        database.write(lambda connection: connection.execute(text("ANALYZE")))
        yield database
        database.close()


def rows_read(node: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield what each scan of a plan has read, those that it threw away included."""
    if "Scan" in node["Node Type"] and node["Node Type"] != "Subquery Scan":
        read = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
        yield f"{node['Node Type']} of {node.get('Relation Name', '')} {node.get('Index Name', '')}", read
    for child in node.get("Plans", ()):
        yield from rows_read(child)


@pytest.mark.postgresql
@pytest.mark.parametrize("marker", [None, COUNT // 2])
@pytest.mark.parametrize("viewer", [ADMIN, MEMBER], ids=["admin", "member"])
@pytest.mark.parametrize("name", LISTS)
def test_a_page_reads_hardly_more_than_it_shows(
    filled: Database, name: str, viewer: Viewer, marker: int | None
) -> None:
    query = replace(LISTS[name], viewer=viewer)

    def explain(connection: Connection) -> dict[str, Any]:
        row = None
        if marker is not None:
            wanted = tables.images.c.id == str(uuid.UUID(int=marker * 7919 + 1))
            row = connection.execute(tables.images.select().where(wanted)).one()
        statement, values = listing.Page(query, digest).question(row, walks=False)
        bound = statement.params(values).compile(filled.engine, compile_kwargs={"literal_binds": True})
        said = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {bound}").scalar_one()
        plan: dict[str, Any] = said[0]["Plan"]
        return plan

    plan = filled.read(explain)
    for scan, read in rows_read(plan):
        assert read <= MOST, (scan, read)


def test_a_list_gets_no_plan_for_all_values(postgresql_url: str) -> None:
    """PostgreSQL would make one after some runs, and a page by a common property then takes a hundred times as long."""
    database = Database(postgresql_url)

    def run(connection: Connection) -> None:
        for _ in range(20):
            connection.execute(text("SELECT 1 WHERE 1 = :x"), {"x": 1})

    def prepared(connection: Connection) -> int:
        like = "SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%1 = $1%'"
        return int(connection.execute(text(like)).scalar_one())

    try:
        database.read(run, plans_anew=True)
        assert database.read(prepared) == 0
        database.read(run)
        assert database.read(prepared) == 1
    finally:
        database.close()
