"""Every path of the Image API v2, and what answers it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from starlette.requests import Request
from starlette.routing import BaseRoute, Router
from starlette.types import Receive, Scope, Send

from headwater.errors import NotFound
from headwater.http.routes import VERBS, UnknownVerb, constant, route
from headwater.http.threads import Threads
from headwater.images.access import Access
from headwater.images.catalogue.tasks import Tasks
from headwater.images.data.downloads import Downloads
from headwater.images.data.uploads import Uploads
from headwater.images.http_v2 import schemas, versions
from headwater.images.http_v2.data import DataHandlers
from headwater.images.http_v2.image_tasks import ImageTaskHandlers
from headwater.images.http_v2.images import ImageHandlers
from headwater.images.http_v2.locations import LocationHandlers
from headwater.images.http_v2.members import MemberHandlers
from headwater.images.http_v2.metadefs import routes as metadefs
from headwater.images.http_v2.openapi import document as openapi
from headwater.images.http_v2.tasks import TaskHandlers
from headwater.images.http_v2.usage import UsageHandlers
from headwater.images.imports.location_import import LocationImport
from headwater.images.imports.task_service import TaskService
from headwater.images.locations.service import Locations
from headwater.images.metadefs.service import Metadefs
from headwater.images.quotas.service import Quotas
from headwater.images.service import Images
from headwater.images.sharing.service import Sharing


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCases:
    """What the routes call."""

    images: Images
    uploads: Uploads
    downloads: Downloads
    sharing: Sharing
    definitions: Metadefs
    locations: Locations
    location_import: LocationImport
    access: Access
    image_tasks: Tasks
    tasks: TaskService
    quotas: Quotas


def routes(use_cases: UseCases, threads: Threads, proof: openapi.Proof = "none") -> list[BaseRoute]:
    """Return the routes, to be tried in their order.

    Args:
        proof: How callers prove who they are, for those who read of it.
    """
    images, calls, web = use_cases.images, threads.catalogue, threads.web
    image = ImageHandlers(images, calls, web)
    image_tasks = ImageTaskHandlers(use_cases.access, use_cases.image_tasks, calls)
    member = MemberHandlers(use_cases.sharing, calls)
    location = LocationHandlers(use_cases.locations, use_cases.location_import, calls, web)
    task = TaskHandlers(use_cases.tasks, images.settings, calls, web)
    data = DataHandlers(use_cases.uploads, use_cases.downloads, threads)
    return [
        route("/v2/images/{image_id}", GET=image.show, PATCH=image.update, DELETE=image.delete),
        route("/v2/images", GET=image.index, POST=image.create),
        route("/v2/images/{image_id}/file", GET=data.download, HEAD=data.describe, PUT=data.upload),
        route("/v2/images/{image_id}/tags/{tag}", PUT=image.add_tag, DELETE=image.remove_tag),
        route("/v2/images/{image_id}/actions/{action}", POST=image.act),
        route("/v2/images/{image_id}/locations", GET=location.index, POST=location.add),
        route("/v2/images/{image_id}/tasks", GET=image_tasks.index),
        route("/v2/images/{image_id}/members", GET=member.index, POST=member.add),
        route("/v2/images/{image_id}/members/{member}", GET=member.show, PUT=member.update, DELETE=member.remove),
        route("/v2/tasks", GET=task.index, POST=task.create),
        route("/v2/tasks/{task_id}", GET=task.show),
        *schemas.routes(images.schemas),
        *metadefs.routes(use_cases.definitions, calls),
        route("/v2/info/import", GET=constant(_NO_IMPORT)),
        route("/v2/info/usage", GET=UsageHandlers(use_cases.quotas, calls).show),
        route("/v2", GET=versions.to_slash),
        route("/versions", GET=versions.versions),
        route("/openapi.json", GET=openapi.serve(images.schemas, schemas.by_path(images.schemas), proof)),
    ]


_NO_IMPORT = msgspec.json.encode(
    {"import-methods": {"description": "Import methods available.", "type": "array", "value": []}}
)


class ImageApi:
    """The Image API v2 as one ASGI application; whatever names no version is answered with the versions."""

    def __init__(
        self,
        use_cases: UseCases,
        threads: Threads,
        *,
        proof: openapi.Proof = "none",
        public_endpoint: str | None = None,
        with_v1: bool = False,
    ) -> None:
        """Take the use cases and the threads to call them in.

        Args:
            proof: How callers prove who they are, for those who read of it.
            public_endpoint: The URL to name in answers; ``None`` names what each request asked for.
            with_v1: The API v1 is there too, and is listed among the versions.
        """
        self._router = Router(routes(use_cases, threads, proof), redirect_slashes=False, default=_otherwise)
        self._public_endpoint = public_endpoint
        self._with_v1 = with_v1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        first = path[1:].partition("/")[0]
        if first != "v2":
            if first in versions.IDS:
                scope = {**scope, "path": "/v2" + path[1 + len(first) :]}
            elif _accepts_v2(scope):
                scope = {**scope, "path": "/v2" + path}
        if self._with_v1:
            scope = {**scope, versions.WITH_V1: True}
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
    if request.method not in VERBS:
        raise UnknownVerb(request.method)
    if scope["path"].startswith("/v2/"):
        raise NotFound("The resource could not be found.")
    response = await versions.choices(request)
    await response(scope, receive, send)
