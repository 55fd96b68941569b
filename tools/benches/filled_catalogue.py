"""A catalogue of any number of images, filled in seconds: as the service would have written it.

Rows go in by the thousand, past the use cases, and every index table gets what the use cases would have
put there. Names, properties, tags and times repeat at every size in the same shares, so that a filter
finds the same share of 100 images as of 100 000, and at least ``LEAST`` images give every page its fill.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import insert

from headwater.database import schema, tables
from headwater.database.engine import Database
from headwater.images.model import Image, Status, Visibility
from headwater.images.rows import digest

LEAST = 100
_BATCH = 5000
_FIRST = 1_600_000_000_000_000  # microseconds since 1970
_RARE_IMAGES = 30  # have the property rare=yes, at every size: just more than one page
_DISTRIBUTIONS = ("ubuntu", "ubuntu", "ubuntu", "debian", "fedora")
_HASH = "sha512"


@dataclass(frozen=True, slots=True)
class Filled:
    """What is in the catalogue."""

    ids: list[str]  # oldest first


def fill(data_dir: Path, count: int) -> Filled:
    """Make the catalogue of ``data_dir`` with ``count`` images."""
    data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(f"sqlite:///{data_dir / 'headwater.db'}")
    ids: list[str] = []
    try:
        schema.upgrade(database)
        with database.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA synchronous=OFF")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            made = _images(count)
            while batch := list(islice(made, _BATCH)):
                ids += [image.id for image in batch]
                connection.execute(insert(tables.images), [_row(image) for image in batch])
                if properties := [row for image in batch for row in _properties(image)]:
                    connection.execute(insert(tables.image_properties), properties)
                if tags := [row for image in batch for row in _tags(image)]:
                    connection.execute(insert(tables.image_tags), tags)
            connection.commit()
            # As the service leaves it when it stops; the next connection sets its own pragmas.
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.detach()
    finally:
        database.close()
    return Filled(ids)


def _images(count: int) -> Iterator[Image]:
    chance = random.Random(count)  # the same catalogue in every run
    rare = {number * count // _RARE_IMAGES for number in range(min(count, _RARE_IMAGES))}
    created_at = _FIRST
    for number in range(count):
        created_at += chance.choice((0, 250_000, 1_000_000, 3_600_000_000))  # some share their time
        distribution = _DISTRIBUTIONS[number % len(_DISTRIBUTIONS)]
        properties = {
            "os_distro": distribution,
            "os_version": f"{20 + number % 7}.04",
            "architecture": "aarch64" if number % 3 == 0 else "x86_64",
            "build": f"{number:08d}",
        }
        if number in rare:
            properties["rare"] = "yes"
        yield Image(
            id=str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            created_at=created_at,
            updated_at=created_at + chance.randrange(86_400_000_000),
            name=f"{distribution}-nightly" if number % 2 else f"{distribution}-{number:08d}",
            status=Status.ACTIVE if number % 20 else Status.QUEUED,
            visibility=Visibility.PUBLIC if number % 4 else Visibility.PRIVATE,
            owner=f"{number % 50:032x}",
            disk_format="qcow2" if number % 3 else "raw",
            container_format="bare",
            size=chance.randrange(1 << 20, 1 << 32),
            virtual_size=1 << 32,
            checksum=f"{chance.getrandbits(128):032x}",
            os_hash_algo=_HASH,
            os_hash_value=f"{chance.getrandbits(512):0128x}",
            min_ram=512,
            min_disk=5,
            tags=("nightly", "production") if number % 3 == 1 else ("nightly",) if number % 2 else (),
            properties=properties,
            revision=2,
        )


def _row(image: Image) -> dict[str, Any]:
    row = {field.name: getattr(image, field.name) for field in fields(image)}
    row |= {"status": image.status.value, "visibility": image.visibility.value}
    row["tags"] = msgspec.json.encode(image.tags).decode()
    row["properties"] = msgspec.json.encode(image.properties).decode()
    return row


def _properties(image: Image) -> Iterator[dict[str, Any]]:
    for name, value in image.properties.items():
        yield {"image_id": image.id, "name": name, "value_digest": digest(value), "created_at": image.created_at}


def _tags(image: Image) -> Iterator[dict[str, Any]]:
    for tag in image.tags:
        yield {"image_id": image.id, "tag": tag, "created_at": image.created_at}
