from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from contracts.image_catalogue import NOON, add, an_image
from contracts.rules import EveryoneMay
from contracts.unheard import UnheardImages, UnheardUploads
from headwater.activity.journal import Entry, Journal
from headwater.database import tables
from headwater.database.engine import Database
from headwater.errors import Forbidden
from headwater.fetching.fetcher import Fetcher, FetchSettings
from headwater.identity.caller import OPERATOR, Caller
from headwater.identity.policy.rules import Rules
from headwater.images.access import Access
from headwater.images.catalogue.changes import Changes
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.catalogue.upload_records import ImageGone, Upload, UploadLost
from headwater.images.data.downloads import Downloads
from headwater.images.data.leftovers import Leftovers, Running
from headwater.images.data.scrubber import Scrubber
from headwater.images.data.session import (
    DigestMismatch,
    DigestUnforeseen,
    ImageTooLarge,
    Pools,
    SizeMismatch,
    Terms,
    UploadSession,
)
from headwater.images.data.uploads import StoreUnknown, Uploads
from headwater.images.inspection.inspect import ContentMismatch, ContentUnsafe
from headwater.images.locations.reading import DataMissing
from headwater.images.model import FormatsMissing, Image, Status, StatusConflict
from headwater.images.settings import ImagesSettings
from headwater.jobs.leases import LEASE_S, writer_name
from headwater.stores.file import FileStore, FileStoreSettings
from headwater.stores.memory import MemoryStore, MemoryStoreSettings
from headwater.stores.store import ObjectStore, StoreFull, StoreUnavailable
from headwater.stores.web import HttpStore
from headwater.testing import object_store
from headwater.testing.object_store import marked
from headwater.threads import Pool
from unit.clock import Clock
from unit.images.inspection.disk_images import qcow2

SECOND = 1_000_000
DATA = bytes(range(256)) * 10


class BrokenStore(MemoryStore):
    """A store that may stop to work."""

    works = True

    def delete(self, key: str) -> None:
        if not self.works:
            raise StoreUnavailable(self.name, "it is broken")
        super().delete(key)


@pytest.fixture
def records(database: Database) -> UnheardUploads:
    return UnheardUploads(database)


@pytest.fixture
def discarded(database: Database) -> DiscardedObjectRows:
    return DiscardedObjectRows(database)


def leftovers(uploads: Uploads) -> Leftovers:
    """Return what clears up in the same process."""
    return Leftovers(uploads._changes, uploads._records, uploads._scrubber, uploads._running, clock=uploads._clock)


def changing(records: UnheardUploads, rules: Rules | None = None, **more: Any) -> Changes:
    """Return the unit of work of uploads."""
    return Changes(records._database, Access(UnheardImages(records._database), rules or EveryoneMay()), **more)


def scrubbing(records: UnheardUploads, stores: Mapping[str, ObjectStore]) -> Scrubber:
    return Scrubber(DiscardedObjectRows(records._database), stores)


@pytest.fixture
def store() -> BrokenStore:
    return BrokenStore("memory", MemoryStoreSettings(type="memory", capacity=1 << 20))


@pytest.fixture
def pools() -> Iterator[Pools]:
    made = Pools(Pool("hashing", 2), Pool("storing", 2))
    yield made
    made.hashing.close()
    made.storing.close()


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


@pytest.fixture
def uploads(records: UnheardUploads, store: BrokenStore, pools: Pools, clock: Clock) -> Uploads:
    return service(records, store, pools, clock)


@pytest.fixture
def image(catalogue: UnheardImages) -> Image:
    made = an_image("x", disk_format="raw", container_format="bare")
    add(catalogue, made)
    return made


def put(data: UploadSession, *pieces: bytes) -> None:
    """Hand pieces over, and wait until they are worked on."""
    for piece in pieces:
        back = threading.Event()
        data.put(memoryview(piece), back.set)
        assert back.wait(20)


def keys(store: ObjectStore) -> list[str]:
    return [stored.key for stored in store.list()]


def test_an_upload_makes_the_image_active(
    uploads: Uploads, catalogue: UnheardImages, records: UnheardUploads, store: BrokenStore, image: Image, clock: Clock
) -> None:
    data = uploads.begin(OPERATOR, image.id)
    assert catalogue.get(image.id).status is Status.SAVING
    put(data, DATA[:1000], DATA[1000:])
    clock.now += SECOND
    active = data.finish()
    assert active == catalogue.get(image.id)
    assert (active.status, active.size, active.virtual_size) == (Status.ACTIVE, len(DATA), len(DATA))
    assert active.checksum == hashlib.md5(DATA).hexdigest()
    assert (active.os_hash_algo, active.os_hash_value) == ("sha512", hashlib.sha512(DATA).hexdigest())
    assert active.updated_at == NOON + SECOND
    location = catalogue.location(image.id)
    assert location is not None
    assert b"".join(store.read(location.object_key)) == DATA
    assert keys(store) == [location.object_key]
    assert records.uploads() == []


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_the_multihash_is_of_the_configured_algorithm(
    records: UnheardUploads, store: BrokenStore, pools: Pools, clock: Clock, image: Image, algorithm: str
) -> None:
    data = service(records, store, pools, clock, hash_algorithm=algorithm).begin(OPERATOR, image.id)
    put(data, DATA)
    active = data.finish()
    assert (active.os_hash_algo, active.os_hash_value) == (algorithm, hashlib.new(algorithm, DATA).hexdigest())


def test_no_bytes_are_an_image_too(uploads: Uploads, image: Image) -> None:
    active = uploads.begin(OPERATOR, image.id).finish()
    assert (active.size, active.checksum) == (0, "d41d8cd98f00b204e9800998ecf8427e")


def test_each_upload_has_a_place_of_its_own(uploads: Uploads, catalogue: UnheardImages, image: Image) -> None:
    first = uploads.begin(OPERATOR, image.id)
    first.abandon()
    assert uploads.begin(OPERATOR, image.id).location != first.location


def test_an_image_that_does_not_wait_is_refused(uploads: Uploads, catalogue: UnheardImages, image: Image) -> None:
    with pytest.raises(ImageNotFound):
        uploads.begin(OPERATOR, "nobody")
    uploads.begin(OPERATOR, image.id)
    with pytest.raises(StatusConflict):
        uploads.begin(OPERATOR, image.id)
    formless = an_image(disk_format="raw")
    add(catalogue, formless)
    with pytest.raises(FormatsMissing, match=r"Property container_format must be set prior to saving data\."):
        uploads.begin(OPERATOR, formless.id)
    assert catalogue.get(formless.id) == formless


def test_a_size_that_does_not_fit_is_refused_before_the_first_byte(
    catalogue: UnheardImages, records: UnheardUploads, store: BrokenStore, pools: Pools, clock: Clock, image: Image
) -> None:
    uploads = service(records, store, pools, clock, size_cap=100)
    with pytest.raises(ImageTooLarge, match="100 bytes"):
        uploads.begin(OPERATOR, image.id, 101)
    assert catalogue.get(image.id) == image
    with pytest.raises(StoreFull):
        service(records, store, pools, clock).begin(OPERATOR, image.id, 2 << 20)
    assert catalogue.get(image.id).status is Status.QUEUED
    assert records.uploads() == []


def test_more_bytes_than_announced_or_allowed_are_refused(
    catalogue: UnheardImages, records: UnheardUploads, store: BrokenStore, pools: Pools, clock: Clock, image: Image
) -> None:
    for size, cap, error in ((5, 1 << 30, SizeMismatch), (None, 5, ImageTooLarge)):
        data = service(records, store, pools, clock, size_cap=cap).begin(OPERATOR, image.id, size)
        put(data, b"12345")
        with pytest.raises(error):
            data.put(memoryview(b"6"), lambda: pytest.fail("released"))
        data.abandon()
        assert catalogue.get(image.id).status is Status.QUEUED
    assert keys(store) == []


def test_fewer_bytes_than_announced_are_refused(uploads: Uploads, image: Image, store: BrokenStore) -> None:
    data = uploads.begin(OPERATOR, image.id, 10)
    put(data, b"12345")
    with pytest.raises(SizeMismatch, match="expected 10 bytes, got 5 bytes"):
        data.finish()
    data.abandon()
    assert keys(store) == []


def test_what_goes_wrong_in_a_lane_is_told_to_who_brings_the_data(
    uploads: Uploads, catalogue: UnheardImages, store: BrokenStore
) -> None:
    image = an_image(disk_format="qcow2", container_format="bare")
    add(catalogue, image)
    data = uploads.begin(OPERATOR, image.id)
    put(data, bytes(100_000))
    with pytest.raises(ContentMismatch):
        data.put(memoryview(b"more"), lambda: pytest.fail("released"))
    with pytest.raises(ContentMismatch):
        data.finish()
    data.abandon()
    assert keys(store) == []
    assert replace(catalogue.get(image.id), revision=0) == image


def test_an_archive_need_not_be_what_disk_format_says(uploads: Uploads, catalogue: UnheardImages) -> None:
    image = an_image(disk_format="vmdk", container_format="ova")
    add(catalogue, image)
    data = uploads.begin(OPERATOR, image.id)
    put(data, b"a tar archive, say")
    assert data.finish().virtual_size is None


@pytest.mark.parametrize("container_format", ["bare", "ovf", "ova", "docker", "compressed", "aki", "ari", "ami"])
def test_no_container_format_saves_a_disk_from_being_looked_at(
    uploads: Uploads, catalogue: UnheardImages, container_format: str
) -> None:
    image = an_image(disk_format="qcow2", container_format=container_format)
    add(catalogue, image)
    data = uploads.begin(OPERATOR, image.id)
    put(data, qcow2(backing="/etc/passwd"))
    with pytest.raises(ContentUnsafe, match="backing file"):
        data.finish()
    data.abandon()
    assert catalogue.get(image.id).status == Status.QUEUED


@pytest.mark.parametrize("disk_format", ["qcow2", "vmdk", "vhd", "vhdx", "vdi", "iso"])
def test_nothing_at_all_is_an_image_of_no_format(uploads: Uploads, catalogue: UnheardImages, disk_format: str) -> None:
    """Raw is another matter: Nova uploads nothing to a snapshot whose data lies in a volume."""
    image = an_image(disk_format=disk_format, container_format="bare")
    add(catalogue, image)
    data = uploads.begin(OPERATOR, image.id)
    with pytest.raises(ContentMismatch, match="empty"):
        data.finish()
    data.abandon()


def test_the_virtual_size_is_what_a_guest_sees(uploads: Uploads, catalogue: UnheardImages) -> None:
    image = an_image(disk_format="qcow2", container_format="bare")
    add(catalogue, image)
    data = uploads.begin(OPERATOR, image.id)
    put(data, qcow2(size=7 << 30))
    assert data.finish().virtual_size == 7 << 30


def test_an_image_deleted_meanwhile_takes_its_bytes_with_it(
    uploads: Uploads, catalogue: UnheardImages, records: UnheardUploads, store: BrokenStore, image: Image
) -> None:
    data = uploads.begin(OPERATOR, image.id)
    put(data, DATA)
    catalogue.delete(image.id, Image.require_deletable, NOON)
    with pytest.raises(ImageGone):
        data.finish()
    data.abandon()
    assert keys(store) == []
    assert records.uploads() == []


# --- What others left ---------------------------------------------------------------------------------


def test_a_silent_writer_loses_its_upload_and_its_bytes(
    uploads: Uploads,
    catalogue: UnheardImages,
    records: UnheardUploads,
    store: BrokenStore,
    pools: Pools,
    clock: Clock,
    image: Image,
) -> None:
    data = uploads.begin(OPERATOR, image.id)
    put(data, DATA)
    other = service(records, store, pools, clock, "there")
    clock.now += LEASE_S * SECOND
    assert leftovers(other).clear_all() == 0
    assert catalogue.get(image.id).status is Status.SAVING
    clock.now += 1
    assert leftovers(other).clear_all() == 1
    assert catalogue.get(image.id).status is Status.QUEUED
    with pytest.raises(UploadLost):
        data.finish()
    data.abandon()
    assert keys(store) == []
    assert catalogue.get(image.id).status is Status.QUEUED


def test_a_clock_that_steps_takes_no_upload_from_a_neighbour_that_lives(
    catalogue: UnheardImages, records: UnheardUploads, store: BrokenStore, pools: Pools, clock: Clock, image: Image
) -> None:
    data = service(records, store, pools, clock, writer_name()).begin(OPERATOR, image.id)
    put(data, DATA)
    clock.now += 600 * SECOND
    assert leftovers(service(records, store, pools, clock, "there")).clear_all() == 0
    assert data.finish().status is Status.ACTIVE


def test_leases_are_renewed_while_nothing_is_written_to_the_books_of_who_uploads_nothing(
    uploads: Uploads, records: UnheardUploads, image: Image, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    renew = records.renew_uploads

    def listen(writer: str, at: int) -> None:
        written.append(at)
        renew(writer, at)

    monkeypatch.setattr(records, "renew_uploads", listen)
    uploads.renew()
    assert written == []
    uploads.begin(OPERATOR, image.id)
    clock.now += SECOND
    uploads.renew()
    assert [upload.expires_at for upload in records.uploads()] == written == [clock.now + LEASE_S * SECOND]


def test_a_writer_that_lives_keeps_its_upload(
    uploads: Uploads, records: UnheardUploads, store: BrokenStore, pools: Pools, clock: Clock, image: Image
) -> None:
    data = uploads.begin(OPERATOR, image.id)
    put(data, DATA)
    other = service(records, store, pools, clock, "there")
    for _ in range(10):
        clock.now += 30 * SECOND
        uploads.renew()
        assert leftovers(other).clear_all() == leftovers(uploads).clear_all() == 0
    assert data.finish().status is Status.ACTIVE


def test_an_active_image_never_loses_its_bytes_to_who_clears(
    uploads: Uploads, catalogue: UnheardImages, store: BrokenStore, pools: Pools, clock: Clock, image: Image
) -> None:
    """The writer finishes after the other one saw that its lease ran out, before the bytes are removed."""
    data = uploads.begin(OPERATOR, image.id)
    put(data, DATA)
    clock.now += 10 * LEASE_S * SECOND

    class Between(UnheardUploads):
        def uploads(self) -> list[Upload]:
            found = super().uploads()
            data.finish()
            return found

    late = service(Between(catalogue._database), store, pools, clock, "there")
    assert leftovers(late).clear_all() == 0
    location = catalogue.location(image.id)
    assert location is not None
    assert b"".join(store.read(location.object_key)) == DATA


def test_an_image_waits_again_when_the_store_cannot_remove_the_bytes(
    uploads: Uploads, catalogue: UnheardImages, discarded: DiscardedObjectRows, store: BrokenStore, image: Image
) -> None:
    data = uploads.begin(OPERATOR, image.id)
    put(data, DATA)
    data._writer.commit()
    store.works = False
    data.abandon()
    assert catalogue.get(image.id).status is Status.QUEUED
    assert leftovers(uploads).clear_all() == 0
    assert keys(store) == [data.location.object_key]
    store.works = True
    assert leftovers(uploads).clear_all() == 1
    assert keys(store) == []
    assert discarded.oldest(10) == []


def test_an_upload_that_the_catalogue_could_not_give_back_is_given_back_later(
    uploads: Uploads,
    catalogue: UnheardImages,
    records: UnheardUploads,
    store: BrokenStore,
    image: Image,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The process lives on, so nobody else would ever clear it."""
    data = uploads.begin(OPERATOR, image.id)
    with monkeypatch.context() as broken:
        broken.setattr(records._database, "write", _fail)
        with pytest.raises(StoreUnavailable):
            data.abandon()
    assert catalogue.get(image.id).status is Status.SAVING
    leftovers(uploads).clear_all()
    assert catalogue.get(image.id).status is Status.QUEUED


def test_an_upload_whose_end_the_catalogue_kept_without_saying_so_keeps_its_bytes(
    uploads: Uploads,
    catalogue: UnheardImages,
    records: UnheardUploads,
    store: BrokenStore,
    image: Image,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A connection that breaks during COMMIT: nobody knows, but the catalogue, whether it counted."""
    data = uploads.begin(OPERATOR, image.id)
    put(data, DATA)
    write = records._database.write

    def write_and_fail(work: Any) -> Any:
        write(work)
        raise StoreUnavailable("x", "the connection to the catalogue broke")

    with monkeypatch.context() as broken:
        broken.setattr(records._database, "write", write_and_fail)
        with pytest.raises(StoreUnavailable):
            data.finish()
    data.abandon()
    assert catalogue.get(image.id).status is Status.ACTIVE
    assert keys(store) == [data.location.object_key]
    assert leftovers(uploads).clear_all() == 0


def _fail(*_arguments: object, **_more: object) -> bool:
    raise StoreUnavailable("x", "the catalogue does not answer")


def test_a_running_upload_of_this_process_is_no_leftover(
    uploads: Uploads, catalogue: UnheardImages, clock: Clock, image: Image
) -> None:
    data = uploads.begin(OPERATOR, image.id)
    clock.now += 100 * LEASE_S * SECOND
    assert leftovers(uploads).clear_all() == 0
    put(data, DATA)
    assert data.finish().status is Status.ACTIVE


def test_bytes_of_deleted_images_are_removed(
    uploads: Uploads, catalogue: UnheardImages, store: BrokenStore, image: Image
) -> None:
    data = uploads.begin(OPERATOR, image.id)
    put(data, DATA)
    data.finish()
    catalogue.delete(image.id, Image.require_deletable, NOON)
    assert len(keys(store)) == 1
    assert leftovers(uploads).clear_all() == 1
    assert keys(store) == []


# --- Downloads ----------------------------------------------------------------------------------------


def test_only_an_image_with_data_can_be_downloaded(
    uploads: Uploads, catalogue: UnheardImages, store: BrokenStore, image: Image
) -> None:
    access = Access(catalogue, EveryoneMay())
    downloads = Downloads(catalogue, access, {store.name: store})
    with pytest.raises(ImageNotFound):
        downloads.open(OPERATOR, "nobody")
    assert downloads.open(OPERATOR, image.id) is None
    data = uploads.begin(OPERATOR, image.id)
    put(data, DATA)
    assert downloads.open(OPERATOR, image.id) is None
    data.finish()
    opened = downloads.open(OPERATOR, image.id)
    assert opened is not None
    assert b"".join(opened.read(0, len(DATA))) == DATA
    catalogue.change(image.id, lambda now: now.moved_to(Status.DEACTIVATED))
    assert downloads.open(OPERATOR, image.id) is not None


def test_data_is_described_where_it_is_there(
    uploads: Uploads, catalogue: UnheardImages, store: BrokenStore, image: Image
) -> None:
    downloads = Downloads(catalogue, Access(catalogue, EveryoneMay()), {store.name: store})
    assert downloads.describe(OPERATOR, image.id) is None
    data = uploads.begin(OPERATOR, image.id)
    put(data, DATA)
    data.finish()
    described = downloads.describe(OPERATOR, image.id)
    assert described is not None
    assert described.size == len(DATA)
    with pytest.raises(ImageNotFound):
        downloads.describe(OPERATOR, "nobody")
    store.close()
    with pytest.raises(DataMissing):
        downloads.describe(OPERATOR, image.id)


def test_lost_data_is_named(uploads: Uploads, catalogue: UnheardImages, store: BrokenStore, image: Image) -> None:
    data = uploads.begin(OPERATOR, image.id)
    put(data, DATA)
    data.finish()
    store.close()
    access = Access(catalogue, EveryoneMay())
    with pytest.raises(DataMissing, match=f"data of image {image.id} is missing from store memory"):
        Downloads(catalogue, access, {store.name: store}).open(OPERATOR, image.id)


def test_data_in_a_store_that_is_not_there_is_not_lost(
    uploads: Uploads, catalogue: UnheardImages, store: BrokenStore, image: Image, tmp_path: Path
) -> None:
    data = uploads.begin(OPERATOR, image.id)
    put(data, DATA)
    data.finish()
    access = Access(catalogue, EveryoneMay())
    with pytest.raises(StoreUnavailable, match="store memory does not work"):
        Downloads(catalogue, access, {}).open(OPERATOR, image.id)
    away = marked(FileStore("memory", FileStoreSettings(), tmp_path / "away"))
    shutil.rmtree(tmp_path / "away")
    with pytest.raises(StoreUnavailable, match="is it mounted"):
        Downloads(catalogue, access, {"memory": away}).open(OPERATOR, image.id)


def test_data_that_one_store_has_lost_is_read_from_another(
    uploads: Uploads,
    catalogue: UnheardImages,
    records: UnheardUploads,
    store: BrokenStore,
    image: Image,
    tmp_path: Path,
) -> None:
    data = uploads.begin(OPERATOR, image.id)
    put(data, DATA)
    data.finish()
    key = data.location.object_key
    row = {"image_id": image.id, "position": 1, "store": "files", "object_key": key, "metadata": "{}"}
    records._database.write(lambda connection: connection.execute(insert(tables.image_locations), row))
    files = marked(FileStore("files", FileStoreSettings(), tmp_path / "files"))
    downloads = Downloads(catalogue, Access(catalogue, EveryoneMay()), {store.name: store, "files": files})
    store.close()
    with pytest.raises(DataMissing):
        downloads.open(OPERATOR, image.id)
    shutil.rmtree(tmp_path / "files")
    with pytest.raises(StoreUnavailable):  # it may have it
        downloads.open(OPERATOR, image.id)
    files = marked(FileStore("files", FileStoreSettings(), tmp_path / "files"))
    object_store.put(files, key, DATA)
    downloads = Downloads(catalogue, Access(catalogue, EveryoneMay()), {store.name: store, "files": files})
    opened = downloads.open(OPERATOR, image.id)
    assert opened is not None
    assert b"".join(opened.read(0, len(DATA))) == DATA


# --- Stores -------------------------------------------------------------------------------------------


def test_the_first_store_that_takes_uploads_takes_them(
    records: UnheardUploads, store: BrokenStore, pools: Pools
) -> None:
    web = HttpStore("web", Fetcher(FetchSettings()))
    uploads = Uploads(
        changing(records),
        records,
        scrubbing(records, {"memory": store}),
        {"web": web, "memory": store},
        ImagesSettings(),
        pools=pools,
    )
    assert uploads.store_names == ("memory",)
    image = an_image("y", disk_format="raw", container_format="bare")
    add(UnheardImages(records._database), image)
    with pytest.raises(StoreUnknown, match="there is memory"):
        uploads.begin(OPERATOR, image.id, terms=Terms(store="web"))
    data = uploads.begin(OPERATOR, image.id)
    put(data, DATA)
    assert data.finish().status is Status.ACTIVE
    assert keys(store) == [data.location.object_key]


def test_bytes_in_a_store_that_went_away_are_not_forgotten(
    records: UnheardUploads,
    discarded: DiscardedObjectRows,
    catalogue: UnheardImages,
    pools: Pools,
    clock: Clock,
    image: Image,
    tmp_path: Path,
) -> None:
    """A deleted image, and an upload that broke off, while another directory lies where the store was."""
    root, away = tmp_path / "root", tmp_path / "away"
    files = marked(FileStore("files", FileStoreSettings(), root))
    uploads = service(records, files, pools, clock)
    broken = uploads.begin(OPERATOR, image.id)
    put(broken, DATA)
    other = an_image("other", disk_format="raw", container_format="bare")
    add(catalogue, other)
    whole = uploads.begin(OPERATOR, other.id)
    put(whole, DATA)
    whole.finish()
    root.rename(away)
    root.mkdir()
    broken.abandon()
    catalogue.delete(other.id, Image.require_deletable, NOON)
    for _ in range(2):
        assert leftovers(uploads).clear_all() == 0
    assert {at.object_key for at in discarded.oldest(10)} == {whole.location.object_key, broken.location.object_key}
    assert list(root.iterdir()) == []
    with pytest.raises(StoreUnavailable):
        uploads.begin(OPERATOR, image.id)
    assert len(discarded.oldest(10)) == 2  # what was never begun leaves nothing to discard
    assert catalogue.get(image.id).status is Status.QUEUED
    root.rmdir()
    away.rename(root)
    assert leftovers(uploads).clear_all() == 2
    assert discarded.oldest(10) == []
    assert [path for path in root.rglob("*") if path.is_file()] == [root / "store-id"]


def test_an_upload_that_others_took_over_is_lost_and_not_the_stores_fault(
    records: UnheardUploads, catalogue: UnheardImages, pools: Pools, clock: Clock, image: Image, tmp_path: Path
) -> None:
    files = marked(FileStore("files", FileStoreSettings(), tmp_path / "files"))
    slow, other = service(records, files, pools, clock, "slow"), service(records, files, pools, clock, "other")
    data = slow.begin(OPERATOR, image.id)
    put(data, DATA)
    clock.now += (LEASE_S + 1) * SECOND
    assert leftovers(other).clear_all() == 1
    with pytest.raises(UploadLost, match="stood still"):
        data.finish()
    data.abandon()
    assert keys(files) == []
    assert catalogue.get(image.id).status is Status.QUEUED


def test_an_upload_that_cannot_be_set_up_leaves_nothing(
    uploads: Uploads,
    catalogue: UnheardImages,
    records: UnheardUploads,
    discarded: DiscardedObjectRows,
    image: Image,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as failing:
        failing.setattr(uploads, "work", _fail)
        with pytest.raises(StoreUnavailable):
            uploads.begin(OPERATOR, image.id)
    assert catalogue.get(image.id).status is Status.QUEUED
    assert (records.uploads(), discarded.oldest(10), uploads._running.any()) == ([], [], False)
    put(uploads.begin(OPERATOR, image.id), DATA)


def test_who_may_not_upload_when_the_image_is_claimed_does_not(
    records: UnheardUploads, catalogue: UnheardImages, store: BrokenStore, pools: Pools, image: Image
) -> None:
    """The image gets another owner between the first look and the transaction."""

    class OwnersMay(EveryoneMay):
        def require(self, rule: str, caller: Caller, target: Mapping[str, Any]) -> None:
            if rule == "upload_image" and target["owner"] != image.owner:
                raise Forbidden("not the owner")

    def change() -> Any:
        catalogue.change(image.id, lambda now: replace(now, owner="somebody else"))
        return None

    stores = {store.name: store}
    changes = changing(records, OwnersMay(), room=change)
    uploads = Uploads(changes, records, scrubbing(records, stores), stores, ImagesSettings(), pools=pools)
    with pytest.raises(Forbidden, match="not the owner"):
        uploads.begin(OPERATOR, image.id)
    assert catalogue.get(image.id).status is Status.QUEUED
    assert records.uploads() == []


# --- The journal --------------------------------------------------------------------------------------


class Heard:
    """A listener that writes down what becomes of images, and who did it."""

    def __init__(self) -> None:
        self.moves: list[tuple[str, str | None, str, str]] = []
        self.over: list[str] = []

    def moved(self, entry: Entry) -> tuple[()]:
        who = entry.caller.user_id if entry.caller else "headwater"
        self.moves.append((entry.action, who, entry.before.status.value, entry.after.status.value))
        return ()

    def ended(self, entry: Entry, error: BaseException | None) -> None:
        self.over.append(entry.action if error is None else f"{entry.action} failed")


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def told(records: UnheardUploads, store: BrokenStore, pools: Pools, clock: Clock, heard: Heard) -> Uploads:
    return Uploads(
        changing(records, journal=Journal([heard])),
        records,
        scrubbing(records, {store.name: store}),
        {store.name: store},
        ImagesSettings(),
        pools=pools,
        clock=clock,
        running=Running("here"),
    )


ANN = replace(OPERATOR, user_id="ann")
PREPARED = ("image.prepare", "ann", "queued", "saving")


def test_the_journal_tells_of_an_image_that_waits_again(told: Uploads, image: Image, heard: Heard) -> None:
    told.begin(ANN, image.id).abandon()
    assert heard.moves == [PREPARED, ("image.update", "ann", "saving", "queued")]
    assert heard.over == ["image.prepare", "image.update"]


def test_the_journal_tells_of_an_image_whose_store_took_no_data(told: Uploads, image: Image, heard: Heard) -> None:
    with pytest.raises(StoreFull):
        told.begin(ANN, image.id, 2 << 20)
    assert heard.moves == [PREPARED, ("image.update", "ann", "saving", "queued")]


def test_the_journal_tells_of_an_upload_that_headwater_cleared(
    told: Uploads, image: Image, heard: Heard, clock: Clock, records: UnheardUploads, store: BrokenStore, pools: Pools
) -> None:
    service(records, store, pools, clock, "there").begin(OPERATOR, image.id)
    clock.now += (LEASE_S + 1) * SECOND
    assert leftovers(told).clear_expired() == 1
    assert heard.moves == [("image.update", "headwater", "saving", "queued")]
    assert heard.over == ["image.update"]


def test_what_a_dead_process_of_this_machine_left_is_cleared_at_once(
    uploads: Uploads, image: Image, records: UnheardUploads, store: BrokenStore, pools: Pools, clock: Clock
) -> None:
    place = writer_name().partition("/")[0]
    service(records, store, pools, clock, f"{place}/999999/1").begin(OPERATOR, image.id)
    assert leftovers(uploads).clear_dead() == 1


def test_what_is_elsewhere_is_cleared_by_one_process_when_its_lease_has_run_out(
    uploads: Uploads, image: Image, records: UnheardUploads, store: BrokenStore, pools: Pools, clock: Clock
) -> None:
    service(records, store, pools, clock, "there").begin(OPERATOR, image.id)
    assert leftovers(uploads).clear_expired() == 0
    clock.now += (LEASE_S + 1) * SECOND
    assert leftovers(uploads).clear_dead() == 0
    assert leftovers(uploads).clear_expired() == 1


def test_the_journal_tells_nothing_of_an_image_that_was_deleted_before_its_data_broke_off(
    told: Uploads, image: Image, heard: Heard, catalogue: UnheardImages
) -> None:
    data = told.begin(ANN, image.id)
    catalogue.delete(image.id, Image.require_deletable, NOON)
    data.abandon()
    assert heard.over == ["image.prepare"]


def test_data_that_hashes_to_something_else_than_was_said_is_refused_and_leaves_nothing(
    uploads: Uploads, catalogue: UnheardImages, store: BrokenStore, image: Image
) -> None:
    for name in ("md5", "sha256", "sha512"):
        right, wrong = (name, hashlib.new(name, DATA).digest()), (name, hashlib.new(name, b"other").digest())
        for before, behind in (((wrong,), ()), ((), (wrong,)), ((right, wrong), (right,))):
            data = uploads.begin(OPERATOR, image.id, terms=Terms(digests=before, foreseen=[name]))
            put(data, DATA)
            data.expect(behind)
            with pytest.raises(DigestMismatch, match=f"{name} {wrong[1].hex()}, got {right[1].hex()}"):
                data.finish()
            data.abandon()
            assert catalogue.get(image.id).status is Status.QUEUED
            assert keys(store) == []
    data = uploads.begin(
        OPERATOR, image.id, terms=Terms(digests=[("sha256", hashlib.sha256(DATA).digest())], foreseen=["sha512"])
    )
    put(data, DATA)
    data.expect([("sha512", hashlib.sha512(DATA).digest())])
    assert data.finish().status is Status.ACTIVE


def test_a_digest_that_nobody_could_make_any_more_is_refused(uploads: Uploads, image: Image) -> None:
    data = uploads.begin(OPERATOR, image.id)
    put(data, DATA)
    data.expect([("sha512", hashlib.sha512(DATA).digest())])  # made of every upload
    with pytest.raises(DigestUnforeseen, match="sha256"):
        data.expect([("sha256", hashlib.sha256(DATA).digest())])
    data.abandon()
