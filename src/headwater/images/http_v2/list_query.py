"""The query of a list: its filters, its order, its page."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from headwater.http.paging import BadQuery, marker, page_limit, put, readable
from headwater.http.values import canonical_id, moment, whole
from headwater.images.catalogue.lists.query import SORT_KEYS, Condition, Direction, Query
from headwater.images.http.filters import require_few
from headwater.images.model import Status, Visibility
from headwater.images.settings import ImagesSettings

_TEXT = frozenset({"name", "id", "status", "container_format", "disk_format"})
_EQUAL = frozenset({"owner", "checksum", "os_hash_value", "os_hash_algo"})
_NUMBERS = frozenset({"size", "virtual_size", "min_ram", "min_disk"})
_TIMES = frozenset({"created_at", "updated_at"})
_COMPARISONS = ("gt", "gte", "lt", "lte", "eq", "neq")
_NEVER = frozenset({"changes-since", "properties", "locations", "members", "deleted_at"})
_LIST_VALUE = r'(?:"(?:[^"]|"")*"|[^,"]*)'


def list_query(parameters: Iterable[tuple[str, str]], settings: ImagesSettings) -> Query:
    """Read the query parameters of a list.

    Raises:
        BadQuery: A parameter has a value that it cannot have; the message names both.
    """
    conditions: list[Condition] = []
    properties: list[tuple[str, str]] = []
    tags: list[str] = []
    given: dict[str, str] = {}
    sorting: dict[str, list[str]] = {"sort": [], "sort_key": [], "sort_dir": []}
    for name, value in readable(parameters):
        if name in sorting:
            sorting[name].append(value)
        elif name == "deleted":
            pass  # Source: Glance overrules it: no list of v2 shows deleted images
        elif name == "tag":
            tags.append(value)
        elif name in ("limit", "marker", "os_hidden", "visibility", "member_status"):
            put(given, name, value)
        elif (condition := _condition(name, value)) is not None:
            conditions.append(condition)
        else:
            properties.append((name, value))
    require_few(len(conditions) + len(properties) + len(tags))
    if not any(condition.column == "status" for condition in conditions):
        conditions.append(Condition("status", "neq", Status.KILLED.value))
    visibility = given.get("visibility")
    if visibility is not None and visibility not in ("all", *Visibility):
        raise BadQuery(
            f"Invalid visibility value: {visibility[:40]!r}. It must be one of: all, {', '.join(Visibility)}."
        )
    if given.get("member_status", "accepted") not in ("pending", "accepted", "rejected", "all"):
        raise BadQuery(
            f"Invalid status: {given['member_status'][:40]!r}. It must be pending, accepted, rejected or all."
        )
    return Query(
        visibility=visibility,
        member_status=given.get("member_status", "accepted"),
        conditions=tuple(conditions),
        properties=tuple(properties),
        tags=tuple(dict.fromkeys(tags)),
        os_hidden=_os_hidden(given.get("os_hidden", "false")),
        sort=_sort(sorting["sort"], sorting["sort_key"], sorting["sort_dir"]),
        marker=marker(given.get("marker")),
        limit=page_limit(given.get("limit"), default=settings.limit_default, most=settings.limit_max),
    )


# What makes no sense where one image is wanted, the newest.
OF_LISTS_ONLY = frozenset({"limit", "marker", "sort", "sort_key", "sort_dir", "status", "os_hidden"})


def newest_query(parameters: Collection[tuple[str, str]], settings: ImagesSettings) -> Query:
    """Read the query parameters that say of which images the newest is wanted: the filters of a list.

    Raises:
        BadQuery: There is none, or one that makes no sense here, or as ``list_query`` says.
    """
    for name, _ in parameters:
        if name in OF_LISTS_ONLY:
            raise BadQuery(f"Parameter {name!r} is for lists: the newest is active, and not hidden.")
    if not parameters:
        raise BadQuery("Say of which images the newest is wanted, by filters such as name=Ubuntu 24.04.")
    return list_query(parameters, settings)


def _condition(name: str, value: str) -> Condition | None:
    """Return the condition on a column that the parameter states; ``None`` when it names a property."""
    if name in _NEVER:
        raise BadQuery(f"Invalid filter: images cannot be listed by {name!r}.")
    if name in _TEXT:
        return _text(name, value)
    if name in _EQUAL:
        return Condition(name, "eq", value)
    if name in _NUMBERS:
        return Condition(name, "eq", _amount(name, value))
    if name in _TIMES:
        return _time(name, value)
    if name == "protected":
        if value not in ("true", "false"):
            raise BadQuery(f"Invalid value for 'protected' filter: {value[:40]!r}. It must be true or false.")
        return Condition(name, "eq", value == "true")
    if name.endswith(("_min", "_max")):
        column = name[:-4]
        if column not in _NUMBERS:
            raise BadQuery(
                f"Invalid filter: {name[:40]!r}. Only {', '.join(sorted(_NUMBERS))} have a smallest and largest value."
            )
        return Condition(column, "gte" if name.endswith("_min") else "lte", _amount(name, value))
    return None


def _text(name: str, value: str) -> Condition:
    """Return the condition on a text. What stands before its colon is an operator or, as in debian:12, the text."""
    operator, colon, rest = value.partition(":")
    values: tuple[str, ...] = (value,)
    if several := bool(colon) and operator == "in":
        values = tuple(_listed(name, rest))
    elif colon and operator == "eq":
        values = (rest,)
    elif colon and operator in _COMPARISONS:
        raise BadQuery(
            f"Unable to filter {name} by the operator {operator!r}, which is for times; "
            f"a value that begins so is written in:{_quoted(value[:40])}."
        )
    if name == "id":
        values = tuple(canonical_id(each) for each in values)
    return Condition(name, "in", values) if several else Condition(name, "eq", values[0])


def _listed(name: str, text: str) -> list[str]:
    """Split a comma list whose values may stand in double quotes; a quote in such a one is written twice."""
    if not re.fullmatch(rf"{_LIST_VALUE}(,{_LIST_VALUE})*", text):
        raise BadQuery(
            f'Invalid filter value {text[:80]!r} for {name}: write in:a,b or in:"a,b",c with quotes in pairs; '
            'a quote within is written twice, in:"a""b".'
        )
    values = re.findall(rf"(?:^|,)({_LIST_VALUE})", text)
    return [value[1:-1].replace('""', '"') if value.startswith('"') else value for value in values]


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _amount(name: str, value: str) -> int:
    number = whole(value)
    if number is None:
        raise BadQuery(f"Invalid value for {name[:40]!r}: {value[:40]!r} is not a whole number.")
    return number


def _time(name: str, value: str) -> Condition:
    operator, _, rest = value.partition(":")
    if operator in _COMPARISONS:
        value = rest
    else:
        operator = "eq"
    at = moment(value)
    if at is None:
        raise BadQuery(
            f"Invalid value for {name!r}: {value[:40]!r} is not a time such as 2026-11-20T09:53:25Z; "
            f"it may follow one of {', '.join(_COMPARISONS)} and a colon."
        )
    return _whole_seconds(name, operator, at // 1_000_000 * 1_000_000)


def _whole_seconds(name: str, operator: str, second: int) -> Condition:
    """The catalogue keeps microseconds, the API shows seconds: compare what is shown."""
    last = second + 999_999
    match operator:
        case "gt":
            return Condition(name, "gt", last)
        case "gte":
            return Condition(name, "gte", second)
        case "lt":
            return Condition(name, "lt", second)
        case "lte":
            return Condition(name, "lte", last)
        case "neq":
            return Condition(name, "outside", (second, last))
        case _:
            return Condition(name, "between", (second, last))


def _os_hidden(value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise BadQuery(f"Invalid value for 'os_hidden' filter: {value[:40]!r}. It must be true or false.")
    return value.lower() == "true"


def _sort(combined: list[str], keys: list[str], directions: list[str]) -> tuple[tuple[str, Direction], ...]:
    if combined:
        if keys or directions:
            raise BadQuery("Old and new sorting syntax cannot be combined: give either sort or sort_key and sort_dir.")
        pairs = [entry.strip().partition(":") for entry in ",".join(combined).split(",")]
        return _checked((key, direction or "desc") for key, _, direction in pairs)
    if not keys:
        keys = ["created_at"]
    if not directions:
        directions = ["desc"]
    if len(directions) == 1:
        directions = directions * len(keys)
    if len(directions) != len(keys):
        raise BadQuery("Number of sort dirs does not match the number of sort keys.")
    return _checked(zip(keys, directions, strict=True))


def _checked(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, Direction], ...]:
    checked: dict[str, Direction] = {}
    for key, direction in pairs:
        if key not in SORT_KEYS:
            raise BadQuery(f"Invalid sort key: {key[:40]}. It must be one of the following: {', '.join(SORT_KEYS)}.")
        if direction not in ("asc", "desc"):
            raise BadQuery(f"Invalid sort direction: {direction[:40]}. It must be one of the following: asc, desc.")
        checked.setdefault(key, "asc" if direction == "asc" else "desc")
    return tuple(checked.items())
