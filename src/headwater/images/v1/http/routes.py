"""Every path of the Image API v1, and what answers it."""

from __future__ import annotations

from starlette.routing import BaseRoute, Router

from headwater.http.endpoint import Endpoint
from headwater.http.routes import Below, also, exactly
from headwater.http.threads import Threads
from headwater.images.data.downloads import Downloads
from headwater.images.http.paths import IMAGE_API, not_found
from headwater.images.http.versions import IDS_V1
from headwater.images.v1.http.images import ImageHandlers
from headwater.images.v1.http.members import MemberHandlers
from headwater.images.v1.images import ImagesV1
from headwater.images.v1.sharing import SharingV1


def routes(
    images: ImagesV1, downloads: Downloads, sharing: SharingV1, threads: Threads, endpoint: Endpoint
) -> list[BaseRoute]:
    """Return what lies below ``/v1``, to be tried in its order."""
    image = ImageHandlers(images, downloads, threads, endpoint)
    member = MemberHandlers(sharing, threads.catalogue)
    route = IMAGE_API.route
    return [
        route("/images", GET=image.index, POST=image.create),
        route("/images/detail", GET=image.detail),
        route("/images/{image_id}", HEAD=image.head, GET=image.download, PUT=image.update, DELETE=image.delete),
        route("/images/{image_id}/members", GET=member.index, PUT=member.replace),
        route("/images/{image_id}/members/{member}", PUT=member.put, DELETE=member.remove),
        route("/shared-images/{member}", GET=member.shared),
    ]


def mounted(below: list[BaseRoute]) -> list[BaseRoute]:
    """Return the routes of the API v1 under each of its names: ``/v1``, ``/v1.0``, ``/v1.1``, and what lies below."""
    api = Router(below, redirect_slashes=False, default=not_found)
    names = [f"/{each}" for each in IDS_V1]
    return [also(Below("/v1", api), names), also(exactly("/v1", not_found), names)]
