"""What feeds say of the files of images, kept in SQL: hashes that cost a pass over all of an image's data.

A row of its own for each image that was read, so that neither the image nor its ``updated_at`` changes by that; it goes
with its image. It says of which data it is, so what was found of an image's data is not taken for that of other data
which came to it later. That it is there is noted as a change of the public images, in the same transaction: feeds see
it as they see other changes. Of an image that is not for everybody there is a row once somebody wanted to know.

The metadata tarball is kept as it was hashed: another release, or another library that compresses, might make other
bytes of the same description.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, delete, insert, select

from headwater.database import tables
from headwater.database.engine import Database
from headwater.images.catalogue.retention.uses import batches
from headwater.images.catalogue.rows import note_public
from headwater.images.model import Image

_LONGEST_ERROR = 1024  # characters
_SLICE = 500  # rows that are read at once

_table = tables.image_fingerprints


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What was found of the data of one image."""

    image_id: str
    data_hash: str  # the ``os_hash_value`` of the image whose data was read
    sha256: str | None = None  # of the data, hex; None: it could not be read
    product: str | None = None  # of an image for LXD and Incus, which its metadata names
    metadata: bytes = b""  # its tarball
    combined: str | None = None  # the SHA-256 of the tarball and the data, which is the image's fingerprint
    tried_at: int = 0  # microseconds since 1970
    attempts: int = 0  # how often the data could not be read since it was last
    error: str | None = None  # why not

    def is_of(self, image: Image) -> bool:
        """Return whether the image has the data that was read."""
        return image.os_hash_value == self.data_hash


class FingerprintRows:
    """The fingerprints of one database; safe to use from several threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._slice = _SLICE

    def of(self, image_ids: Collection[str]) -> dict[str, Fingerprint]:
        """Return what is known of images, by their ids; not of those that nobody has tried to read."""
        found: dict[str, Fingerprint] = {}
        for some in batches(image_ids):
            rows = self._rows(select(_table).where(_table.c.image_id.in_(some)))
            found.update((row.image_id, _fingerprint(row)) for row in rows)
        return found

    def everything(self) -> Iterator[Fingerprint]:
        """Yield all, in the order of the images' ids, slice by slice."""
        after = ""
        while True:
            query = select(_table).where(_table.c.image_id > after).order_by(_table.c.image_id).limit(self._slice)
            rows = self._rows(query)
            if not rows:
                return
            yield from map(_fingerprint, rows)
            after = rows[-1].image_id

    def unread(self) -> list[str]:
        """Return the ids of images of which somebody wants to know what nobody has found yet."""
        query = select(_table.c.image_id).where(_table.c.sha256.is_(None)).order_by(_table.c.image_id)
        return [row.image_id for row in self._rows(query)]

    def want(self, image: Image) -> None:
        """Note that somebody wants to know this of an image that is not for everybody."""

        def work(connection: Connection) -> None:
            there = select(tables.images.c.id).where(tables.images.c.id == image.id).with_for_update()
            if connection.execute(there).first() is None:
                return
            known = select(_table.c.image_id).where(_table.c.image_id == image.id)
            if connection.execute(known).first() is None:
                wanted = Fingerprint(image_id=image.id, data_hash=image.os_hash_value or "")
                connection.execute(insert(_table), _row(wanted))
            note_public(connection, image.id)

        self._database.write(work)

    def keep(self, found: Fingerprint) -> bool:
        """Keep what was found in the place of what was known; nothing, and ``False``, when the image is gone."""

        def work(connection: Connection) -> bool:
            # Locked as changes of the image lock it, so that its deletion comes before or after, and in their order.
            there = select(tables.images.c.id).where(tables.images.c.id == found.image_id).with_for_update()
            if connection.execute(there).first() is None:
                return False
            replaced(connection, found)
            return True

        return self._database.write(work)

    def _rows(self, query: Select[Any]) -> Sequence[Any]:
        return self._database.read(lambda connection: connection.execute(query).all())


def found_of(connection: Connection, image_id: str) -> Fingerprint | None:
    """Return what is known of an image, in the transaction of a change of it."""
    row = connection.execute(select(_table).where(_table.c.image_id == image_id)).first()
    return None if row is None else _fingerprint(row)


def replaced(connection: Connection, found: Fingerprint) -> None:
    """Keep what was found, in the transaction of a change of its image, or of one that locks it."""
    connection.execute(delete(_table).where(_table.c.image_id == found.image_id))
    connection.execute(insert(_table), _row(found))
    note_public(connection, found.image_id)


def sha256_of(fingerprints: Iterable[Fingerprint], images: Iterable[Image]) -> dict[str, str]:
    """Return the SHA-256 of the data of images, by id, of those where it is known."""
    known = {each.image_id: each for each in fingerprints}
    found: dict[str, str] = {}
    for image in images:
        row = known.get(image.id)
        if image.os_hash_algo == "sha256" and image.os_hash_value:
            found[image.id] = image.os_hash_value
        elif row is not None and row.sha256 is not None and row.is_of(image):
            found[image.id] = row.sha256
    return found


def _row(found: Fingerprint) -> dict[str, Any]:
    return {
        "image_id": found.image_id,
        "data_hash": found.data_hash,
        "sha256": found.sha256,
        "product": found.product,
        "metadata": base64.b64encode(found.metadata).decode("ascii") if found.metadata else None,
        "combined": found.combined,
        "tried_at": found.tried_at,
        "attempts": found.attempts,
        "error": found.error and found.error.replace("\0", "")[:_LONGEST_ERROR],
    }


def _fingerprint(row: Any) -> Fingerprint:
    return Fingerprint(
        image_id=row.image_id,
        data_hash=row.data_hash,
        sha256=row.sha256,
        product=row.product,
        metadata=base64.b64decode(row.metadata) if row.metadata else b"",
        combined=row.combined,
        tried_at=row.tried_at,
        attempts=row.attempts,
        error=row.error,
    )
