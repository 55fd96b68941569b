"""The live feed over HTTP: below the path where the server mounts it, ``images/streams/v1/NAME``.

Juju tries the next name after 404 only, so all that is not there is a plain 404: never a redirect, never a page.

Validators: the entity tag is exact. ``Last-Modified`` has whole seconds, in which a document can change twice; while
the second in which a document was made still runs, the header therefore names the second before, which no later
request can match.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Protocol

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, Router

from headwater.http.answers import json_answer
from headwater.http.conditions import is_held
from headwater.http.requests import caller
from headwater.http.routes import Below, Face
from headwater.http.threads import InThread
from headwater.identity.caller import Caller
from headwater.images.model import Image
from headwater.streams.live import Document, LiveFeed, StreamNotFound

WHY = "/why/"  # not for everybody, as the rest is
_READ_ONLY = Face(tells_methods=False)


class SeenImages(Protocol):
    """The images that a caller sees: see ``images.access.Access``."""

    def visible(self, caller: Caller, image_id: str) -> Image: ...


def routes(
    feed: LiveFeed, in_thread: InThread, below: str, clock: Callable[[], float] = time.time
) -> list[Route | Mount]:
    """Return the routes of the feed. They raise our errors; the server turns these into answers.

    Args:
        below: The path where the feed begins.
    """

    async def document(request: Request) -> Response:
        name = request.path_params["name"]
        found = await in_thread(lambda: feed.document(name))
        return answer(found, request.headers, int(clock()))

    async def unknown(request: Request) -> Response:
        raise StreamNotFound(request.path_params.get("path", ""))

    documents = [
        _READ_ONLY.route("/images/streams/v1/{name}", GET=document),
        _READ_ONLY.route("/{path:path}", GET=unknown),
    ]
    return [Below(below, Router(documents, redirect_slashes=False)), _READ_ONLY.route(below, GET=unknown)]


def why_route(feed: LiveFeed, images: SeenImages, in_thread: InThread, below: str) -> Route:
    """Return the route by which those who see an image learn where it stands in the feed, or why it does not.

    The server makes sure of the caller before it. An image that they do not see is not there.
    """

    async def why(request: Request) -> Response:
        who, image_id = caller(request), request.path_params["image_id"]
        listing = await in_thread(lambda: feed.listing(images.visible(who, image_id)))
        return json_answer(listing.to_dict(), headers={"Cache-Control": "no-store"})

    return _READ_ONLY.route(f"{below}{WHY}{{image_id}}", GET=why)


def answer(document: Document, headers: Headers, now_s: int) -> Response:
    """Return the answer to one request for ``document``: 200, or 304 when the caller has it already."""
    validators = {
        "ETag": document.etag,
        "Last-Modified": formatdate(max(0, min(document.modified_at, now_s - 1)), usegmt=True),
        "Cache-Control": "no-cache",
    }
    if is_held(headers, document.etag, document.modified_at):
        return Response(status_code=304, headers=validators)
    more = {"X-Content-Type-Options": "nosniff"}
    return Response(document.body, headers=validators | more, media_type=document.content_type)
