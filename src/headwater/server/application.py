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
from headwater.images.access import Access
from headwater.images.audit import Audit
from headwater.images.books import Books
from headwater.images.catalogue import ImageCatalogue
from headwater.images.certificates.registry import open_signatures
from headwater.images.discards import Discards
from headwater.images.downloads import Downloads
from headwater.images.http_v2 import versions
from headwater.images.http_v2.routes import ImageApi
from headwater.images.journal import Journal
from headwater.images.limits import open_limits
from headwater.images.members import Members
from headwater.images.metadefs.catalogue import MetadefCatalogue
from headwater.images.metadefs.service import Metadefs
from headwater.images.notices import Notices
from headwater.images.property_guard import open_guard
from headwater.images.quotas import Quotas
from headwater.images.service import Images
from headwater.images.sharing import Sharing
from headwater.images.uploads import Pools, Uploads
from headwater.instances import http as instances_http
from headwater.instances.registry import Registry
from headwater.instances.snapshot import Snapshots
from headwater.jobs.leases import RENEW_EVERY_S
from headwater.jobs.queue import Jobs
from headwater.jobs.runner import POLL_S, Runner
from headwater.notifications.office import Notifications
from headwater.server.identify import Identified
from headwater.server.metrics import Metrics
from headwater.server.observe import Observed
from headwater.server.settings import Settings
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
        self.stores = open_stores(settings.stores, settings.data_dir)
        self._calls = Pool("catalogue", settings.server.catalogue_threads)
        self._transfers = Pool("transfer", settings.server.transfer_threads)
        self._identity = Pool("identity", settings.server.identity_threads)
        self._hashing = Pool("hashing", 2 * max(2, settings.workers), nice=5)
        self._storing = Pool("storing", settings.server.transfer_threads)
        self._metrics = Metrics()
        self.jobs = Runner(Jobs(self.database), {}, settings.server.job_threads)
        self._authenticator = open_authenticator(settings.auth)
        self.policy = open_rules(settings.auth, settings.policy)
        catalogue = ImageCatalogue(self.database)
        access = Access(catalogue, self.policy)
        self.notifications = Notifications(settings.notifications, self.database)
        notices = Notices(self.notifications)
        journal = Journal([notices, Audit()])
        books = Books(self.database)
        guard = open_guard(settings.images, self.policy)
        quotas = Quotas(open_limits(settings.quotas, settings.auth.keystone), self.database)
        discards = Discards(books, self.stores)
        images = Images(
            catalogue,
            access,
            discards,
            settings.images,
            allowances=quotas.allowance,
            guard=guard,
            journal=journal,
        )
        self.uploads = Uploads(
            books,
            access,
            self.stores,
            settings.images,
            Pools(self._hashing, self._storing),
            allowances=quotas.allowance,
            signatures=open_signatures(settings.signatures, settings.auth.keystone),
            journal=journal,
        )
        downloads = Downloads(catalogue, access, self.stores, journal=journal, notices=notices)
        sharing = Sharing(access, Members(self.database), settings.images.member_quota, journal=journal)
        self._image_api = ImageApi(
            images,
            self.uploads,
            downloads,
            sharing,
            Metadefs(MetadefCatalogue(self.database), self.policy, journal=journal),
            quotas=quotas,
            catalogue_calls=self._calls,
            transfers=self._transfers,
            public_endpoint=settings.server.public_endpoint,
        )
        feed = live_feed(catalogue, settings.streams)
        self._feed = Router(streams_http.routes(feed, self._calls.run), redirect_slashes=False, default=_not_found)
        identified = Identified(self._image_side, self._authenticator, self._identity, frozenset({"v2", *versions.IDS}))
        self.image_listener = Observed(identified, "images", self._metrics)
        self.metadata_listener = Observed(
            instances_http.application(Snapshots(Registry(self.database)), self._calls.run), "metadata", self._metrics
        )

    async def _image_side(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path.startswith("/v2/"):
            await self._image_api(scope, receive, send)
        elif path == "/healthcheck":
            response = await self._health(Request(scope, receive))
            await response(scope, receive, send)
        elif path == "/metrics":
            body, media_type = await self._calls.run(self._metrics.exposition)
            await Response(body, media_type=media_type)(scope, receive, send)
        elif path == FEED or path.startswith(FEED + "/"):
            await self._feed({**scope, "path": path[len(FEED) :] or "/"}, receive, send)
        else:
            await self._image_api(scope, receive, send)

    async def _health(self, _request: Request) -> Response:
        try:
            await self._calls.run(self._require_health)
        except Unavailable as error:
            return Response(str(error), 503, media_type="text/plain")
        return Response("OK", media_type="text/plain")

    def _require_health(self) -> None:
        self.database.read(lambda connection: connection.exec_driver_sql("SELECT 1").scalar())
        for store in self.stores.values():
            store.ping()

    async def work(self) -> None:
        """Deliver notifications, run jobs and keep house, until cancelled."""
        await self._calls.run(self.notifications.start)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._run_jobs())
            both.create_task(self._keep_house())

    async def _run_jobs(self) -> None:
        while True:
            pause = POLL_S
            try:
                pause = await self._calls.run(self.jobs.look)
            except Exception as error:  # noqa: BLE001 - tried again in a moment; requests go on meanwhile
                _log.warning("no jobs could be looked for", extra={"error": str(error)})
            await asyncio.sleep(pause)

    async def _keep_house(self) -> None:
        """Renew the leases of uploads and jobs, and clear what others left behind."""
        while True:
            await asyncio.sleep(RENEW_EVERY_S)
            try:
                await self._calls.run(self.jobs.renew)
                await self._calls.run(self.uploads.renew)
                await self._calls.run(self.uploads.clear_leftovers)
            except Exception as error:  # noqa: BLE001 - tried again in a moment; requests go on meanwhile
                _log.warning("housekeeping failed", extra={"error": str(error)})

    def close(self) -> None:
        """Let go of everything, after the last request."""
        self.jobs.close()
        self.notifications.close()
        for pool in (self._identity, self._calls, self._transfers, self._hashing, self._storing):
            pool.close()
        self._authenticator.close()
        for store in self.stores.values():
            with contextlib.suppress(Exception):
                store.close()
        self.database.close()


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    raise NotFound(f"There is no document at {FEED}{scope['path'][:200]}")
