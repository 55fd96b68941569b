"""Put the image service of one process together: sections of settings in, use cases and jobs out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from headwater.activity.notifications.notifier import Notifications
from headwater.database.engine import Database
from headwater.errors import HeadwaterError
from headwater.fetching.fetcher import Fetcher
from headwater.identity.keystone.kept_tokens import TokenCipher
from headwater.identity.policy.rules import NamedRules
from headwater.identity.settings import KeystoneSettings
from headwater.images.access import Access
from headwater.images.assembly.jobs import FORGET_EVERY_S, ImageJobs
from headwater.images.assembly.parts import Counts, ImagePools, Sections, open_cache, open_changes
from headwater.images.cache.keeping import CacheService
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.deletions.feed_files import FeedFiles
from headwater.images.catalogue.deletions.pending_deletes import PendingDeleteRows
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.catalogue.images import ImageRows
from headwater.images.catalogue.imports.import_objects import ImportObjectRows
from headwater.images.catalogue.locations import LocationRows
from headwater.images.catalogue.members import MemberRows
from headwater.images.catalogue.public import PublicImageRows
from headwater.images.catalogue.resumed.idempotency_keys import IdempotencyKeyRows
from headwater.images.catalogue.resumed.resumable_uploads import ResumableUploadRows
from headwater.images.catalogue.retention.uses import ImageUseRows
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.catalogue.sharing.private_paths import PrivatePathRows
from headwater.images.catalogue.tasks import TaskRows
from headwater.images.catalogue.upload_records import UploadRows
from headwater.images.catalogue.usage import ProjectUsage
from headwater.images.creation import ImageCreation
from headwater.images.data.downloads import Downloads
from headwater.images.data.leftovers import Leftovers, Running
from headwater.images.data.resumable.uploads import ResumableUploading
from headwater.images.data.scrubber import Scrubber
from headwater.images.data.session import Beside, Pools
from headwater.images.data.sweeping import Sweeping
from headwater.images.data.trash import Trash
from headwater.images.events.notices import Notices
from headwater.images.imports.location_import import KIND as LOCATION_IMPORT
from headwater.images.imports.location_import import LocationImport
from headwater.images.imports.plugins.conversion import is_converted
from headwater.images.imports.plugins.processing import Plugins
from headwater.images.imports.plugins.registry import open_plugins
from headwater.images.imports.regions.remote_image import RemoteImages
from headwater.images.imports.runs.job import KIND as IMPORT
from headwater.images.imports.runs.job import ImportRuns
from headwater.images.imports.service import Imports
from headwater.images.imports.staging import ChosenUploads, ImportedUploads, Staging
from headwater.images.imports.task_service import TaskService
from headwater.images.imports.web_copy import KIND as COPY
from headwater.images.imports.web_copy import WebCopy
from headwater.images.locations.content import Contents
from headwater.images.locations.known_stores import ONE_STORE, KnownStores, StoreFault
from headwater.images.locations.service import Locations, Web
from headwater.images.metadefs.catalogue import MetadefRows
from headwater.images.metadefs.service import Metadefs
from headwater.images.model import Image
from headwater.images.properties.guard import open_guard
from headwater.images.quotas.limits import open_limits
from headwater.images.quotas.service import Quotas
from headwater.images.retention.last_used import LastUsed
from headwater.images.retention.retention import InstanceImages, NoInstances, Retention
from headwater.images.service import Images
from headwater.images.sharing.private_paths import PrivatePaths
from headwater.images.sharing.service import Sharing
from headwater.images.signatures.claim import PROPERTIES
from headwater.images.signatures.registry import open_signatures
from headwater.images.v1.images import ImagesV1
from headwater.images.v1.sharing import SharingV1
from headwater.jobs.overview import Overview
from headwater.jobs.queue import Jobs
from headwater.jobs.runner import Handler, Runner
from headwater.jobs.standing import standing
from headwater.stores.store import ObjectStore

if TYPE_CHECKING:
    from headwater.identity.keystone.regions import Regions


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
        instances: InstanceImages = NoInstances(),  # noqa: B008 - holds nothing
        store_faults: Callable[[], Mapping[str, StoreFault]] = dict,
        beside: Callable[[Image], Beside | None] = lambda _: None,
        feeds: FeedFiles = FeedFiles(),  # noqa: B008 - frozen
    ) -> None:
        """Make the parts.

        Args:
            beside: Returns what else is made of the data that is uploaded for an image.
            feeds: Of which deleted images feeds go on giving files.
            instances: Knows which images the instances need that are registered here.
            data_dir: Where Headwater keeps what it keeps itself.
            store_faults: Returns what is wrong with stores now.

        Raises:
            SettingsError: Something cannot work with these settings.
        """
        limits = sections.images
        self.catalogue = ImageRows(database)
        self.public = PublicImageRows(database)
        self.access = access = Access(self.catalogue, policy)
        self.notifications = Notifications(sections.notifications, database)
        self.quotas = Quotas(open_limits(sections.quotas, sections.keystone), ProjectUsage(database))
        changes = open_changes(database, access, self.notifications, self.quotas.allowance)
        discarded = DiscardedObjectRows(database)
        scrubber = Scrubber(discarded, stores)
        guard = open_guard(limits, policy)
        signatures = open_signatures(sections.signatures, sections.keystone)
        contents = Contents(limits, signatures)
        web = Web(stores, fetcher, limits.size_cap)
        location_rows = LocationRows(database)
        self.last_used = LastUsed(ImageUseRows(database))
        self.locations = Locations(location_rows, access, stores, web, limits, known=known, used=self.last_used.note)
        self._cache = open_cache(sections.cache, pools.caching, tally)
        self.images = Images(
            access,
            changes,
            scrubber,
            limits,
            locations=self.locations,
            guard=guard,
            known=known,
            store_faults=store_faults,
            forget=self._cache.forget if self._cache is not None else lambda _: None,
            feeds=feeds,
        )
        self.creation = ImageCreation(self.images, IdempotencyKeyRows(database))
        running = Running()
        records = UploadRows(database)
        transferring = Pools(pools.hashing, pools.storing)
        self._leftovers = Leftovers(changes, records, scrubber, running)
        uses = (changes, records, scrubber, stores, limits)
        remote_images = RemoteImages(
            lambda: _regions(sections.keystone), TokenCipher(sections.keystone), fetcher, limits, guard
        )
        self.imports = Imports(
            changes,
            self.catalogue,
            stores,
            fetcher,
            limits,
            remote_images=remote_images,
            store_faults=store_faults,
        )
        conversion = sections.import_plugins.image_conversion
        self.uploads = ChosenUploads(
            *uses,
            imported=ImportedUploads(
                *uses, imports=self.imports, pools=transferring, running=running, signatures=signatures
            ),
            is_imported=self._is_converted if conversion.uploads else lambda _: False,
            beside=beside,
            pools=transferring,
            running=running,
            signatures=signatures,
        )
        self._conversion = conversion
        self.staging = Staging(*uses, pools=transferring, running=running, signatures=signatures)
        self.resumable = ResumableUploading(
            self.uploads,
            ResumableUploadRows(database),
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
            used=self.last_used.note,
            cache=self._cache,
        )
        self.cache = CacheService(
            access, self._cache, self.catalogue, self.downloads.places_of, settings=sections.cache, tally=tally
        )
        members = MemberRows(database)
        self.retention = Retention(
            sections.retention,
            self.catalogue,
            ImageUseRows(database),
            members,
            self.images,
            locations=self.locations,
            instances=instances,
            stopping=self._is_stopping,
        )
        self.image_tasks = tasks = TaskRows(database)
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
            ImportObjectRows(database),
            tasks,
            scrubber,
            stores=stores,
            fetcher=fetcher,
            settings=limits,
            signatures=signatures,
            plugins=Plugins(
                open_plugins(sections.import_plugins), sections.import_plugins.scratch_dir or data_dir / "scratch"
            ),
            remote_images=remote_images,
            known=known,
            pools=transferring,
            stopping=self._is_stopping,
            again=self.imports.again,
        )
        handlers = {LOCATION_IMPORT: self.location_import.run, COPY: web_copy.run, IMPORT: self.import_runs.run}
        self._sweeping = Sweeping(discarded, stores, tally, stopping=self._is_stopping)
        self._trash = Trash(changes, PendingDeleteRows(database), stores, stopping=self._is_stopping)
        self._work = ImageJobs(
            Jobs(database),
            Overview(database),
            handlers,
            self._standing(),
            sweeping=self._sweeping,
            trash=self._trash,
            leftovers=self._leftovers,
            resumable=self.resumable,
            pools=pools,
            tally=tally,
            keep_failed_s=sections.jobs.keep_failed_h * 3600,
        )
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
        self._open_sharing(members, changes, policy, limits.member_quota)
        self.metadefs = Metadefs(MetadefRows(database), policy, changes)

    def _open_sharing(self, members: MemberRows, changes: Changes, policy: NamedRules, quota: int) -> None:
        """Name who shares images, in both versions of the API, and who shows them to those who are no callers."""
        self.private_paths = PrivatePaths(PrivatePathRows(changes.database), changes, policy)
        self.sharing = Sharing(self.access, changes, members, quota)
        self.sharing_v1 = SharingV1(self.access, changes, members, quota)

    def _standing(self) -> dict[str, Handler]:
        """Return the house-keeping of the use cases, by name."""
        return {
            **self.retention.handlers,
            "forget-idempotency-keys": standing(self.creation.forget_expired, FORGET_EVERY_S),
            "forget-tasks": standing(self.tasks.forget_expired, FORGET_EVERY_S),
            "forget-events": standing(self.notifications.forget, FORGET_EVERY_S),
            "forget-public-changes": standing(self.public.forget, FORGET_EVERY_S),
        }

    def _is_converted(self, image_id: str) -> bool:
        """Return whether the upload of an image is to be converted."""
        try:
            image = self.catalogue.get(image_id)
        except ImageNotFound:
            return False
        is_signed = all(name in image.properties for name in PROPERTIES)
        return not is_signed and is_converted(image.disk_format, image.container_format, self._conversion)

    @property
    def jobs(self) -> Runner:
        """Who does the jobs that somebody asked for."""
        return self._work.asked

    @property
    def house(self) -> Runner:
        """Who does the house-keeping."""
        return self._work.house

    def renew_leases(self) -> None:
        """Say that this process lives, and so does what it works on."""
        self.uploads.renew()
        self._work.renew()

    def keep_house(self) -> None:
        """Do what only a process of this machine can: it sees who died. The rest are jobs, of one process at a time."""
        self._work.keep_house()

    def stop(self) -> None:
        """Begin no more jobs, and let those that run make way for other processes."""
        self._work.stop()

    def close(self) -> None:
        """Begin nothing more, and wait for what runs."""
        self.stop()
        if self._cache is not None:
            self._cache.close()
        self._work.close()
        with contextlib.suppress(HeadwaterError):
            self.last_used.close()
        self.notifications.close()

    def _is_stopping(self) -> bool:
        return self.jobs.stopping.is_set()


def _regions(settings: KeystoneSettings) -> Regions:
    from headwater.identity.keystone.regions import Regions  # noqa: PLC0415 - most do without Keystone

    return Regions(settings)
