"""Every path of the Image API v2, and what answers it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import Receive, Scope, Send

from headwater.errors import HeadwaterError, NotFound
from headwater.images.downloads import Downloads
from headwater.images.http_v2 import versions
from headwater.images.http_v2.data import DataHandlers
from headwater.images.http_v2.images import ImageHandlers
from headwater.images.service import Images
from headwater.images.uploads import Uploads
from headwater.threads import Pool

Handler = Callable[[Request], Awaitable[Response]]


class MethodNotAllowed(HeadwaterError):
    """The path is there, and does not do this."""

    def __init__(self, method: str, path: str, allowed: list[str]) -> None:
        super().__init__(f"The method {method} is not allowed for {path[:120]}: it takes {', '.join(allowed)}")
        self.headers = {"Allow": ", ".join(allowed)}


class UnknownVerb(HeadwaterError):
    """No path takes this method."""

    def __init__(self, method: str) -> None:
        super().__init__(f"The method {method[:20]} is unknown")


def routes(
    images: Images, uploads: Uploads, downloads: Downloads, *, catalogue_calls: Pool, transfers: Pool
) -> list[BaseRoute]:
    """Return the routes, to be tried in their order."""
    image = ImageHandlers(images, catalogue_calls)
    data = DataHandlers(uploads, downloads, catalogue_calls, transfers)
    schemas = {name: msgspec.json.encode(getattr(images.schemas, name)) for name in ("image", "images")}

    def constant(body: bytes) -> Handler:
        async def answer(_request: Request) -> Response:
            return Response(body, media_type="application/json")

        return answer

    return [
        _route("/v2/images/{image_id}", GET=image.show, PATCH=image.update, DELETE=image.delete),
        _route("/v2/images", GET=image.index, POST=image.create),
        _route("/v2/images/{image_id}/file", GET=data.download, PUT=data.upload),
        _route("/v2/images/{image_id}/tags/{tag}", PUT=image.add_tag, DELETE=image.remove_tag),
        _route("/v2/images/{image_id}/actions/{action}", POST=image.act),
        *[_route(f"/v2/schemas/{name}", GET=constant(body)) for name, body in schemas.items()],
        _route("/v2/info/import", GET=constant(_NO_IMPORT)),
        Route("/v2", versions.to_slash, methods=["GET"]),
        Route("/versions", versions.versions, methods=["GET"]),
    ]


_NO_IMPORT = msgspec.json.encode(
    {"import-methods": {"description": "Import methods available.", "type": "array", "value": []}}
)


class _Methods:
    """What answers one path: a handler for each method; any other is 405 with ``Allow``, HEAD and OPTIONS too."""

    def __init__(self, handlers: dict[str, Handler]) -> None:
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        handler = self._handlers.get(request.method)
        if handler is None:
            if request.method not in _VERBS:
                raise UnknownVerb(request.method)
            if request.method == "OPTIONS":
                await Response(status_code=200)(scope, receive, send)
                return
            raise MethodNotAllowed(request.method, request.url.path, sorted(self._handlers))
        response = await handler(request)
        await response(scope, receive, send)


_VERBS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})


def _route(path: str, **by_method: Handler) -> Route:
    return Route(path, _Methods(by_method))


class ImageApi:
    """The Image API v2 as one ASGI application; whatever names no version is answered with the versions."""

    def __init__(
        self,
        images: Images,
        uploads: Uploads,
        downloads: Downloads,
        *,
        catalogue_calls: Pool,
        transfers: Pool,
        public_endpoint: str | None = None,
    ) -> None:
        """Take the use cases and the threads to call them in.

        Args:
            public_endpoint: The URL to name in answers; ``None`` names what each request asked for.
        """
        paths = routes(images, uploads, downloads, catalogue_calls=catalogue_calls, transfers=transfers)
        self._router = Router(paths, redirect_slashes=False, default=_otherwise)
        self._public_endpoint = public_endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        first = path[1:].partition("/")[0]
        if first != "v2":
            if first in versions.IDS:
                scope = {**scope, "path": "/v2" + path[1 + len(first) :]}
            elif _accepts_v2(scope):
                scope = {**scope, "path": "/v2" + path}
        if self._public_endpoint is not None:
            scope = {**scope, versions.PUBLIC_ENDPOINT: self._public_endpoint}
        await self._router(scope, receive, send)


def _accepts_v2(scope: Scope) -> bool:
    # Source: Glance takes the version from this Accept value when the path names none.
    return any(
        name == b"accept" and value == b"application/vnd.openstack.images-v2" for name, value in scope["headers"]
    )


async def _otherwise(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive, send)
    if request.method not in _VERBS:
        raise UnknownVerb(request.method)
    if scope["path"].startswith("/v2/"):
        raise NotFound("The resource could not be found.")
    response = await versions.choices(request)
    await response(scope, receive, send)
