"""The use cases around the trash, with two stores, for its tests."""

from __future__ import annotations

import uuid
from typing import Any

from contracts.image_catalogue import NOON, an_image
from contracts.images.project_quotas import ChangingLimits
from contracts.rules import EveryoneMay
from contracts.unheard import UnheardImages, UnheardLocations, UnheardMembers
from headwater.activity.journal import Entry, Journal
from headwater.database.engine import Database
from headwater.identity.caller import Caller
from headwater.images.access import Access
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.deletions.feed_files import FeedFiles
from headwater.images.catalogue.deletions.pending_deletes import PendingDeleteRows
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.catalogue.usage import ProjectUsage
from headwater.images.data.scrubber import Scrubber
from headwater.images.data.trash import Trash
from headwater.images.model import Image, ImageLocation, Location, Status
from headwater.images.quotas.service import Quotas
from headwater.images.service import Images
from headwater.images.settings import ImagesSettings
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.store import StoreUnavailable
from headwater.testing.object_store import put
from unit.clock import Clock

ANN = Caller(user_id="ann", project_id="p", roles=frozenset({"member"}))
ROOT = Caller(user_id="root", project_id="z", roles=frozenset({"admin"}))
HOUR = 3600
URL = "https://example.org/image"


class Store(MemoryStore):
    """A store that may be away."""

    is_away = False

    def stat(self, key: str) -> Any:
        if self.is_away:
            raise StoreUnavailable(self.name, "it is away")
        return super().stat(key)


class TrashService:
    """The use cases around the trash, with two stores."""

    def __init__(self, database: Database, kept_s: int = HOUR, feeds: FeedFiles = FeedFiles()) -> None:  # noqa: B008
        self.clock = Clock()
        self.told: list[Entry] = []
        self.stores = {name: Store(name, MemoryStoreSettings(type="memory")) for name in ("one", "two")}
        self.catalogue, self.locations = UnheardImages(database), UnheardLocations(database)
        self.members, self.pending = UnheardMembers(database), PendingDeleteRows(database)
        self.limits, self.usage = ChangingLimits(), ProjectUsage(database)
        self.discarded = DiscardedObjectRows(database)
        access = Access(self.catalogue, EveryoneMay())
        allowance = Quotas(self.limits, self.usage).allowance
        changes = Changes(database, access, journal=Journal([self]), room=allowance)
        scrubber = Scrubber(self.discarded, self.stores)
        settings = ImagesSettings(delayed_delete_s=kept_s)
        self.images = Images(access, changes, scrubber, settings, feeds=feeds, clock=self.clock)
        self.trash = Trash(changes, self.pending, self.stores, clock=self.clock)

    def moved(self, _entry: Entry) -> tuple[()]:
        return ()

    def ended(self, entry: Entry, _error: BaseException | None) -> None:
        self.told.append(entry)

    def image(self, *at: Location, **fields: Any) -> Image:
        """Keep an image that has data at these places; by default in both stores."""
        given: dict[str, Any] = {"owner": "p", "size": 4, "status": Status.ACTIVE, **fields}
        image = an_image(**given)
        self.catalogue.create(image, fresh_id=True)
        places = at or tuple(Location(name, f"{image.id}.{uuid.uuid4().hex[:16]}") for name in self.stores)
        held = tuple(ImageLocation(at=each, metadata={"n": n}, verdict="right") for n, each in enumerate(places))
        self.locations.change(image.id, lambda now, _: (now, held), NOON)
        for each in places:
            if not each.is_external:
                put(self.stores[each.store], each.object_key, b"data")
        return self.catalogue.get(image.id)

    def lying(self) -> int:
        return sum(len(list(store.list())) for store in self.stores.values())
