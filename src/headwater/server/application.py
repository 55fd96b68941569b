"""Put the parts of one worker process together: settings in, two ASGI applications out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping

from starlette.routing import BaseRoute, Router
from starlette.types import Receive, Scope, Send

from headwater.database import schema
from headwater.database.engine import Database
from headwater.errors import NotFound
from headwater.fetching.fetcher import Fetcher
from headwater.http.endpoint import Endpoint
from headwater.http.routes import Below, exactly
from headwater.http.threads import Threads
from headwater.identity.registry import open_authenticator, open_rules
from headwater.images import policies
from headwater.images.assembly import ImagePools, ImageService, Sections, known_stores
from headwater.images.http_v2 import versions
from headwater.instances import http as instances_http
from headwater.instances.registry import Registry
from headwater.instances.snapshot import Snapshots
from headwater.jobs.leases import RENEW_EVERY_S
from headwater.jobs.runner import POLL_S
from headwater.server.health import Health
from headwater.server.image_apis import image_api, image_api_v1
from headwater.server.metrics import Metrics
from headwater.server.middleware.cors import with_cors
from headwater.server.middleware.forwarded import behind
from headwater.server.middleware.identify import Identified
from headwater.server.middleware.observe import Observed
from headwater.server.middleware.whole_bodies import WholeBodies
from headwater.server.pools import Pools
from headwater.server.settings import Settings
from headwater.stores.registry import open_stores
from headwater.stores.store_type import Surroundings
from headwater.streams import http as streams_http
from headwater.streams.live import live_feed
from headwater.threads import Pool

_log = logging.getLogger(__name__)

FEED = "/simplestreams"

_START_EVERY_S = 15.0  # how often what should deliver notifications is looked at


class Application:
    """Everything that one worker process holds."""

    def __init__(
        self, settings: Settings, identities: Mapping[str, str], drained: Callable[[], str | None] = lambda: None
    ) -> None:
        """Open database and stores.

        Args:
            identities: What each store is known by; see ``Admission.admit``.
            drained: Returns why load balancers should send nothing more; ``None`` when they should.

        Raises:
            SettingsError: Something cannot work with these settings.
        """
        self._pools = pools = Pools(settings)
        self.database = Database(settings.database_url, pool_size=pools.connections, may_make=False)
        schema.check(self.database)  # a worker that takes another's place may find another file there
        fetcher = Fetcher(settings.fetch)
        self.metrics = Metrics()
        self.stores = open_stores(
            settings.stores, Surroundings(settings.data_dir, fetcher), identities, tally=self.metrics
        )
        self._authenticator = open_authenticator(settings.auth)
        self.policy = open_rules(settings.auth, settings.policy, policies.BY_NAME)
        self._images = ImageService(
            Sections(
                images=settings.images,
                quotas=settings.quotas,
                signatures=settings.signatures,
                keystone=settings.auth.keystone,
                notifications=settings.notifications,
                import_plugins=settings.import_plugins,
            ),
            self.database,
            self.stores,
            fetcher,
            self.policy,
            pools=ImagePools(pools.hashing, pools.storing, pools.jobs, pools.house),
            known=known_stores(settings.stores, settings.images.store, settings.data_dir / "stores"),
            tally=self.metrics,
            data_dir=settings.data_dir,
        )
        threads = Threads(pools.catalogue, pools.transfers, pools.web)
        self._feed = feed = live_feed(self._images.public, settings.streams)
        parts: dict[str, Callable[[], None]] = {"The catalogue": self.database.require_healthy}
        parts |= {f"The store {name}": store.ping for name, store in self.stores.items()}
        self.health = Health(parts, self.metrics, pools.metrics, drained)
        endpoint = Endpoint(settings.server.public_endpoint)
        api = image_api(self._images, settings, threads, endpoint)
        routes: list[BaseRoute] = [
            *api.routes,
            *self.health.routes(),
            streams_http.why_route(feed, self._images.access, pools.feeds.run, FEED),
            *streams_http.routes(feed, pools.feeds.run, FEED),
        ]
        known = {"v2", *versions.IDS}
        if settings.images.api_v1:
            routes += image_api_v1(self._images, threads, endpoint)
            known |= {"v1", *versions.IDS_V1}
        routes += [exactly("/streams", _no_feed), Below("/streams", _no_feed)]
        image_side = Router(routes, redirect_slashes=False, default=api.rest)
        self._loops = [
            _Loop("leases were not renewed", self._images.renew_leases, RENEW_EVERY_S),
            _Loop("housekeeping failed", self._images.keep_house, RENEW_EVERY_S),
            _Loop("no jobs could be looked for", self._images.jobs.look, POLL_S),
            _Loop("no house-keeping could be looked for", self._images.house.look, POLL_S),
            _Loop("notifications cannot be delivered", self._images.notifications.start, _START_EVERY_S),
        ]
        identified = Identified(
            image_side, self._authenticator, pools.identity, frozenset(known), below=(FEED + streams_http.WHY,)
        )
        images = behind(WholeBodies(identified), settings.server.trusted_proxies)
        self.image_listener = with_cors(Observed(images, "images", self.metrics), settings.cors)
        documents = instances_http.application(Snapshots(Registry(self.database)), pools.guests.run)
        metadata = behind(WholeBodies(documents), settings.server.metadata_trusted_proxies)
        self.metadata_listener = Observed(metadata, "metadata", self.metrics)

    async def work(self) -> None:
        """Do what is done while nobody waits, until cancelled. That it ends by itself is a fault."""
        async with asyncio.TaskGroup() as group:
            for loop in self._loops:
                group.create_task(loop.run())

    def stop(self) -> None:
        """Begin no more jobs; requests go on."""
        self._images.stop()

    def close(self) -> None:
        """Let go of everything, after the last request."""
        for loop in self._loops:
            loop.pool.close()
        self._images.close()
        self._pools.close()
        self._feed.close()
        self._authenticator.close()
        for store in self.stores.values():
            with contextlib.suppress(Exception):
                store.close()
        self.database.close()


class _Loop:
    """Work that is done again and again, in a thread of its own, so that nothing else keeps it from being done."""

    def __init__(self, fails: str, work: Callable[[], float | None], every_s: float) -> None:
        """Take the work.

        Args:
            fails: What the log says when it fails.
            work: Returns after how many seconds it wants to be done again; ``None``: after ``every_s``.
        """
        self.pool = Pool("loop", 1)
        self._fails, self._work, self._every_s = fails, work, every_s

    async def run(self) -> None:
        """Do it until cancelled."""
        while True:
            pause_s: float | None = None
            try:
                pause_s = await self.pool.run(self._work)
            except Exception as error:  # noqa: BLE001 - tried again in a moment; requests go on meanwhile
                _log.warning(self._fails, extra={"error": str(error) or type(error).__name__})
            await asyncio.sleep(self._every_s if pause_s is None else pause_s)


async def _no_feed(scope: Scope, _receive: Receive, _send: Send) -> None:
    # Source: Juju takes any answer but 404 for the feed itself.
    raise NotFound(f"There is no feed at {scope['path'][:200]}: name {FEED}/images as its URL, without /streams")
