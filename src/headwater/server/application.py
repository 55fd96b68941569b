"""Put the parts of one worker process together: settings in, two ASGI applications out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from headwater.activity.journal import Journal
from headwater.database import schema
from headwater.database.engine import Database
from headwater.errors import NotFound
from headwater.fetching.fetcher import Fetcher
from headwater.http.endpoint import Endpoint
from headwater.http.routes import Below, exactly
from headwater.http.threads import Threads
from headwater.identity.registry import open_authenticator, open_rules, with_passwords
from headwater.images.catalogue.deletions.pending_deletes import PendingDeleteRows
from headwater.images.catalogue.fingerprints.image_fingerprints import FingerprintRows
from headwater.images.compute_proxy.http import routes as compute
from headwater.images.data.admission import Admission, Admitted
from headwater.images.events.audit import Audit
from headwater.images.http import versions
from headwater.images.http.paths import IMAGE_API
from headwater.images.locations.known_stores import StoreFault
from headwater.instances.api.openapi import of_instances
from headwater.instances.identity import http as identity_http
from headwater.jobs.leases import RENEW_EVERY_S
from headwater.jobs.overview import Overview
from headwater.jobs.queue import Jobs
from headwater.jobs.runner import POLL_S
from headwater.loops import Loop, run_all
from headwater.server.apis import policies
from headwater.server.apis.instances import instance_api
from headwater.server.guests.listeners import GuestListeners
from headwater.server.health import Health
from headwater.server.image_apis import compute_image_proxy, image_api, image_api_v1, image_service, stores_known
from headwater.server.metrics import Metrics
from headwater.server.middleware.cors import with_cors
from headwater.server.middleware.forwarded import behind
from headwater.server.middleware.identify import Identified
from headwater.server.middleware.observe import Observed
from headwater.server.middleware.whole_bodies import WholeBodies
from headwater.server.pools import Pools
from headwater.server.settings import Settings
from headwater.server.stores.failures import StoreFailures
from headwater.server.stores.watch import TURN_S, watched
from headwater.stores.registry import open_stores
from headwater.stores.store_type import Surroundings
from headwater.streams.http import live as streams_http
from headwater.streams.http import trees as trees_http
from headwater.streams.http import views as views_http
from headwater.streams.http.files import Files
from headwater.streams.http.image_files import files_route
from headwater.streams.http.sources import source_routes
from headwater.streams.live.feed import LiveFeed, loaded_signer
from headwater.streams.live.files.hashing import HashingJob
from headwater.streams.live.files.passing import of_upload
from headwater.streams.live.files.serving import ServedFiles
from headwater.streams.pulling.opening import open_trees
from headwater.streams.pulling.pulled import PulledTree
from headwater.streams.signing.signer import Signer
from headwater.streams.syncing.sources.rows import SourceRows
from headwater.streams.syncing.sources.service import Sources
from headwater.streams.syncing.sources.work import SourceWork
from headwater.streams.views.views import Views

FEED = "/simplestreams"

_CACHE_EVERY_S = 5.0  # how often is looked whether something is due in the cache
_TREES_EVERY_S = 15.0  # how often is looked whether something is due where feeds of others are kept
_START_EVERY_S = 15.0  # how often what should deliver notifications is looked at


class Background:
    """What one worker process holds, whether it serves or not, and what it does while nobody waits."""

    def __init__(self, settings: Settings, found: Admitted, *, runs_jobs: bool) -> None:
        """Open database and stores.

        Args:
            found: The stores, as the start found them.

        Raises:
            SettingsError: Something cannot work with these settings.
        """
        self.pools = pools = Pools(settings)
        self.database = Database(settings.database_url, pool_size=pools.connections, may_make=False)
        schema.check(self.database)  # a worker that takes another's place may find another file there
        fetcher = Fetcher(settings.fetch)
        self.metrics = Metrics()
        failures = StoreFailures(self.metrics)
        self.stores = open_stores(
            settings.stores,
            Surroundings(settings.data_dir, fetcher),
            found.identities,
            tally=failures,
            awaited=found.awaited,
        )
        self.watch = watched(self.stores, found, Admission(self.database), self.metrics, failures.are_new)
        self.policy = open_rules(settings.auth, settings.policy, policies.BY_NAME)
        self.lists_files = settings.streams.lists_files(settings.auth.mode)
        self.images = image_service(
            settings,
            self.database,
            self.stores,
            fetcher,
            self.policy,
            pools=pools,
            metrics=self.metrics,
            store_faults=self._store_faults,
            beside=of_upload if self.lists_files else lambda _: None,
        )
        self.fingerprints = FingerprintRows(self.database)
        self._deleted = PendingDeleteRows(self.database)
        self._hashing = HashingJob(
            self.images.public,
            self.fingerprints,
            self.images.downloads.places_of,
            Jobs(self.database),
            rate=settings.streams.hashing_rate,
            all_public=self.lists_files,
            tally=self.metrics,
        )
        self._sources = SourceRows(self.database)
        self._source_work = SourceWork(
            self._sources,
            Jobs(self.database),
            self.images,
            fetcher,
            pools.syncing,
            overview=Overview(self.database),
            tally=self.metrics,
        )
        self._fetcher = fetcher
        self._loops = self._regular_work(runs_jobs=runs_jobs)

    def _regular_work(self, *, runs_jobs: bool) -> list[Loop]:
        """Return what is done again and again."""
        loops = [
            Loop("leases were not renewed", self._renew_leases, RENEW_EVERY_S),
            Loop("runs of sources were not renewed", self._source_work.renew, RENEW_EVERY_S),
            Loop("uses of images were not noted", self.images.last_used.keep, RENEW_EVERY_S),
            Loop("housekeeping failed", self.images.keep_house, RENEW_EVERY_S),
            Loop("stores were not looked at", self.watch.look, TURN_S, asks_database=False),
            Loop(
                "notifications cannot be delivered",
                self.images.notifications.start,
                _START_EVERY_S,
                asks_database=False,
            ),
        ]
        if runs_jobs:
            loops += [
                Loop("no jobs could be looked for", self.images.jobs.look, POLL_S),
                Loop("no runs of sources could be looked for", self._source_work.look, POLL_S),
                Loop("no house-keeping could be looked for", self.images.house.look, POLL_S),
                Loop("no images could be looked for that are to be hashed", self._hashing.look, POLL_S),
            ]
        return loops

    async def work(self) -> None:
        """Do what is done while nobody waits, until cancelled. That it ends by itself is a fault."""
        await run_all(self._loops)

    def stop(self) -> None:
        """Begin no more jobs; requests go on."""
        self._hashing.stop()
        self.images.stop()
        self._source_work.stop()

    def close(self) -> None:
        """Let go of everything, after the last request."""
        for loop in self._loops:
            loop.pool.close()
        self._hashing.close()
        self._source_work.close()
        self.images.close()
        self.pools.close()
        for store in self.stores.values():
            with contextlib.suppress(Exception):
                store.close()
        self.database.close()

    def _store_faults(self) -> dict[str, StoreFault]:
        """Return what is known to be wrong with stores, for an operator, who may ask again."""
        self.watch.look_soon()
        return self.watch.faults()

    def _renew_leases(self) -> None:
        self.images.renew_leases()
        self._hashing.renew()


class Application(Background):
    """What one worker process holds that serves: ASGI applications."""

    def __init__(self, settings: Settings, found: Admitted, drained: Callable[[], str | None] = lambda: None) -> None:
        """Open database and stores, and put what answers requests together.

        Args:
            found: The stores, as the start found them.
            drained: Returns why load balancers should send nothing more; ``None`` when they should.

        Raises:
            SettingsError: Something cannot work with these settings.
        """
        super().__init__(settings, found, runs_jobs=settings.jobs.in_service)
        pools, images = self.pools, self.images
        self._loops.append(Loop("the cache is not looked after", images.cache.look_after, _CACHE_EVERY_S))
        self._authenticator = open_authenticator(settings.auth)
        self._by_password = with_passwords(self._authenticator, settings.auth)
        threads = Threads(pools.catalogue, pools.transfers, pools.web)
        fingerprints = self.fingerprints if self.lists_files else None
        signer = loaded_signer(settings.streams)
        self._feed = feed = LiveFeed(images.public, settings.streams, signer, fingerprints=fingerprints)
        self._trees, agents = open_trees(settings.streams, settings.data_dir, pools.pulling, self.metrics)
        self._loops += [
            Loop("what is kept of a feed is not looked after", each.look_after, _TREES_EVERY_S, asks_database=False)
            for each in self._trees.values()
            if isinstance(each, PulledTree)
        ]
        self._agents = agents
        self.health = self._health(settings, drained)
        self.guests = GuestListeners(self.database, settings, pools, self.metrics, drained)
        self._loops += self.guests.loops
        endpoint = Endpoint(settings.server.public_endpoint)
        sources = Sources(self._sources, images.access, self._fetcher, Journal([Audit()]))
        also = source_routes(sources, threads.catalogue, threads.web, IMAGE_API)
        api = image_api(images, settings, threads, endpoint, others=also, described=of_instances())
        routes: list[BaseRoute] = [
            *api.routes,
            *self.health.routes(),
            *instance_api(self.database, images, self.policy, threads, endpoint, cloud=self.guests.cloud),
            *identity_http.routes(self.guests.identity, threads.catalogue.run),
            streams_http.why_route(feed, images.access, pools.feeds.run, FEED),
            *self._files_routes(threads),
            *streams_http.routes(feed, pools.feeds.run, FEED),
            *self._views_routes(settings, signer, threads),
            *trees_http.routes(self._trees, agents, pools.trees, pools.far_trees),
        ]
        known = {"v2", "instances", *versions.IDS}
        if settings.cache.directory is not None:
            known |= set(versions.IDS_CACHE)
        if settings.images.api_v1:
            routes += image_api_v1(images, threads, endpoint)
            known |= {"v1", *versions.IDS_V1}
        if settings.images.compute_image_proxy:
            routes += compute_image_proxy(images, threads, endpoint)
        routes += [exactly("/streams", _no_feed), Below("/streams", _no_feed)]
        image_side = Router(routes, redirect_slashes=False, default=api.rest)
        identified = Identified(
            image_side,
            self._authenticator,
            pools.identity,
            frozenset(known),
            below=(FEED + streams_http.WHY, *(compute.BEHIND_CALLERS if settings.images.compute_image_proxy else ())),
            but=compute.OPEN,
            by_password=self._by_password,
            for_passwords=(f"{views_http.OWN}/", f"{views_http.WITH_COMMUNITY}/"),
        )
        self._listen(identified, settings)

    def _health(self, settings: Settings, drained: Callable[[], str | None]) -> Health:
        """Return what tells whether the service works: without its default store nothing does that needs no choice."""
        default = stores_known(settings).default
        needed: dict[str, Callable[[], None]] = {"The catalogue": self.database.require_healthy}
        others: dict[str, Callable[[], None]] = {}
        for name, store in self.stores.items():
            (needed if name == default else others)[f"The store {name}"] = store.ping
        return Health(needed, self.metrics, self.pools.metrics, drained, others=others)

    def _listen(self, identified: ASGIApp, settings: Settings) -> None:
        """Put together what the listener of images serves, ``image_listener``."""
        behind_proxies = behind(WholeBodies(identified), settings.server.trusted_proxies)
        read_by_all = (f"{FEED}/images/", f"{views_http.PUBLIC}/", f"{trees_http.TREES}/", f"{trees_http.TOOLS}/")
        self.image_listener = with_cors(
            Observed(behind_proxies, "images", self.metrics),
            settings.cors,
            for_everybody=read_by_all,
        )

    def _files_routes(self, threads: Threads) -> list[BaseRoute]:
        """Return the routes of image files, if the feed has any."""
        if not self.lists_files:
            return []
        images = self.images
        files = ServedFiles(images.catalogue, self.fingerprints, images.downloads, self._deleted)
        return [files_route(files, images.downloads, self.pools.feeds.run, threads, FEED)]

    def _views_routes(self, settings: Settings, signer: Signer | None, threads: Threads) -> list[Route]:
        """Return the routes of what projects show and see."""
        images = self.images
        views = Views(
            images.access,
            images.catalogue,
            images.private_paths,
            self.fingerprints,
            settings.streams,
            deleted=self._deleted,
            signer=signer,
            revision=images.public.revision,
            is_open=self.lists_files,
        )
        return views_http.routes(views, Files(views, images.downloads, threads), threads.catalogue.run)

    def stop(self) -> None:
        """Begin no more jobs, and let no request wait for a change; all others go on."""
        self.guests.stop()
        super().stop()

    def close(self) -> None:
        """Let go of everything, after the last request."""
        self.guests.close()
        for tree in (*self._trees.values(), self._agents):
            tree.close()
        super().close()
        self._feed.close()
        self._by_password.close()
        self._authenticator.close()


async def _no_feed(scope: Scope, _receive: Receive, _send: Send) -> None:
    # Source: Juju takes any answer but 404 for the feed itself.
    raise NotFound(f"There is no feed at {scope['path'][:200]}: name {FEED}/images as its URL, without /streams")
