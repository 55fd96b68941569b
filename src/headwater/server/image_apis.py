"""The image service of one process, and the Image APIs on its use cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from starlette.routing import BaseRoute

from headwater.database.engine import Database
from headwater.fetching.fetcher import Fetcher
from headwater.http.endpoint import Endpoint
from headwater.http.openapi.operations import Path
from headwater.http.threads import Threads
from headwater.identity.policy.rules import NamedRules
from headwater.images.assembly.parts import ImagePools, Sections, known_stores
from headwater.images.assembly.service import ImageService
from headwater.images.catalogue.deletions.feed_files import FeedFiles
from headwater.images.compute_proxy.http import routes as compute
from headwater.images.data.session import Beside
from headwater.images.http_v2.routes import ImageApi, UseCases
from headwater.images.locations.known_stores import KnownStores, StoreFault
from headwater.images.model import Image
from headwater.images.v1.http import routes as v1
from headwater.instances.lists.needed_images import NeededImages
from headwater.server.metrics import Metrics
from headwater.server.pools import Pools
from headwater.server.settings import Settings
from headwater.stores.store import ObjectStore


def stores_known(settings: Settings) -> KnownStores:
    """Return what the settings say of the stores."""
    return known_stores(settings.stores, settings.images.store, settings.data_dir / "stores")


def image_service(
    settings: Settings,
    database: Database,
    stores: Mapping[str, ObjectStore],
    fetcher: Fetcher,
    policy: NamedRules,
    *,
    pools: Pools,
    metrics: Metrics,
    store_faults: Callable[[], Mapping[str, StoreFault]] = dict,
    beside: Callable[[Image], Beside | None] = lambda _: None,
) -> ImageService:
    """Return the use cases of images, with these settings.

    Args:
        store_faults: Returns what is wrong with stores now.
        beside: Returns what else is made of the data that is uploaded for an image.

    Raises:
        SettingsError: Something cannot work with these settings.
    """
    return ImageService(
        Sections(
            images=settings.images,
            quotas=settings.quotas,
            signatures=settings.signatures,
            keystone=settings.auth.keystone,
            notifications=settings.notifications,
            import_plugins=settings.import_plugins,
            retention=settings.retention,
            jobs=settings.jobs,
            cache=settings.cache,
        ),
        database,
        stores,
        fetcher,
        policy,
        pools=ImagePools(pools.hashing, pools.storing, pools.jobs, pools.house, pools.caching),
        known=stores_known(settings),
        tally=metrics,
        data_dir=settings.data_dir,
        instances=NeededImages(database),
        store_faults=store_faults,
        beside=beside,
        feeds=FeedFiles(settings.streams.deleted_files_s, settings.streams.lists_files(settings.auth.mode)),
    )


def image_api(
    service: ImageService,
    settings: Settings,
    threads: Threads,
    endpoint: Endpoint,
    *,
    others: Sequence[BaseRoute] = (),
    described: Iterable[Path] = (),
) -> ImageApi:
    """Return the API v2, which also tells what versions there are.

    Args:
        others: Routes of other capabilities below the same path.
        described: What else the OpenAPI document describes.
    """
    use_cases = UseCases(
        images=service.images,
        creation=service.creation,
        uploads=service.uploads,
        staging=service.staging,
        imports=service.imports,
        resumable=service.resumable,
        downloads=service.downloads,
        sharing=service.sharing,
        definitions=service.metadefs,
        locations=service.locations,
        location_import=service.location_import,
        access=service.access,
        image_tasks=service.image_tasks,
        tasks=service.tasks,
        quotas=service.quotas,
        cache=service.cache,
        private_paths=service.private_paths,
    )
    return ImageApi(
        use_cases,
        threads,
        proof=settings.auth.mode,
        endpoint=endpoint,
        with_cache=service.cache.is_on,
        with_v1=settings.images.api_v1,
        others=others,
        described=described,
    )


def image_api_v1(service: ImageService, threads: Threads, endpoint: Endpoint) -> list[BaseRoute]:
    """Return the routes of the API v1."""
    return v1.mounted(v1.routes(service.images_v1, service.downloads, service.sharing_v1, threads, endpoint))


def compute_image_proxy(service: ImageService, threads: Threads, endpoint: Endpoint) -> list[BaseRoute]:
    """Return the routes of what the Compute API had on images."""
    return compute.routes(service.images, threads, endpoint)
