"""What handlers read from a request: its JSON body, its media type, the filters of a list."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from headwater.errors import ClientDisconnected, Invalid, TooLarge
from headwater.identity.caller import CALLER, Caller
from headwater.images import attributes
from headwater.images.listing import SORT_KEYS, Condition, Direction, Query
from headwater.images.model import Status, Visibility
from headwater.images.settings import ImagesSettings
from headwater.threads import Pool

T = TypeVar("T")

JSON_LIMIT = 4 << 20  # bytes; 128 properties of many KiB each still fit
DEPTH_LIMIT = 64  # lists and objects within each other; nothing that the API takes needs ten
# A body of 4 MiB takes a good part of a second to read. Those above this size are read in a thread that all of them
# share, so they wait for each other and no other request for them.
SMALL_BODY = 16 << 10  # bytes
_LARGE_BODIES = Pool("json", 1)


class BadBody(Invalid):
    """The body is not the JSON that this request needs."""


class BodyTooLarge(TooLarge):
    """More JSON than any image could need."""

    def __init__(self) -> None:
        super().__init__(f"The body of this request has {JSON_LIMIT} bytes at most")


class BadQuery(Invalid):
    """A query parameter that cannot be understood."""


async def json_body(request: Request, read: Callable[[Any], T]) -> T:
    """Return what ``read`` makes of the body, decoded; a large one is decoded and read in a thread.

    Raises:
        BadBody: There is none, or it is not JSON in UTF-8, or nested more than ``DEPTH_LIMIT`` deep.
        BodyTooLarge: It is larger than ``JSON_LIMIT``.
    """
    body = await _whole_body(request)
    if len(body) <= SMALL_BODY:
        return read(_decoded(body))
    return await _LARGE_BODIES.run(lambda: read(_decoded(body)))


def _decoded(body: bytearray) -> Any:
    if not body:
        raise BadBody("Body expected in request.")
    try:
        decoded = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise BadBody(f"Malformed JSON in request body: {error}") from error
    except (RecursionError, UnicodeDecodeError) as error:
        raise BadBody("Malformed JSON in request body: too deeply nested or not UTF-8.") from error
    _require_shallow(body, decoded)
    return decoded


async def _whole_body(request: Request) -> bytearray:
    if int(request.headers.get("content-length") or 0) > JSON_LIMIT:
        raise BodyTooLarge
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > JSON_LIMIT:
                raise BodyTooLarge
    except ClientDisconnect as error:
        raise ClientDisconnected("the client left before its request was complete") from error
    return body


def _require_shallow(body: bytearray, decoded: Any) -> None:
    """Raise when ``decoded`` is nested so deeply that later steps, which call themselves, would fail."""
    if body.count(b"[") + body.count(b"{") <= DEPTH_LIMIT:
        return
    level = [decoded]
    for _ in range(DEPTH_LIMIT + 1):
        level = [
            each
            for holder in level
            if isinstance(holder, dict | list)
            for each in (holder.values() if isinstance(holder, dict) else holder)
        ]
        if not level:
            return
    raise BadBody(f"Malformed JSON in request body: nested more than {DEPTH_LIMIT} levels deep.")


async def json_object(request: Request) -> dict[str, Any]:
    """Return the body, which must be a JSON object."""
    return await json_body(request, _object)


async def patch_operations(request: Request, media_type: str) -> list[attributes.Operation]:
    """Return the steps of the patch that the body is; see ``attributes.operations``."""
    return await json_body(request, partial(attributes.operations, media_type))


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise BadBody("Unexpected body type. Expected a JSON object.")
    return body


def caller(request: Request) -> Caller:
    """Return who calls. A request that nobody has identified gets no further than here."""
    found: Caller = request.scope[CALLER]
    return found


def media_type(request: Request) -> str:
    """Return the body's media type in lower case, without parameters; empty when not given."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


# --- Filters of a list ----------------------------------------------------------------------------

_TEXT = frozenset({"name", "id", "status", "container_format", "disk_format"})
_EQUAL = frozenset({"owner", "checksum", "os_hash_value", "os_hash_algo"})
_NUMBERS = frozenset({"size", "virtual_size", "min_ram", "min_disk"})
_TIMES = frozenset({"created_at", "updated_at"})
_COMPARISONS = ("gt", "gte", "lt", "lte", "eq", "neq")
FILTER_LIMIT = 50  # of one list; a database takes a minute to plan a question with some hundreds
_NEVER = frozenset({"changes-since", "properties", "locations", "members", "deleted", "deleted_at"})
_BIGINT = 2**63 - 1
_LIST_VALUE = r'(?:"[^"]*"|[^,"]*)'


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
    for name, value in parameters:
        if "\x00" in value or "\x00" in name:
            raise BadQuery(f"parameter {name[:40]!r} holds a NUL character")
        if name in sorting:
            sorting[name].append(value)
        elif name == "tag":
            tags.append(value)
        elif name in ("limit", "marker", "os_hidden", "visibility", "member_status"):
            given[name] = value
        elif (condition := _condition(name, value)) is not None:
            conditions.append(condition)
        else:
            properties.append((name, value))
    if len(conditions) + len(properties) + len(tags) > FILTER_LIMIT:
        raise BadQuery(f"A list takes at most {FILTER_LIMIT} filters; each property, tag and column counts.")
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
        marker=given.get("marker"),
        limit=page_limit(given.get("limit"), settings),
    )


def _condition(name: str, value: str) -> Condition | None:
    """Return the condition on a column that the parameter states; ``None`` when it names a property."""
    if name in _NEVER:
        raise BadQuery(f"Invalid filter: images cannot be listed by {name!r}.")
    if name in _TEXT:
        return _text(name, value)
    if name in _EQUAL:
        return Condition(name, "eq", value)
    if name in _NUMBERS:
        return Condition(name, "eq", _number(name, value))
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
        return Condition(column, "gte" if name.endswith("_min") else "lte", _number(name, value))
    return None


def _text(name: str, value: str) -> Condition:
    operator, colon, rest = value.partition(":")
    if not colon:
        return Condition(name, "eq", value)
    if operator == "eq":
        return Condition(name, "eq", rest)
    if operator == "in":
        return Condition(name, "in", tuple(_listed(name, rest)))
    raise BadQuery(
        f"Unable to filter {name} by unknown operator {operator[:40]!r}; "
        f'a value with a colon is written in:"{value[:40]}".'
    )


def _listed(name: str, text: str) -> list[str]:
    """Split a comma list whose values may stand in double quotes."""
    if not re.fullmatch(rf"{_LIST_VALUE}(,{_LIST_VALUE})*", text):
        raise BadQuery(
            f'Invalid filter value {text[:80]!r} for {name}: write in:a,b or in:"a,b",c with quotes in pairs.'
        )
    return [value.strip('"') for value in re.findall(rf"(?:^|,)({_LIST_VALUE})", text)]


def _number(name: str, value: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,19}", value) or abs(int(value)) > _BIGINT:
        raise BadQuery(f"Invalid value for {name[:40]!r}: {value[:40]!r} is not a whole number of 64 bits.")
    return int(value)


def _time(name: str, value: str) -> Condition:
    operator, _, rest = value.partition(":")
    if operator in _COMPARISONS:
        value = rest
    else:
        operator = "eq"
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise BadQuery(
            f"Invalid value for {name!r}: {value[:40]!r} is not a time such as 2026-11-20T09:53:25Z; "
            f"it may follow one of {', '.join(_COMPARISONS)} and a colon."
        ) from error
    second = int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * 1_000_000
    return _whole_seconds(name, operator, second)


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


def page_limit(value: str | None, settings: ImagesSettings) -> int:
    """Return how many things one page has at most; raise ``BadQuery`` when ``value`` is no number of them."""
    if value is None:
        return settings.limit_default
    if not re.fullmatch(r"-?[0-9]{1,18}", value):
        raise BadQuery(f"limit param must be an integer, not {value[:40]!r}")
    if int(value) < 0:
        raise BadQuery("limit param must be positive")
    return min(int(value), settings.limit_max)


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
