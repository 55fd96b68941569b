"""Data that comes, or does not come as it was said."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from contracts.image_catalogue import NOON, add, an_image
from contracts.rules import EveryoneMay
from contracts.unheard import UnheardImages, UnheardUploads
from headwater.errors import Forbidden
from headwater.fetching.fetcher import Fetcher, FetchSettings
from headwater.identity.caller import OPERATOR, Caller
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.catalogue.upload_records import ImageGone
from headwater.images.data.session import (
    DigestMismatch,
    DigestUnforeseen,
    ImageTooLarge,
    Pools,
    SizeMismatch,
    Terms,
)
from headwater.images.data.uploads import StoreUnknown, Uploads
from headwater.images.inspection.inspect import ContentMismatch, ContentUnsafe
from headwater.images.model import FormatsMissing, Image, Status, StatusConflict
from headwater.images.settings import ImagesSettings
from headwater.stores.store import StoreFull, StoreUnavailable
from headwater.stores.web import HttpStore
from unit.clock import Clock
from unit.images.data.uploading import (
    DATA,
    SECOND,
    BrokenStore,
    changing,
    fail,
    keys,
    put,
    scrubbing,
    service,
)
from unit.images.inspection.disk_images import qcow2


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


def test_an_upload_that_cannot_be_set_up_leaves_nothing(
    uploads: Uploads,
    catalogue: UnheardImages,
    records: UnheardUploads,
    discarded: DiscardedObjectRows,
    image: Image,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as failing:
        failing.setattr(uploads, "work", fail)
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
