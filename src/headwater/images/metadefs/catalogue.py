"""The metadata definitions kept in SQL: one row is one namespace with all that it holds.

A change is a pure function from Namespace to Namespace, run inside one transaction that holds the row.
A namespace holds tens of definitions, rarely hundreds, and they are read together: so they are one
document, and only what lists filter and sort by has columns and a table of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, exists, func, insert, or_, select, update

from headwater.database import tables
from headwater.database.documents import part
from headwater.database.engine import Database
from headwater.errors import TooLarge
from headwater.images.catalogue.transaction import Step, Transaction, written
from headwater.images.metadefs.model import (
    Association,
    MetadefObject,
    Namespace,
    NamespaceExists,
    NamespaceNotFound,
    NamespaceVisibility,
    Property,
    ResourceType,
    Tag,
)

DOCUMENT_LIMIT = 4 << 20  # bytes of all that one namespace holds
SORT_KEYS = ("namespace", "created_at", "updated_at", "display_name", "visibility", "owner")


class NamespaceTooLarge(TooLarge):
    """A namespace holds more than anybody could choose from."""

    def __init__(self, namespace: str, size: int) -> None:
        super().__init__(
            f"Metadata definition namespace {namespace!r} would hold {size} bytes; {DOCUMENT_LIMIT} is the most: "
            "divide it into several namespaces"
        )
        self.namespace, self.size = namespace, size


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Which namespaces a caller sees: all, or the public ones and those of their project."""

    everything: bool = False
    project_id: str | None = None

    def sees(self, namespace: Namespace) -> bool:
        """Whether the caller sees this one."""
        return (
            self.everything
            or namespace.visibility is NamespaceVisibility.PUBLIC
            or (namespace.owner is not None and namespace.owner == self.project_id)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which namespaces a list shows."""

    limit: int
    marker: str | None = None  # name of the last namespace of the page before
    after: int | str | None = None  # where the marker was in the order; used when it is there no more
    sort_key: str = "created_at"  # one of SORT_KEYS
    sort_dir: Literal["asc", "desc"] = "desc"
    visibility: NamespaceVisibility | None = None
    owner: str | None = None
    resource_types: tuple[str, ...] = ()  # associated with one of these; none given: any


@dataclass(frozen=True, slots=True)
class _Document:
    """What of a namespace has no column."""

    description: str | None
    associations: tuple[Association, ...]
    properties: tuple[Property, ...]
    objects: tuple[MetadefObject, ...]
    tags: tuple[Tag, ...]


@dataclass(frozen=True, slots=True)
class _Head:
    """The same of a namespace without what it holds."""

    description: str | None
    associations: tuple[Association, ...]


class MetadefRows:
    """All metadata definitions of one database; safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- Reading ---------------------------------------------------------------------------------

    def get(self, namespace: str) -> Namespace:
        """Return one namespace or raise ``NamespaceNotFound``."""
        return self._database.read(lambda connection: _get(connection, namespace))

    def page(self, query: Query, sight: Sight, *, as_heads: bool = False) -> list[Namespace]:
        """Return the namespaces that ``query`` asks for and the caller sees, in its order.

        Args:
            as_heads: Leave out properties, objects and tags, of which a namespace may have many thousands.

        Raises:
            NamespaceNotFound: The marker names none that the caller sees, and the query does not say where it was.
        """

        def work(connection: Connection) -> list[Namespace]:
            conditions = _conditions(query, sight)
            if query.marker is not None:
                conditions.append(_beyond(query, query.marker, _marked(connection, query, query.marker, sight)))
            key, name = _sorted_by(query.sort_key), _TABLE.c.namespace
            order = [key.asc(), name.asc()] if query.sort_dir == "asc" else [key.desc(), name.desc()]
            if not as_heads:
                statement = select(_TABLE).where(*conditions).order_by(*order).limit(query.limit)
                return [_namespace(row) for row in connection.execute(statement)]
            # Which ones first: a database may take parts out of every document before it sorts.
            shown = select(_TABLE.c.id).where(*conditions).order_by(*order).limit(query.limit).subquery()
            heads = select(*_HEAD).join(shown, shown.c.id == _TABLE.c.id).order_by(*order)
            found = (_head(connection, row) for row in connection.execute(heads).all())
            return [head for head in found if head is not None]

        return self._database.read(work)

    def resource_types(self) -> list[ResourceType]:
        """Return every kind of resource that a namespace is or was associated with, by name."""
        table = tables.metadef_resource_types
        statement = select(table.c.name, table.c.created_at, table.c.updated_at).order_by(table.c.name)
        return self._database.read(
            lambda connection: [
                ResourceType(name=name, created_at=created_at, updated_at=updated_at)
                for name, created_at, updated_at in connection.execute(statement)
            ]
        )

    # --- Writing ---------------------------------------------------------------------------------

    def load(self, namespaces: Iterable[Namespace], known: Callable[[Namespace, Namespace], Namespace]) -> list[str]:
        """Keep all of these, or none when one of them cannot be kept; return the names of what changed.

        Args:
            known: Makes of a namespace that is there and the one of the same name that is offered what shall be there.
        """
        offered = list(namespaces)
        return written(self._database, lambda connection: _load(connection, offered, known))

    def load_once(self, edition: int, namespaces: Callable[[int], Iterable[Namespace]]) -> list[str]:
        """Keep those of the base definitions that are not there, unless this edition was loaded before.

        So what an operator changed stays changed, and what they deleted stays deleted. Any number of
        processes may call this at once: the row of the edition lets one of them work.

        Args:
            namespaces: What is newer than an edition; 0: all.
        """
        revisions = tables.catalogue_revisions
        here = revisions.c.scope == "metadefs"
        loaded = self._database.read(lambda c: c.execute(select(revisions.c.revision).where(here)).scalar())
        if loaded is not None and loaded >= edition:
            return []
        offered = list(namespaces(loaded or 0))

        def work(connection: Connection) -> list[str]:
            found = connection.execute(select(revisions.c.revision).where(here).with_for_update()).scalar()
            if found is None or found >= edition:
                return []
            names = _load(connection, offered, lambda mine, _theirs: mine)
            connection.execute(update(revisions).where(here).values(revision=edition))
            return names

        return written(self._database, work)


# --- Steps of changes -----------------------------------------------------------------------------


def created(namespace: Namespace) -> Step[Namespace]:
    """Keep a new namespace, and return it, or raise ``NamespaceExists``."""

    def step(transaction: Transaction) -> Namespace:
        _insert(transaction.connection, namespace)
        transaction.heard(None, namespace)
        return namespace

    return step


def changed(namespace: str, change: Callable[[Namespace], Namespace]) -> Step[Namespace]:
    """Replace one namespace by ``change`` of it, which is a pure function, and return the new one.

    Raises:
        NamespaceNotFound: There is no such namespace.
        NamespaceExists: The new name is another's.
    """

    def step(transaction: Transaction) -> Namespace:
        before = _get(transaction.connection, namespace, locked=True)
        after = change(before)
        _update(transaction.connection, before, after)
        transaction.heard(before, after)
        return after

    return step


def deleted(namespace: str, allowed: Callable[[Namespace], None]) -> Step[None]:
    """Forget one namespace and all that it holds.

    Args:
        allowed: Raises when this namespace may not be deleted.

    Raises:
        NamespaceNotFound: There is no such namespace.
    """

    def step(transaction: Transaction) -> None:
        found = _get(transaction.connection, namespace, locked=True)
        allowed(found)
        transaction.connection.execute(delete(_TABLE).where(_TABLE.c.id == found.id))
        transaction.heard(found, None)

    return step


_TABLE = tables.metadef_namespaces
_GET = select(_TABLE).where(_TABLE.c.namespace == bindparam("namespace"))
_GET_LOCKED = _GET.with_for_update()
_COLUMNS = [column for column in _TABLE.c if column.name != "document"]
_PLACE = select(*_COLUMNS).where(_TABLE.c.namespace == bindparam("namespace"))
_HEAD = [*_COLUMNS, *(part(_TABLE.c.document, name).label(name) for name in ("description", "associations"))]
_decode = msgspec.json.Decoder(_Document).decode
_decode_head = msgspec.json.Decoder(_Head).decode  # steps over the rest without making anything of it
_decode_description = msgspec.json.Decoder(str | None).decode
_decode_associations = msgspec.json.Decoder(tuple[Association, ...]).decode


def _get(connection: Connection, namespace: str, *, locked: bool = False) -> Namespace:
    row = None
    if "\x00" not in namespace:  # PostgreSQL refuses the question itself
        row = connection.execute(_GET_LOCKED if locked else _GET, {"namespace": namespace}).first()
    if row is None:
        raise NamespaceNotFound(namespace)
    return _namespace(row)


def _load(
    connection: Connection, offered: Iterable[Namespace], known: Callable[[Namespace, Namespace], Namespace]
) -> list[str]:
    changed: list[str] = []
    for theirs in offered:
        try:
            mine = _get(connection, theirs.namespace, locked=True)
        except NamespaceNotFound:
            _insert(connection, theirs)
        else:
            after = known(mine, theirs)
            if after == mine:
                continue
            _update(connection, mine, after)
        changed.append(theirs.namespace)
    return changed


def _insert(connection: Connection, namespace: Namespace) -> None:
    _require_free(connection, namespace.namespace)
    connection.execute(insert(_TABLE), _row(namespace))
    _associate(connection, namespace)


def _update(connection: Connection, before: Namespace, after: Namespace) -> None:
    if after == before:
        return
    if after.namespace != before.namespace:
        _require_free(connection, after.namespace)
    row = _row(after)
    old = _row(before)
    different = {name: value for name, value in row.items() if value != old[name]}
    connection.execute(update(_TABLE).where(_TABLE.c.id == before.id).values(different))
    if after.associations != before.associations:
        table = tables.metadef_associations
        connection.execute(delete(table).where(table.c.namespace_id == before.id))
        _associate(connection, after)


def _require_free(connection: Connection, namespace: str) -> None:
    if connection.execute(_PLACE, {"namespace": namespace}).first() is not None:
        raise NamespaceExists(namespace)


def _associate(connection: Connection, namespace: Namespace) -> None:
    names = [each.name for each in namespace.associations]
    if not names:
        return
    connection.execute(
        insert(tables.metadef_associations),
        [{"namespace_id": namespace.id, "resource_type": name} for name in names],
    )
    table = tables.metadef_resource_types
    known = set(connection.execute(select(table.c.name).where(table.c.name.in_(names))).scalars())
    new = [
        {"name": each.name, "created_at": each.created_at, "updated_at": each.created_at}
        for each in sorted(namespace.associations, key=lambda each: each.name)
        if each.name not in known
    ]
    if new:
        connection.execute(insert(table), new)


def _conditions(query: Query, sight: Sight) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if not sight.everything:
        seen = [_TABLE.c.visibility == NamespaceVisibility.PUBLIC.value]
        if sight.project_id is not None:
            seen.append(_TABLE.c.owner == sight.project_id)
        conditions.append(or_(*seen))
    if query.visibility is not None:
        conditions.append(_TABLE.c.visibility == query.visibility.value)
    if query.owner is not None:
        conditions.append(_TABLE.c.owner == query.owner)
    if query.resource_types:
        table = tables.metadef_associations
        conditions.append(
            exists().where(table.c.namespace_id == _TABLE.c.id, table.c.resource_type.in_(query.resource_types))
        )
    return conditions


def _sorted_by(key: str) -> ColumnElement[Any]:
    column = _TABLE.c[key]
    # What has none sorts before what has one, on every database.
    return func.coalesce(column, "") if column.nullable else column


def place(namespace: Namespace, sort_key: str) -> int | str:
    """Return where a namespace stands in lists that are sorted by ``sort_key``."""
    value: int | str | None = getattr(namespace, sort_key)
    return "" if value is None else value


def _marked(connection: Connection, query: Query, marker: str, sight: Sight) -> int | str:
    """Return where the marker stands: it may have been deleted since the page that ended with it."""
    row = None
    if "\x00" not in marker:
        row = connection.execute(_PLACE, {"namespace": marker}).first()
    if row is not None:
        found = _head_of(row, _Head(None, ()))
        if sight.sees(found):
            return place(found, query.sort_key)
    if query.after is None:
        raise NamespaceNotFound(marker)
    return query.after


def _beyond(query: Query, marker: str, value: int | str) -> ColumnElement[bool]:
    key, name = _sorted_by(query.sort_key), _TABLE.c.namespace
    if query.sort_dir == "asc":
        return or_(key > value, and_(key == value, name > marker))
    return or_(key < value, and_(key == value, name < marker))


def _namespace(row: Any) -> Namespace:
    document = _decode(row.document)
    return replace(
        _head_of(row, document), properties=document.properties, objects=document.objects, tags=document.tags
    )


def _head(connection: Connection, row: Any) -> Namespace | None:
    """Return the head of the namespace of a row; ``None`` when it has been deleted since the row was read."""
    if row.description is not None and row.associations is not None:
        return _head_of(row, _Head(_decode_description(row.description), _decode_associations(row.associations)))
    document = connection.execute(select(_TABLE.c.document).where(_TABLE.c.id == row.id)).scalar_one_or_none()
    return None if document is None else _head_of(row, _decode_head(document))


def _head_of(row: Any, document: _Document | _Head) -> Namespace:
    return Namespace(
        id=row.id,
        namespace=row.namespace,
        created_at=row.created_at,
        updated_at=row.updated_at,
        display_name=row.display_name,
        description=document.description,
        visibility=NamespaceVisibility(row.visibility),
        protected=row.protected,
        owner=row.owner,
        associations=document.associations,
    )


def _row(namespace: Namespace) -> dict[str, Any]:
    document = msgspec.json.encode(
        _Document(
            namespace.description,
            namespace.associations,
            namespace.properties,
            namespace.objects,
            namespace.tags,
        )
    )
    if len(document) > DOCUMENT_LIMIT:
        raise NamespaceTooLarge(namespace.namespace, len(document))
    return {
        "id": namespace.id,
        "namespace": namespace.namespace,
        "visibility": namespace.visibility.value,
        "protected": namespace.protected,
        "owner": namespace.owner,
        "display_name": namespace.display_name,
        "created_at": namespace.created_at,
        "updated_at": namespace.updated_at,
        "document": document.decode(),
    }
