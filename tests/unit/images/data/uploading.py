"""What tests of uploads work with."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from contracts.rules import EveryoneMay
from contracts.unheard import UnheardImages, UnheardUploads
from headwater.identity.policy.rules import Rules
from headwater.images.access import Access
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.data.leftovers import Leftovers, Running
from headwater.images.data.scrubber import Scrubber
from headwater.images.data.session import (
    Pools,
    UploadSession,
)
from headwater.images.data.uploads import Uploads
from headwater.images.settings import ImagesSettings
from headwater.stores.memory import MemoryStore
from headwater.stores.store import ObjectStore, StoreUnavailable
from unit.clock import Clock

SECOND = 1_000_000
DATA = bytes(range(256)) * 10


class BrokenStore(MemoryStore):
    """A store that may stop to work."""

    works = True

    def delete(self, key: str) -> None:
        if not self.works:
            raise StoreUnavailable(self.name, "it is broken")
        super().delete(key)


def leftovers(uploads: Uploads) -> Leftovers:
    """Return what clears up in the same process."""
    return Leftovers(uploads._changes, uploads._records, uploads._scrubber, uploads._running, clock=uploads._clock)


def changing(records: UnheardUploads, rules: Rules | None = None, **more: Any) -> Changes:
    """Return the unit of work of uploads."""
    return Changes(records._database, Access(UnheardImages(records._database), rules or EveryoneMay()), **more)


def scrubbing(records: UnheardUploads, stores: Mapping[str, ObjectStore]) -> Scrubber:
    return Scrubber(DiscardedObjectRows(records._database), stores)


def service(
    records: UnheardUploads, store: ObjectStore, pools: Pools, clock: Clock, writer: str = "here", **settings: Any
) -> Uploads:
    return Uploads(
        changing(records),
        records,
        scrubbing(records, {store.name: store}),
        {store.name: store},
        ImagesSettings(**settings),
        pools=pools,
        clock=clock,
        running=Running(writer),
    )


def put(data: UploadSession, *pieces: bytes) -> None:
    """Hand pieces over, and wait until they are worked on."""
    for piece in pieces:
        back = threading.Event()
        data.put(memoryview(piece), back.set)
        assert back.wait(20)


def keys(store: ObjectStore) -> list[str]:
    return [stored.key for stored in store.list()]


def fail(*_arguments: object, **_more: object) -> bool:
    raise StoreUnavailable("x", "the catalogue does not answer")
