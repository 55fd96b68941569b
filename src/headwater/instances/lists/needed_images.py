"""Which images instances need: what they start from, their kernels and RAM disks."""

from __future__ import annotations

from functools import partial

import msgspec
from sqlalchemy import Connection, select

from headwater.database.documents import part
from headwater.database.engine import Database
from headwater.database.tables import instances

_AT_ONCE = 1000
_KEYS = ("image_id", "kernel_id", "ramdisk_id")
_IMAGES = select(
    instances.c.name, *(part(instances.c.document, "instance", name).label(f"its_{name}") for name in _KEYS)
).order_by(instances.c.name)


class NeededImages:
    """The images of all instances; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def image_ids(self) -> set[str]:
        """Return the ids of all images that instances need."""
        found: set[str] = set()
        after = ""
        while rows := self._database.read(partial(_rows, after)):
            found.update(*(ids for _, ids in rows))
            after = rows[-1][0]
        return found


def _rows(after: str, connection: Connection) -> list[tuple[str, set[str]]]:
    """Return the images that each of some instances needs, by the instance's name, of those after a name."""
    query = _IMAGES.where(instances.c.name > after).limit(_AT_ONCE)
    found = []
    for row in connection.execute(query).all():
        texts = [getattr(row, f"its_{name}") for name in _KEYS]
        if None in texts:  # the database cannot tell
            document = connection.scalar(select(instances.c.document).where(instances.c.name == row.name))
            kept = {} if document is None else msgspec.json.decode(document)["instance"]
            ids = [kept.get(name) for name in _KEYS]
        else:
            ids = [msgspec.json.decode(text) for text in texts]
        found.append((row.name, {each for each in ids if each is not None}))
    return found
