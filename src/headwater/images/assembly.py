"""Put the image service of one process together: sections of settings in, use cases and jobs out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from headwater.activity.journal import Journal
from headwater.activity.notifications.notifier import Notifications
from headwater.activity.notifications.settings import NotificationsSettings
from headwater.clock import now
from headwater.database.engine import Database
from headwater.fetching.fetcher import Fetcher
from headwater.identity.policy.rules import NamedRules
from headwater.identity.settings import KeystoneSettings
from headwater.images.access import Access
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.discarded import DiscardedObjects
from headwater.images.catalogue.images import ImageCatalogue
from headwater.images.catalogue.imports.import_objects import ImportObjects
from headwater.images.catalogue.locations import LocationRows
from headwater.images.catalogue.members import Members
from headwater.images.catalogue.public import PublicImages
from headwater.images.catalogue.resumed.idempotency_keys import IdempotencyKeys
from headwater.images.catalogue.resumed.resumable_uploads import ResumableUploads
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.catalogue.tasks import Tasks
from headwater.images.catalogue.upload_records import UploadRecords
from headwater.images.catalogue.usage import ProjectUsage
from headwater.images.creation import ImageCreation
from headwater.images.data.downloads import Downloads, Wrongs
from headwater.images.data.leftovers import Leftovers, Running
from headwater.images.data.resumable.uploads import ResumableUploading
from headwater.images.data.scrubber import Scrubber
from headwater.images.data.session import Pools
from headwater.images.data.sweeping import EVERY_S, Sweeping, Tally
from headwater.images.events.audit import Audit
from headwater.images.events.notices import Notices
from headwater.images.imports.location_import import KIND as LOCATION_IMPORT
from headwater.images.imports.location_import import LocationImport
from headwater.images.imports.plugins.conversion import is_converted
from headwater.images.imports.plugins.processing import Plugins
from headwater.images.imports.plugins.registry import open_plugins
from headwater.images.imports.plugins.settings import ImportPluginsSettings
from headwater.images.imports.runs import KIND as IMPORT
from headwater.images.imports.runs import ImportRuns
from headwater.images.imports.service import Imports
from headwater.images.imports.staging import ChosenUploads, ImportedUploads, Staging
from headwater.images.imports.task_service import TaskService
from headwater.images.imports.web_copy import KIND as COPY
from headwater.images.imports.web_copy import WebCopy
from headwater.images.locations.content import Contents
from headwater.images.locations.known_stores import ONE_STORE, KnownStore, KnownStores
from headwater.images.locations.service import Locations, Web
from headwater.images.metadefs.catalogue import MetadefCatalogue
from headwater.images.metadefs.service import Metadefs
from headwater.images.properties.guard import open_guard
from headwater.images.quotas.limits import QuotasSettings, open_limits
from headwater.images.quotas.service import Allowance, Quotas
from headwater.images.service import Images
from headwater.images.settings import ImagesSettings
from headwater.images.sharing.service import Sharing
from headwater.images.signatures.claim import PROPERTIES
from headwater.images.signatures.registry import open_signatures
from headwater.images.signatures.settings import SignaturesSettings
from headwater.images.v1.images import ImagesV1
from headwater.images.v1.sharing import SharingV1
from headwater.jobs.queue import Jobs
from headwater.jobs.runner import Runner
from headwater.jobs.standing import standing
from headwater.stores.store import ObjectStore
from headwater.stores.store_type import StoreSettings
from headwater.threads import Pool

_FORGET_EVERY_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Sections:
    """The settings of the image service."""

    images: ImagesSettings
    quotas: QuotasSettings
    signatures: SignaturesSettings
    keystone: KeystoneSettings
    notifications: NotificationsSettings
    import_plugins: ImportPluginsSettings


def known_stores(sections: Mapping[str, StoreSettings], default: str | None, own: Path) -> KnownStores:
    """Return the stores as clients know them.

    Args:
        default: The one that takes data for which no store is named.
        own: The directory in which Headwater keeps what stores without one of their own hold.
    """
    stores = (
        KnownStore(
            name=name,
            type=section.type,
            weight=section.weight,
            description=section.description,
            takes_data=section.abilities.writes,
            verify_reads=section.verify_reads,
            properties=section.told(own / name),
        )
        for name, section in sections.items()
    )
    return KnownStores(stores, default)


@dataclass(frozen=True, slots=True)
class ImagePools:
    """Threads for what is not done in the thread of a request."""

    hashing: Pool
    storing: Pool
    jobs: Pool
    house: Pool  # one for each store, so that one which hangs keeps no other from being swept, and some more


def open_changes(
    database: Database,
    access: Access,
    notifications: Notifications,
    room: Callable[[], Allowance | None] = lambda: None,
) -> Changes:
    """Return the unit of work of one process: the audit trail is told of each change, and so are ``notifications``.

    Args:
        room: Returns what projects may use; by default any amount.
    """
    journal = Journal([Notices(notifications), Audit()])
    return Changes(database, access, journal=journal, outbox=notifications.postbox, room=room)


class Counts(Tally, Wrongs, Protocol):
    """What is counted of images."""


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
        pools: ImagePools,
        known: KnownStores = ONE_STORE,
        tally: Counts,
        data_dir: Path,
    ) -> None:
        """Make the parts.

        Args:
            data_dir: Where Headwater keeps what it keeps itself.

        Raises:
            SettingsError: Something cannot work with these settings.
        """
        limits = sections.images
        self.catalogue = ImageCatalogue(database)
        self.public = PublicImages(database)
        self.access = access = Access(self.catalogue, policy)
        self.notifications = Notifications(sections.notifications, database)
        self.quotas = Quotas(open_limits(sections.quotas, sections.keystone), ProjectUsage(database))
        changes = open_changes(database, access, self.notifications, self.quotas.allowance)
        discarded = DiscardedObjects(database)
        scrubber = Scrubber(discarded, stores)
        guard = open_guard(limits, policy)
        signatures = open_signatures(sections.signatures, sections.keystone)
        contents = Contents(limits, signatures)
        web = Web(stores, fetcher, limits.size_cap)
        location_rows = LocationRows(database)
        self.locations = Locations(location_rows, access, stores, web, limits, known=known)
        self.images = Images(access, changes, scrubber, limits, locations=self.locations, guard=guard, known=known)
        self.creation = ImageCreation(self.images, IdempotencyKeys(database))
        running = Running()
        records = UploadRecords(database)
        transferring = Pools(pools.hashing, pools.storing)
        self._leftovers = Leftovers(changes, records, scrubber, running)
        uses = (changes, records, scrubber, stores, limits)
        self.imports = Imports(changes, self.catalogue, stores, fetcher, limits)
        conversion = sections.import_plugins.image_conversion
        self.uploads = ChosenUploads(
            *uses,
            imported=ImportedUploads(
                *uses, imports=self.imports, pools=transferring, running=running, signatures=signatures
            ),
            is_imported=self._is_converted if conversion.uploads else lambda _: False,
            pools=transferring,
            running=running,
            signatures=signatures,
        )
        self._conversion = conversion
        self.staging = Staging(*uses, pools=transferring, running=running, signatures=signatures)
        self.resumable = ResumableUploading(
            self.uploads,
            ResumableUploads(database),
            access,
            changes,
            scrubber=scrubber,
            stores=stores,
            settings=limits,
            pools=transferring,
        )
        notices = Notices(self.notifications)
        self.downloads = Downloads(
            self.catalogue,
            access,
            stores,
            journal=changes.journal,
            notices=notices,
            tally=tally,
            known=known,
            contents=contents,
            settings=limits,
        )
        members = Members(database)
        self.image_tasks = tasks = Tasks(database)
        kept_s = limits.task_time_to_live_h * 3600
        self.location_import = LocationImport(
            changes,
            self.catalogue,
            location_rows,
            tasks,
            web=web,
            fetcher=fetcher,
            settings=limits,
            contents=contents,
            stopping=self._is_stopping,
        )
        web_copy = WebCopy(
            self.catalogue,
            changes,
            self.uploads,
            fetcher,
            tasks,
            stopping=self._is_stopping,
            task_kept_s=kept_s,
            retries=limits.http_retries,
        )
        self.tasks = TaskService(tasks, access, self.images, web_copy, task_kept_s=kept_s)
        self.import_runs = ImportRuns(
            changes,
            self.catalogue,
            ImportObjects(database),
            tasks,
            scrubber,
            stores=stores,
            fetcher=fetcher,
            settings=limits,
            signatures=signatures,
            plugins=Plugins(
                open_plugins(sections.import_plugins), sections.import_plugins.scratch_dir or data_dir / "scratch"
            ),
            known=known,
            pools=transferring,
            stopping=self._is_stopping,
        )
        self._all_jobs = Jobs(database)
        self.jobs = Runner(
            self._all_jobs,
            {LOCATION_IMPORT: self.location_import.run, COPY: web_copy.run, IMPORT: self.import_runs.run},
            pools.jobs,
        )
        self._sweeping = Sweeping(discarded, stores, tally, stopping=self._is_stopping)
        self._standing = {
            **self._sweeping.handlers,
            "clear-uploads": standing(self._clear_expired, EVERY_S),
            "forget-idempotency-keys": standing(self.creation.forget_expired, _FORGET_EVERY_S),
            "forget-tasks": standing(self.tasks.forget_expired, _FORGET_EVERY_S),
            "forget-events": standing(self.notifications.forget, _FORGET_EVERY_S),
            "forget-public-changes": standing(self.public.forget, _FORGET_EVERY_S),
        }
        self.house = Runner(self._all_jobs, self._standing, pools.house)
        self.sharing = Sharing(access, changes, members, limits.member_quota)
        self.metadefs = Metadefs(MetadefCatalogue(database), policy, changes)
        self.images_v1 = ImagesV1(
            self.catalogue,
            access,
            changes,
            self.images,
            self.uploads,
            web_copy=web_copy,
            web=web,
            guard=guard,
        )
        self.sharing_v1 = SharingV1(access, changes, members, limits.member_quota)

    def _is_converted(self, image_id: str) -> bool:
        """Return whether the upload of an image is to be converted."""
        try:
            image = self.catalogue.get(image_id)
        except ImageNotFound:
            return False
        is_signed = all(name in image.properties for name in PROPERTIES)
        return not is_signed and is_converted(image.disk_format, image.container_format, self._conversion)

    def renew_leases(self) -> None:
        """Say that this process lives, and so does what it works on."""
        self.uploads.renew()
        self.jobs.renew()
        self.house.renew()

    def keep_house(self) -> None:
        """Do what only a process of this machine can: it sees who died. The rest are jobs, of one process at a time."""
        self.jobs.release_dead()
        self._all_jobs.ensure(self._standing, now())
        if self._leftovers.clear_dead():
            self._hasten_sweeps()
        self._sweeping.count()

    def _clear_expired(self) -> None:
        if self._leftovers.clear_expired() + self.resumable.clear():
            self._hasten_sweeps()

    def _hasten_sweeps(self) -> None:
        """Let the bytes of uploads that were cleared be removed at once."""
        self._all_jobs.hasten(self._sweeping.handlers, now())

    def stop(self) -> None:
        """Begin no more jobs, and let those that run make way for other processes."""
        self.jobs.stop()
        self.house.stop()

    def close(self) -> None:
        """Begin nothing more, and wait for what runs."""
        self.stop()
        self.jobs.close()
        self.house.close()
        self.notifications.close()

    def _is_stopping(self) -> bool:
        return self.jobs.stopping.is_set()
