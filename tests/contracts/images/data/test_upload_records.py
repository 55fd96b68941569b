"""What the records of bytes on their way promise on every database."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import replace

import pytest

from contracts.image_catalogue import NOON, SECOND, add, an_image, an_upload, anything, moved
from contracts.unheard import UnheardImages, UnheardUploads
from headwater.images.catalogue.discarded import DiscardedObjectRows
from headwater.images.catalogue.rows import ImageNotFound
from headwater.images.catalogue.upload_records import ImageGone, Upload, UploadLost
from headwater.images.model import Image, ImageProtected, Status


def _race_to_end(records: UnheardUploads, upload: Upload) -> list[str]:
    """Let the uploader finish while another takes the upload over; return who did it."""
    start = threading.Barrier(2)
    winners: list[str] = []

    def finish() -> None:
        start.wait()
        with contextlib.suppress(UploadLost):
            records.finish_upload(upload.image_id, upload.location, moved(Status.ACTIVE))
            winners.append("uploader")

    def take() -> None:
        start.wait()
        if records.take_over(upload, moved(Status.QUEUED), NOON):
            winners.append("another")

    threads = [threading.Thread(target=work) for work in (finish, take)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return winners


def test_an_upload_is_in_the_books_until_the_image_has_its_bytes(
    catalogue: UnheardImages, records: UnheardUploads
) -> None:
    image = an_image()
    add(catalogue, image)
    upload = an_upload(image)
    saving = records.begin_upload(upload, moved(Status.SAVING))
    assert saving.status is Status.SAVING
    assert records.uploads() == [upload]
    assert catalogue.location(image.id) is None
    active = records.finish_upload(image.id, upload.location, moved(Status.ACTIVE, size=7))
    assert (active.status, active.size) == (Status.ACTIVE, 7)
    assert catalogue.get(image.id) == active
    assert records.uploads() == []
    assert catalogue.location(image.id) == upload.location


def test_an_upload_that_may_not_begin_is_not_recorded(catalogue: UnheardImages, records: UnheardUploads) -> None:
    image = an_image(status=Status.ACTIVE)
    add(catalogue, image)

    def refuse(_image: Image) -> Image:
        raise ImageProtected(image.id)

    with pytest.raises(ImageProtected):
        records.begin_upload(an_upload(image), refuse)
    with pytest.raises(ImageNotFound):
        records.begin_upload(an_upload(an_image()), moved(Status.SAVING))
    assert records.uploads() == []


def test_an_abandoned_upload_leaves_the_image_waiting(
    catalogue: UnheardImages, records: UnheardUploads, discarded: DiscardedObjectRows
) -> None:
    image = an_image()
    add(catalogue, image)
    upload = an_upload(image)
    records.begin_upload(upload, moved(Status.SAVING))
    assert records.abandon_upload(image.id, upload.location, moved(Status.QUEUED), discarded_at=None)
    assert catalogue.get(image.id).status is Status.QUEUED
    assert records.uploads() == []
    assert discarded.oldest(10) == []
    assert not records.abandon_upload(image.id, upload.location, moved(Status.QUEUED), discarded_at=None)
    records.begin_upload(an_upload(image), moved(Status.SAVING))


def test_the_bytes_of_an_abandoned_upload_are_noted_until_they_are_removed(
    catalogue: UnheardImages, records: UnheardUploads, discarded: DiscardedObjectRows
) -> None:
    image = an_image()
    add(catalogue, image)
    upload = an_upload(image)
    records.begin_upload(upload, moved(Status.SAVING))
    assert records.abandon_upload(image.id, upload.location, moved(Status.QUEUED), discarded_at=NOON)
    assert discarded.oldest(10) == [upload.location]
    discarded.forget(upload.location)
    assert discarded.oldest(10) == []


def test_an_upload_that_was_given_up_is_lost_and_changes_nothing(
    catalogue: UnheardImages, records: UnheardUploads, discarded: DiscardedObjectRows
) -> None:
    image = an_image()
    add(catalogue, image)
    upload = an_upload(image)
    records.begin_upload(upload, moved(Status.SAVING))
    assert records.take_over(upload, moved(Status.QUEUED), NOON)
    assert discarded.oldest(10) == [upload.location]
    queued = catalogue.get(image.id)
    assert queued.status is Status.QUEUED
    with pytest.raises(UploadLost, match=image.id):
        records.finish_upload(image.id, upload.location, moved(Status.ACTIVE))
    assert catalogue.get(image.id) == queued
    assert catalogue.location(image.id) is None
    assert not records.take_over(upload, moved(Status.QUEUED), NOON)


def test_an_upload_that_shows_a_sign_of_life_is_not_taken_over(
    catalogue: UnheardImages, records: UnheardUploads, discarded: DiscardedObjectRows
) -> None:
    image = an_image()
    add(catalogue, image)
    upload = an_upload(image)
    records.begin_upload(upload, moved(Status.SAVING))
    records.renew_uploads(upload.writer, upload.expires_at + SECOND)
    assert not records.take_over(upload, moved(Status.QUEUED), NOON)
    assert catalogue.get(image.id).status is Status.SAVING
    assert records.uploads() == [replace(upload, expires_at=upload.expires_at + SECOND)]
    assert discarded.oldest(10) == []


def test_a_finished_upload_is_not_taken_over(
    catalogue: UnheardImages, records: UnheardUploads, discarded: DiscardedObjectRows
) -> None:
    image = an_image()
    add(catalogue, image)
    upload = an_upload(image)
    records.begin_upload(upload, moved(Status.SAVING))
    records.finish_upload(image.id, upload.location, moved(Status.ACTIVE))
    assert not records.take_over(upload, moved(Status.QUEUED), NOON)
    assert catalogue.get(image.id).status is Status.ACTIVE
    assert discarded.oldest(10) == []


def test_an_image_deleted_during_its_upload_is_gone(catalogue: UnheardImages, records: UnheardUploads) -> None:
    image = an_image()
    add(catalogue, image)
    upload = an_upload(image)
    records.begin_upload(upload, moved(Status.SAVING))
    assert catalogue.delete(image.id, anything, NOON) == []
    assert records.uploads() == [upload]
    with pytest.raises(ImageGone, match=image.id):
        records.finish_upload(image.id, upload.location, moved(Status.ACTIVE))
    # The note stays until somebody has removed the bytes.
    assert records.uploads() == [upload]
    assert records.abandon_upload(image.id, upload.location, moved(Status.QUEUED), discarded_at=None)
    assert records.uploads() == []


def test_a_change_during_an_upload_is_kept(catalogue: UnheardImages, records: UnheardUploads) -> None:
    image = an_image("before")
    add(catalogue, image)
    upload = an_upload(image)
    records.begin_upload(upload, moved(Status.SAVING))
    catalogue.change(image.id, lambda now: replace(now, name="during", tags=("t",), properties={"p": "1"}))
    active = records.finish_upload(image.id, upload.location, moved(Status.ACTIVE, size=1))
    assert (active.name, active.tags, active.properties, active.size) == ("during", ("t",), {"p": "1"}, 1)


def test_of_many_uploads_at_once_one_begins(catalogue: UnheardImages, records: UnheardUploads) -> None:
    image = an_image()
    add(catalogue, image)
    outcomes: list[str] = []
    start = threading.Barrier(6)

    def upload() -> None:
        start.wait()
        try:
            records.begin_upload(an_upload(image), moved(Status.SAVING))
        except Exception as error:  # noqa: BLE001 - compared below
            outcomes.append(type(error).__name__)
        else:
            outcomes.append("began")

    threads = [threading.Thread(target=upload) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [*["StatusConflict"] * 5, "began"]
    assert len(records.uploads()) == 1


def test_of_an_uploader_and_one_who_takes_over_one_wins(
    catalogue: UnheardImages, records: UnheardUploads, discarded: DiscardedObjectRows
) -> None:
    for _ in range(5):
        image = an_image()
        add(catalogue, image)
        upload = an_upload(image)
        records.begin_upload(upload, moved(Status.SAVING))
        winners = _race_to_end(records, upload)
        assert len(winners) == 1
        finished = winners == ["uploader"]
        assert catalogue.get(image.id).status is (Status.ACTIVE if finished else Status.QUEUED)
        # The heart of it: bytes that an image has are never given up.
        assert (upload.location in discarded.oldest(100)) != finished
        assert (catalogue.location(image.id) == upload.location) == finished


def test_a_writer_renews_all_its_uploads_and_no_others(catalogue: UnheardImages, records: UnheardUploads) -> None:
    images = [an_image() for _ in range(3)]
    add(catalogue, *images)
    for image, writer in zip(images, ("here", "here", "there"), strict=True):
        records.begin_upload(replace(an_upload(image), writer=writer), moved(Status.SAVING))
    records.renew_uploads("here", NOON + 1000)
    assert {(upload.writer, upload.expires_at) for upload in records.uploads()} == {
        ("here", NOON + 1000),
        ("there", NOON),
    }


def test_deleting_an_image_notes_its_bytes_until_they_are_removed(
    catalogue: UnheardImages, records: UnheardUploads, discarded: DiscardedObjectRows
) -> None:
    places = []
    for number in range(3):
        image = an_image()
        add(catalogue, image)
        upload = an_upload(image)
        records.begin_upload(upload, moved(Status.SAVING))
        records.finish_upload(image.id, upload.location, moved(Status.ACTIVE))
        assert catalogue.delete(image.id, anything, NOON + number) == [upload.location]
        assert catalogue.location(image.id) is None
        places.append(upload.location)
    assert discarded.oldest(10) == places
    assert discarded.oldest(2) == places[:2]
    store = places[0].store
    assert discarded.count() == {store: len(places)}
    by_key = sorted(places, key=lambda place: place.object_key)
    assert discarded.of_store(store, "", 10) == by_key
    assert discarded.of_store(store, by_key[0].object_key, 1) == by_key[1:2]
    assert discarded.of_store("another", "", 10) == []
    discarded.forget(places[0])
    discarded.forget(places[0])
    assert discarded.oldest(10) == places[1:]
