"""What handlers read from a request: its JSON body, its media type, whether it brings all of its data, who sent it."""

from __future__ import annotations

import math
from codecs import BOM_UTF8
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request

from headwater.errors import ClientDisconnected, Invalid, TooLarge
from headwater.http import structured
from headwater.http.context import context
from headwater.identity.caller import Caller
from headwater.json_keys import twice
from headwater.threads import Pool

JSON_LIMIT = 4 << 20  # bytes; 128 properties of many KiB each still fit
DEPTH_LIMIT = 64  # lists and objects within each other; nothing that the API takes needs ten

# A body up to so many bytes is read where it arrives. A larger one takes up to a tenth of a second, in which nobody
# else would be answered: one thread reads such bodies in turn, so that many of them do not take the processor either.
_QUICK = 16 << 10
_READER = Pool("body", 1)

T = TypeVar("T")


class BadBody(Invalid):
    """The body is not the JSON that this request needs."""


class PartOfABody(Invalid):
    """A body that is a part of another. Source: RFC 9110, 14.5."""

    def __init__(self, field: str = "Content-Range or Upload-Offset") -> None:
        super().__init__(f"A body is taken as a whole: send all of the data, without {field}")


class BodyTooLarge(TooLarge):
    """More JSON than any image could need."""

    def __init__(self) -> None:
        super().__init__(f"The body of this request has {JSON_LIMIT} bytes at most")


def _as_it_is(body: Any) -> Any:
    return body


async def json_body(request: Request, read: Callable[[Any], T] = _as_it_is) -> T:
    """Return what ``read`` makes of the decoded body.

    Raises:
        BadBody: There is none, or it is not JSON in UTF-8, or nested more than ``DEPTH_LIMIT`` deep,
            or has a key twice in one object.
        BodyTooLarge: It is larger than ``JSON_LIMIT``.
    """
    body = await _whole_body(request)
    if not body:
        raise BadBody("Body expected in request.")
    if len(body) <= _QUICK:
        return read(_decoded(body))
    return await _READER.run(lambda: read(_decoded(body)))


def _decoded(body: bytearray) -> Any:
    # A byte order mark says nothing. Source: RFC 8259, 8.1; programs of Windows write one.
    text = memoryview(body)[len(BOM_UTF8) :] if body.startswith(BOM_UTF8) else body
    try:
        decoded = _DECODER.decode(text)
    except msgspec.DecodeError as error:
        # JSON begins with an ASCII character, which has zeros beside it in wider codings.
        reason = "it is UTF-16 or UTF-32; send UTF-8" if b"\0" in body[:4] else _REASONS.get(str(error), str(error))
        raise BadBody(f"Malformed JSON in request body: {reason}") from error
    except UnicodeDecodeError as error:
        raise BadBody("Malformed JSON in request body: it is not UTF-8.") from error
    except RecursionError as error:
        raise BadBody("Malformed JSON in request body: too deeply nested.") from error
    _require_shallow(body, decoded)
    if (problem := twice(body)) is not None:
        raise BadBody(f"Malformed JSON in request body: {problem}.")
    return decoded


def _number(text: str) -> int | float:
    """Return a number that has a point or an exponent: JSON has one kind of them, in which 1e1 and 10.0 are 10."""
    number = float(text)
    if math.isinf(number):
        raise ValueError("number out of range")
    return int(number) if number.is_integer() else number


# What msgspec says of half a character that stands alone, too.
_REASONS = {"Input data was truncated": "it ends too early, or has half of a pair such as \\ud83d"}
_DECODER = msgspec.json.Decoder(float_hook=_number)


async def _whole_body(request: Request) -> bytearray:
    if int(request.headers.get("content-length") or 0) > JSON_LIMIT:
        raise BodyTooLarge
    body = await body_within(request, JSON_LIMIT)
    if len(body) > JSON_LIMIT:
        raise BodyTooLarge
    return body


async def body_within(request: Request, limit: int) -> bytearray:
    """Return the body, or as much of it as shows that it has more than ``limit`` bytes."""
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > limit:
                break
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


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise BadBody("Unexpected body type. Expected a JSON object.")
    return body


def caller(request: Request) -> Caller:
    """Return who calls. A request that nobody has identified gets no further than here."""
    found = context(request.scope).caller
    if found is None:
        raise RuntimeError(f"nobody has made sure who asks for {request.url.path}")
    return found


def media_type(request: Request) -> str:
    """Return the body's media type in lower case, without parameters; empty when not given."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def require_whole(headers: Headers) -> None:
    """Refuse data whose rest is to come in other requests, where nobody would put the two together.

    Raises:
        PartOfABody: The client says that there is more.
    """
    if structured.lenient_item(headers, "Upload-Complete", bool) is False:
        raise PartOfABody("Upload-Complete: ?0, which PUT /v2/images/{image_id}/file takes")


def said_length(headers: Headers) -> int | None:
    """Return how many bytes all the data has, if the request says so in ``Upload-Length``."""
    length = structured.lenient_item(headers, "Upload-Length", int)
    return length if length is not None and length >= 0 else None
