"""Put the parts of one worker process together: settings in, two ASGI applications out."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Mapping

from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from headwater.database import schema
from headwater.database.engine import Database
from headwater.errors import NotFound
from headwater.fetching.fetcher import Fetcher
from headwater.http.threads import Threads
from headwater.identity.registry import open_authenticator, open_rules
from headwater.images import policies
from headwater.images.assembly import ImageService, Sections
from headwater.images.data.session import Pools
from headwater.images.http_v2 import versions
from headwater.instances import http as instances_http
from headwater.instances.registry import Registry
from headwater.instances.snapshot import Snapshots
from headwater.jobs.leases import RENEW_EVERY_S
from headwater.jobs.runner import POLL_S
from headwater.server import health
from headwater.server.image_apis import image_api, image_api_v1
from headwater.server.metrics import Metrics
from headwater.server.middleware.cors import with_cors
from headwater.server.middleware.forwarded import behind
from headwater.server.middleware.identify import Identified
from headwater.server.middleware.observe import Observed
from headwater.server.middleware.whole_bodies import WholeBodies
from headwater.server.settings import Settings
from headwater.stores.registry import open_stores
from headwater.streams import http as streams_http
from headwater.streams.live import live_feed
from headwater.threads import Pool

_log = logging.getLogger(__name__)

FEED = "/simplestreams"

_FEED_THREADS = 4  # while documents are made anew they wait for one of them, and nobody else does
_START_EVERY_S = 15.0  # how often what should deliver notifications is looked at
_MOST_OF_A_SERVER = 48
_ODD_CONNECTIONS = 8  # of what runs one at a time: leases, house, looks for jobs, health, two senders, and two to spare


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
        self.database = Database(settings.database_url, pool_size=connections(settings), may_make=False)
        schema.check(self.database)  # a worker that takes another's place may find another file there
        fetcher = Fetcher(settings.fetch)
        self.stores = open_stores(settings.stores, settings.data_dir, fetcher, identities)
        self._calls = Pool("catalogue", settings.server.catalogue_threads)
        self._transfers = Pool("transfer", settings.server.transfer_threads)
        self._identity = Pool("identity", settings.server.identity_threads)
        self._metadata = Pool("metadata", settings.server.catalogue_threads)
        self._feed_calls = Pool("feed", _FEED_THREADS)
        self._hashing = Pool("hashing", hashing_threads(settings.workers), nice=5)
        self._web = Pool("web", settings.server.web_threads)
        self._storing = Pool("storing", settings.server.transfer_threads)
        self.metrics = Metrics()
        self._authenticator = open_authenticator(settings.auth)
        self.policy = open_rules(settings.auth, settings.policy, policies.BY_NAME)
        self._images = ImageService(
            Sections(
                images=settings.images,
                quotas=settings.quotas,
                signatures=settings.signatures,
                keystone=settings.auth.keystone,
                notifications=settings.notifications,
                job_threads=settings.server.web_threads,
            ),
            self.database,
            self.stores,
            fetcher,
            self.policy,
            pools=Pools(self._hashing, self._storing),
            tally=self.metrics,
        )
        threads = Threads(self._calls, self._transfers, self._web)
        self._api = image_api(self._images, settings, threads)
        self._api_v1 = image_api_v1(self._images, settings, threads)
        self._v1 = frozenset({"v1", *versions.IDS_V1}) if settings.images.api_v1 else frozenset()
        feed = live_feed(self._images.catalogue, settings.streams)
        self._feed = Router(
            [
                streams_http.why_route(feed, self._images.access, self._feed_calls.run),
                *streams_http.routes(feed, self._feed_calls.run),
            ],
            redirect_slashes=False,
            default=_not_found,
        )
        known = frozenset({"v2", *versions.IDS}) | self._v1
        self._counting = Pool("metrics", 1)
        parts: dict[str, Callable[[], None]] = {"The catalogue": self.database.require_healthy}
        parts |= {f"The store {name}": store.ping for name, store in self.stores.items()}
        self._watched = Router(
            health.routes(parts, self.metrics, self._counting, drained), redirect_slashes=False, default=_not_found
        )
        self._loops = [
            _Loop("leases were not renewed", self._images.renew_leases, RENEW_EVERY_S),
            _Loop("housekeeping failed", self._images.keep_house, RENEW_EVERY_S),
            _Loop("no jobs could be looked for", self._images.jobs.look, POLL_S),
            _Loop("no sweeps could be looked for", self._images.sweeps.look, POLL_S),
            _Loop("notifications cannot be delivered", self._images.notifications.start, _START_EVERY_S),
        ]
        identified = Identified(
            self._image_side, self._authenticator, self._identity, known, below=(FEED + streams_http.WHY,)
        )
        images = behind(WholeBodies(identified), settings.server.trusted_proxies)
        self.image_listener = with_cors(Observed(images, "images", self.metrics), settings.cors)
        documents = instances_http.application(Snapshots(Registry(self.database)), self._metadata.run)
        metadata = behind(WholeBodies(documents), settings.server.metadata_trusted_proxies)
        self.metadata_listener = Observed(metadata, "metadata", self.metrics)

    async def _image_side(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path.startswith("/v2/"):
            await self._api(scope, receive, send)
        elif path in ("/healthcheck", "/metrics") or path.startswith("/healthcheck/"):
            await self._watched(scope, receive, send)
        elif path == FEED or path.startswith(FEED + "/"):
            await self._feed({**scope, "path": path[len(FEED) :] or "/"}, receive, send)
        elif path[1:].partition("/")[0] in self._v1:
            await self._api_v1(scope, receive, send)
        elif path == "/streams" or path.startswith("/streams/"):
            # Source: Juju takes any answer but 404 for the feed itself.
            raise NotFound(f"There is no feed at {path[:200]}: name {FEED}/images as its URL, without /streams")
        else:
            await self._api(scope, receive, send)

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
        for pool in (
            self._identity,
            self._web,
            self._calls,
            self._metadata,
            self._feed_calls,
            self._counting,
            self._transfers,
            self._hashing,
            self._storing,
        ):
            pool.close()
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


def connections(settings: Settings) -> int:
    """Return how many connections to the database one worker has at most: one for each thread that asks it.

    So no kind of work waits for the connections of another: uploads that end together do not hold up a list. A server
    counts connections of all workers, and there reads have so many and writes as many again: very many threads share.
    """
    server = settings.server
    asking = 2 * server.catalogue_threads  # of images and of instance metadata
    moving = 2 * server.transfer_threads  # requests that move data, and what writes it
    waiting = 2 * server.web_threads  # in requests and in jobs
    sweeping = len(settings.stores)
    wanted = asking + moving + waiting + sweeping + _FEED_THREADS + _ODD_CONNECTIONS
    return wanted if settings.database_url.startswith("sqlite") else min(wanted, _MOST_OF_A_SERVER)


def hashing_threads(workers: int) -> int:
    """Return how many threads of each worker hash: all together twice the processors.

    Four at least, so that the two hashes, the inspection and the signature of one upload never wait for each other.
    """
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(4, 2 * processors // workers)


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    raise NotFound(f"There is no document at {scope['path'][:200]}")
