"""Put the image service of one worker process together: its use cases, its jobs, its two APIs."""

from __future__ import annotations

from collections.abc import Mapping

from headwater.database.engine import Database
from headwater.images.access import Access
from headwater.images.audit import Audit
from headwater.images.books import Books
from headwater.images.catalogue import ImageCatalogue
from headwater.images.copying import KIND as COPY
from headwater.images.copying import Copying
from headwater.images.discards import Discards
from headwater.images.downloads import Downloads
from headwater.images.http.threads import Threads
from headwater.images.http_v1.routes import ImageApiV1
from headwater.images.http_v2.routes import ImageApi, UseCases
from headwater.images.journal import Journal
from headwater.images.locations.importing import KIND as LOCATION_IMPORT
from headwater.images.locations.importing import LocationImport
from headwater.images.locations.rows import LocationRows
from headwater.images.locations.service import Locations, Web
from headwater.images.members import Members
from headwater.images.metadefs.catalogue import MetadefCatalogue
from headwater.images.metadefs.service import Metadefs
from headwater.images.notices import Notices
from headwater.images.property_guard import NamedRules, open_guard
from headwater.images.quotas.limits import open_limits
from headwater.images.quotas.service import Quotas
from headwater.images.service import Images, now
from headwater.images.sharing import Sharing
from headwater.images.signatures.certificates.registry import open_signatures
from headwater.images.sweeping import Sweeping, Tally
from headwater.images.task_service import TaskService
from headwater.images.tasks import Tasks
from headwater.images.uploads import Pools, Uploads
from headwater.images.v1.images import ImagesV1
from headwater.images.v1.sharing import SharingV1
from headwater.jobs.queue import Jobs
from headwater.jobs.runner import Runner
from headwater.notifications.office import Notifications
from headwater.server.settings import Settings
from headwater.stores.fetch import Fetcher
from headwater.stores.store import ObjectStore


class ImageService:
    """What serves images, and works for them while nobody waits."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        stores: Mapping[str, ObjectStore],
        fetcher: Fetcher,
        policy: NamedRules,
        *,
        threads: Threads,
        pools: Pools,
        tally: Tally,
    ) -> None:
        """Make the parts.

        Raises:
            SettingsError: Something cannot work with these settings.
        """
        limits = settings.images
        self.catalogue = ImageCatalogue(database)
        self.access = access = Access(self.catalogue, policy)
        self.notifications = Notifications(settings.notifications, database)
        notices = Notices(self.notifications)
        journal = Journal([notices, Audit()])
        books = Books(database)
        guard = open_guard(limits, policy)
        quotas = Quotas(open_limits(settings.quotas, settings.auth.keystone), database)
        web = Web(stores, fetcher, limits.size_cap)
        locations = Locations(LocationRows(database), access, stores, web, limits)
        images = Images(
            self.catalogue,
            access,
            Discards(books, stores),
            limits,
            locations=locations,
            allowances=quotas.allowance,
            guard=guard,
            journal=journal,
        )
        self.uploads = Uploads(
            books,
            access,
            stores,
            limits,
            pools,
            allowances=quotas.allowance,
            signatures=open_signatures(settings.signatures, settings.auth.keystone),
            journal=journal,
        )
        downloads = Downloads(self.catalogue, access, stores, journal=journal, notices=notices)
        members = Members(database)
        tasks, kept_s = Tasks(database), limits.task_time_to_live_h * 3600
        location_import = LocationImport(
            database,
            access,
            web,
            fetcher,
            limits,
            allowances=quotas.allowance,
            journal=journal,
            stopping=self._is_stopping,
        )
        copying = Copying(
            self.catalogue,
            self.uploads,
            fetcher,
            tasks,
            stopping=self._is_stopping,
            journal=journal,
            task_kept_s=kept_s,
        )
        self.tasks = TaskService(tasks, access, images, copying, task_kept_s=kept_s)
        self._all_jobs = Jobs(database)
        self.jobs = Runner(
            self._all_jobs,
            {LOCATION_IMPORT: location_import.run, COPY: copying.run},
            settings.server.web_threads,
        )
        self._sweeping = Sweeping(books, stores, tally, stopping=self._is_stopping)
        self.sweeps = Runner(self._all_jobs, self._sweeping.handlers, len(stores))
        use_cases = UseCases(
            images=images,
            uploads=self.uploads,
            downloads=downloads,
            sharing=Sharing(access, members, limits.member_quota, journal=journal),
            definitions=Metadefs(MetadefCatalogue(database), policy, journal=journal),
            locations=locations,
            location_import=location_import,
            access=access,
            image_tasks=tasks,
            tasks=self.tasks,
            quotas=quotas,
        )
        endpoint = settings.server.public_endpoint
        self.api = ImageApi(
            use_cases, threads, proof=settings.auth.mode, public_endpoint=endpoint, with_v1=limits.api_v1
        )
        self.api_v1 = ImageApiV1(
            ImagesV1(
                self.catalogue,
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
            SharingV1(access, members, limits.member_quota, journal=journal),
            threads,
            public_endpoint=endpoint,
        )

    def renew_leases(self) -> None:
        """Say that this process lives, and so does what it works on."""
        self.uploads.renew()
        self.jobs.renew()
        self.sweeps.renew()

    def keep_house(self) -> None:
        """Clear what others left behind; their bytes are for the sweeps."""
        self.jobs.release_dead()
        for kind in self._sweeping.handlers:
            self._all_jobs.ensure(kind, now())
        if self.uploads.clear():
            self._all_jobs.hasten(self._sweeping.handlers, now())
        self.tasks.forget_expired()
        self._sweeping.look()

    def stop(self) -> None:
        """Begin no more jobs, and let those that run make way for other processes."""
        self.jobs.stop()
        self.sweeps.stop()

    def close(self) -> None:
        """Begin nothing more, and wait for what runs."""
        self.stop()
        self.jobs.close()
        self.sweeps.close()
        self.notifications.close()

    def _is_stopping(self) -> bool:
        return self.jobs.stopping.is_set()
