"""Lists of instances in SQL: pages in the order of names, each a range of one index.

The columns that are searched repeat what the document says. A release that knows no such columns may have changed a
row since, so whoever is shown something is shown what the document says: a row that only the columns call wanted is
passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec
from sqlalchemy import Connection, Select, select

from headwater.database.documents import part
from headwater.database.engine import Database
from headwater.database.tables import instance_addresses, instances
from headwater.instances.lists.wanted import EVERY, Wanted
from headwater.instances.model import Instance
from headwater.instances.registry.rows import is_storable, record_of

T = TypeVar("T")

PAGE = 100
PAGE_OF_HEADS = 1000

_COLUMNS = ("id", "name", "project_id", "image_id")  # that a question names
_OF_ROW = ("id", "name", "created_at", "updated_at", "revision")
_OF_DOCUMENT = ("hostname", "addresses", "image_id", "image_name", "project_id")
_HEADS = select(
    *(instances.c[name] for name in _OF_ROW),
    *(part(instances.c.document, "instance", name).label(f"its_{name}") for name in _OF_DOCUMENT),
)
_DOCUMENTS = select(instances.c.name, instances.c.document)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a list shows of an instance; user data, which may be large, is no part of it."""

    id: str
    name: str
    hostname: str
    project_id: str | None
    addresses: tuple[str, ...]
    image_id: str | None
    image_name: str | None
    created_at: int  # microseconds since 1970, UTC
    updated_at: int
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Some instances in the order of their names."""

    found: list[T]
    after: str | None  # the name that the next page begins after; None: there is no further one


class InstanceLists:
    """Find instances; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def heads(self, wanted: Wanted = EVERY, *, after: str | None = None, limit: int = PAGE_OF_HEADS) -> Page[Head]:
        """Return what lists show of up to ``limit`` instances, those after the name ``after``.

        ``limit`` is at least 1.
        """
        return self._page(_HEADS, _head, wanted, after, limit)

    def page(self, wanted: Wanted = EVERY, *, after: str | None = None, limit: int = PAGE) -> Page[Instance]:
        """Return up to ``limit`` instances, those after the name ``after``; ``limit`` is at least 1."""
        return self._page(_DOCUMENTS, lambda _, row: record_of(row.document).instance, wanted, after, limit)

    def all_heads(self, wanted: Wanted = EVERY, *, after: str | None = None) -> Iterator[Head]:
        """Yield what lists show of all instances after the name ``after``; a page of it is in memory at a time."""
        return _all(partial(self.heads, wanted), after)

    def all(self, wanted: Wanted = EVERY, *, after: str | None = None) -> Iterator[Instance]:
        """Yield all instances after the name ``after``; a page of them is in memory at a time."""
        return _all(partial(self.page, wanted), after)

    def _page(
        self,
        query: Select[Any],
        read: Callable[[Connection, Any], T | None],
        wanted: Wanted,
        after: str | None,
        limit: int,
    ) -> Page[T]:
        texts = [*wanted.texts, *([] if after is None else [after])]
        if not all(map(is_storable, texts)):  # so nothing has such a name, and no database sorts it
            return Page(found=[], after=None)
        query = _narrowed(query, wanted, after).limit(limit + 1)

        def work(connection: Connection) -> Page[T]:
            rows = connection.execute(query).all()
            found = (read(connection, row) for row in rows[:limit])
            shown = [each for each in found if each is not None and _is_wanted(each, wanted)]
            return Page(found=shown, after=rows[limit - 1].name if len(rows) > limit else None)

        # Else PostgreSQL may come to take one plan for all values, of which some match all rows and some none.
        return self._database.read(work, plans_anew=bool(wanted.texts))


def _all(page: Callable[..., Page[T]], after: str | None) -> Iterator[T]:
    while True:
        found = page(after=after)
        yield from found.found
        after = found.after
        if after is None:
            return


def _narrowed(query: Select[Any], wanted: Wanted, after: str | None) -> Select[Any]:
    if wanted.address is None:
        query = query.order_by(instances.c.name)
    else:  # one at most
        query = query.join(instance_addresses, instances.c.id == instance_addresses.c.instance_id).where(
            instance_addresses.c.address == wanted.address
        )
    for name in _COLUMNS:
        if (value := getattr(wanted, name)) is not None:
            query = query.where(instances.c[name] == value)
    return query if after is None else query.where(instances.c.name > after)


def _is_wanted(found: Any, wanted: Wanted) -> bool:
    return all(getattr(wanted, name) in (None, getattr(found, name)) for name in _COLUMNS) and (
        wanted.address is None or wanted.address in found.addresses
    )


def _head(connection: Connection, row: Any) -> Head | None:
    """Return what a list shows of the instance of a row; ``None`` when it has been removed since the row was read."""
    texts = {name: getattr(row, f"its_{name}") for name in _OF_DOCUMENT}
    if None not in texts.values():
        parts = {name: msgspec.json.decode(text) for name, text in texts.items()}
        return msgspec.convert({name: getattr(row, name) for name in _OF_ROW} | parts, Head)
    query = select(instances.c.document).where(instances.c.id == row.id)
    document = connection.execute(query).scalar_one_or_none()
    if document is None:
        return None
    found = record_of(document).instance
    return Head(**{name: getattr(found, name) for name in Head.__slots__})
