"""One path and what answers each of its methods."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from urllib.parse import unquote_to_bytes

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from headwater.errors import HeadwaterError, Invalid, NotFound

Handler = Callable[[Request], Awaitable[Response]]

VERBS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"})


class MethodNotAllowed(HeadwaterError):
    """The path is there, and does not do this."""

    def __init__(self, method: str, path: str, allowed: list[str]) -> None:
        super().__init__(f"The method {method} is not allowed for {path[:120]}: it takes {', '.join(allowed)}")
        self.headers = {"Allow": ", ".join(allowed)}


class UnknownVerb(HeadwaterError):
    """No path takes this method."""

    def __init__(self, method: str) -> None:
        super().__init__(f"The method {method[:20]} is unknown")


class NotText(Invalid):
    """A path or a query whose bytes are not text."""

    def __init__(self, where: str) -> None:
        super().__init__(f"The {where} is not UTF-8, written with % where a URL needs it")


# What users name may hold whatever a name may, a slash too; such a name stands last in its path.
_NAMES = ("{member}", "{name}", "{tag}")
_IDS = ("image_id", "task_id")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def route(path: str, **by_method: Handler) -> Route:
    """Return what answers ``path``: a handler for each method, HEAD where GET is; any other is 405 with ``Allow``."""
    made = Route(path, _Methods(by_method))
    pattern = made.path_regex.pattern.removesuffix("$")
    if path.endswith(_NAMES):
        pattern = pattern.removesuffix("[^/]+)") + ".+)"
    made.path_regex = re.compile(pattern + r"\Z", re.DOTALL)  # "$" would overlook a line end
    return made


def constant(body: bytes) -> Handler:
    """Return a handler that answers every request with this JSON."""

    async def answer(_request: Request) -> Response:
        return Response(body, media_type="application/json")

    return answer


def canonical_id(text: str) -> str:
    """Return an id as the catalogue has it: in lower case, whatever the client wrote. What is no id stays as it is."""
    return text.lower() if _UUID.fullmatch(text) else text


def _require_text(scope: Scope) -> None:
    # What is not UTF-8 reaches us as U+FFFD; stored, it would be a name that nobody has given.
    path: bytes | None = scope.get("raw_path")
    if path is None and "\ufffd" in scope["path"]:
        raise NotText("path")
    for where, raw in (("path", path), ("query", scope["query_string"])):
        if raw is not None and b"%" in raw:
            try:
                unquote_to_bytes(raw).decode()
            except UnicodeDecodeError as error:
                raise NotText(where) from error


class _Methods:
    """What answers one path: a handler for each method; any other is 405 with ``Allow``.

    HEAD is answered where GET is, as GET without the body. Source: RFC 9110, section 9.3.2.
    """

    def __init__(self, handlers: dict[str, Handler]) -> None:
        self._handlers = {"HEAD": handlers["GET"], **handlers} if "GET" in handlers else handlers

    @property
    def methods(self) -> frozenset[str]:
        """The methods that are answered."""
        return frozenset(self._handlers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        handler = self._handlers.get(request.method)
        if handler is None:
            if request.method not in VERBS:
                raise UnknownVerb(request.method)
            if request.method == "OPTIONS":
                await Response(headers={"Allow": ", ".join(sorted(self._handlers))})(scope, receive, send)
                return
            raise MethodNotAllowed(request.method, request.url.path, sorted(self._handlers))
        _require_text(scope)
        named = request.path_params
        # PostgreSQL refuses to look for text with a NUL; nothing has such a name.
        if any("\x00" in value for value in named.values()):
            raise NotFound("The resource could not be found.")
        named.update({name: canonical_id(named[name]) for name in _IDS if name in named})
        response = await handler(request)
        if request.method == "HEAD":
            response = _Bodiless(response)
        await response(scope, receive, send)


class _Bodiless(Response):
    """The answer to HEAD: what GET would answer, without its body, which is not even read."""

    def __init__(self, answer: Response) -> None:
        self.status_code, self.raw_headers, self.background = answer.status_code, answer.raw_headers, None
        self.body = b""
