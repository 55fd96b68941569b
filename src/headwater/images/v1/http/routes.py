"""Every path of the Image API v1, and what answers it."""

from __future__ import annotations

from starlette.routing import BaseRoute, Router
from starlette.types import Receive, Scope, Send

from headwater.errors import NotFound
from headwater.http.routes import VERBS, UnknownVerb, route
from headwater.http.threads import Threads
from headwater.images.data.downloads import Downloads
from headwater.images.http_v2 import versions
from headwater.images.v1.http.images import ImageHandlers
from headwater.images.v1.http.members import MemberHandlers
from headwater.images.v1.images import ImagesV1
from headwater.images.v1.sharing import SharingV1


def routes(images: ImagesV1, downloads: Downloads, sharing: SharingV1, threads: Threads) -> list[BaseRoute]:
    """Return the routes, to be tried in their order."""
    image = ImageHandlers(images, downloads, threads)
    member = MemberHandlers(sharing, threads.catalogue)
    return [
        route("/v1/images", GET=image.index, POST=image.create),
        route("/v1/images/detail", GET=image.detail),
        route("/v1/images/{image_id}", HEAD=image.head, GET=image.download, PUT=image.update, DELETE=image.delete),
        route("/v1/images/{image_id}/members", GET=member.index, PUT=member.replace),
        route("/v1/images/{image_id}/members/{member}", PUT=member.put, DELETE=member.remove),
        route("/v1/shared-images/{member}", GET=member.shared),
    ]


class ImageApiV1:
    """The Image API v1 as one ASGI application, for paths below ``/v1``, ``/v1.0`` and ``/v1.1``."""

    def __init__(
        self,
        images: ImagesV1,
        downloads: Downloads,
        sharing: SharingV1,
        threads: Threads,
        *,
        public_endpoint: str | None = None,
    ) -> None:
        """Take the use cases and the threads to call them in.

        Args:
            public_endpoint: The URL to name in answers; ``None`` names what each request asked for.
        """
        self._router = Router(routes(images, downloads, sharing, threads), redirect_slashes=False, default=_not_found)
        self._public_endpoint = public_endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        first = scope["path"][1:].partition("/")[0]
        scope = {**scope, "path": "/v1" + scope["path"][1 + len(first) :]}
        if self._public_endpoint is not None:
            scope = {**scope, versions.PUBLIC_ENDPOINT: self._public_endpoint}
        await self._router(scope, receive, send)


async def _not_found(scope: Scope, _receive: Receive, _send: Send) -> None:
    if scope["method"] not in VERBS:
        raise UnknownVerb(scope["method"])
    raise NotFound("The resource could not be found.")
