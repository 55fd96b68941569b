"""What makes an image one of a list, in SQL: the sources of the list, and the filters of the query."""

from __future__ import annotations

from typing import Any, Literal

from sqlalchemy import Column, ColumnElement, Select, Text, and_, bindparam, exists, literal_column, not_, or_, select

from headwater.database.tables import image_members, image_properties, image_tags, images
from headwater.images.catalogue.lists import audience
from headwater.images.catalogue.lists.query import SORT_KEYS, Condition, Query
from headwater.images.model import Visibility

Source = Literal["everything", "but others' community", "own", "public", "community", "shared"]


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


def bound(column: str, name: str) -> Any:
    """Return what is bound under ``name``, of the type of a column of images."""
    return bindparam(name, type_=images.c[column].type)


def _seen(form: Query, source: Source) -> list[ColumnElement[bool]]:
    """Return what makes an image one of ``source``, besides its audience and its being shared with the viewer."""
    by_visibility = [] if form.visibility in (None, "all") else [_is(Visibility(form.visibility))]
    match source:
        case "everything" | "own":
            return by_visibility
        case "but others' community":
            own = images.c.owner.is_(None)
            if form.viewer.project_id is not None:
                own = images.c.owner == bound("owner", "project")
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


def audience_of(column: Any, form: Query, source: Source) -> list[ColumnElement[bool]]:
    """Return the condition on the audience, where the source is all of one."""
    if source == "public":
        return [column == _constant(audience.everybody(hidden=form.os_hidden))]
    if source == "own":
        return [column == bindparam("audience", type_=images.c.audience.type)]
    return []


def _membership(form: Query) -> list[ColumnElement[bool]]:
    mine: list[ColumnElement[bool]] = [image_members.c.member == bound("owner", "project")]
    if form.member_status != "all":
        mine.append(image_members.c.status == bindparam("member_status", type_=image_members.c.status.type))
    return mine


def filtered(form: Query, source: Source, *, walks: bool) -> tuple[Select[Any], dict[str, Any]]:
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
        conditions += has_property(led, properties.pop(0))
    elif tags and not walks:
        led = image_tags.alias("led")
        conditions.append(has_tag(led, tags.pop(0)))
    if led is not None:
        statement = statement.select_from(led.join(images, images.c.id == led.c.image_id))
        columns |= {"created_at": led.c.created_at, "id": led.c.image_id}
    of_audience = audience_of((images if led is None else led).c.audience, form, source)
    # Said as an inequality no index fits that begins with it. SQLite has no statistics, and would take one of
    # them to lead, and step over what others have.
    led_by_another = source == "shared" or led is not None or bool(of_audience)
    hidden = images.c.os_hidden != (not form.os_hidden) if led_by_another else images.c.os_hidden == form.os_hidden
    conditions += [hidden, *of_audience, *_seen(form, source)]
    conditions += [_compared(images.c[wanted.column], wanted, f"c{at}") for at, wanted in enumerate(form.conditions)]
    for number in properties:
        p = image_properties.alias()
        conditions.append(exists().where(p.c.image_id == images.c.id, *has_property(p, number)))
    for number in tags:
        t = image_tags.alias()
        conditions.append(exists().where(t.c.image_id == images.c.id, has_tag(t, number)))
    return statement.where(and_(*conditions)), columns


def has_property(table: Any, number: int) -> list[ColumnElement[bool]]:
    """Return the conditions for the property of a number in the query."""
    name, value = image_properties.c.name.type, image_properties.c.value_digest.type
    return [
        table.c.name == bindparam(f"p{number}", type_=name),
        table.c.value_digest == bindparam(f"d{number}", type_=value),
    ]


def has_tag(table: Any, number: int) -> ColumnElement[bool]:
    """Return the condition for the tag of a number in the query."""
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
