"""The metadata port: a path and a source address in, one document of the caller's snapshot out.

A caller that nobody registered gets 404 for everything and at once, so that a guest's other data
sources are tried without delay. A failure of ours is never answered quickly, because guests take it
as final: the catalogue is asked again for up to ``PATIENCE_S`` before 503 says when to come back.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from http import HTTPStatus

import anyio
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from headwater.errors import HeadwaterError, NotFound, Unavailable
from headwater.http.answers import without_body
from headwater.http.conditions import is_held
from headwater.http.context import context
from headwater.http.errors import Failure, failure
from headwater.http.routes import READING, MethodNotAllowed
from headwater.http.threads import InThread
from headwater.instances.callers.by_address import source_address
from headwater.instances.paths import document_name
from headwater.instances.snapshot import Snapshot, Snapshots
from headwater.instances.trees.document import TEXT

PATIENCE_S = 8.0
PAUSE_S = 0.5
_LOG = structlog.get_logger(__name__)


class CatalogueSilent(Unavailable):
    """The catalogue did not answer in time. The operator's log says why; a guest must not learn where it is."""

    headers = {"Retry-After": "2"}  # noqa: RUF012 - read only

    def __init__(self) -> None:
        super().__init__("The service cannot read its catalogue at the moment; try again.")


class OnlyRead(MethodNotAllowed):
    """No document takes another method than those that read it."""

    def __init__(self, method: str) -> None:
        HeadwaterError.__init__(self, f"Documents are read with GET or HEAD, not {method}.")
        self.headers = {"Allow": ", ".join(READING)}


class DocumentNotFound(NotFound):
    """The caller is known, and has no document of this name."""

    def __init__(self) -> None:
        super().__init__("There is no such document; the listing above it names those there are.")


def application(
    snapshots: Snapshots,
    in_thread: InThread,
    *,
    entropy: Callable[[int], bytes] = os.urandom,
    patience_s: float = PATIENCE_S,
) -> ASGIApp:
    """Return the ASGI application of the metadata port: it answers ``http`` scopes and refuses ``websocket`` ones.

    Args:
        entropy: Gives as many random bytes as asked for, new ones each time.
        patience_s: How long to ask an unavailable catalogue again before answering 503.
    """

    async def snapshot_at(address: str) -> Snapshot:
        waited = 0.0
        while True:
            started = anyio.current_time()
            try:
                return await in_thread(lambda: snapshots.at(address))
            except Unavailable as error:
                waited += PAUSE_S + anyio.current_time() - started
                if waited > patience_s:
                    _LOG.error("no metadata could be served", error=str(error))
                    raise CatalogueSilent from error
                await anyio.sleep(PAUSE_S)

    async def document(request: Request) -> Response:
        snapshot = await snapshot_at(source_address(request.scope.get("client")))
        found = snapshot.documents.get(document_name(request.scope["path"]))
        if found is None:
            raise DocumentNotFound
        if request.method not in READING:  # last: who is not registered gets 404 for everything
            raise OnlyRead(request.method)
        validators = {} if found.etag is None else {"ETag": found.etag}
        if is_held(request.headers, found.etag):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=validators)
        return Response(found.read(entropy), headers={"content-type": found.content_type} | validators)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        request = Request(scope, receive)
        try:
            response = await document(request)
        except HeadwaterError as error:
            response = plain(failure(error, context(scope).request_id))
        if request.method == "HEAD":
            response = without_body(response)
        await response(scope, receive, send)

    return answer


def plain(told: Failure) -> Response:
    """Return what guests are told of a failure, which is never more than text."""
    headers = {**told.headers, "content-type": TEXT}
    return Response(f"{told.line}\n\n{told.message}\n", told.status, headers)
