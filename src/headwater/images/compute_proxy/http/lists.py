"""What the query of a list of images asks for in the Compute API."""

from __future__ import annotations

import re
from collections.abc import Iterable

from headwater.http import paging
from headwater.http.paging import BadQuery
from headwater.http.values import moment, whole
from headwater.images.catalogue.lists.query import Condition, Query
from headwater.images.compute_proxy import words
from headwater.images.http.filters import parted, require_few
from headwater.images.model import Status
from headwater.images.schemas import UUID
from headwater.images.settings import ImagesSettings

_NUMBERS = {"minRam": "min_ram", "minDisk": "min_disk"}
_PROPERTIES = {"server": "instance_uuid", "type": "image_type"}


def query(parameters: Iterable[tuple[str, str]], settings: ImagesSettings) -> Query:
    """Read the query parameters of a list; those that the Compute API does not know say nothing.

    Without a limit a list shows as much as one may: clients of that time ask once.

    Raises:
        BadQuery: A parameter has a value that it cannot have; the message names both.
    """
    given, properties = parted(parameters)
    for name in _PROPERTIES.keys() & given.keys():
        # A server may be named by its address.
        properties[_PROPERTIES[name]] = given[name].rpartition("/")[2] if name == "server" else given[name]
    require_few(len(properties))
    conditions = [
        Condition(column, "eq", _number(name, given[name])) for name, column in _NUMBERS.items() if name in given
    ]
    if "name" in given:
        conditions.append(Condition("name", "eq", given["name"]))
    if "changes-since" in given:
        conditions.append(Condition("updated_at", "gte", _time(given["changes-since"])))
    if "status" in given:
        conditions.append(Condition("status", "in", words.statuses(given["status"]) or ("",)))
    else:
        conditions.append(Condition("status", "neq", Status.KILLED.value))
    return Query(
        visibility=None,
        conditions=tuple(conditions),
        properties=tuple(properties.items()),
        sort=(("created_at", "desc"),),
        marker=_marker(given.get("marker")),
        limit=paging.page_limit(given.get("limit"), default=settings.limit_max, most=settings.limit_max),
    )


def _number(name: str, value: str) -> int:
    number = whole(value)
    if number is None or value.startswith("-"):
        raise BadQuery(f"Invalid filter {name}={value[:40]!r}: it is a whole number from 0 on")
    return number


def _time(value: str) -> int:
    at = moment(value)
    if at is None:
        raise BadQuery(f"Invalid changes-since {value[:40]!r}: write 2026-11-20T09:53:25Z")
    return at


def _marker(value: str | None) -> str | None:
    if value is not None and not re.fullmatch(UUID.removesuffix("$"), value):
        raise BadQuery(f"marker [{value[:40]}] not found: it is the id of an image")
    return paging.marker(value)
