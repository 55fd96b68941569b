"""An image that waits for its data, and what takes that."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contracts.image_catalogue import add, an_image
from contracts.unheard import UnheardImages, UnheardUploads
from headwater.database.engine import Database
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.data.session import (
    Pools,
)
from headwater.images.data.uploads import Uploads
from headwater.images.model import Image
from headwater.stores.memory import MemoryStoreSettings
from headwater.threads import Pool
from unit.clock import Clock
from unit.images.data.uploading import (
    BrokenStore,
    service,
)


@pytest.fixture
def records(database: Database) -> UnheardUploads:
    return UnheardUploads(database)


@pytest.fixture
def discarded(database: Database) -> DiscardedObjectRows:
    return DiscardedObjectRows(database)


@pytest.fixture
def store() -> BrokenStore:
    return BrokenStore("memory", MemoryStoreSettings(type="memory", capacity=1 << 20))


@pytest.fixture
def pools() -> Iterator[Pools]:
    made = Pools(Pool("hashing", 2), Pool("storing", 2))
    yield made
    made.hashing.close()
    made.storing.close()


@pytest.fixture
def uploads(records: UnheardUploads, store: BrokenStore, pools: Pools, clock: Clock) -> Uploads:
    return service(records, store, pools, clock)


@pytest.fixture
def image(catalogue: UnheardImages) -> Image:
    made = an_image("x", disk_format="raw", container_format="bare")
    add(catalogue, made)
    return made
