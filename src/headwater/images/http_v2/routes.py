"""Every path of the Image API v2, and what answers it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.routing import BaseRoute, Match, Mount, Route, Router
from starlette.types import Receive, Scope, Send

from headwater.http.endpoint import Endpoint
from headwater.http.openapi.operations import Path
from headwater.http.routes import VERBS, Below, UnknownVerb, also
from headwater.http.threads import Threads
from headwater.images.access import Access
from headwater.images.cache.keeping import CacheService
from headwater.images.catalogue.tasks import TaskRows
from headwater.images.creation import ImageCreation
from headwater.images.data.downloads import Downloads
from headwater.images.data.resumable.uploads import ResumableUploading
from headwater.images.data.uploads import Uploads
from headwater.images.http.paths import IMAGE_API, not_found
from headwater.images.http.versions import IDS, IDS_CACHE, VersionHandlers
from headwater.images.http_v2 import schemas
from headwater.images.http_v2.cache.handlers import CacheHandlers
from headwater.images.http_v2.data import DataHandlers
from headwater.images.http_v2.images import ImageHandlers
from headwater.images.http_v2.locations import LocationHandlers, StoreHandlers
from headwater.images.http_v2.members import MemberHandlers
from headwater.images.http_v2.metadefs import routes as metadefs
from headwater.images.http_v2.openapi import document as openapi
from headwater.images.http_v2.private_paths import PrivatePathHandlers
from headwater.images.http_v2.resumable.tus import TusHandlers
from headwater.images.http_v2.resumable.uploads import ResumableHandlers
from headwater.images.http_v2.tasks import ImageTaskHandlers, ImportHandlers, TaskHandlers
from headwater.images.http_v2.usage import UsageHandlers
from headwater.images.imports.location_import import LocationImport
from headwater.images.imports.service import Imports
from headwater.images.imports.staging import Staging
from headwater.images.imports.task_service import TaskService
from headwater.images.locations.service import Locations
from headwater.images.metadefs.service import Metadefs
from headwater.images.quotas.service import Quotas
from headwater.images.service import Images
from headwater.images.sharing.private_paths import PrivatePaths
from headwater.images.sharing.service import Sharing


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCases:
    """What the routes call."""

    images: Images
    creation: ImageCreation
    uploads: Uploads
    staging: Staging
    imports: Imports
    resumable: ResumableUploading
    downloads: Downloads
    sharing: Sharing
    definitions: Metadefs
    locations: Locations
    location_import: LocationImport
    access: Access
    image_tasks: TaskRows
    tasks: TaskService
    quotas: Quotas
    cache: CacheService
    private_paths: PrivatePaths


def routes(
    use_cases: UseCases, threads: Threads, endpoint: Endpoint, others: Sequence[BaseRoute] = ()
) -> list[BaseRoute]:
    """Return what lies below ``/v2``, to be tried in its order.

    Args:
        others: Of other capabilities, that are asked under the same path.
        endpoint: Where clients reach the service.
    """
    images, calls, web = use_cases.images, threads.catalogue, threads.web
    image = ImageHandlers(images, use_cases.creation, calls, web, endpoint)
    imported = ImportHandlers(use_cases.imports, web)
    image_tasks = ImageTaskHandlers(use_cases.access, use_cases.image_tasks, use_cases.imports, calls)
    member = MemberHandlers(use_cases.sharing, calls)
    location = LocationHandlers(use_cases.locations, use_cases.location_import, calls, web)
    task = TaskHandlers(use_cases.tasks, images.settings, calls, web, endpoint)
    data = DataHandlers(use_cases.uploads, use_cases.staging, use_cases.downloads, images.known_stores, threads)
    resumable = ResumableHandlers(use_cases.resumable, data, threads, endpoint)
    tus = TusHandlers(use_cases.resumable, data, threads, endpoint)
    store = StoreHandlers(images, calls)
    cache = CacheHandlers(use_cases.cache, calls)
    private_path = PrivatePathHandlers(use_cases.private_paths, calls, endpoint)
    route = IMAGE_API.route
    return [
        # No image has this for an id, as ids are UUIDs.
        route("/images/newest", GET=image.newest),
        route("/images/newest/file", GET=image.newest_data),
        route("/images/{image_id}", GET=image.show, PATCH=image.update, DELETE=image.delete),
        route("/images", GET=image.index, POST=image.create),
        route(
            "/images/{image_id}/file", resumable.offered, GET=data.download, HEAD=data.describe, PUT=resumable.upload
        ),
        route(
            "/images/{image_id}/file/uploads/{upload_id}",
            resumable.offered,
            HEAD=resumable.show,
            PATCH=resumable.append,
            DELETE=resumable.cancel,
        ),
        route("/images/{image_id}/file/tus", tus.offered, POST=tus.create),
        route(
            "/images/{image_id}/file/tus/{upload_id}",
            tus.offered,
            HEAD=tus.show,
            PATCH=tus.append,
            DELETE=tus.cancel,
            POST=tus.override,
        ),
        route("/images/{image_id}/stage", PUT=data.stage),
        route("/images/{image_id}/import", POST=imported.begin),
        route("/images/{image_id}/tags/{tag}", PUT=image.add_tag, DELETE=image.remove_tag),
        route("/images/{image_id}/actions/{action}", POST=image.act),
        route("/images/{image_id}/locations", GET=location.index, POST=location.add),
        route("/images/{image_id}/tasks", GET=image_tasks.index),
        route("/images/{image_id}/tasks/{task_id}", DELETE=image_tasks.cancel),
        route("/images/{image_id}/members", GET=member.index, POST=member.add),
        route("/images/{image_id}/members/{member}", GET=member.show, PUT=member.update, DELETE=member.remove),
        route("/tasks", GET=task.index, POST=task.create),
        route("/tasks/{task_id}", GET=task.show),
        *schemas.routes(images.schemas),
        *metadefs.routes(use_cases.definitions, calls, endpoint),
        route("/info/import", GET=imported.methods),
        route("/info/stores", GET=store.index),
        route("/info/stores/detail", GET=store.detail),
        route("/stores/{store}/{image_id}", DELETE=store.remove_copy),
        route("/cache", GET=cache.index, DELETE=cache.clear),
        route("/cache/clean", POST=cache.clean),
        route("/cache/prune", POST=cache.prune),
        route("/cache/nodes/{image_id}", GET=cache.nodes),
        route("/cache/{image_id}", PUT=cache.queue, DELETE=cache.delete),
        route("/streams/paths", GET=private_path.index, POST=private_path.create),
        route("/streams/paths/{path_id}", GET=private_path.show, DELETE=private_path.revoke),
        route("/info/usage", GET=UsageHandlers(use_cases.quotas, calls).show),
        *others,
    ]


_ACCEPTS_V2 = b"application/vnd.openstack.images-v2"


class ImageApi:
    """The Image API v2: ``routes`` for the paths of its versions, and ``rest`` for all that name none.

    A version stands in the path (``/v2/images``, ``/v2.9/images``) or in ``Accept``. What names no version is answered
    with the versions that there are.
    """

    def __init__(
        self,
        use_cases: UseCases,
        threads: Threads,
        *,
        proof: openapi.Proof = "none",
        endpoint: Endpoint,
        with_cache: bool = False,
        with_v1: bool = False,
        others: Sequence[BaseRoute] = (),
        described: Iterable[Path] = (),
    ) -> None:
        """Take the use cases and the threads to call them in.

        Args:
            proof: How callers prove who they are, for those who read of it.
            endpoint: Where clients reach the service.
            with_cache: This machine has a cache, so the versions that announce it are listed.
            with_v1: The API v1 is there too, and is listed among the versions.
            others: Of other capabilities, below the same path.
            described: What else the OpenAPI document describes.
        """
        below = Router(routes(use_cases, threads, endpoint, others), redirect_slashes=False, default=not_found)
        self._versions = VersionHandlers(endpoint, with_v1=with_v1, with_cache=with_cache)
        route = IMAGE_API.route
        names = [f"/{each}" for each in ((*IDS, *IDS_CACHE) if with_cache else IDS)]
        self.routes: list[Route | Mount] = [
            also(Below("/v2", below), names),
            also(route("/v2", GET=self._versions.to_slash), names),
        ]
        known = use_cases.images.schemas
        self.rest = Router(
            [
                _MountByAccept("", below),
                route("/versions", GET=self._versions.versions),
                route("/openapi.json", GET=openapi.serve(known, schemas.by_path(known), proof, endpoint, described)),
            ],
            redirect_slashes=False,
            default=self._otherwise,
        )

    async def _otherwise(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        if request.method not in VERBS:
            raise UnknownVerb(request.method)
        response = await self._versions.choices(request)
        await response(scope, receive, send)


class _MountByAccept(Below):
    """Source: Glance takes the version from this Accept value when the path names none."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if any(name == b"accept" and value == _ACCEPTS_V2 for name, value in scope["headers"]):
            return super().matches(scope)
        return Match.NONE, {}
