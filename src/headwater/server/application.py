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
from headwater.images.copying import KIND as COPY
from headwater.images.copying import Copying
from headwater.images.discards import Discards
from headwater.images.downloads import Downloads
from headwater.images.http_v1.routes import ImageApiV1
from headwater.images.http_v2 import versions
from headwater.images.http_v2.image_tasks import ImageTaskHandlers
from headwater.images.http_v2.locations import LocationHandlers
from headwater.images.http_v2.routes import ImageApi
from headwater.images.images_v1 import ImagesV1
from headwater.images.journal import Journal
from headwater.images.limits import open_limits
from headwater.images.location_import import KIND as LOCATION_IMPORT
from headwater.images.location_import import LocationImport
from headwater.images.location_rows import LocationRows
from headwater.images.locations import Locations, Web
from headwater.images.members import Members
from headwater.images.metadefs.catalogue import MetadefCatalogue
from headwater.images.metadefs.service import Metadefs
from headwater.images.notices import Notices
from headwater.images.property_guard import open_guard
from headwater.images.quotas import Quotas
from headwater.images.service import Images
from headwater.images.sharing import Sharing
from headwater.images.sharing_v1 import SharingV1
from headwater.images.task_service import TaskService
from headwater.images.tasks import Tasks
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
        catalogue = ImageCatalogue(self.database)
        access = Access(catalogue, self.policy)
        self.notifications = Notifications(settings.notifications, self.database)
        notices = Notices(self.notifications)
        journal = Journal([notices, Audit()])
        books = Books(self.database)
        guard = open_guard(settings.images, self.policy)
        quotas = Quotas(open_limits(settings.quotas, settings.auth.keystone), self.database)
        web = Web(self.stores, fetcher, settings.images.size_cap)
        locations = Locations(LocationRows(self.database), access, self.stores, web, settings.images)
        images = Images(
            catalogue,
            access,
            Discards(books, self.stores),
            settings.images,
            locations=locations,
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
        location_import = LocationImport(
            self.database,
            access,
            web,
            fetcher,
            settings.images,
            allowances=quotas.allowance,
            journal=journal,
            stopping=self._is_stopping,
        )
        members = Members(self.database)
        sharing = Sharing(access, members, settings.images.member_quota, journal=journal)
        kept_s = settings.images.task_time_to_live_h * 3600
        tasks = Tasks(self.database)
        copying = Copying(
            catalogue,
            self.uploads,
            fetcher,
            tasks,
            stopping=self._is_stopping,
            journal=journal,
            task_kept_s=kept_s,
        )
        self.tasks = TaskService(tasks, access, images, copying, task_kept_s=kept_s)
        jobs = Jobs(self.database)
        self.jobs = Runner(jobs, {}, settings.server.job_threads)
        # By themselves, because whoever names a server decides how long these take.
        self.web_jobs = Runner(
            jobs, {LOCATION_IMPORT: location_import.run, COPY: copying.run}, settings.server.web_threads
        )
        self._image_api = ImageApi(
            images,
            self.uploads,
            downloads,
            sharing,
            Metadefs(MetadefCatalogue(self.database), self.policy, journal=journal),
            locations=LocationHandlers(locations, location_import, self._calls, self._web),
            image_tasks=ImageTaskHandlers(access, tasks, self._calls),
            tasks=self.tasks,
            quotas=quotas,
            catalogue_calls=self._calls,
            transfers=self._transfers,
            web=self._web,
            public_endpoint=settings.server.public_endpoint,
            with_v1=settings.images.api_v1,
        )
        self._image_api_v1 = ImageApiV1(
            ImagesV1(
                catalogue,
                access,
                images,
                self.uploads,
                copying,
                web=web,
                allowances=quotas.allowance,
                guard=guard,
                journal=journal,
            ),
            downloads,
            SharingV1(access, members, settings.images.member_quota, journal=journal),
            catalogue_calls=self._calls,
            transfers=self._transfers,
            web=self._web,
            public_endpoint=settings.server.public_endpoint,
        )
        self._v1 = frozenset({"v1", *versions.IDS_V1}) if settings.images.api_v1 else frozenset()
        feed = live_feed(catalogue, settings.streams)
        self._feed = Router(streams_http.routes(feed, self._calls.run), redirect_slashes=False, default=_not_found)
        known = frozenset({"v2", *versions.IDS}) | self._v1
        identified = Identified(self._image_side, self._authenticator, self._identity, known)
        self.image_listener = Observed(identified, "images", self._metrics)
        self.metadata_listener = Observed(
            instances_http.application(Snapshots(Registry(self.database)), self._calls.run), "metadata", self._metrics
        )

    def _is_stopping(self) -> bool:
        return self.web_jobs.stopping.is_set()

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
        elif path[1:].partition("/")[0] in self._v1:
            await self._image_api_v1(scope, receive, send)
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
        async with asyncio.TaskGroup() as all_of_it:
            for runner in (self.jobs, self.web_jobs):
                all_of_it.create_task(self._run_jobs(runner))
            all_of_it.create_task(self._keep_house())

    async def _run_jobs(self, runner: Runner) -> None:
        while True:
            pause = POLL_S
            try:
                pause = await self._calls.run(runner.look)
            except Exception as error:  # noqa: BLE001 - tried again in a moment; requests go on meanwhile
                _log.warning("no jobs could be looked for", extra={"error": str(error)})
            await asyncio.sleep(pause)

    async def _keep_house(self) -> None:
        """Renew the leases of uploads and jobs, and clear what others left behind."""
        while True:
            try:
                await self._calls.run(self.jobs.renew)
                await self._calls.run(self.uploads.renew)
                await self._calls.run(self.uploads.clear_leftovers)
                await self._calls.run(self.tasks.forget_expired)
            except Exception as error:  # noqa: BLE001 - tried again in a moment; requests go on meanwhile
                _log.warning("housekeeping failed", extra={"error": str(error)})
            await asyncio.sleep(RENEW_EVERY_S)

    def close(self) -> None:
        """Let go of everything, after the last request."""
        self.web_jobs.stopping.set()
        self.jobs.close()
        self.web_jobs.close()
        self.notifications.close()
        for pool in (self._identity, self._web, self._calls, self._transfers, self._hashing, self._storing):
            pool.close()
        self._authenticator.close()
        for store in self.stores.values():
            with contextlib.suppress(Exception):
                store.close()
        self.database.close()


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    raise NotFound(f"There is no document at {FEED}{scope['path'][:200]}")
