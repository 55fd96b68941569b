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
from typing import Any, Literal

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    bindparam,
    exists,
    false,
    func,
    literal_column,
    not_,
    or_,
    select,
    union_all,
)

from headwater.database.tables import image_members, image_properties, image_tags, images
from headwater.images.catalogue.lists import audience, pages
from headwater.images.catalogue.lists.pages import Listed
from headwater.images.catalogue.lists.query import SORT_KEYS, Condition, Direction, Query, total_order
from headwater.images.model import Visibility

Source = Literal["everything", "but others' community", "own", "public", "community", "shared"]

_NULLABLE = frozenset({"name", "container_format", "disk_format", "size"})


def sources(query: Query) -> tuple[Source, ...]:
    """Return the parts of the catalogue that the viewer's list is made of; an image may be in two of them."""
    viewer, wanted = query.viewer, query.visibility
    project = viewer.project_id
    if viewer.sees_all:
        return ("everything",) if wanted is not None else ("but others' community",)
    parts: list[Source] = []
    if project is not None and wanted not in ("public", "community"):
        parts.append("own")
    if wanted in (None, "all", "public"):
        parts.append("public")
    if wanted in ("all", "community"):
        parts.append("community")
    if project is not None and wanted in (None, "all", "shared"):
        parts.append("shared")
    return tuple(parts)


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
    conditions = _has_property(led, 0) if form.properties else [_has_tag(led, 0)]
    if not form.viewer.sees_all:
        parts = [condition for source in sources(form) for condition in _audience(led.c.audience, form, source)]
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
    base, columns = _filtered(form, source, walks=walks)
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
        columns[key].is_(None) if absent[place] else columns[key] == _bound(key, f"m{place}")
        for place, (key, _) in enumerate(order)
    ]
    for place in range(len(order) - 1, -1, -1):
        fixed, (key, direction) = equal[:place], order[place]
        column, value = columns[key], _bound(key, f"m{place}")
        if direction == "asc":
            yield [*fixed, column.is_not(None) if absent[place] else column > value], place
        elif not absent[place]:
            yield [*fixed, column < value], place
            if key in _NULLABLE:
                yield [*fixed, column.is_(None)], place + 1


def _bound(column: str, name: str) -> Any:
    return bindparam(name, type_=images.c[column].type)


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


def _seen(form: Query, source: Source) -> list[ColumnElement[bool]]:
    """Return what makes an image one of ``source``, besides its audience and its being shared with the viewer."""
    by_visibility = [] if form.visibility in (None, "all") else [_is(Visibility(form.visibility))]
    match source:
        case "everything" | "own":
            return by_visibility
        case "but others' community":
            own = images.c.owner.is_(None)
            if form.viewer.project_id is not None:
                own = images.c.owner == _bound("owner", "project")
            return [or_(images.c.visibility != Visibility.COMMUNITY.value, own)]
        case "public":
            return []
        case "community" | "shared":
            return [_is(Visibility(source))]


def _is(visibility: Visibility) -> ColumnElement[bool]:
    return images.c.visibility == _constant(visibility.value)


def _constant(word: str) -> ColumnElement[str]:
    """Return a word of our own as a part of the statement, so that a planner knows how many rows have it."""
    return literal_column(f"'{word}'", Text)


def _audience(column: Any, form: Query, source: Source) -> list[ColumnElement[bool]]:
    """Return the condition on the audience, where the source is all of one."""
    if source == "public":
        return [column == _constant(audience.everybody(hidden=form.os_hidden))]
    if source == "own":
        return [column == bindparam("audience", type_=images.c.audience.type)]
    return []


def _membership(form: Query) -> list[ColumnElement[bool]]:
    mine: list[ColumnElement[bool]] = [image_members.c.member == _bound("owner", "project")]
    if form.member_status != "all":
        mine.append(image_members.c.status == bindparam("member_status", type_=image_members.c.status.type))
    return mine


def _filtered(form: Query, source: Source, *, walks: bool) -> tuple[Select[Any], dict[str, Any]]:
    """Return the select with all filters, and the column to sort by for each key.

    What is shared with the viewer leads where that is the source, else the first property, else the first tag:
    the index of each has the default order already.

    Args:
        walks: No property or tag leads: images are looked at in the order of the list.
    """
    columns: dict[str, Any] = {key: images.c[key] for key in SORT_KEYS}
    properties, tags = list(range(len(form.properties))), list(range(len(form.tags)))
    led: Any = None
    conditions: list[ColumnElement[bool]] = []
    statement = select(images)
    if source == "shared":
        statement = statement.select_from(image_members.join(images, images.c.id == image_members.c.image_id))
        conditions += _membership(form)
        columns |= {"created_at": image_members.c.image_created_at, "id": image_members.c.image_id}
    elif properties and not walks:
        led = image_properties.alias("led")
        conditions += _has_property(led, properties.pop(0))
    elif tags and not walks:
        led = image_tags.alias("led")
        conditions.append(_has_tag(led, tags.pop(0)))
    if led is not None:
        statement = statement.select_from(led.join(images, images.c.id == led.c.image_id))
        columns |= {"created_at": led.c.created_at, "id": led.c.image_id}
    of_audience = _audience((images if led is None else led).c.audience, form, source)
    # Said as an inequality no index fits that begins with it. SQLite has no statistics, and would take one of
    # them to lead, and step over what others have.
    led_by_another = source == "shared" or led is not None or bool(of_audience)
    hidden = images.c.os_hidden != (not form.os_hidden) if led_by_another else images.c.os_hidden == form.os_hidden
    conditions += [hidden, *of_audience, *_seen(form, source)]
    conditions += [_compared(images.c[wanted.column], wanted, f"c{at}") for at, wanted in enumerate(form.conditions)]
    for number in properties:
        p = image_properties.alias()
        conditions.append(exists().where(p.c.image_id == images.c.id, *_has_property(p, number)))
    for number in tags:
        t = image_tags.alias()
        conditions.append(exists().where(t.c.image_id == images.c.id, _has_tag(t, number)))
    return statement.where(and_(*conditions)), columns


def _has_property(table: Any, number: int) -> list[ColumnElement[bool]]:
    name, value = image_properties.c.name.type, image_properties.c.value_digest.type
    return [
        table.c.name == bindparam(f"p{number}", type_=name),
        table.c.value_digest == bindparam(f"d{number}", type_=value),
    ]


def _has_tag(table: Any, number: int) -> ColumnElement[bool]:
    has: ColumnElement[bool] = table.c.tag == bindparam(f"t{number}", type_=image_tags.c.tag.type)
    return has


def _compared(column: Column[Any], wanted: Condition, name: str) -> ColumnElement[bool]:
    """Return the condition on values that are bound under ``name``."""

    def value(suffix: str = "") -> Any:
        return bindparam(name + suffix, type_=column.type)

    result: ColumnElement[bool]
    match wanted.comparison:
        case "eq":
            result = column == value()
        case "neq":
            result = column != value()
        case "gt":
            result = column > value()
        case "gte":
            result = column >= value()
        case "lt":
            result = column < value()
        case "lte":
            result = column <= value()
        case "in":
            result = column.in_([value(f"_{place}") for place in range(wanted.value)])
        case "between":
            result = column.between(value("_0"), value("_1"))
        case "outside":
            result = not_(column.between(value("_0"), value("_1")))
    return result
