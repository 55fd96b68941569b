"""The Image APIs of one worker process, on the use cases of its image service."""

from __future__ import annotations

from starlette.routing import BaseRoute

from headwater.http.endpoint import Endpoint
from headwater.http.threads import Threads
from headwater.images.assembly import ImageService
from headwater.images.http_v2.routes import ImageApi, UseCases
from headwater.images.v1.http import routes as v1
from headwater.server.settings import Settings


def image_api(service: ImageService, settings: Settings, threads: Threads, endpoint: Endpoint) -> ImageApi:
    """Return the API v2, which also tells what versions there are."""
    use_cases = UseCases(
        images=service.images,
        uploads=service.uploads,
        staging=service.staging,
        imports=service.imports,
        downloads=service.downloads,
        sharing=service.sharing,
        definitions=service.metadefs,
        locations=service.locations,
        location_import=service.location_import,
        access=service.access,
        image_tasks=service.image_tasks,
        tasks=service.tasks,
        quotas=service.quotas,
    )
    return ImageApi(
        use_cases,
        threads,
        proof=settings.auth.mode,
        endpoint=endpoint,
        with_v1=settings.images.api_v1,
    )


def image_api_v1(service: ImageService, threads: Threads, endpoint: Endpoint) -> list[BaseRoute]:
    """Return the routes of the API v1."""
    return v1.mounted(v1.routes(service.images_v1, service.downloads, service.sharing_v1, threads, endpoint))
