"""Uploads that outlive their connection, on every database: what each crash leaves, and who may go on."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from contracts.rules import EveryoneMay
from contracts.unheard import UnheardImages
from headwater.database.engine import Database
from headwater.errors import Forbidden
from headwater.identity.caller import OPERATOR, Caller
from headwater.images.access import Access
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.catalogue.resumed.resumable_uploads import ResumableUploadRows, UploadNotFound
from headwater.images.catalogue.upload_records import UploadLost, UploadRows
from headwater.images.catalogue.usage import ProjectUsage
from headwater.images.data.leftovers import Leftovers, Running
from headwater.images.data.resumable.checked import PartMismatch
from headwater.images.data.resumable.errors import (
    InconsistentDigest,
    MoreThanComplete,
    NotResumable,
    OffsetMismatch,
    UploadComplete,
    UploadStateLost,
    UploadUnderWay,
)
from headwater.images.data.resumable.parts import LastPart, Part
from headwater.images.data.resumable.uploads import ResumableUploading
from headwater.images.data.scrubber import Scrubber
from headwater.images.data.session import DigestMismatch, Pools
from headwater.images.data.uploads import Uploads
from headwater.images.model import Status, StatusConflict
from headwater.images.service import Images
from headwater.images.settings import ImagesSettings
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.store import StoreUnavailable
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
        scrubber = Scrubber(DiscardedObjectRows(database), stores)
        settings = ImagesSettings(resumable_upload_ttl_h=2)
        records, running = UploadRows(database), Running("nobody/1/1")
        self.images = Images(access, changes, scrubber, settings, clock=clock)
        uploads = Uploads(changes, records, scrubber, stores, settings, pools=pools, clock=clock, running=running)
        self.leftovers = Leftovers(changes, records, scrubber, running, clock=clock)
        self.records = ResumableUploadRows(database)
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


def test_what_a_part_says_of_all_the_data_every_process_knows(house: House, other: House) -> None:
    image_id = house.image()
    upload = house.uploading.begin(OPERATOR, image_id)
    said = [("sha256", hashlib.sha256(DATA).digest())]
    begun = house.uploading.part(OPERATOR, image_id, upload.id, offset=0, length=None, is_last=False, digests=said)
    begun.finish()
    with pytest.raises(InconsistentDigest, match="by sha256 was said before"):
        other.uploading.part(
            OPERATOR, image_id, upload.id, offset=0, length=None, is_last=False, digests=[("sha256", bytes(32))]
        )
    with pytest.raises(DigestMismatch):
        other.part(image_id, upload.id, 0, DATA[1:], last=True).finish()


class MayNotChange(EveryoneMay):
    """Lets everybody bring data, and change nothing."""

    def require(self, rule: str, caller: Caller, target: Mapping[str, Any]) -> None:
        if rule == "modify_image":
            raise Forbidden("not yours to change")


@pytest.mark.parametrize(("rules", "name"), [(EveryoneMay(), "disk.img"), (MayNotChange(), None)])
def test_only_who_may_change_an_image_gives_it_the_name_of_a_file(
    house: House, rules: EveryoneMay, name: str | None
) -> None:
    house.uploading._access = Access(UnheardImages(house.database), rules)
    image_id = house.image()
    house.uploading.begin(OPERATOR, image_id, name="disk.img")
    assert (house.images.get(OPERATOR, image_id).name, house.status(image_id)) == (name, Status.SAVING)


@pytest.mark.parametrize("last", [False, True])
def test_a_part_that_is_something_else_is_taken_back_and_another_process_goes_on_before_it(
    house: House, other: House, last: bool
) -> None:
    image_id = house.image()
    upload = house.uploading.begin(OPERATOR, image_id)
    house.part(image_id, upload.id, 0, DATA[:100]).finish()
    checks = [("sha1", hashlib.sha1(DATA[100:]).digest())]
    for data in (bytes(len(DATA) - 100), DATA[100:]):
        part = house.uploading.part(OPERATOR, image_id, upload.id, offset=100, length=None, is_last=last, checks=checks)
        back = threading.Event()
        part.put(memoryview(data), back.set)
        assert back.wait(20)
        if data != DATA[100:]:
            with pytest.raises(PartMismatch, match="go on at byte 100") as caught:
                part.finish()
            part.abandon(caught.value)
            assert other.offset(image_id, upload.id) == 100
        else:
            assert part.finish().offset == len(DATA)


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
    assert ResumableUploadRows(house.database).orphans() == []


def test_a_second_upload_of_an_image_is_told_of_the_first_while_that_is_under_way(house: House, other: House) -> None:
    image_id = house.image()
    upload = house.uploading.begin(OPERATOR, image_id)
    with pytest.raises(UploadUnderWay) as told:
        other.uploading.begin(OPERATOR, image_id)
    assert (told.value.image_id, told.value.upload_id) == (image_id, upload.id)
    house.part(image_id, upload.id, 0, DATA, last=True).finish()
    with pytest.raises(StatusConflict):
        other.uploading.begin(OPERATOR, image_id)


def test_a_complete_upload_takes_nothing_more_and_says_why(house: House) -> None:
    image_id = house.image()
    upload = house.uploading.begin(OPERATOR, image_id)
    done = house.part(image_id, upload.id, 0, DATA, last=True).finish()
    assert done.image == house.images.get(OPERATOR, image_id)
    assert done.image == house.uploading.progress(OPERATOR, image_id, upload.id).image

    def part(offset: int, end: int | None) -> None:
        house.uploading.part(OPERATOR, image_id, upload.id, offset=offset, length=None, is_last=True, end=end)

    with pytest.raises(OffsetMismatch, match="all of the data"):
        part(0, 0)
    with pytest.raises(MoreThanComplete):
        part(len(DATA), None)
    with pytest.raises(UploadComplete):
        part(len(DATA), len(DATA))


def test_data_that_is_refused_once_all_of_it_came_is_told_from_an_upload_that_failed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id = house.image()
    upload = house.uploading.begin(OPERATOR, image_id, digests=[("md5", b"x" * 16)])
    part = house.part(image_id, upload.id, 0, DATA, last=True)
    with pytest.raises(DigestMismatch) as refused:
        part.finish()
    part.abandon(refused.value)
    assert refused.value.headers == {"Upload-Complete": "?1"}

    upload = house.uploading.begin(OPERATOR, image_id)
    part = house.part(image_id, upload.id, 0, DATA, last=True)

    def fails(*_arguments: object) -> None:
        raise StoreUnavailable("memory", "down")

    monkeypatch.setattr(house.uploading, "finish", fails)
    with pytest.raises(StoreUnavailable) as failed:
        part.finish()
    assert "Upload-Complete" not in failed.value.headers
    with pytest.raises(DigestMismatch):
        digest = ("sha256", bytes(32))
        house.uploading.begin(OPERATOR, (second := house.image()))
        begun = house.records.under_way(second)
        assert begun is not None
        house.uploading.part(OPERATOR, second, begun, offset=0, length=None, is_last=True, digests=[digest]).finish()


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
        Scrubber(DiscardedObjectRows(house.database), {"memory": house.store}).sweep()
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
