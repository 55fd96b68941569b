"""Which path is answered by whom: paths with a handler for each method, and mounts.

A path is matched to its last character and may hold any. HEAD is answered where GET is, as GET without the body
(RFC 9110, section 9.3.2); a method that is not there is 405 with ``Allow``.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import unquote_to_bytes

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from headwater.errors import HeadwaterError, Invalid
from headwater.http.answers import without_body

Telling = Callable[[], Mapping[str, str]]
Handler = Callable[[Request], Awaitable[Response]]
AnyRoute = TypeVar("AnyRoute", Route, Mount)

VERBS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"})
READING = ("GET", "HEAD")


class MethodNotAllowed(HeadwaterError):
    """The path is there, and does not do this."""

    def __init__(self, method: str, path: str, allowed: Collection[str]) -> None:
        names = ", ".join(allowed)
        super().__init__(f"The method {method[:20]} is not allowed for {path[:120]}: it takes {names}")
        self.headers = {"Allow": names}


class UnknownVerb(HeadwaterError):
    """No path takes this method."""

    def __init__(self, method: str) -> None:
        super().__init__(f"The method {method[:20]} is unknown")


class NotText(Invalid):
    """A path or a query whose bytes are not text."""

    def __init__(self, where: str) -> None:
        super().__init__(f"The {where} is not UTF-8, written with % where a URL needs it")


def _nothing(_request: Request) -> None:
    """Check nothing."""


def _told_nothing() -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Face:
    """What the paths of one face have in common."""

    check: Callable[[Request], None] = _nothing  # before each handler; raises, or corrects the path's parameters
    # Parameters that may hold whatever a name may, a slash too; such a one stands last in its path.
    names: Collection[str] = ()
    # Whether OPTIONS is answered, and a method that nobody knows told from one that is not there.
    tells_methods: bool = True

    def route(self, path: str, told: Telling = _told_nothing, **by_method: Handler) -> Route:
        """Return what answers ``path``: a handler for each method.

        Args:
            told: Returns what the answer to OPTIONS has besides ``Allow``.
        """
        made = Route(path, _Methods(by_method, self.check, tells=self.tells_methods, told=told))
        pattern = made.path_regex.pattern
        if any(path.endswith(f"{{{name}}}") for name in self.names):
            pattern = pattern.removesuffix("[^/]+)$") + ".+)$"
        made.path_regex = _to_the_end(pattern)
        return made


class Below(Mount):
    """Hands all below a path to an application, for which the rest of the path is the path."""

    def __init__(self, path: str, app: ASGIApp) -> None:
        super().__init__(path, app)
        self.path_regex = _to_the_end(self.path_regex.pattern)


def also(route: AnyRoute, paths: Iterable[str]) -> AnyRoute:
    """Return ``route`` after making it answer ``paths`` too as it does its own, be it one path or all below it."""
    every = "|".join(map(re.escape, (route.path, *paths)))
    pattern = route.path_regex.pattern.removeprefix("^" + re.escape(route.path))
    route.path_regex = re.compile(f"^(?:{every}){pattern}", re.DOTALL)
    return route


def exactly(path: str, app: ASGIApp) -> Route:
    """Return what hands ``path`` itself, whatever the method, to ``app``."""
    made = Route(path, app)
    made.app, made.methods = app, None  # a function too: Starlette takes one for a handler
    made.path_regex = _to_the_end(made.path_regex.pattern)
    return made


def _to_the_end(pattern: str) -> re.Pattern[str]:
    # "$" would overlook a line end, and "." not take one.
    return re.compile(pattern.removesuffix("$") + r"\Z", re.DOTALL)


def constant(body: bytes) -> Handler:
    """Return a handler that answers every request with this JSON."""

    async def answer(_request: Request) -> Response:
        return Response(body, media_type="application/json")

    return answer


def require_text(scope: Scope) -> None:
    """Raise ``NotText`` when path or query are not UTF-8.

    What is not reaches us as U+FFFD; stored, it would be a name that nobody has given.
    """
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
    """What answers one path: a handler for each method."""

    def __init__(
        self, handlers: dict[str, Handler], check: Callable[[Request], None], *, tells: bool, told: Telling
    ) -> None:
        self._handlers = {"HEAD": handlers["GET"], **handlers} if "GET" in handlers else handlers
        self._check = check
        self._tells, self._told = tells, told

    @property
    def methods(self) -> frozenset[str]:
        """The methods that are answered."""
        return frozenset(self._handlers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        handler = self._handlers.get(request.method)
        if handler is None:
            response = self._refused(request)
        else:
            self._check(request)
            response = await handler(request)
            if request.method == "HEAD":
                response = without_body(response)
        await response(scope, receive, send)

    def _refused(self, request: Request) -> Response:
        allowed = sorted(self._handlers)
        if self._tells:
            if request.method not in VERBS:
                raise UnknownVerb(request.method)
            if request.method == "OPTIONS":
                return Response(headers={**self._told(), "Allow": ", ".join(allowed)})
        raise MethodNotAllowed(request.method, request.url.path, allowed)
