"""Put the parts of one worker process together: settings in, two ASGI applications out."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from headwater.database.engine import Database
from headwater.errors import NotFound, Unavailable
from headwater.identity.registry import open_authenticator, open_rules
from headwater.images.http.threads import Threads
from headwater.images.http_v2 import versions
from headwater.images.uploads import Pools
from headwater.instances import http as instances_http
from headwater.instances.registry import Registry
from headwater.instances.snapshot import Snapshots
from headwater.jobs.leases import RENEW_EVERY_S
from headwater.jobs.runner import POLL_S
from headwater.server.cors import with_cors
from headwater.server.identify import Identified
from headwater.server.image_service import ImageService
from headwater.server.metrics import Metrics
from headwater.server.observe import Observed
from headwater.server.settings import Settings
from headwater.server.whole_bodies import WholeBodies
from headwater.stores.fetch import Fetcher
from headwater.stores.registry import open_stores
from headwater.streams import http as streams_http
from headwater.streams.live import live_feed
from headwater.threads import Pool

_log = logging.getLogger(__name__)

FEED = "/simplestreams"


class Application:
    """Everything that one worker process holds."""

    def __init__(self, settings: Settings) -> None:
        """Open database and stores.

        Raises:
            SettingsError: Something cannot work with these settings.
        """
        self.database = Database(settings.database_url, pool_size=settings.server.catalogue_threads + 8)
        fetcher = Fetcher(settings.fetch)
        self.stores = open_stores(settings.stores, settings.data_dir, fetcher)
        self._calls = Pool("catalogue", settings.server.catalogue_threads)
        self._transfers = Pool("transfer", settings.server.transfer_threads)
        self._identity = Pool("identity", settings.server.identity_threads)
        self._hashing = Pool("hashing", 2 * max(2, settings.workers), nice=5)
        self._web = Pool("web", settings.server.web_threads)
        self._storing = Pool("storing", settings.server.transfer_threads)
        self._metrics = Metrics()
        self._authenticator = open_authenticator(settings.auth)
        self.policy = open_rules(settings.auth, settings.policy)
        self._images = ImageService(
            settings,
            self.database,
            self.stores,
            fetcher,
            self.policy,
            threads=Threads(self._calls, self._transfers, self._web),
            pools=Pools(self._hashing, self._storing),
        )
        self._v1 = frozenset({"v1", *versions.IDS_V1}) if settings.images.api_v1 else frozenset()
        feed = live_feed(self._images.catalogue, settings.streams)
        self._feed = Router(streams_http.routes(feed, self._calls.run), redirect_slashes=False, default=_not_found)
        known = frozenset({"v2", *versions.IDS}) | self._v1
        identified = Identified(self._image_side, self._authenticator, self._identity, known)
        self.image_listener = with_cors(Observed(WholeBodies(identified), "images", self._metrics), settings.cors)
        self.metadata_listener = Observed(
            WholeBodies(instances_http.application(Snapshots(Registry(self.database)), self._calls.run)),
            "metadata",
            self._metrics,
        )

    async def _image_side(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path.startswith("/v2/"):
            await self._images.api(scope, receive, send)
        elif path == "/healthcheck":
            response = await self._health(Request(scope, receive))
            await response(scope, receive, send)
        elif path == "/metrics":
            body, media_type = await self._calls.run(self._metrics.exposition)
            await Response(body, media_type=media_type)(scope, receive, send)
        elif path == FEED or path.startswith(FEED + "/"):
            await self._feed({**scope, "path": path[len(FEED) :] or "/"}, receive, send)
        elif path[1:].partition("/")[0] in self._v1:
            await self._images.api_v1(scope, receive, send)
        else:
            await self._images.api(scope, receive, send)

    async def _health(self, _request: Request) -> Response:
        try:
            await self._calls.run(self._require_health)
        except Unavailable as error:
            _log.warning("not healthy", extra={"error": str(error)})
            return Response(error.told, 503, media_type="text/plain")
        return Response("OK", media_type="text/plain")

    def _require_health(self) -> None:
        self.database.read(lambda connection: connection.exec_driver_sql("SELECT 1").scalar())
        for store in self.stores.values():
            store.ping()

    async def work(self) -> None:
        """Deliver notifications, run jobs and keep house, until cancelled."""
        await self._calls.run(self._images.notifications.start)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._run_jobs())
            both.create_task(self._keep_house())

    async def _run_jobs(self) -> None:
        while True:
            pause = POLL_S
            try:
                pause = await self._calls.run(self._images.jobs.look)
            except Exception as error:  # noqa: BLE001 - tried again in a moment; requests go on meanwhile
                _log.warning("no jobs could be looked for", extra={"error": str(error)})
            await asyncio.sleep(pause)

    async def _keep_house(self) -> None:
        while True:
            try:
                await self._calls.run(self._images.keep_house)
            except Exception as error:  # noqa: BLE001 - tried again in a moment; requests go on meanwhile
                _log.warning("housekeeping failed", extra={"error": str(error)})
            await asyncio.sleep(RENEW_EVERY_S)

    def close(self) -> None:
        """Let go of everything, after the last request."""
        self._images.close()
        for pool in (self._identity, self._web, self._calls, self._transfers, self._hashing, self._storing):
            pool.close()
        self._authenticator.close()
        for store in self.stores.values():
            with contextlib.suppress(Exception):
                store.close()
        self.database.close()


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    raise NotFound(f"There is no document at {FEED}{scope['path'][:200]}")
