"""Which images a list shows, and how SQL finds one page of them from an index.

A page after a marker is found without offsets and without ``OR``: the order by keys ``k1, k2, … kn``
falls into steps, each of which fixes the first keys to the marker's values and asks for what lies
beyond the marker in the next one:

    k1 = v1 and k2 = v2 and k3 beyond v3      (nearest first)
    k1 = v1 and k2 beyond v2
    k1 beyond v1

Every step is one range of one index on every database, in order; they are asked one after the other
until the page is full. An absent value (NULL) sorts before every other, and has a step of its own, so
that no database's own opinion about NULL matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Any, Literal

from sqlalchemy import Column, ColumnElement, Select, and_, exists, not_, or_, select, true

from headwater.database.tables import image_members, image_properties, image_tags, images
from headwater.images.model import Image, Visibility

Direction = Literal["asc", "desc"]
Comparison = Literal["eq", "neq", "gt", "gte", "lt", "lte", "in", "between", "outside"]

Source = Literal["everything", "but others' community", "own", "public", "community", "shared", "visible"]

SORT_KEYS = ("name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at")
_NULLABLE = frozenset({"name", "container_format", "disk_format", "size"})


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter on one column of the image: ``column comparison value``."""

    column: str
    comparison: Comparison
    value: Any  # for "in": a tuple; for "between" and "outside": the first and the last value


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """For whom a list is made."""

    project_id: str | None = None
    sees_all: bool = False  # an admin: every image, though others' community images only when asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a list shows: all filters hold, ordered by ``sort``, ``limit`` images after ``marker``."""

    viewer: Viewer = Viewer(sees_all=True)
    # public, community, shared or private; "all": of any visibility; None: what the viewer works with,
    # which others' community images are not part of.
    visibility: str | None = "all"
    member_status: str = "accepted"  # which images that others share count; "all": whatever was said to them

    conditions: tuple[Condition, ...] = ()
    properties: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()
    os_hidden: bool = False
    sort: tuple[tuple[str, Direction], ...] = (("created_at", "desc"), ("id", "desc"))
    marker: str | None = None
    after: Image | None = None  # in place of a marker: begin after an image that is in no list any more
    limit: int = 25


def total_order(sort: Sequence[tuple[str, Direction]]) -> tuple[tuple[str, Direction], ...]:
    """Append the tie-breakers, so that no two images are equal in the order.

    Source: Glance appends created_at and id, in the direction of the only key, else descending.
    """
    given = [key for key, _ in sort]
    direction: Direction = sort[0][1] if len(sort) == 1 else "desc"
    rest = [(key, direction) for key in ("created_at", "id") if key not in given]
    order = [*sort, *rest]
    # Nothing sorts after the id, as no two are equal.
    last = next(place for place, (key, _) in enumerate(order) if key == "id")
    return tuple(order[: last + 1])


def sources(query: Query) -> tuple[Source, ...]:
    """Return the parts of the catalogue that the viewer's list is made of; no image is in two of them.

    Where a property or a tag leads there is one part, as its index is read anyway.
    """
    viewer, wanted = query.viewer, query.visibility
    project = viewer.project_id
    if viewer.sees_all:
        return ("everything",) if wanted is not None else ("but others' community",)
    if query.properties or query.tags:
        return ("visible",)
    parts: list[Source] = []
    if project is not None:
        parts.append("own")
    if wanted in (None, "all", "public"):
        parts.append("public")
    if wanted in ("all", "community"):
        parts.append("community")
    if project is not None and wanted in (None, "all", "shared"):
        parts.append("shared")
    return tuple(parts)


def steps(query: Query, source: Source, digest: Callable[[str], str], marker: Any | None) -> Iterator[Select[Any]]:
    """Yield the selects whose results, one after the other, cut to ``query.limit``, are the page.

    Args:
        source: Which part of the catalogue; see ``sources``.
        digest: Turns a property's value into what ``image_properties.value_digest`` holds.
        marker: The row of the image after which the page begins.
    """
    base, columns = _filtered(query, source, digest)
    order = total_order(query.sort)
    by = [_ordered(columns[key], key, direction, place) for place, (key, direction) in enumerate(order)]
    for condition, fixed in _ranges(order, columns, marker):
        yield base.where(*condition).order_by(*chain.from_iterable(by[fixed:])).limit(query.limit)


def _ordered(column: Any, key: str, direction: Direction, place: int) -> list[ColumnElement[Any]]:
    """Return the terms that sort by one key. The steps part absent values from others in the first key only."""
    term = column.asc() if direction == "asc" else column.desc()
    if place == 0 or key not in _NULLABLE:
        return [term]
    absent = column.is_(None)
    return [absent.desc() if direction == "asc" else absent.asc(), term]


@lru_cache(256)
def first_steps(query: Query, source: Source, digest: Callable[[str], str]) -> tuple[Select[Any], ...]:
    """Return the steps of a first page; kept, because making a select takes longer than running it."""
    return tuple(steps(query, source, digest, None))


def in_order(found: list[Image], query: Query) -> list[Image]:
    """Return images of several sources in the order of the list."""

    def value(image: Image, key: str) -> tuple[bool, Any]:
        held = getattr(image, key)
        return held is not None, held

    for key, direction in reversed(total_order(query.sort)):
        found = sorted(found, key=lambda image, key=key: value(image, key), reverse=direction == "desc")  # type: ignore[misc]  # binds this turn's key
    return found


def _ranges(
    order: Sequence[tuple[str, Direction]], columns: dict[str, Any], marker: Any | None
) -> Iterator[tuple[list[ColumnElement[bool]], int]]:
    """Yield conditions, and how many leading keys they fix to one value."""
    if marker is None:
        yield from _beyond_nothing(order[0], columns)
        return
    for place in range(len(order) - 1, -1, -1):
        fixed = [_equal(columns[key], getattr(marker, key)) for key, _ in order[:place]]
        key, direction = order[place]
        column, value = columns[key], getattr(marker, key)
        if direction == "asc":
            yield [*fixed, column.is_not(None) if value is None else column > value], place
        elif value is not None:
            yield [*fixed, column < value], place
            if key in _NULLABLE:
                yield [*fixed, column.is_(None)], place + 1


def _beyond_nothing(
    first: tuple[str, Direction], columns: dict[str, Any]
) -> Iterator[tuple[list[ColumnElement[bool]], int]]:
    key, direction = first
    if key not in _NULLABLE:
        yield [], 0
        return
    present: tuple[list[ColumnElement[bool]], int] = ([columns[key].is_not(None)], 0)
    absent: tuple[list[ColumnElement[bool]], int] = ([columns[key].is_(None)], 1)
    yield from (absent, present) if direction == "asc" else (present, absent)


def _equal(column: Any, value: Any) -> ColumnElement[bool]:
    result: ColumnElement[bool] = column.is_(None) if value is None else column == value
    return result


def _seen(query: Query, source: Source) -> list[ColumnElement[bool]]:
    """Return what makes an image one of ``source``, besides its being shared with the viewer."""
    project = query.viewer.project_id
    own = images.c.owner == project if project is not None else images.c.owner.is_(None)
    not_own = true() if project is None else or_(images.c.owner.is_(None), images.c.owner != project)
    by_visibility: ColumnElement[bool] = true()
    if query.visibility not in (None, "all"):
        by_visibility = images.c.visibility == query.visibility
    match source:
        case "everything":
            return [by_visibility] if query.visibility != "all" else []
        case "but others' community":
            return [or_(images.c.visibility != Visibility.COMMUNITY.value, own)]
        case "own":
            return [own, by_visibility]
        case "public" | "community":
            return [images.c.visibility == source, not_own]
        case "shared":
            return [images.c.visibility == Visibility.SHARED.value, not_own]
        case "visible":
            return [by_visibility, or_(*_visible(query, own))]


def _visible(query: Query, own: ColumnElement[bool]) -> list[ColumnElement[bool]]:
    project = query.viewer.project_id
    ways: list[ColumnElement[bool]] = [images.c.visibility == Visibility.PUBLIC.value]
    if query.visibility in ("all", Visibility.COMMUNITY):
        ways.append(images.c.visibility == Visibility.COMMUNITY.value)
    if project is not None:
        shared = exists().where(image_members.c.image_id == images.c.id, *_membership(query, project))
        ways += [own, and_(images.c.visibility == Visibility.SHARED.value, shared)]
    return ways


def _membership(query: Query, project: str) -> list[ColumnElement[bool]]:
    mine: list[ColumnElement[bool]] = [image_members.c.member == project]
    if query.member_status != "all":
        mine.append(image_members.c.status == query.member_status)
    return mine


def _filtered(query: Query, source: Source, digest: Callable[[str], str]) -> tuple[Select[Any], dict[str, Any]]:
    """Return the select with all filters, and the column to sort by for each key.

    The first property, else the first tag, else what is shared leads: its index has the default order already.
    """
    columns: dict[str, Any] = {key: images.c[key] for key in SORT_KEYS}
    properties, tags = list(query.properties), list(query.tags)
    # Said as an inequality no index of the images fits; SQLite, which has no statistics, would take one of them
    # to lead, and read every image.
    led_by_another = bool(properties or tags) or source == "shared"
    hidden = images.c.os_hidden != (not query.os_hidden) if led_by_another else images.c.os_hidden == query.os_hidden
    conditions: list[ColumnElement[bool]] = [hidden]
    conditions += [_compared(images.c[wanted.column], wanted) for wanted in query.conditions]
    conditions += _seen(query, source)
    statement = select(images)
    if source == "shared":
        statement = statement.select_from(image_members.join(images, images.c.id == image_members.c.image_id))
        conditions += _membership(query, str(query.viewer.project_id))
        columns |= {"created_at": image_members.c.image_created_at, "id": image_members.c.image_id}
    elif properties:
        name, value = properties.pop(0)
        led = image_properties.alias("led")
        statement = statement.select_from(led.join(images, images.c.id == led.c.image_id))
        conditions += [led.c.name == name, led.c.value_digest == digest(value)]
        columns |= {"created_at": led.c.created_at, "id": led.c.image_id}
    elif tags:
        led = image_tags.alias("led")
        statement = statement.select_from(led.join(images, images.c.id == led.c.image_id))
        conditions.append(led.c.tag == tags.pop(0))
        columns |= {"created_at": led.c.created_at, "id": led.c.image_id}
    for name, value in properties:
        p = image_properties.alias()
        conditions.append(
            exists().where(p.c.image_id == images.c.id, p.c.name == name, p.c.value_digest == digest(value))
        )
    for tag in tags:
        t = image_tags.alias()
        conditions.append(exists().where(t.c.image_id == images.c.id, t.c.tag == tag))
    return statement.where(and_(*conditions)), columns


def _compared(column: Column[Any], wanted: Condition) -> ColumnElement[bool]:
    value = wanted.value
    result: ColumnElement[bool]
    match wanted.comparison:
        case "eq":
            result = column == value
        case "neq":
            result = column != value
        case "gt":
            result = column > value
        case "gte":
            result = column >= value
        case "lt":
            result = column < value
        case "lte":
            result = column <= value
        case "in":
            result = column.in_(value)
        case "between":
            result = column.between(*value)
        case "outside":
            result = not_(column.between(*value))
    return result
