"""One path and what answers each of its methods."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from headwater.errors import HeadwaterError, NotFound

Handler = Callable[[Request], Awaitable[Response]]

VERBS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


class MethodNotAllowed(HeadwaterError):
    """The path is there, and does not do this."""

    def __init__(self, method: str, path: str, allowed: list[str]) -> None:
        super().__init__(f"The method {method} is not allowed for {path[:120]}: it takes {', '.join(allowed)}")
        self.headers = {"Allow": ", ".join(allowed)}


class UnknownVerb(HeadwaterError):
    """No path takes this method."""

    def __init__(self, method: str) -> None:
        super().__init__(f"The method {method[:20]} is unknown")


def route(path: str, **by_method: Handler) -> Route:
    """Return what answers ``path``: a handler for each method; any other is 405 with ``Allow``."""
    return Route(path, _Methods(by_method))


def constant(body: bytes) -> Handler:
    """Return a handler that answers every request with this JSON."""

    async def answer(_request: Request) -> Response:
        return Response(body, media_type="application/json")

    return answer


class _Methods:
    """What answers one path: a handler for each method; any other is 405 with ``Allow``, HEAD and OPTIONS too."""

    def __init__(self, handlers: dict[str, Handler]) -> None:
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        handler = self._handlers.get(request.method)
        if handler is None:
            if request.method not in VERBS:
                raise UnknownVerb(request.method)
            if request.method == "OPTIONS":
                await Response(status_code=200)(scope, receive, send)
                return
            raise MethodNotAllowed(request.method, request.url.path, sorted(self._handlers))
        # PostgreSQL refuses to look for text with a NUL; nothing has such a name.
        if any("\x00" in request.path_params.get(name, "") for name in ("image_id", "member", "task_id")):
            raise NotFound("The resource could not be found.")
        response = await handler(request)
        await response(scope, receive, send)
