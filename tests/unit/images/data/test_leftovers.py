"""What uploads leave that broke off, and who tidies up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contracts.image_catalogue import NOON, add, an_image
from contracts.unheard import UnheardImages, UnheardUploads
from headwater.identity.caller import OPERATOR
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.catalogue.upload_records import Upload, UploadLost
from headwater.images.data.leftovers import Leftovers
from headwater.images.data.session import (
    Pools,
)
from headwater.images.data.uploads import Uploads
from headwater.images.model import Image, Status
from headwater.jobs.leases import LEASE_S, writer_name
from headwater.stores.file import FileStore, FileStoreSettings
from headwater.stores.store import StoreUnavailable
from headwater.testing.object_store import marked
from unit.clock import Clock
from unit.images.data.uploading import (
    DATA,
    SECOND,
    BrokenStore,
    fail,
    keys,
    leftovers,
    put,
    service,
)


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
        broken.setattr(records._database, "write", fail)
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


def test_what_is_elsewhere_under_a_clock_that_was_ahead_is_cleared_when_nobody_renews_it(
    uploads: Uploads, image: Image, records: UnheardUploads, store: BrokenStore, pools: Pools, clock: Clock
) -> None:
    there = service(records, store, pools, clock, "there")
    there.begin(OPERATOR, image.id)
    clock.now -= 86400 * SECOND
    steady = [1000.0]
    left = Leftovers(
        uploads._changes,
        uploads._records,
        uploads._scrubber,
        uploads._running,
        clock=uploads._clock,
        steady=lambda: steady[0],
    )
    for seconds in (0, 40, 80):
        steady[0] = 1000 + seconds
        if seconds == 40:
            clock.now += 86440 * SECOND
            there.renew()
            clock.now -= 86440 * SECOND
        assert left.clear_expired() == 0
    steady[0] = 1000 + 101
    assert left.clear_expired() == 1
