"""Handlers for the sources of images: ``/v2/streams/sources``, beside the Image API's own paths."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from headwater.errors import NotFound, UnsupportedMedia
from headwater.http import requests
from headwater.http.answers import json_answer
from headwater.http.routes import Face
from headwater.streams.syncing.sources.service import Sources
from headwater.threads import Pool

MERGE_PATCH = "application/merge-patch+json"
_BODIES = frozenset({MERGE_PATCH, "application/json"})
_SOURCES = "/streams/sources"


class NoSuchAction(NotFound):
    """A source has no such action."""

    def __init__(self, action: str) -> None:
        super().__init__(f"a source has no action {action[:40]!r}: it has run and cancel")


class NotMergePatch(UnsupportedMedia):
    """A source is changed by a merge patch."""

    def __init__(self, given: str) -> None:
        super().__init__(f"a source is changed by {MERGE_PATCH}, not {given[:80]!r}")


def source_routes(sources: Sources, calls: Pool, web: Pool, face: Face) -> list[Route]:
    """Return the routes, as they stand below ``/v2``.

    Args:
        web: Threads for what may wait for other servers: the name of a source's host is looked up.
        face: What the paths beside them have in common.
    """

    async def index(request: Request) -> Response:
        caller = requests.caller(request)
        found = await calls.run(lambda: sources.all(caller))
        return json_answer({"sources": [each.to_dict() for each in found]})

    async def create(request: Request) -> Response:
        caller = requests.caller(request)
        document: object = await requests.json_body(request)
        made = await web.run(lambda: sources.add(caller, document))
        return json_answer(made.to_dict(), 201, headers={"Location": f"/v2{_SOURCES}/{made.name}"})

    async def show(request: Request) -> Response:
        caller, name = requests.caller(request), request.path_params["source"]
        return json_answer((await calls.run(lambda: sources.get(caller, name))).to_dict())

    async def change(request: Request) -> Response:
        if requests.media_type(request) not in _BODIES:
            raise NotMergePatch(requests.media_type(request))
        caller, name = requests.caller(request), request.path_params["source"]
        patch: object = await requests.json_body(request)
        return json_answer((await web.run(lambda: sources.change(caller, name, patch))).to_dict())

    async def remove(request: Request) -> Response:
        caller, name = requests.caller(request), request.path_params["source"]
        await calls.run(lambda: sources.remove(caller, name))
        return Response(status_code=204)

    async def act(request: Request) -> Response:
        caller, name = requests.caller(request), request.path_params["source"]
        action = {"run": sources.run, "cancel": sources.cancel}.get(request.path_params["action"])
        if action is None:
            raise NoSuchAction(request.path_params["action"])
        return json_answer((await calls.run(lambda: action(caller, name))).to_dict(), 202)

    return [
        face.route(_SOURCES, GET=index, POST=create),
        face.route(f"{_SOURCES}/{{source}}", GET=show, PATCH=change, DELETE=remove),
        face.route(f"{_SOURCES}/{{source}}/actions/{{action}}", POST=act),
    ]
