"""Put the image service of one process together: sections of settings in, use cases and jobs out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from headwater.activity.journal import Journal
from headwater.activity.notifications.notifier import Notifications
from headwater.activity.notifications.settings import NotificationsSettings
from headwater.clock import now
from headwater.database.engine import Database
from headwater.fetching.fetcher import Fetcher
from headwater.identity.settings import KeystoneSettings
from headwater.images.access import Access
from headwater.images.catalogue.discarded import DiscardedObjects
from headwater.images.catalogue.images import ImageCatalogue
from headwater.images.catalogue.locations import LocationRows
from headwater.images.catalogue.members import Members
from headwater.images.catalogue.public import PublicImages
from headwater.images.catalogue.tasks import Tasks
from headwater.images.catalogue.upload_records import UploadRecords
from headwater.images.data.downloads import Downloads
from headwater.images.data.leftovers import Leftovers, Running
from headwater.images.data.scrubber import Scrubber
from headwater.images.data.session import Pools
from headwater.images.data.sweeping import Sweeping, Tally
from headwater.images.data.uploads import Uploads
from headwater.images.events.audit import Audit
from headwater.images.events.notices import Notices
from headwater.images.imports.location_import import KIND as LOCATION_IMPORT
from headwater.images.imports.location_import import LocationImport
from headwater.images.imports.task_service import TaskService
from headwater.images.imports.web_copy import KIND as COPY
from headwater.images.imports.web_copy import WebCopy
from headwater.images.locations.service import Locations, Web
from headwater.images.metadefs.catalogue import MetadefCatalogue
from headwater.images.metadefs.service import Metadefs
from headwater.images.properties.guard import NamedRules, open_guard
from headwater.images.quotas.limits import QuotasSettings, open_limits
from headwater.images.quotas.service import Quotas
from headwater.images.service import Images
from headwater.images.settings import ImagesSettings
from headwater.images.sharing.service import Sharing
from headwater.images.signatures.registry import open_signatures
from headwater.images.signatures.settings import SignaturesSettings
from headwater.images.v1.images import ImagesV1
from headwater.images.v1.sharing import SharingV1
from headwater.jobs.queue import Jobs
from headwater.jobs.runner import Runner
from headwater.stores.store import ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Sections:
    """The settings of the image service."""

    images: ImagesSettings
    quotas: QuotasSettings
    signatures: SignaturesSettings
    keystone: KeystoneSettings
    notifications: NotificationsSettings
    job_threads: int  # how many jobs run at once


class ImageService:
    """The use cases of images, and what works for images while nobody waits."""

    def __init__(
        self,
        sections: Sections,
        database: Database,
        stores: Mapping[str, ObjectStore],
        fetcher: Fetcher,
        policy: NamedRules,
        *,
        pools: Pools,
        tally: Tally,
    ) -> None:
        """Make the parts.

        Raises:
            SettingsError: Something cannot work with these settings.
        """
        limits = sections.images
        self.catalogue = ImageCatalogue(database)
        self.public = PublicImages(database)
        self.access = access = Access(self.catalogue, policy)
        self.notifications = Notifications(sections.notifications, database)
        notices = Notices(self.notifications)
        journal = Journal([notices, Audit()])
        discarded = DiscardedObjects(database)
        scrubber = Scrubber(discarded, stores)
        guard = open_guard(limits, policy)
        self.quotas = Quotas(open_limits(sections.quotas, sections.keystone), database)
        web = Web(stores, fetcher, limits.size_cap)
        self.locations = Locations(LocationRows(database), access, stores, web, limits)
        self.images = Images(
            self.catalogue,
            access,
            scrubber,
            limits,
            locations=self.locations,
            allowances=self.quotas.allowance,
            guard=guard,
            journal=journal,
        )
        running = Running()
        records = UploadRecords(database)
        self._leftovers = Leftovers(records, scrubber, running, journal=journal)
        self.uploads = Uploads(
            records,
            scrubber,
            access,
            stores,
            limits,
            pools=pools,
            running=running,
            allowances=self.quotas.allowance,
            signatures=open_signatures(sections.signatures, sections.keystone),
            journal=journal,
        )
        self.downloads = Downloads(self.catalogue, access, stores, journal=journal, notices=notices)
        members = Members(database)
        self.image_tasks = tasks = Tasks(database)
        kept_s = limits.task_time_to_live_h * 3600
        self.location_import = LocationImport(
            database,
            access,
            web,
            fetcher,
            limits,
            allowances=self.quotas.allowance,
            journal=journal,
            stopping=self._is_stopping,
        )
        web_copy = WebCopy(
            self.catalogue,
            self.uploads,
            fetcher,
            tasks,
            stopping=self._is_stopping,
            journal=journal,
            task_kept_s=kept_s,
        )
        self.tasks = TaskService(tasks, access, self.images, web_copy, task_kept_s=kept_s)
        self._all_jobs = Jobs(database)
        self.jobs = Runner(
            self._all_jobs,
            {LOCATION_IMPORT: self.location_import.run, COPY: web_copy.run},
            sections.job_threads,
        )
        self._sweeping = Sweeping(discarded, stores, tally, stopping=self._is_stopping)
        self.sweeps = Runner(self._all_jobs, self._sweeping.handlers, len(stores))
        self.sharing = Sharing(access, members, limits.member_quota, journal=journal)
        self.metadefs = Metadefs(MetadefCatalogue(database), policy, journal=journal)
        self.images_v1 = ImagesV1(
            self.catalogue,
            access,
            self.images,
            self.uploads,
            web_copy,
            web=web,
            allowances=self.quotas.allowance,
            guard=guard,
            journal=journal,
        )
        self.sharing_v1 = SharingV1(access, members, limits.member_quota, journal=journal)

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
        if self._leftovers.clear():
            self._all_jobs.hasten(self._sweeping.handlers, now())
        self.tasks.forget_expired()
        self.public.forget()
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
