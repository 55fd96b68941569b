"""Uploads that outlive their connection, on every database: what each crash leaves, and who may go on."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator

import pytest

from contracts.rules import EveryoneMay
from contracts.unheard import UnheardImages
from headwater.database.engine import Database
from headwater.identity.caller import OPERATOR
from headwater.images.access import Access
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.discarded import DiscardedObjects
from headwater.images.catalogue.resumed.resumable_uploads import ResumableUploads, UploadNotFound
from headwater.images.catalogue.upload_records import UploadLost, UploadRecords
from headwater.images.catalogue.usage import ProjectUsage
from headwater.images.data.leftovers import Leftovers, Running
from headwater.images.data.resumable.parts import LastPart, Part
from headwater.images.data.resumable.uploads import (
    NotResumable,
    OffsetMismatch,
    ResumableUploading,
    UploadComplete,
    UploadStateLost,
)
from headwater.images.data.scrubber import Scrubber
from headwater.images.data.session import Pools
from headwater.images.data.uploads import Uploads
from headwater.images.model import Status
from headwater.images.service import Images
from headwater.images.settings import ImagesSettings
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.threads import Pool
from unit.clock import Clock

DATA = bytes(range(256)) * 10
HOUR = 3600 * 1_000_000


class House:
    """One process, or another one beside it on the same database and store."""

    def __init__(self, database: Database, store: MemoryStore, clock: Clock, pools: Pools) -> None:
        self.database, self.store, self.clock = database, store, clock
        access = Access(UnheardImages(database), EveryoneMay())
        changes = Changes(database, access)
        stores = {store.name: store}
        scrubber = Scrubber(DiscardedObjects(database), stores)
        settings = ImagesSettings(resumable_upload_ttl_h=2)
        records, running = UploadRecords(database), Running("nobody/1/1")
        self.images = Images(access, changes, scrubber, settings, clock=clock)
        uploads = Uploads(changes, records, scrubber, stores, settings, pools=pools, clock=clock, running=running)
        self.leftovers = Leftovers(changes, records, scrubber, running, clock=clock)
        self.records = ResumableUploads(database)
        self.uploading = ResumableUploading(
            uploads,
            self.records,
            access,
            changes,
            scrubber=scrubber,
            stores=stores,
            settings=settings,
            pools=pools,
            clock=clock,
        )

    def image(self) -> str:
        document = {"disk_format": "raw", "container_format": "bare", "owner": "p"}
        return self.images.create(OPERATOR, document).id

    def part(self, image_id: str, upload_id: str, offset: int, data: bytes, *, last: bool = False) -> Part | LastPart:
        """Begin a part, and put its data in."""
        part = self.uploading.part(OPERATOR, image_id, upload_id, offset=offset, length=None, is_last=last)
        back = threading.Event()
        part.put(memoryview(data), back.set)
        assert back.wait(20)
        return part

    def offset(self, image_id: str, upload_id: str) -> int:
        return self.uploading.progress(OPERATOR, image_id, upload_id).offset

    def status(self, image_id: str) -> Status:
        return self.images.get(OPERATOR, image_id).status

    @property
    def has_bytes(self) -> bool:
        return bool(list(self.store.list()) or self.store._unfinished)


@pytest.fixture
def pools() -> Iterator[Pools]:
    made = Pools(Pool("hashing", 2), Pool("storing", 2))
    yield made
    made.hashing.close()
    made.storing.close()


@pytest.fixture
def house(database: Database, pools: Pools) -> House:
    return House(database, MemoryStore("memory", MemoryStoreSettings(type="memory")), Clock(), pools)


@pytest.fixture
def other(house: House, pools: Pools) -> House:
    return House(house.database, house.store, house.clock, pools)


def test_an_upload_goes_on_in_another_process(house: House, other: House) -> None:
    image_id = house.image()
    upload = house.uploading.begin(OPERATOR, image_id, digests=[("sha256", hashlib.sha256(DATA).digest())])
    house.part(image_id, upload.id, 0, DATA[:100]).finish()
    assert other.offset(image_id, upload.id) == 100
    with pytest.raises(OffsetMismatch, match="100 bytes are kept"):
        other.part(image_id, upload.id, 99, b"")
    other.part(image_id, upload.id, 100, DATA[100:1000]).abandon(ConnectionResetError())
    assert house.offset(image_id, upload.id) == 1000
    house.part(image_id, upload.id, 1000, DATA[1000:], last=True).finish()
    image = other.images.get(OPERATOR, image_id)
    assert (image.status, image.size, image.checksum) == (Status.ACTIVE, len(DATA), hashlib.md5(DATA).hexdigest())
    done = other.uploading.progress(OPERATOR, image_id, upload.id)
    assert (done.is_complete, done.offset) == (True, len(DATA))
    with pytest.raises(UploadComplete):
        other.uploading.cancel(OPERATOR, image_id, upload.id)
    assert ResumableUploads(house.database).orphans() == []


def test_who_was_taken_over_from_changes_nothing_any_more(house: House, other: House) -> None:
    image_id = house.image()
    upload = house.uploading.begin(OPERATOR, image_id)
    old = house.part(image_id, upload.id, 0, DATA, last=True)
    house.store._busy.clear()  # as if its process were gone, which it is not
    assert other.offset(image_id, upload.id) == len(DATA)
    assert not old.is_held
    with pytest.raises(UploadLost):
        old.finish()
    old.abandon(UploadLost(image_id))
    assert house.status(image_id) is Status.SAVING
    other.part(image_id, upload.id, len(DATA), b"", last=True).finish()
    assert house.status(image_id) is Status.ACTIVE
    assert len(list(house.store.list())) == 1


def test_an_object_that_is_whole_when_its_process_ends_is_gone_on_with(
    house: House, other: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = house.image()
    upload = house.uploading.begin(OPERATOR, image_id)
    last = house.part(image_id, upload.id, 0, DATA, last=True)
    with monkeypatch.context() as killed:
        killed.setattr(house.uploading, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            last.finish()
    assert len(list(house.store.list())) == 1
    assert other.offset(image_id, upload.id) == len(DATA)
    assert list(house.store.list()) == []
    other.part(image_id, upload.id, len(DATA), b"", last=True).finish()
    assert house.status(image_id) is Status.ACTIVE


def test_an_upload_waits_for_its_client_for_its_time_and_no_longer(house: House) -> None:
    image_id = house.image()
    upload = house.uploading.begin(OPERATOR, image_id, length=5000)
    house.part(image_id, upload.id, 0, DATA[:100]).finish()
    assert ProjectUsage(house.database).of("p")["image_size_total"] == 5000
    house.clock.now += HOUR
    assert house.offset(image_id, upload.id) == 100  # from here on it is 2 h again
    house.clock.now += 2 * HOUR
    assert (house.leftovers.clear_dead(), house.leftovers.clear_expired(), house.uploading.clear()) == (0, 0, 0)
    assert house.status(image_id) is Status.SAVING
    house.clock.now += 1
    assert house.leftovers.clear_expired() == 1
    house.uploading.clear()
    with pytest.raises(UploadNotFound):
        house.records.get(image_id, upload.id)
    assert house.status(image_id) is Status.QUEUED
    assert ProjectUsage(house.database).of("p")["image_size_total"] == 0


def test_a_deleted_image_takes_its_upload_along_whether_somebody_sends_or_not(house: House) -> None:
    for sends in (False, True):
        image_id = house.image()
        upload = house.uploading.begin(OPERATOR, image_id, length=5000)
        part = house.part(image_id, upload.id, 0, DATA)
        if not sends:
            part.finish()
        house.images.delete(OPERATOR, image_id)
        assert house.uploading.clear() == 1
        if sends:
            assert not part.is_held
            part.abandon(UploadLost(image_id))
        assert house.uploading.clear() == 0
        Scrubber(DiscardedObjects(house.database), {"memory": house.store}).sweep()
        assert not house.has_bytes
    assert ProjectUsage(house.database).of("p")["image_size_total"] == 0


def test_bytes_that_the_store_has_lost_are_never_claimed(house: House) -> None:
    image_id = house.image()
    upload = house.uploading.begin(OPERATOR, image_id)
    house.part(image_id, upload.id, 0, DATA).finish()
    house.store.delete(upload.location.object_key)
    with pytest.raises(UploadStateLost):
        house.offset(image_id, upload.id)
    assert house.status(image_id) is Status.QUEUED
    with pytest.raises(UploadNotFound):
        house.offset(image_id, upload.id)


def test_an_upload_that_is_given_up_leaves_nothing(house: House) -> None:
    image_id = house.image()
    for _ in range(2):
        upload = house.uploading.begin(OPERATOR, image_id)
        house.part(image_id, upload.id, 0, DATA).finish()
        house.uploading.cancel(OPERATOR, image_id, upload.id)
        assert not house.has_bytes
        assert house.status(image_id) is Status.QUEUED


def test_a_store_that_cannot_go_on_says_so_and_the_image_still_waits(house: House, pools: Pools) -> None:
    store = MemoryStore("memory", MemoryStoreSettings(type="memory"))
    store.abilities = type(store.abilities)(shared_by_processes=False, gives_paths=False, has_identity=False)
    poor = House(house.database, store, house.clock, pools)
    image_id = poor.image()
    assert not poor.uploading.is_offered
    with pytest.raises(NotResumable, match="in one request"):
        poor.uploading.begin(OPERATOR, image_id)
    assert poor.status(image_id) is Status.QUEUED
