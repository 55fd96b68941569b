"""One document as the answer to one request: whole, compressed, a part of it, or nothing new.

Entity tags are exact, one for each form. ``Last-Modified`` has whole seconds, in which a document can change twice;
while the second in which a document was made still runs, the header therefore names the second before, which no later
request can match.

A part is one of the plain form, as those who ask for parts cannot unpack the middle of a compressed one; but a client
that goes on with a compressed one, and names its entity tag in ``If-Range``, goes on with that.
"""

from __future__ import annotations

from email.utils import formatdate
from functools import lru_cache

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

from headwater.http.answers import content_answer
from headwater.http.conditions import SeveralRanges, is_held, takes_gzip, wanted_range
from headwater.http.threads import InThread
from headwater.streams.live.document import Document, Form


async def answer(
    document: Document, request: Request, now_s: int, in_thread: InThread, *, is_private: bool = False
) -> Response:
    """Return the answer to a GET, or to a HEAD but for its body; a thread is needed only to compress, once.

    Args:
        is_private: No cache that others use may keep it.
    """
    headers = request.headers
    if not takes_gzip(headers) or not document.is_worth_compressing:
        return sent(document, document.plain, headers, now_s, is_private=is_private)
    form = document.gzipped.at_hand
    if form is None:
        form = await in_thread(document.gzipped)
    if "range" in headers and headers.get("if-range", "").strip() != form.etag:
        form = document.plain
    return sent(document, form, headers, now_s, is_private=is_private)


def sent(document: Document, form: Form, headers: Headers, now_s: int, *, is_private: bool = False) -> Response:
    """Return the answer to a request with these headers: 200, 206, or 304 when the client has it already.

    Raises:
        RangeNotSatisfiable: It asks for a part that there is not.
        NotAsExpected: It wants the document as it is not.
    """
    validators = {
        "ETag": form.etag,
        "Last-Modified": _date(max(0, min(document.modified_at, now_s - 1))),
        "Cache-Control": "private, no-cache" if is_private else "no-cache",
        "Vary": "Accept-Encoding",
    }
    if is_held(headers, form.etag, document.modified_at):
        return Response(status_code=304, headers=validators)
    more = {"Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff"}
    if form.coding is not None:
        more["Content-Encoding"] = form.coding
    return content_answer(
        form.body, part_of(headers, len(form.body), form.etag), validators | more, document.content_type
    )


def part_of(headers: Headers, size: int, etag: str | None) -> range | None:
    """Return the bytes that a GET of a feed asks for; ``None`` when all are, or several parts.

    Source: RFC 9110, section 14.2: all of it is an answer to any range. Web servers, which feeds lie on, give that.

    Raises:
        RangeNotSatisfiable: As ``wanted_range`` says.
    """
    if "range" not in headers:
        return None
    try:
        return wanted_range(headers, size, etag)
    except SeveralRanges:
        return None


@lru_cache(64)
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)
