"""How SQL finds one page of a list from indexes.

A list is made of few sources: for an admin one, for a member what everybody is shown, what its project has and
what is shared with it. Each source gives its own page, and the first of all of these are the page of the list.

A page after a marker is found without offsets and without ``OR``: the order by keys ``k1, k2, … kn``
falls into steps, each of which fixes the first keys to the marker's values and asks for what lies
beyond the marker in the next one:

    k1 = v1 and k2 = v2 and k3 beyond v3      (nearest first)
    k1 = v1 and k2 beyond v2
    k1 beyond v1

Every step is one range of one index on every database, in order. An absent value (NULL) sorts before every
other, and has a step of its own, so that no database's own opinion about NULL matters.

All steps of all sources are one statement: a round trip to the database takes longer than a step. Making a statement
takes longer than running it, so each is kept under its form: the query without the values that are bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, false, func, literal_column, or_, select, union_all

from headwater.database.tables import image_properties, image_tags, images
from headwater.images.catalogue.lists import audience, pages
from headwater.images.catalogue.lists.filters import (
    Source,
    audience_of,
    bound,
    filtered,
    has_property,
    has_tag,
    sources,
)
from headwater.images.catalogue.lists.pages import Listed
from headwater.images.catalogue.lists.query import Direction, Query, total_order

_NULLABLE = frozenset({"name", "container_format", "disk_format", "size"})

# How many matches of a filter are sorted at most. Where there are more, looking at one image after the other
# finds a page soon: of a million images with so many matches, after some ten thousand.
SORTED = 3000
_LED_ORDER = "created_at"  # what the indexes of properties and tags are in
_AUDIENCE_ORDERS = frozenset({"name", "size", "updated_at"})  # what those of an audience are in besides


class Page:
    """The question for one page, ready to be asked."""

    def __init__(self, query: Query, digest: Callable[[str], str]) -> None:
        """Prepare it.

        Args:
            digest: Turns a property's value into what ``image_properties.value_digest`` holds.
        """
        self._limit = query.limit
        if query.limit > pages.SLICE:
            query = replace(query, limit=pages.SLICE)
        self._query = query
        self._order = total_order(query.sort)
        self._form = _form(query)
        self._values = _values(query, digest)
        self._in_order = False

    def found(self, connection: Connection, marker: Any | None) -> Listed[Any]:
        """Return the rows of the page.

        Args:
            marker: The row of the image after which the page begins.
        """
        if not sources(self._query):
            return Listed()
        walks = self._walks(connection)

        def rows_after(marker: Any | None) -> list[Any]:
            statement, values = self.question(marker, walks=walks)
            return self._cut(connection.execute(statement, values).all())

        return pages.read(rows_after, marker, self._limit, _weight)

    def question(self, marker: Any | None, *, walks: bool) -> tuple[Any, dict[str, Any]]:
        """Return the statement and what is bound in it."""
        absent = None
        values = self._values
        if marker is not None:
            at_marker = [getattr(marker, key) for key, _ in self._order]
            absent = tuple(value is None for value in at_marker)
            values = values | {f"m{place}": value for place, value in enumerate(at_marker)}
        statement, self._in_order = _statement(self._form, absent, walks=walks)
        return statement, values

    def _walks(self, connection: Connection) -> bool:
        """Return whether a filter matches so many images that they are better not sorted."""
        query, first = self._query, self._order[0][0]
        if not (query.properties or query.tags) or first == _LED_ORDER:
            return False
        if not query.viewer.sees_all and first not in _AUDIENCE_ORDERS:
            return False
        matches: int = connection.scalar(_matches(self._form), self._values) or 0
        return matches >= SORTED

    def _cut(self, rows: Sequence[Any]) -> list[Any]:
        if self._in_order:
            return list(rows)
        line = list({row[_ID]: row for row in rows}.values())
        for keys, direction in _runs(self._order):
            line.sort(key=_sorter(keys), reverse=direction == "desc")
        return line[: self._query.limit]


@lru_cache(64)
def _matches(form: Query) -> Select[int]:
    """Return the select that counts, up to ``SORTED``, what the leading filter matches for the viewer."""
    led: Any = image_properties if form.properties else image_tags
    conditions = has_property(led, 0) if form.properties else [has_tag(led, 0)]
    if not form.viewer.sees_all:
        parts = [condition for source in sources(form) for condition in audience_of(led.c.audience, form, source)]
        conditions.append(or_(false(), *parts))
    some = select(led.c.image_id).where(*conditions).limit(literal_column(str(SORTED))).subquery()
    return select(func.count()).select_from(some)


_PLACES = {column.name: place for place, column in enumerate(images.columns)}
_ID = _PLACES["id"]
_PROPERTIES, _TAGS = _PLACES["properties"], _PLACES["tags"]


def _weight(row: Any) -> int:
    return len(row[_PROPERTIES]) + len(row[_TAGS])  # all else of an image is small


@lru_cache(64)
def _runs(order: tuple[tuple[str, Direction], ...]) -> tuple[tuple[tuple[str, ...], Direction], ...]:
    """Return the keys that can be sorted by at once, those that decide least first."""
    runs: list[tuple[tuple[str, ...], Direction]] = []
    for key, direction in order:
        if runs and runs[-1][1] == direction:
            runs[-1] = ((*runs[-1][0], key), direction)
        else:
            runs.append(((key,), direction))
    return tuple(reversed(runs))


@lru_cache(64)
def _sorter(keys: tuple[str, ...]) -> Callable[[Any], Any]:
    if not _NULLABLE.intersection(keys):
        return itemgetter(*[_PLACES[key] for key in keys])
    places = [_PLACES[key] for key in keys]
    return lambda row: [(row[place] is not None, row[place]) for place in places]


# --- The statement of a form --------------------------------------------------------------------------


def _form(query: Query) -> Query:
    """Return the query without the values that are bound: what many queries have in common."""
    viewer = query.viewer
    return replace(
        query,
        viewer=replace(viewer, project_id=None if viewer.project_id is None else ""),
        conditions=tuple(
            replace(each, value=len(each.value) if each.comparison == "in" else None) for each in query.conditions
        ),
        properties=(("", ""),) * len(query.properties),
        tags=("",) * len(query.tags),
        marker=None,
        after=None,
    )


def _values(query: Query, digest: Callable[[str], str]) -> dict[str, Any]:
    """Return what is bound, by the names that the functions below give."""
    values: dict[str, Any] = {}
    if (project := query.viewer.project_id) is not None:
        values |= {
            "project": project,
            "audience": audience.project(project, hidden=query.os_hidden),
            "member_status": query.member_status,
        }
    for number, wanted in enumerate(query.conditions):
        if wanted.comparison in ("in", "between", "outside"):
            values |= {f"c{number}_{place}": value for place, value in enumerate(wanted.value)}
        else:
            values[f"c{number}"] = wanted.value
    for number, (name, value) in enumerate(query.properties):
        values |= {f"p{number}": name, f"d{number}": digest(value)}
    return values | {f"t{number}": tag for number, tag in enumerate(query.tags)}


@lru_cache(512)
def _statement(form: Query, absent: tuple[bool, ...] | None, *, walks: bool) -> tuple[Any, bool]:
    """Return the statement, and whether its rows are the page as they come.

    Args:
        absent: Which of the marker's sort keys have no value; ``None`` without a marker.
    """
    parts = [part for source in sources(form) for part in steps(form, source, absent, walks=walks)]
    if len(parts) == 1:
        return parts[0], True
    return union_all(*[select(part.subquery()) for part in parts]), False


def steps(form: Query, source: Source, absent: tuple[bool, ...] | None, *, walks: bool) -> Iterator[Select[Any]]:
    """Yield the selects of one source whose results, one after the other, cut to ``limit``, are its page."""
    base, columns = filtered(form, source, walks=walks)
    order = total_order(form.sort)
    by = [_ordered(columns[key], key, direction, place) for place, (key, direction) in enumerate(order)]
    for condition, fixed in _ranges(order, columns, absent):
        yield base.where(*condition).order_by(*chain.from_iterable(by[fixed:])).limit(literal_column(str(form.limit)))


def _ordered(column: Any, key: str, direction: Direction, place: int) -> list[ColumnElement[Any]]:
    """Return the terms that sort by one key. The steps part absent values from others in the first key only."""
    term = column.asc() if direction == "asc" else column.desc()
    if place == 0 or key not in _NULLABLE:
        return [term]
    absent = column.is_(None)
    return [absent.desc() if direction == "asc" else absent.asc(), term]


def _ranges(
    order: Sequence[tuple[str, Direction]], columns: Mapping[str, Any], absent: tuple[bool, ...] | None
) -> Iterator[tuple[list[ColumnElement[bool]], int]]:
    """Yield conditions, and how many leading keys they fix to one value."""
    if absent is None:
        yield from _beyond_nothing(order[0], columns)
        return
    equal: list[ColumnElement[bool]] = [
        columns[key].is_(None) if absent[place] else columns[key] == bound(key, f"m{place}")
        for place, (key, _) in enumerate(order)
    ]
    for place in range(len(order) - 1, -1, -1):
        fixed, (key, direction) = equal[:place], order[place]
        column, value = columns[key], bound(key, f"m{place}")
        if direction == "asc":
            yield [*fixed, column.is_not(None) if absent[place] else column > value], place
        elif not absent[place]:
            yield [*fixed, column < value], place
            if key in _NULLABLE:
                yield [*fixed, column.is_(None)], place + 1


def _beyond_nothing(
    first: tuple[str, Direction], columns: Mapping[str, Any]
) -> Iterator[tuple[list[ColumnElement[bool]], int]]:
    key, direction = first
    if key not in _NULLABLE:
        yield [], 0
        return
    present: tuple[list[ColumnElement[bool]], int] = ([columns[key].is_not(None)], 0)
    absent: tuple[list[ColumnElement[bool]], int] = ([columns[key].is_(None)], 1)
    yield from (absent, present) if direction == "asc" else (present, absent)
