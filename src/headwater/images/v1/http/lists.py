"""What the query of a list in the API v1 asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable

from headwater.http import paging
from headwater.http.paging import BadQuery
from headwater.http.values import moment, whole
from headwater.images.catalogue.lists.query import SORT_KEYS, Comparison, Condition, Direction, Query
from headwater.images.http.filters import parted, require_few
from headwater.images.schemas import UUID
from headwater.images.settings import ImagesSettings
from headwater.images.v1.images import Wanted

_TEXT = frozenset({"name", "status", "container_format", "disk_format"})
_NUMBERS: dict[str, tuple[str, Comparison]] = {
    "min_ram": ("min_ram", "eq"),
    "min_disk": ("min_disk", "eq"),
    "size_min": ("size", "gte"),
    "size_max": ("size", "lte"),
}
_TRUE, _FALSE = frozenset({"true", "1", "t", "yes", "on", "y"}), frozenset({"false", "0", "f", "no", "off", "n"})


def wanted(parameters: Iterable[tuple[str, str]], settings: ImagesSettings) -> Wanted:
    """Read the query parameters of a list; those that v1 does not know say nothing.

    Raises:
        BadQuery: A parameter has a value that it cannot have; the message names both.
    """
    given, properties = parted(parameters)
    conditions = [Condition(name, "eq", given[name]) for name in sorted(_TEXT & given.keys())]
    for name, (column, comparison) in _NUMBERS.items():
        if name in given:
            conditions.append(Condition(column, comparison, _number(name, given[name])))
    if "protected" in given:
        conditions.append(Condition("protected", "eq", _switch("protected", given["protected"])))
    require_few(len(conditions) + len(properties))
    is_public = given.get("is_public")
    changes_since = given.get("changes-since")
    return Wanted(
        query=Query(
            conditions=tuple(conditions),
            properties=tuple(properties.items()),
            sort=_sort(given.get("sort_key", "created_at"), given.get("sort_dir", "desc")),
            marker=_marker(given.get("marker")),
            limit=paging.page_limit(given.get("limit"), default=settings.limit_default, most=settings.limit_max),
        ),
        is_public=None if is_public in (None, "None", "none") else _switch("is_public", is_public or ""),
        of_all=is_public in ("None", "none"),
        changes_since=None if changes_since is None else _time(changes_since),
        deleted=_switch("deleted", given["deleted"]) if given.get("deleted", "none").lower() != "none" else None,
    )


def _number(name: str, value: str) -> int:
    number = whole(value)
    if number is None or value.startswith("-"):
        raise BadQuery(f"Bad value passed to filter {name} got {value[:40]!r}: it must be a whole number from 0 on")
    return number


def _switch(name: str, value: str) -> bool:
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    also = "None, " if name == "is_public" else ""
    raise BadQuery(f"Bad value passed to filter {name} got {value[:40]!r}: it must be {also}True or False")


def _time(value: str) -> int:
    at = moment(value)
    if at is None:
        raise BadQuery(f"Unrecognized changes-since value {value[:40]!r}: write 2026-11-20T09:53:25")
    return at


def _sort(key: str, direction: str) -> tuple[tuple[str, Direction], ...]:
    if key not in SORT_KEYS:
        raise BadQuery(f"Unsupported sort_key {key[:40]!r}. Acceptable values: {', '.join(SORT_KEYS)}")
    if direction not in ("asc", "desc"):
        raise BadQuery(f"Unsupported sort_dir {direction[:40]!r}. Acceptable values: asc, desc")
    return ((key, "asc" if direction == "asc" else "desc"),)


def _marker(value: str | None) -> str | None:
    if value is None:
        return None
    if not re.fullmatch(UUID, value):
        raise BadQuery(f"Invalid marker format: {value[:40]!r} is not the id of an image")
    return paging.marker(value)
