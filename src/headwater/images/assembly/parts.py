"""What the image service is put together of: its settings, its threads, what counts, and parts that others open too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from headwater.activity.journal import Journal
from headwater.activity.notifications.notifier import Notifications
from headwater.activity.notifications.settings import NotificationsSettings
from headwater.database.engine import Database
from headwater.identity.settings import KeystoneSettings
from headwater.images.access import Access
from headwater.images.cache.cache import ImageCache
from headwater.images.cache.directory import CacheDirectory
from headwater.images.cache.fills import Fills
from headwater.images.cache.fills import Tally as CacheTally
from headwater.images.cache.settings import CacheSettings
from headwater.images.catalogue.changes import Changes
from headwater.images.data.sweeping import Tally as SweepTally
from headwater.images.data.trash import Tally as TrashTally
from headwater.images.events.audit import Audit
from headwater.images.events.notices import Notices
from headwater.images.imports.plugins.settings import ImportPluginsSettings
from headwater.images.locations.known_stores import KnownStore, KnownStores
from headwater.images.locations.places import Wrongs
from headwater.images.quotas.limits import QuotasSettings
from headwater.images.quotas.service import Allowance
from headwater.images.retention.settings import RetentionSettings
from headwater.images.settings import ImagesSettings
from headwater.images.signatures.settings import SignaturesSettings
from headwater.jobs.overview import Count
from headwater.jobs.runner import Tally as Attempts
from headwater.jobs.settings import JobsSettings
from headwater.stores.store_type import StoreSettings
from headwater.threads import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sections:
    """The settings of the image service."""

    images: ImagesSettings
    quotas: QuotasSettings
    signatures: SignaturesSettings
    keystone: KeystoneSettings
    notifications: NotificationsSettings
    import_plugins: ImportPluginsSettings
    retention: RetentionSettings
    jobs: JobsSettings
    cache: CacheSettings = field(default_factory=CacheSettings)


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
    caching: Pool  # fetches what is cached


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


def open_cache(settings: CacheSettings, pool: Pool, tally: CacheTally) -> ImageCache | None:
    """Return the cache of this machine.

    Raises:
        SettingsError: Nothing can be kept in its directory.
    """
    if settings.directory is None:
        return None
    directory = CacheDirectory(settings.directory, settings.max_size)
    return ImageCache(directory, Fills(directory, pool, tally), tally)


class Counts(SweepTally, TrashTally, Wrongs, Attempts, CacheTally, Protocol):
    """What is counted of images."""

    def jobs(self, counts: Mapping[str, Count], now: int) -> None:
        """Note how many jobs there are of each kind."""
