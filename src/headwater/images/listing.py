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

from sqlalchemy import Column, ColumnElement, Select, and_, exists, not_, select

from headwater.database.tables import image_properties, image_tags, images

Direction = Literal["asc", "desc"]
Comparison = Literal["eq", "neq", "gt", "gte", "lt", "lte", "in", "between", "outside"]

SORT_KEYS = ("name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at")
_NULLABLE = frozenset({"name", "container_format", "disk_format", "size"})


@dataclass(frozen=True, slots=True)
class Condition:
    """One filter on one column of the image: ``column comparison value``."""

    column: str
    comparison: Comparison
    value: Any  # for "in": a tuple; for "between" and "outside": the first and the last value


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a list shows: all filters hold, ordered by ``sort``, ``limit`` images after ``marker``."""

    conditions: tuple[Condition, ...] = ()
    properties: tuple[tuple[str, str], ...] = ()
    tags: tuple[str, ...] = ()
    os_hidden: bool = False
    sort: tuple[tuple[str, Direction], ...] = (("created_at", "desc"), ("id", "desc"))
    marker: str | None = None
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


def steps(query: Query, digest: Callable[[str], str], marker: Any | None) -> Iterator[Select[Any]]:
    """Yield the selects whose results, one after the other, cut to ``query.limit``, are the page.

    Args:
        digest: Turns a property's value into what ``image_properties.value_digest`` holds.
        marker: The row of the image after which the page begins.
    """
    base, columns = _filtered(query, digest)
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
def first_steps(query: Query, digest: Callable[[str], str]) -> tuple[Select[Any], ...]:
    """Return the steps of a first page; kept, because making a select takes longer than running it."""
    return tuple(steps(query, digest, None))


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


def _filtered(query: Query, digest: Callable[[str], str]) -> tuple[Select[Any], dict[str, Any]]:
    """Return the select with all filters, and the column to sort by for each key.

    The first property, else the first tag, leads: its index has the default order already.
    """
    columns: dict[str, Any] = {key: images.c[key] for key in SORT_KEYS}
    properties, tags = list(query.properties), list(query.tags)
    # Said as an inequality no index of the images fits; SQLite, which has no statistics, would take one of them
    # to lead, and read every image.
    led_by_another = bool(properties or tags)
    hidden = images.c.os_hidden != (not query.os_hidden) if led_by_another else images.c.os_hidden == query.os_hidden
    conditions: list[ColumnElement[bool]] = [hidden]
    conditions += [_compared(images.c[wanted.column], wanted) for wanted in query.conditions]
    statement = select(images)
    if properties:
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
