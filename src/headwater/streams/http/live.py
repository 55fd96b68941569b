"""The live feed over HTTP: below the path where the server mounts it, ``images/streams/v1/NAME``.

Juju tries the next name after 404 only, so all that is not there is a plain 404: never a redirect, never a page. What
is for everybody may be read by pages of every origin.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route, Router

from headwater.http.answers import json_answer
from headwater.http.requests import caller
from headwater.http.routes import Below, Face
from headwater.http.threads import InThread
from headwater.identity.caller import Caller
from headwater.images.model import Image
from headwater.streams.http.answers import answer
from headwater.streams.http.looks import Looks
from headwater.streams.http.pages import let_pages_read, preflight
from headwater.streams.live.document import StreamNotFound
from headwater.streams.live.feed import LiveFeed

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

    looks = Looks(feed.edition, in_thread)

    async def document(request: Request) -> Response:
        let_pages_read(request)
        name = request.path_params["name"]
        edition = await looks.now()
        found = edition.at_hand(name)
        if found is None:
            found = await in_thread(lambda: feed.document_of(edition, name))
        return await answer(found, request, int(clock()), in_thread)

    async def unknown(request: Request) -> Response:
        raise StreamNotFound(request.path_params.get("path", ""))

    documents = [
        _READ_ONLY.route("/images/streams/v1/{name}", GET=document, OPTIONS=preflight),
        _READ_ONLY.route("/{path:path}", GET=unknown),
    ]
    return [Below(below, Router(documents, redirect_slashes=False)), _READ_ONLY.route(below, GET=unknown)]


def why_route(feed: LiveFeed, images: SeenImages, in_thread: InThread, below: str) -> Route:
    """Return the route by which those who see an image learn where it stands in the feed, or why it does not.

    The server makes sure of the caller before it. An image that they do not see is not there.
    """

    async def why(request: Request) -> Response:
        who, image_id = caller(request), request.path_params["image_id"]

        def told() -> dict[str, Any]:
            image = images.visible(who, image_id)
            return {**feed.listing(image).to_dict(), "files": feed.file_listing(image).to_dict()}

        return json_answer(await in_thread(told), headers={"Cache-Control": "no-store"})

    return _READ_ONLY.route(f"{below}{WHY}{{image_id}}", GET=why)
