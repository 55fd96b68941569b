"""The image service for a command, put together as a worker does it, but for what it does while nobody waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from headwater.cli.catalogue import opened
from headwater.fetching.fetcher import Fetcher
from headwater.identity.registry import open_rules
from headwater.images.assembly.service import ImageService
from headwater.images.catalogue.store_marks import StoreMarkRows
from headwater.server import log
from headwater.server.apis import policies
from headwater.server.image_apis import image_service
from headwater.server.metrics import Metrics
from headwater.server.pools import Pools
from headwater.server.settings import Settings
from headwater.stores.registry import open_stores
from headwater.stores.store_type import Surroundings


@contextmanager
def opened_image_service(settings: Settings) -> Iterator[ImageService]:
    """Give the use cases of images over the catalogue and the stores of the settings, and close all in the end.

    Raises:
        SettingsError: Something cannot work with these settings.
    """
    log.configure(settings.log.format, "warning", settings.audit.file)
    with ExitStack() as held:
        database = held.enter_context(opened())
        pools = held.enter_context(closing(Pools(settings)))
        fetcher = Fetcher(settings.fetch)
        marks = StoreMarkRows(database)
        identities = {name: mark for name in settings.stores if (mark := marks.of(name)) is not None}
        stores = open_stores(settings.stores, Surroundings(settings.data_dir, fetcher), identities)
        for store in stores.values():
            held.callback(store.close)
        policy = open_rules(settings.auth, settings.policy, policies.BY_NAME)
        service = image_service(settings, database, stores, fetcher, policy, pools=pools, metrics=Metrics())
        yield held.enter_context(closing(service))
