"""A catalogue of any number of images, filled in a bounded time: as the service would have written it.

It is that of a cloud with many projects. What one of them, the ``viewer``, sees grows slowly with the
catalogue (70 of 100 images, some 3 000 of a million); the rest is private to others, shared among
others or of others' communities. Names, properties and tags repeat in the same shares among what the viewer
sees and what it does not, so that a filter which many images pass shows the viewer few of them.

Rows are made by the catalogue's own functions. They go in by the thousand into tables without their indexes,
which are made afterwards; then PostgreSQL gets the statistics and the visibility map that its autovacuum keeps for a
catalogue that has grown. SQLite gets nothing: Headwater asks so that it needs no statistics.
"""

from __future__ import annotations

import contextlib
import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table, insert, text

from headwater.database import schema, tables
from headwater.database.engine import Database
from headwater.images.catalogue import rows
from headwater.images.model import Image, Status, Visibility

LEAST = 100
_BATCH = 5000
_FIRST = 1_600_000_000_000_000  # microseconds since 1970
RARE = 30  # images that the viewer sees have the property rare=yes, at every size: just more than one page
_DISTRIBUTIONS = ("ubuntu", "debian", "ubuntu", "fedora", "ubuntu")
_OTHERS = (Visibility.PRIVATE,) * 5 + (Visibility.SHARED,) * 4 + (Visibility.COMMUNITY,)


@dataclass(frozen=True, slots=True)
class Filled:
    """What is in the catalogue: ids of images, oldest first."""

    ids: list[str]
    own: list[str]  # of the viewer's project
    seen: list[str]  # shown to the viewer by its usual list


@dataclass(frozen=True, slots=True)
class _Entry:
    """One image, and whom it is shared with: a project, and what that has said."""

    image: Image
    member: tuple[str, str] | None
    is_own: bool
    is_seen: bool


def fill(url: str, count: int, viewer: str) -> Filled:
    """Make the catalogue at ``url`` with ``count`` images; ``viewer`` is the id of a project."""
    database = Database(url)
    filled = Filled([], [], [])
    filled_tables = (tables.images, tables.image_properties, tables.image_tags, tables.image_members)
    try:
        schema.upgrade(database)
        write = _write_sqlite if database.is_sqlite else _write_postgresql
        with database.engine.connect() as connection:
            if database.is_sqlite:
                for pragma in ("synchronous=OFF", "foreign_keys=OFF", "cache_size=-262144", "threads=2"):
                    connection.exec_driver_sql(f"PRAGMA {pragma}")
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.execute(text("SET synchronous_commit = off"))
                connection.execute(text("SET maintenance_work_mem = '512MB'"))
            with _without_indexes(connection, filled_tables):
                made = _entries(count, viewer)
                while batch := list(islice(made, _BATCH)):
                    _note(filled, batch)
                    for table, values in zip(filled_tables, _values(batch), strict=True):
                        write(connection, table, values)
            connection.commit()
            _settle(connection, is_sqlite=database.is_sqlite)
            connection.detach()  # what was set here is for this alone
    finally:
        database.close()
    return filled


def _entries(count: int, viewer: str) -> Iterator[_Entry]:
    chance = random.Random(count)  # the same catalogue in every run
    seen = _seen_by_viewer(count, chance)
    rare = {number * len(seen) // RARE for number in range(RARE)}
    created_at = _FIRST
    place = others = 0  # among what the viewer sees, and among the rest
    projects = 10 + count // 500
    for number in range(count):
        created_at += chance.choice((0, 250_000, 1_000_000, 3_600_000_000))  # some share their time
        if (number + 1) * len(seen) // count > place:  # spread evenly
            visibility, is_own = seen[place]
            member = None if is_own or visibility is Visibility.PUBLIC else (viewer, "accepted")
            owner = viewer if is_own else _project(number % projects)
            more = {"rare": "yes"} if place in rare else {}
            image = _image(place, number, created_at, visibility, owner, chance, **more)
            yield _Entry(image, member, is_own=is_own, is_seen=True)
            place += 1
            continue
        visibility = _OTHERS[others % len(_OTHERS)]
        member = None
        if visibility is Visibility.SHARED and others % 3 == 0:
            member = (_project((number + 1) % projects), "accepted" if others % 2 else "pending")
        image = _image(others, number, created_at, visibility, _project(number % projects), chance)
        yield _Entry(image, member, is_own=False, is_seen=False)
        others += 1


def _seen_by_viewer(count: int, chance: random.Random) -> list[tuple[Visibility, bool]]:
    """Return visibility, and whether the viewer is the owner, of each image that it sees."""
    own, public, shared = 30 + count // 1000, 30 + count // 500, 10 + count // 10_000
    seen = [(Visibility.PRIVATE if number % 2 else Visibility.SHARED, True) for number in range(own)]
    seen += [(Visibility.PUBLIC, False)] * public
    seen += [(Visibility.SHARED, False)] * shared
    chance.shuffle(seen)
    return seen


def _project(number: int) -> str:
    return f"{number:032x}"


def _image(
    place: int,
    number: int,
    created_at: int,
    visibility: Visibility,
    owner: str,
    chance: random.Random,
    **properties: str,
) -> Image:
    """Return an image whose attributes ``place`` decides: the same shares of any row of places."""
    distribution = _DISTRIBUTIONS[place % 5]
    return Image(
        id=str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        created_at=created_at,
        updated_at=created_at + chance.randrange(86_400_000_000),
        name="nightly" if place // 5 % 2 == 0 else f"{distribution}-{number:08d}",
        status=Status.ACTIVE if number % 20 else Status.QUEUED,
        visibility=visibility,
        owner=owner,
        disk_format="qcow2" if number % 3 else "raw",
        container_format="bare",
        size=chance.randrange(1 << 20, 1 << 32),
        virtual_size=1 << 32,
        checksum=f"{chance.getrandbits(128):032x}",
        os_hash_algo="sha512",
        os_hash_value=f"{chance.getrandbits(512):0128x}",
        min_ram=512,
        min_disk=5,
        tags=("nightly", "production") if place // 3 % 3 else ("nightly",),
        properties={
            "os_distro": distribution,
            "os_version": f"{20 + number % 7}.04",
            "architecture": "x86_64" if place // 5 % 3 else "aarch64",
            "build": f"{number:08d}",
            **properties,
        },
        revision=2,
    )


def _note(filled: Filled, batch: Sequence[_Entry]) -> None:
    filled.ids.extend(entry.image.id for entry in batch)
    filled.own.extend(entry.image.id for entry in batch if entry.is_own)
    filled.seen.extend(entry.image.id for entry in batch if entry.is_seen)


def _values(batch: Sequence[_Entry]) -> Iterator[list[dict[str, Any]]]:
    """Yield the rows of images, properties, tags and members."""
    yield [rows.row_of(entry.image) for entry in batch]
    yield [row for entry in batch for row in rows.property_rows(entry.image)]
    yield [row for entry in batch for row in rows.tag_rows(entry.image)]
    yield [
        {
            "image_id": entry.image.id,
            "member": entry.member[0],
            "status": entry.member[1],
            "created_at": entry.image.created_at,
            "updated_at": entry.image.created_at,
            "image_created_at": entry.image.created_at,
            "can_share": False,
        }
        for entry in batch
        if entry.member is not None
    ]


@contextlib.contextmanager
def _without_indexes(connection: Connection, filled_tables: Sequence[Table]) -> Iterator[None]:
    indexes = [index for table in filled_tables for index in sorted(table.indexes, key=lambda index: str(index.name))]
    for index in indexes:
        index.drop(connection)
    yield
    for index in indexes:
        index.create(connection)


def _write_sqlite(connection: Connection, table: Table, values: list[dict[str, Any]]) -> None:
    if values:
        connection.execute(insert(table), values)


def _write_postgresql(connection: Connection, table: Table, values: list[dict[str, Any]]) -> None:
    names = table.columns.keys()
    driver: Any = connection.connection.driver_connection
    with driver.cursor().copy(f"COPY {table.name} ({', '.join(names)}) FROM STDIN") as copy:
        for row in values:
            copy.write_row([row[name] for name in names])


def _settle(connection: Connection, *, is_sqlite: bool) -> None:
    if is_sqlite:
        # As the service leaves it when it stops.
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return
    driver: Any = connection.connection.driver_connection
    driver.autocommit = True
    driver.execute("VACUUM ANALYZE")
    driver.execute("CHECKPOINT")
