"""The metadata port: a path and a source address in, one document of the caller's snapshot out.

A caller that nobody registered gets 404 for everything and at once, so that a guest's other data
sources are tried without delay. A failure of ours is never answered quickly, because guests take it
as final: the catalogue is asked again for up to ``PATIENCE_S`` before 503 says when to come back.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Protocol, TypeVar

import anyio
import structlog
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from headwater.errors import HeadwaterError, Invalid, NotFound, Unavailable
from headwater.instances.callers.by_address import source_address
from headwater.instances.paths import document_name
from headwater.instances.snapshot import Snapshot, Snapshots
from headwater.instances.trees.document import TEXT, Document

T = TypeVar("T")

PATIENCE_S = 8.0
PAUSE_S = 0.5
RETRY_AFTER_S = 2
ALLOWED = ("GET", "HEAD")
STATUS: dict[type[HeadwaterError], HTTPStatus] = {
    Invalid: HTTPStatus.BAD_REQUEST,
    NotFound: HTTPStatus.NOT_FOUND,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}
_LOG = structlog.get_logger(__name__)


class InThread(Protocol):
    """Runs blocking work where it does not hold up other requests."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


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
            except Unavailable:
                waited += PAUSE_S + anyio.current_time() - started
                if waited > patience_s:
                    raise
                await anyio.sleep(PAUSE_S)

    async def document(scope: Scope) -> Document:
        snapshot = await snapshot_at(source_address(scope.get("client")))
        found = snapshot.documents.get(document_name(scope["path"]))
        if found is None:
            raise DocumentNotFound
        return found

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
            return
        try:
            found = await document(scope)
        except HeadwaterError as error:
            response = refusal(error)
        else:
            if scope["method"] in ALLOWED:
                response = Response(found.read(entropy), headers={"content-type": found.content_type})
            else:
                response = method_not_allowed(scope["method"])
        if scope["method"] == "HEAD":
            response.body = b""  # the length in the headers stays that of the body
        await response(scope, receive, send)

    return answer


def refusal(error: HeadwaterError) -> Response:
    """Return the answer to an error of ours, or raise it again when no guest should ever meet its kind."""
    status = next((status for kind, status in STATUS.items() if isinstance(error, kind)), None)
    if status is None:
        raise error
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        # The operator's log says why; a guest must not learn where the catalogue is.
        _LOG.error("no metadata could be served", error=str(error))
        message = "The service cannot read its catalogue at the moment; try again."
        return _plain(status, message, {"retry-after": str(RETRY_AFTER_S)})
    return _plain(status, str(error), {})


def method_not_allowed(method: str) -> Response:
    """Return the answer to a method that no document takes."""
    return _plain(
        HTTPStatus.METHOD_NOT_ALLOWED,
        f"Documents are read with GET or HEAD, not {method}.",
        {"allow": ", ".join(ALLOWED)},
    )


def _plain(status: HTTPStatus, message: str, headers: dict[str, str]) -> Response:
    body = f"{status.value} {status.phrase}\n\n{message}\n"
    return Response(body.encode(), status_code=status, headers={"content-type": TEXT, **headers})
