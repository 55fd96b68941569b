"""The live feed over HTTP: below the prefix where the server mounts it, ``images/streams/v1/NAME``.

Juju tries the next name after 404 only, so all that is not there is a plain 404: never a redirect, never a page.

Validators: the entity tag is exact. ``Last-Modified`` has whole seconds, in which a document can change twice; while
the second in which a document was made still runs, the header therefore names the second before, which no later
request can match.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from typing import Protocol, TypeVar

import msgspec
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from headwater.http.conditions import is_held
from headwater.identity.caller import CALLER, Caller
from headwater.images.model import Image
from headwater.streams.live import JSON_TYPE, Document, LiveFeed, StreamNotFound

T = TypeVar("T")

READING = ["GET", "HEAD"]
WHY = "/why/"  # not for everybody, as the rest is


class InThread(Protocol):
    """Run blocking work in a worker thread."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


class SeenImages(Protocol):
    """The images that a caller sees: see ``images.access.Access``."""

    def visible(self, caller: Caller, image_id: str) -> Image: ...


def routes(feed: LiveFeed, in_thread: InThread, clock: Callable[[], float] = time.time) -> list[Route]:
    """Return the routes of the feed. They raise our errors; the server turns these into answers."""

    async def document(request: Request) -> Response:
        name = request.path_params["name"]
        found = await in_thread(lambda: feed.document(name))
        return answer(found, request.method, request.headers, int(clock()))

    async def unknown(request: Request) -> Response:
        raise StreamNotFound(request.path_params["path"])

    return [
        Route("/images/streams/v1/{name}", document, methods=READING),
        Route("/{path:path}", unknown, methods=READING),
    ]


def why_route(feed: LiveFeed, images: SeenImages, in_thread: InThread) -> Route:
    """Return the route by which those who see an image learn where it stands in the feed, or why it does not.

    The server makes sure of the caller before it. An image that they do not see is not there.
    """

    async def why(request: Request) -> Response:
        caller, image_id = request.scope[CALLER], request.path_params["image_id"]
        listing = await in_thread(lambda: feed.listing(images.visible(caller, image_id)))
        body = msgspec.json.encode(listing.to_dict())
        headers = {"Cache-Control": "no-store", "Content-Length": str(len(body))}
        return Response(b"" if request.method == "HEAD" else body, 200, headers, JSON_TYPE)

    return Route(f"{WHY}{{image_id}}", why, methods=READING)


def answer(document: Document, method: str, headers: Headers, now_s: int) -> Response:
    """Return the answer to one request for ``document``: 200, or 304 when the caller has it already."""
    validators = {
        "ETag": document.etag,
        "Last-Modified": formatdate(max(0, min(document.modified_at, now_s - 1)), usegmt=True),
        "Cache-Control": "no-cache",
    }
    if is_held(headers, document.etag, document.modified_at):
        return Response(status_code=304, headers=validators)
    length = {"Content-Length": str(len(document.body)), "X-Content-Type-Options": "nosniff"}
    body = b"" if method == "HEAD" else document.body
    return Response(body, headers=validators | length, media_type=document.content_type)
