"""Lists against a second, simple telling of what they show, and against SQLite's own word on how it finds them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, insert, text
from sqlalchemy.dialects import sqlite

from contracts.image_catalogue import NOON, SECOND, an_image
from contracts.images.lists.image_lists import all_pages, expected
from contracts.unheard import UnheardImages
from headwater.database import tables
from headwater.database.engine import Database
from headwater.images.catalogue.lists import listing
from headwater.images.catalogue.lists.query import SORT_KEYS, Condition, Query, Viewer, total_order
from headwater.images.catalogue.rows import digest, property_rows, row_of, tag_rows
from headwater.images.model import Image, Status, Visibility
from templates import sqlite_catalogue


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database(sqlite_catalogue(tmp_path_factory.mktemp("listing") / "catalogue.db"))
    yield database
    database.close()


# --- What a list shows --------------------------------------------------------------------------------

_names = st.sampled_from([None, "", "a", "A", "b", "ä", "😀"])
_images = st.lists(
    st.builds(
        an_image,
        _names,
        id=st.uuids().map(str),
        status=st.sampled_from([Status.QUEUED, Status.ACTIVE, Status.DEACTIVATED]),
        visibility=st.sampled_from(Visibility),
        os_hidden=st.booleans(),
        protected=st.booleans(),
        owner=st.sampled_from([None, "p1", "p2"]),
        size=st.sampled_from([None, 0, 1, 5]),
        disk_format=st.sampled_from([None, "raw", "qcow2"]),
        container_format=st.sampled_from([None, "bare"]),
        created_at=st.integers(0, 2).map(lambda n: NOON + n * SECOND),
        updated_at=st.integers(0, 2).map(lambda n: NOON + n * SECOND),
        tags=st.sets(st.sampled_from("xyz")).map(lambda tags: tuple(sorted(tags))),
        properties=st.dictionaries(st.sampled_from(["p", "q"]), st.sampled_from(["1", "2", ""])),
    ),
    max_size=12,
    unique_by=lambda image: image.id,
)
_conditions = st.one_of(
    st.builds(Condition, st.just("name"), st.just("eq"), _names.filter(lambda name: name is not None)),
    st.builds(Condition, st.just("name"), st.just("in"), st.just(("a", "b"))),
    st.builds(Condition, st.just("status"), st.sampled_from(["eq", "neq"]), st.sampled_from(["queued", "active"])),
    st.builds(Condition, st.just("size"), st.sampled_from(["eq", "gt", "gte", "lt", "lte"]), st.integers(0, 5)),
    st.builds(Condition, st.just("updated_at"), st.sampled_from(["between", "outside"]), st.just((NOON, NOON + 5))),
    st.builds(Condition, st.just("owner"), st.just("eq"), st.just("p1")),
    st.builds(Condition, st.just("protected"), st.just("eq"), st.booleans()),
)
_queries = st.builds(
    Query,
    conditions=st.lists(_conditions, max_size=2).map(tuple),
    properties=st.lists(st.tuples(st.sampled_from("pqr"), st.sampled_from(["1", "2", ""])), max_size=2).map(tuple),
    tags=st.lists(st.sampled_from("xyzw"), max_size=2, unique=True).map(tuple),
    os_hidden=st.booleans(),
    sort=st.lists(
        st.tuples(st.sampled_from(SORT_KEYS), st.sampled_from(["asc", "desc"])),
        min_size=1,
        max_size=3,
        unique_by=lambda pair: pair[0],
    ).map(tuple),
    limit=st.integers(1, 4),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(images=_images, queries=st.lists(_queries, min_size=3, max_size=6))
def test_the_pages_of_any_list_are_what_a_simple_model_says(
    database: Database, images: list[Image], queries: list[Query]
) -> None:
    catalogue = UnheardImages(database)
    database.write(lambda connection: connection.execute(text("DELETE FROM images")))
    for image in images:
        catalogue.create(image, fresh_id=True)
    for query in queries:
        assert all_pages(catalogue, query) == expected(images, replace(query, limit=1000))
        for marker in images[:3]:  # in the list or not
            after = replace(query, marker=marker.id)
            assert catalogue.page(after) == expected(images, after)


def test_no_two_images_are_equal_in_an_order() -> None:
    for key in SORT_KEYS:
        assert total_order(((key, "asc"),))[-1] == ("id", "asc")
        assert total_order(((key, "desc"),))[-1] == ("id", "desc")
    assert total_order((("name", "asc"), ("size", "asc"))) == (
        ("name", "asc"),
        ("size", "asc"),
        ("created_at", "desc"),
        ("id", "desc"),
    )
    assert total_order((("id", "asc"), ("name", "asc"))) == (("id", "asc"),)


# --- How SQLite finds it ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """Five thousand images, half of them with what the lists below ask for."""
    database = Database(sqlite_catalogue(tmp_path_factory.mktemp("plans") / "catalogue.db"))
    images = [
        an_image(
            f"name-{n % 500}" if n % 7 else None,
            id=str(uuid.UUID(int=n)),
            size=n if n % 3 else None,
            status=Status.ACTIVE if n % 5 else Status.QUEUED,
            visibility=Visibility.PUBLIC if n % 10 == 1 else Visibility.SHARED,
            owner=f"p{n % 50}",
            disk_format="raw",
            container_format="bare",
            created_at=NOON + n // 2,
            updated_at=NOON + n // 3,
            properties={"os": f"{n % 2}"},
            tags=(f"t{n % 2}",),
        )
        for n in range(5000)
    ]

    def fill(connection: Connection) -> None:
        connection.execute(insert(tables.images), [row_of(image) for image in images])
        connection.execute(insert(tables.image_properties), [row for image in images for row in property_rows(image)])
        connection.execute(insert(tables.image_tags), [row for image in images for row in tag_rows(image)])

    database.write(fill)
    yield database
    database.close()


def plan(database: Database, query: Query, *, walks: bool = False) -> list[str]:
    """Return the steps of SQLite's plan of a page."""

    def work(connection: Connection) -> list[str]:
        marker = None
        if query.marker is not None:
            marker = connection.execute(tables.images.select().where(tables.images.c.id == query.marker)).one()
        statement, values = listing.Page(query, digest).question(marker, walks=walks)
        compiled = statement.params(values).compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")]

    return database.read(work)


def ranges(steps: list[str]) -> list[str]:
    """Return what is read of tables; a part of a list that is taken as it comes is no table."""
    return [step for step in steps if step.startswith(("SEARCH", "SCAN")) and not step.startswith("SCAN anon_")]


NOT_KILLED = Condition("status", "neq", "killed")
DEFAULT = Query(conditions=(NOT_KILLED,))
LISTS = {
    "default": DEFAULT,
    "hidden": replace(DEFAULT, os_hidden=True),
    **{
        f"sorted by {key} {direction}": replace(DEFAULT, sort=((key, direction),))
        for key in SORT_KEYS
        for direction in ("asc", "desc")
    },
    "by name": replace(DEFAULT, conditions=(Condition("name", "eq", "name-7"), NOT_KILLED)),
    "by owner": replace(DEFAULT, conditions=(Condition("owner", "eq", "p7"), NOT_KILLED)),
    "by visibility": replace(DEFAULT, visibility="public"),
    "by status": replace(DEFAULT, conditions=(Condition("status", "eq", "active"),)),
    "by checksum": replace(DEFAULT, conditions=(Condition("checksum", "eq", "0" * 32), NOT_KILLED)),
    "by hash": replace(DEFAULT, conditions=(Condition("os_hash_value", "eq", "0" * 32), NOT_KILLED)),
    "by property": replace(DEFAULT, properties=(("os", "1"),)),
    "by two properties": replace(DEFAULT, properties=(("os", "1"), ("arch", "arm64"))),
    "by tag": replace(DEFAULT, tags=("t1",)),
    "by two tags": replace(DEFAULT, tags=("t1", "t2")),
    "by property and tag": replace(DEFAULT, properties=(("os", "1"),), tags=("t1",)),
}


MARKERS = [None, str(uuid.UUID(int=2500)), str(uuid.UUID(int=2499))]


@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize("name", LISTS)
def test_a_page_comes_from_an_index_in_its_order(large: Database, name: str, marker: str | None) -> None:
    steps = plan(large, replace(LISTS[name], marker=marker))
    assert not any("TEMP B-TREE" in step for step in steps), steps
    for step in ranges(steps):
        assert step.startswith("SEARCH"), steps
        assert "USING INDEX" in step or "USING COVERING INDEX" in step, steps


MEMBER = Viewer(project_id="p7")
# Of the sort keys, those that an audience has an index for.
FOR_MEMBERS = {name for name in LISTS if not name.startswith("sorted by")} | {
    f"sorted by {key} {direction}"
    for key in ("name", "size", "created_at", "updated_at")
    for direction in ("asc", "desc")
}


@pytest.mark.parametrize("visibility", [None, "private", "shared", "public"])
@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize("name", sorted(FOR_MEMBERS - {"by visibility"}))
def test_a_member_steps_over_nothing_that_others_have(
    large: Database, name: str, marker: str | None, visibility: str | None
) -> None:
    """Each part is led by an audience or by what is shared with the member; only the latter may be sorted."""
    query = replace(LISTS[name], viewer=MEMBER, visibility=visibility, marker=marker)
    leads, sorts = [], []
    part = ""
    for step in plan(large, query):
        if step.startswith("SEARCH") and not part:
            part = step
            leads.append(step)
        if "TEMP B-TREE" in step:
            sorts.append(part)
        if step.startswith("SCAN anon_"):
            part = ""
        assert not step.startswith("SCAN images"), step
    if name in ("by checksum", "by hash", "by owner"):  # of their own index, as few images have the value
        return
    for lead in leads:
        assert "audience=?" in lead or lead.startswith("SEARCH image_members USING COVERING INDEX"), leads
    assert all("image_members" in part for part in sorts), sorts


@pytest.mark.parametrize("key", ["status", "disk_format", "container_format", "id"])
def test_other_orders_sort_what_the_member_is_shown_and_no_more(large: Database, key: str) -> None:
    steps = plan(large, replace(DEFAULT, viewer=MEMBER, visibility=None, sort=((key, "asc"),)))
    for step in ranges(steps):
        assert "audience=?" in step or "member=?" in step or "id=?" in step, steps


def test_a_list_by_property_starts_with_the_property(large: Database) -> None:
    for name, index in (("by property", "ix_image_properties_value"), ("by tag", "ix_image_tags_tag")):
        steps = ranges(plan(large, LISTS[name]))
        assert steps[0].startswith(f"SEARCH led USING COVERING INDEX {index}"), steps


def test_a_filter_that_many_images_pass_is_not_sorted(large: Database) -> None:
    """In another order than theirs: half of the images have the property, so a page is soon found among all."""
    by_size = replace(LISTS["by property"], sort=(("size", "desc"),))
    assert any("TEMP B-TREE" in step for step in plan(large, by_size))
    assert not any("TEMP B-TREE" in step for step in plan(large, by_size, walks=True))


@pytest.mark.parametrize("many", [1, 10_000])
@pytest.mark.parametrize("viewer", [Viewer(sees_all=True), MEMBER])
def test_a_filter_in_another_order_gives_the_same_page_either_way(
    large: Database, monkeypatch: pytest.MonkeyPatch, many: int, viewer: Viewer
) -> None:
    monkeypatch.setattr(listing, "SORTED", many)
    listing._matches.cache_clear()
    for name in ("by property", "by tag"):
        query = replace(LISTS[name], viewer=viewer, visibility=None, sort=(("size", "desc"),), limit=20)
        found = UnheardImages(large).page(query)
        listing._matches.cache_clear()
        everything = UnheardImages(large).page(replace(query, limit=5000, properties=(), tags=()))
        wanted = [image for image in everything if set(query.tags) <= set(image.tags)]
        wanted = [image for image in wanted if dict(query.properties).items() <= dict(image.properties).items()]
        assert found == wanted[:20]
    listing._matches.cache_clear()


def test_the_test_of_plans_sees_a_sort_and_a_scan(large: Database) -> None:
    """Two nullable keys have no index together: the one sort that is accepted, of what the first key leaves."""
    seen = plan(large, replace(DEFAULT, sort=(("name", "asc"), ("size", "desc"))))
    assert any("TEMP B-TREE" in step for step in seen)
    scan = large.read(lambda c: c.execute(text("EXPLAIN QUERY PLAN SELECT * FROM images WHERE min_ram = 1")).first())
    assert scan is not None
    assert scan[3].startswith("SCAN")
