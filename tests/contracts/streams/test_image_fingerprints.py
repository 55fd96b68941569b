"""What feeds say of the files of images, kept on every database."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

from contracts.image_catalogue import NOON, add, an_image, anything, renamed
from contracts.unheard import UnheardImages
from headwater.database.engine import Database
from headwater.images.catalogue.fingerprints.image_fingerprints import Fingerprint, FingerprintRows, sha256_of
from headwater.images.catalogue.public import PublicImageRows
from headwater.images.model import Image, Status, Visibility


def a_public_image(**fields: Any) -> Image:
    given = {"status": Status.ACTIVE, "visibility": Visibility.PUBLIC, "os_hash_value": "ab" * 64, **fields}
    return an_image(**given)


def found_of(image: Image, **more: Any) -> Fingerprint:
    given: dict[str, Any] = {
        "sha256": "12" * 32,
        "product": "debian:bookworm:amd64:default",
        "metadata": bytes(range(256)),
        "combined": "34" * 32,
        "tried_at": NOON,
        **more,
    }
    return Fingerprint(image_id=image.id, data_hash=image.os_hash_value or "", **given)


def test_what_was_found_is_kept_and_told_as_a_change_of_the_public_images(database: Database) -> None:
    rows, public, image = FingerprintRows(database), PublicImageRows(database), a_public_image()
    add(UnheardImages(database), image)
    before = public.revision()
    assert rows.of([image.id]) == {}
    assert rows.keep(found_of(image))
    assert rows.of([image.id, "nobody"]) == {image.id: found_of(image)}
    assert public.changed(before, public.revision()) == {image.id}
    failed = Fingerprint(image_id=image.id, data_hash="cd", tried_at=NOON, attempts=2, error="x" * 1024)
    assert rows.keep(replace(failed, error="x\0" + "x" * 9999))
    assert rows.of([image.id]) == {image.id: failed}


def test_it_goes_with_its_image_and_does_not_come_without_one(database: Database) -> None:
    rows, catalogue, image = FingerprintRows(database), UnheardImages(database), a_public_image()
    add(catalogue, image)
    rows.keep(found_of(image))
    catalogue.change(image.id, renamed("another name"))
    assert rows.of([image.id])
    catalogue.delete(image.id, anything, NOON)
    assert rows.of([image.id]) == {}
    before = PublicImageRows(database).revision()
    assert not rows.keep(found_of(image))
    assert list(rows.everything()) == []
    assert PublicImageRows(database).revision() == before


def test_all_are_read_slice_by_slice(database: Database) -> None:
    rows, images = FingerprintRows(database), [a_public_image() for _ in range(7)]
    add(UnheardImages(database), *images)
    for image in images:
        rows.keep(found_of(image))
    rows._slice = 3
    assert [each.image_id for each in rows.everything()] == sorted(image.id for image in images)
    assert rows.of([image.id for image in images]).keys() == {image.id for image in images}


def test_who_keeps_at_once_and_who_deletes_leave_one_or_none(database: Database) -> None:
    rows, catalogue = FingerprintRows(database), UnheardImages(database)
    images = [a_public_image() for _ in range(6)]
    add(catalogue, *images)

    def keep() -> None:
        for image in images:
            rows.keep(found_of(image))

    def remove() -> None:
        for image in images[::2]:
            catalogue.delete(image.id, anything, NOON)

    working = [threading.Thread(target=each) for each in (keep, keep, remove)]
    for each in working:
        each.start()
    for each in working:
        each.join()
    assert {each.image_id for each in rows.everything()} == {image.id for image in images[1::2]}


def test_the_sha_256_of_data_is_known_of_the_data_that_was_read_only(database: Database) -> None:
    read, own, other, unread = (a_public_image() for _ in range(4))
    own = replace(own, os_hash_algo="sha256", os_hash_value="56" * 32)
    found = [found_of(read), replace(found_of(other), data_hash="of data before"), found_of(unread, sha256=None)]
    assert sha256_of(found, [read, own, other, unread]) == {read.id: "12" * 32, own.id: "56" * 32}
